"""Closed forms of models of transformers: at any sizes in their range they are what is counted there."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torchvision_stub

pytest.importorskip("torch")
pytest.importorskip("transformers")

from costcalc.analysis.find_symbols import find_symbols
from costcalc.analysis.formula import formulas
from costcalc.analysis.report import report
from costcalc.cli.dispatch import outcome
from costcalc.errors import CostcalcError
from costcalc.models import load

torchvision_stub.install()

SMALL = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96,
         "vocab_size": 100, "max_position_embeddings": 128}  # fmt: skip
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, tuple[int, int]]]] = {
    # configuration, what is set, and between which sizes the closed form is tried
    "an encoder": ({"model_type": "bert", **SMALL}, {"tokens": 32}, {"batch": (2, 9), "tokens": (2, 128)}),
    "a decoder": (
        {"model_type": "qwen3", "num_key_value_heads": 2, **SMALL}, {}, {"batch": (1, 9), "tokens": (2, 128)},
    ),
    "a step of decoding": (
        {"model_type": "qwen3", "num_key_value_heads": 2, **SMALL}, {"prompt": 40},
        {"batch": (1, 9), "prompt": (1, 96)},
    ),
    "a step of several tokens": (
        {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4, "vocab_size": 100, "n_positions": 128},
        {"prompt": 40, "tokens": 5}, {"batch": (2, 9), "prompt": (2, 96), "tokens": (2, 30)},
    ),
    "a decoder beside an encoder": (
        {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 32, "num_layers": 1,
         "num_heads": 2, "d_kv": 16, "d_ff": 48, "vocab_size": 100, "is_encoder_decoder": True},
        {"tokens": 20, "decoder_tokens": 9}, {"batch": (2, 3), "tokens": (2, 40), "decoder_tokens": (2, 40)},
    ),
    "experts": (
        {"model_type": "mixtral", "num_key_value_heads": 2, **SMALL}, {"tokens": 16},
        {"batch": (1, 5), "tokens": (2, 90)},
    ),
    "an image": (
        {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8,
         "layer_type": "basic"}, {},
        {"batch": (1, 9), "height": (40, 300), "width": (40, 300)},
    ),
    "an image of one size": (
        {"model_type": "vit", **SMALL, "image_size": 32, "patch_size": 8}, {}, {"batch": (2, 9)},
    ),
}  # fmt: skip


def written(folder: Path, config: dict[str, Any]) -> str:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return f"hf:{folder}"


@pytest.mark.parametrize("what", MODELS)
def test_a_closed_form_is_what_is_counted_at_other_sizes(what: str, tmp_path: Path) -> None:
    config, parameters, ranges = MODELS[what]
    name, random = written(tmp_path, config), Random(what)
    opened = find_symbols(load(name, parameters=parameters, any_sizes=True))
    assert set(opened.values) == set(ranges)
    found = formulas(load(name, parameters=parameters, symbols=opened))
    for _ in range(3):
        sizes = {size: random.randint(*limits) for size, limits in ranges.items()}
        given = {size: n for size, n in sizes.items() if size not in ("batch", "height", "width")}
        shape = (3, sizes["height"], sizes["width"]) if "height" in sizes else None
        whole = report(load(name, batch=sizes["batch"], parameters=parameters | given, input=shape))
        assert {one.figure.title: one.at(sizes) for one in found} == {
            one.figure.title: one.figure.value(whole) for one in found
        }, sizes


def test_a_closed_form_says_up_to_where_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path, {"model_type": "bert", **SMALL})
    assert outcome(["formula", name, "--tokens", "32", "--symbols", "tokens"]) == 0
    said = capsys.readouterr().out
    assert (
        "MACs(tokens) =" in said and "at tokens=32" in said and "holds where tokens ≥ 2, tokens ≤ 127" in said
    )  # of 128 it reads the table whole


def test_a_model_whose_layers_follow_a_length_has_none_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A state that is handed on from token to token is a layer for each."""
    name = written(tmp_path, {"model_type": "mamba", "num_hidden_layers": 1, "hidden_size": 16, "vocab_size": 20,
                              "state_size": 4})  # fmt: skip
    assert outcome(["formula", name, "--tokens", "8"]) == 2
    said = capsys.readouterr().err
    assert "has other layers with" in said and "leave batch or tokens out of the symbols" in said
    assert outcome(["formula", name, "--tokens", "8", "--symbols", "batch"]) == 0


def test_the_short_options_set_what_they_are_short_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path, {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "vocab_size": 50})
    for short, long in (
        (["--tokens", "7"], ["--set", "tokens=7"]),
        (["--prompt", "9"], ["--set", "prompt=9"]),
        (["--prompt", "9", "--tokens=2"], ["--set", "prompt=9", "--set", "tokens=2"]),
    ):
        said = []
        for options in (short, long):
            assert outcome(["analyze", name, *options]) == 0
            said.append(capsys.readouterr().out)
        assert said[0] == said[1]
    assert outcome(["analyze", name, "--tokens", "7", "--set", "tokens=8"]) == 2
    assert "--tokens is short for --set tokens=…; give one of them" in capsys.readouterr().err
    assert outcome(["compare", name, name, "--tokens", "7", "--format", "json"]) == 0
    assert outcome(["analyze", "resnet50", "--tokens", "7"]) == 2
    assert "resnet has no parameter 'tokens'" in capsys.readouterr().err


def test_a_symbol_that_there_is_not(tmp_path: Path) -> None:
    name = written(tmp_path, {"model_type": "bert", **SMALL})
    with pytest.raises(CostcalcError, match="'frames' cannot be a symbol; there are"):
        load(name, symbols=["frames"])
