"""Models of transformers from their configurations; published numbers of parameters, MACs by torch's counter."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torchvision_stub

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.cli.dispatch import outcome  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.sources import source_of  # noqa: E402
from costcalc.frontends.torch import models  # noqa: E402
from costcalc.frontends.torch.models import load_model  # noqa: E402

torchvision_stub.install()
PAGE = Path(__file__).parents[2] / "docs" / "huggingface.md"
needs = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("transformers") is None, reason="transformers is not installed"
)


def written(folder: Path, **config: Any) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return f"hf:{path}"


PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    # parameters as the weights on the hub have them, tied ones once
    "bert-base-uncased": ({"model_type": "bert", "architectures": ["BertModel"]}, 109_482_240),
    "gpt2": ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, 124_439_808),
    "Llama-2-7b": (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "float16"}, 6_738_415_616,
    ),
    "vit-base-patch16-224": (
        {"model_type": "vit", "architectures": ["ViTForImageClassification"], "num_labels": 1000}, 86_567_656,
    ),
    "t5-small": (
        {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 512, "d_ff": 2048,
         "num_layers": 6, "num_heads": 8, "is_encoder_decoder": True}, 60_506_624,
    ),
    "whisper-tiny": (
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": 384,
         "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6, "decoder_attention_heads": 6,
         "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536}, 37_760_640,
    ),
    "clip-vit-base-patch32": ({"model_type": "clip", "architectures": ["CLIPModel"]}, 151_277_313),
    "resnet-50": (
        {"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "num_labels": 1000}, 25_557_032,
    ),
    "Mixtral-8x7B": ({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}, 46_702_792_704),
}  # fmt: skip


@needs
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones_and_macs_those_of_torch(name: str, tmp_path: Path) -> None:
    config, parameters = PUBLISHED[name]
    model = written(tmp_path, **config)
    found = report(load_model(model))
    assert (found.total.params, found.uncounted) == (parameters, ())
    if name != "Mixtral-8x7B":  # whose experts the counter cannot run without values
        assert found.total.macs == counted_by_torch(model)


SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 100,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
PATCHED = {**SMALL, "image_size": 32, "patch_size": 8}
EXPERTS = {**GROUPED, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
GPT = {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100, "rotary_dim": 8}
TWO = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 100, "pad_token_id": 0}
FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bert roberta camembert electra albert mpnet ernie layoutlm roformer megatron-bert splinter mobilebert", SMALL),
    ("convbert deberta-v2 rembert wav2vec2 hubert unispeech", SMALL),
    ("llama mistral qwen2 qwen3 gemma phi stablelm olmo gpt_neox starcoder2 cohere granite", GROUPED),
    ("gpt2 gptj codegen gpt_bigcode", GPT),
    ("vit deit beit dinov2", PATCHED),
    ("convnext resnet mobilenet_v2 segformer", {"image_size": 64}),
    ("mixtral qwen2_moe", EXPERTS),
    ("bart mbart pegasus marian", TWO),
    ("squeezebert", {**SMALL, "embedding_size": 64}),
    ("yolos", {**SMALL, "image_size": [32, 32], "patch_size": 8}),
    ("swin", {"image_size": 224, "embed_dim": 24, "num_heads": [3, 3, 3, 3]}),
)
KINDS = {kind: config for kinds, config in FAMILIES for kind in kinds.split()}
ALWAYS = {"bert", "qwen3", "gpt2", "vit", "swin", "wav2vec2", "mixtral", "bart", "deberta-v2"}
"""The kinds that every run of the tests has; the others take a minute."""


@needs
@pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k in ALWAYS else [pytest.mark.long]) for k in KINDS])
def test_macs_of_small_models_of_each_kind_are_those_of_torch(kind: str, tmp_path: Path) -> None:
    model = written(tmp_path, model_type=kind, **KINDS[kind])
    parameters = {} if "image_size" in KINDS[kind] or kind in ("wav2vec2", "hubert", "unispeech") else {"tokens": 16}
    found = report(load_model(model, parameters=parameters))
    assert found.uncounted == ()
    assert found.total.macs == counted_by_torch(model, parameters, real=True) > 0


def counted_by_torch(name: str, parameters: dict[str, Any] | None = None, *, real: bool = False) -> int:
    """MACs by FlopCounterMode on the meta device, or of a ``real`` run, in which experts are called one by one."""
    wanted = models._wanted(name, None, None, parameters or {})
    model, device = wanted.found.model.to("meta"), "meta"
    if real:
        assert wanted.found.again is not None
        model, device = wanted.found.again(), "cpu"
        model.config._experts_implementation = "eager"  # of grouped products the counter knows nothing

    def moved(value: Any) -> Any:
        return torch.rand(value, device=device) if isinstance(value, tuple) else value.to(device)

    args, kwargs = [moved(v) for v in wanted.args], {key: moved(v) for key, v in wanted.kwargs.items()}
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.device(device), counter:
        model.requires_grad_(False)(*args, **kwargs)
    assert counter.get_total_flops() % 2 == 0
    return int(counter.get_total_flops() // 2)


@needs
def test_a_step_of_decoding_has_the_cache_of_its_prompt(tmp_path: Path) -> None:
    heads, width, layers, places = 4, 64, 2, 31
    model = written(tmp_path, model_type="llama", architectures=["LlamaForCausalLM"], **SMALL)
    graph = load_model(model, parameters={"prompt": places - 1})
    kept = [graph.types[name].shape for name in graph.inputs][1:]
    assert kept == [(1, heads, places - 1, width // heads)] * (2 * layers)
    weights = layers * (4 * width * width + 3 * width * 96) + width * 100
    assert report(graph).total.macs == weights + layers * 2 * width * places
    again = load_model(model, parameters={"prompt": places - 1})
    assert report(again).total == report(graph).total


@needs
def test_a_decoder_beside_an_encoder_decodes_with_what_the_encoder_made(tmp_path: Path) -> None:
    model = written(
        tmp_path,
        model_type="t5",
        architectures=["T5ForConditionalGeneration"],
        d_model=64,
        num_layers=2,
        is_encoder_decoder=True,
    )
    graph = load_model(model, parameters={"prompt": 7, "tokens": 11})
    assert graph.types["decoder_input_ids"].shape == (1, 1)
    assert graph.types["encoder_outputs.0"].shape == (1, 11, 64)
    assert not any(layer.macs for layer in report(graph).layers if layer.name.startswith("encoder."))


@needs
def test_sizes_are_those_that_are_asked_for(tmp_path: Path) -> None:
    image = written(tmp_path, model_type="resnet")
    assert load_model(image, input=(3, 64, 96), batch=2).types["pixel_values"].shape == (2, 3, 64, 96)
    assert "the configuration names no size of image" in load_model(image).assumed[0]
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 96, "width": 128}}', encoding="utf-8")
    assert load_model(image).types["pixel_values"].shape == (1, 3, 96, 128)
    text = written(tmp_path, model_type="bert", **SMALL)
    assert load_model(text, parameters={"tokens": 9, "num_hidden_layers": 1}).types["input_ids"].shape == (1, 9)


BESIDE: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "places of words on a page": ({"model_type": "layoutlm", **SMALL}, {"bbox": (1, 8, 4)}),
    "patches and their grid": (
        {"model_type": "qwen2_5_vl_vision", "depth": 1, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48,
         "out_hidden_size": 32, "fullatt_block_indexes": [0], "patch_size": 14, "window_size": 112},
        {"hidden_states": (256, 3 * 2 * 14 * 14), "grid_thw": (1, 3)},
    ),
    "queries": (
        {"model_type": "blip_2_qformer", **SMALL, "encoder_hidden_size": 48},
        {"query_embeds": (1, 32, 64), "encoder_hidden_states": (1, 8, 48)},
    ),
    "states and actions": (
        {"model_type": "decision_transformer", "hidden_size": 32, "n_layer": 1, "n_head": 2, "state_dim": 5,
         "act_dim": 3},
        {"states": (1, 8, 5), "actions": (1, 8, 3), "timesteps": (1, 8)},
    ),
    "parts of an image": (
        {"model_type": "lxmert", "vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "l_layers": 1,
         "x_layers": 1, "r_layers": 1, "intermediate_size": 48, "visual_feat_dim": 20},
        {"visual_feats": (1, 36, 20), "visual_pos": (1, 36, 4)},
    ),
    "a text and the codes of a sound": (
        {"model_type": "kyutai_speech_to_text", "vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2,
         "num_key_value_heads": 2, "num_hidden_layers": 1, "ffn_dim": 48, "num_codebooks": 4, "head_dim": 16,
         "codebook_vocab_size": 20, "audio_pad_token_id": 3, "audio_bos_token_id": 2},
        {"input_ids": (1, 8, 5)},
    ),
    "bands that are stacked": (
        {"model_type": "granite_speech5_encoder", "hidden_size": 64, "num_hidden_layers": 1, "intermediate_size": 96,
         "num_attention_heads": 2, "head_dim": 32}, {"input_features": (1, 100, 320)},
    ),
    "a sound by bands, and which of it is there": (
        {"model_type": "gemma3n_audio", "hidden_size": 64, "conf_num_attention_heads": 2,
         "conf_num_hidden_layers": 1}, {"audio_mel": (1, 100, 128), "audio_mel_mask": (1, 100)},
    ),
    "a sound as Whisper takes it": (
        {"model_type": "qwen2_audio_encoder", "d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2,
         "encoder_ffn_dim": 48, "num_mel_bins": 20, "max_source_positions": 50}, {"input_features": (1, 20, 100)},
    ),
    "an image as its patches": (
        {"model_type": "siglip2_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
         "num_attention_heads": 2, "num_patches": 16, "patch_size": 4},
        {"pixel_values": (1, 16, 48), "pixel_attention_mask": (1, 16), "spatial_shapes": (1, 2)},
    ),
    "a film": (
        {"model_type": "xclip", "projection_dim": 16,
         "text_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2},
         "vision_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "image_size": 32,
                           "num_attention_heads": 2, "mit_hidden_size": 16, "mit_intermediate_size": 24,
                           "num_frames": 4, "mit_num_attention_heads": 2}},
        {"pixel_values": (1, 4, 3, 32, 32)},
    ),
    "a series": (
        {"model_type": "patchtst", "num_input_channels": 3, "context_length": 32, "patch_length": 4, "patch_stride": 4,
         "d_model": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 24},
        {"past_values": (1, 32, 3)},
    ),
    "a sound as convolutions take it": (
        {"model_type": "dac", "encoder_hidden_size": 8, "decoder_hidden_size": 64}, {"input_values": (1, 1, 16000)},
    ),
}  # fmt: skip


WITHOUT_TEXT = (
    "patchtst",
    "qwen2_audio_encoder",
    "siglip2_vision_model",
    "dac",
    "qwen2_5_vl_vision",
    "granite_speech5_encoder",
    "gemma3n_audio",
)


@needs
@pytest.mark.parametrize("what", BESIDE)
def test_inputs_that_a_model_cannot_do_without(what: str, tmp_path: Path) -> None:
    config, inputs = BESIDE[what]
    model = written(tmp_path, **config)
    wanted = models._wanted(model, None, None, {} if config["model_type"] in WITHOUT_TEXT else {"tokens": 8})
    given = dict(zip(inspect.signature(wanted.found.model.forward).parameters, wanted.args, strict=False))
    shapes = {k: tuple(getattr(v, "shape", v)) for k, v in {**given, **wanted.kwargs}.items()}
    assert {name: shapes.get(name) for name in inputs} == inputs
    graph = models._traced(model, wanted)
    assert report(graph).uncounted == () and report(graph).total.layers > 5


@needs
@pytest.mark.parametrize(
    ("config", "parameters", "says"),
    [
        ({"model_type": "own", "auto_map": {"AutoModel": "x.Y"}}, {}, "code that comes with the model"),
        ({"model_type": "brt"}, {}, "transformers .* has no model_type 'brt' .did you mean 'bert'"),
        ({"hidden_size": 3}, {}, "no 'model_type'"),
        ({"_class_name": "Net"}, {}, "diffusers .* has no model 'Net'|pip install diffusers"),
        ({"model_type": "bert", "hidden_size": "many"}, {}, "transformers refuses it|cannot be built"),
        ({"model_type": "bert"}, {"num_hidden_layer": 3}, "did you mean 'num_hidden_layers'"),
        ({"model_type": "bert"}, {"tokens": 0}, "tokens is a whole number from 1"),
        ({"model_type": "bert"}, {"architecture": "GPT2Model"}, "no model 'GPT2Model' for a configuration of bert"),
        ({"model_type": "resnet"}, {"tokens": 3}, "reads no text"),
    ],
)
def test_what_cannot_be_is_said(config: dict[str, Any], parameters: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(CostcalcError, match=says):
        load_model(written(tmp_path, **config), parameters=parameters)


@needs
def test_nothing_that_a_configuration_names_is_fetched_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    named = {
        "_attn_implementation": "org/kernel",
        "attn_implementation": "org/kernel",
        "quantization_config": {"quant_method": "x"},
    }
    (tmp_path / "code.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    model = written(tmp_path, model_type="bert", auto_map={"AutoModel": "code.Model"}, **SMALL, **named)
    before = os.environ.get("HF_HUB_OFFLINE")
    graph = load_model(model, parameters={"tokens": 4})
    assert os.environ.get("HF_HUB_OFFLINE") == before
    assert any("is not run" in s for s in graph.assumed) and any("quantization_config" in s for s in graph.assumed)
    with pytest.raises(CostcalcError, match="costcalc fetches nothing"):
        load_model("hf:org/not-in-the-cache")


OWN = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from .parts import Mixer


class OwnConfig(PretrainedConfig):
    model_type = "own_mixer"

    def __init__(self, width=8, depth=2, vocab_size=50, **others):
        self.width, self.depth, self.vocab_size = width, depth, vocab_size
        super().__init__(**others)


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(Mixer(config.width) for _ in range(config.depth))
        self.post_init()

    def forward(self, input_ids=None):
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        return x


class OwnForTokens(OwnModel):
    def __init__(self, config):
        super().__init__(config)
        self.head = nn.Linear(config.width, config.vocab_size)

    def forward(self, input_ids=None):
        return self.head(super().forward(input_ids))
"""
PARTS = """
from torch import nn


class Mixer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.line = nn.Linear(width, width)

    def forward(self, x):
        return x + self.line(x)
"""


@needs
def test_code_that_comes_with_a_model_runs_if_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "modeling_own.py").write_text(OWN, encoding="utf-8")
    (folder / "parts.py").write_text(PARTS, encoding="utf-8")
    named = {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel",
             "AutoModelForCausalLM": "modeling_own.OwnForTokens"}  # fmt: skip
    model = written(folder, model_type="own_mixer", auto_map=named, depth=3)
    assert outcome(["analyze", model, "--tokens", "5"]) == 2
    assert "if you trust it, --allow-code" in capsys.readouterr().err
    assert not (tmp_path / "modules").exists()
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    assert outcome(["analyze", model, "--tokens", "5", "--allow-code", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["macs"] == 3 * 5 * 8 * 8
    graph = load_model(model, parameters={"tokens": 5, "allow_code": True, "depth": 1})
    assert "built by OwnModel, code that comes with the model (auto_map)" in graph.assumed
    assert "allow_code" not in graph.parameters
    model = written(folder, model_type="own_mixer", auto_map=named, architectures=["OwnForTokens"])
    found = report(load_model(model, parameters={"tokens": 5, "allow_code": True})).total
    assert (found.macs, found.params) == (2 * 5 * 8 * 8 + 5 * 8 * 50, 50 * 8 + 2 * (8 * 8 + 8) + 50 * 8 + 50)
    for broken, says in (
        ({"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "absent.Net"}, "absent.Net, the AutoModel of its auto_"),
        ({"AutoConfig": "modeling_own.Absent"}, "modeling_own.Absent, the AutoConfig"),
        ("no", "has no model_type 'own_mixer'"),
    ):
        model = written(folder, model_type="own_mixer", auto_map=broken)
        with pytest.raises(CostcalcError, match=says):
            load_model(model, parameters={"tokens": 5, "allow_code": True})
    with pytest.raises(CostcalcError, match="allow_code is true or false, not maybe"):
        load_model(model, parameters={"allow_code": "maybe"})


@needs
def test_a_model_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--org--small"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    (kept / "snapshots" / "abc").mkdir(parents=True)
    written(kept / "snapshots" / "abc", model_type="bert", **SMALL)
    graph = load_model("hf:org/small", parameters={"tokens": 4})
    assert (graph.name, graph.types["input_ids"].shape) == ("small", (1, 4))


BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)


@needs
def test_the_page_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``COSTCALC_WRITE_DOCS=1`` writes it."""
    page = PAGE.read_text(encoding="utf-8")
    (tmp_path / "bert").mkdir()
    (config,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "bert" / "config.json").write_text(config, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def replayed(found: re.Match[str]) -> str:
        parts = []
        for line in found[1].splitlines():
            if line.startswith("$ "):
                capsys.readouterr()
                assert outcome(shlex.split(line[2:])[1:]) == 0
                parts.append(f"{line}\n{capsys.readouterr().out}")
        return "```console\n" + "\n".join(parts) + "```\n"

    again = BLOCK.sub(replayed, page)
    if os.environ.get("COSTCALC_WRITE_DOCS"):
        PAGE.write_text(again, encoding="utf-8")
    assert again == page


@needs
def test_the_figures_by_hand_of_the_page(tmp_path: Path) -> None:
    config, _ = PUBLISHED["Llama-2-7b"]
    model = written(tmp_path, **config)
    page = PAGE.read_text(encoding="utf-8")
    for given in ({"tokens": 1000}, {"prompt": 1000}):
        ((name, value),) = given.items()
        (shown,) = re.findall(rf"`{name}={value}` \| ([\d,]+) \|", page)
        assert report(load_model(model, parameters=given)).total.macs == int(shown.replace(",", ""))


def test_hf_is_a_source_that_runs_code() -> None:
    assert source_of("hf:bert").pattern == "hf:CONFIG"
    assert source_of("hf:bert").runs_code
    assert source_of("hf:net.yaml").pattern == "FILE.yaml"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("num_hidden_layers", 10**6, "num_hidden_layers asks for 1,000,000 layers; at most 500 are built"),
        ("max_position_embeddings", 10**9, "max_position_embeddings asks for 1,000,000,000 positions"),
        ("text_config", {"num_layers": 501}, "num_layers asks for 501 layers"),
        ("depths", [400, 101], "depths asks for 501 layers"),
        ("num_labels", 10**12, "num_labels asks for 1,000,000,000,000 labels"),
    ],
)
def test_a_configuration_that_asks_for_too_much_is_refused_before_it_is_built(
    tmp_path: Path, key: str, value: object, says: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "bert", key: value}), encoding="utf-8")
    with pytest.raises(CostcalcError, match=says):
        load_model(f"hf:{path}")


def test_a_part_that_is_a_number_is_no_part(tmp_path: Path) -> None:
    from costcalc.frontends.torch.hugging_face_inputs import _plain_word

    class Config:
        text_config = -0.0
        pad_token_id = 1

    assert _plain_word(Config()) == 1  # only what the instance itself has is looked at
    holder = Config()
    holder.pad_token_id, holder.bos_token_id = 1, 2  # type: ignore[attr-defined]
    assert _plain_word(holder) == 3
