"""Mistakes that people plausibly make: each told in one sentence that says what to write instead, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costcalc.cli import dispatch

SPEC = "name: a\ninputs: {x: [3, 8, 8]}\nlayers:\n"


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert dispatch.outcome(list(args)) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("costcalc: error: ")
    return printed.err.removeprefix("costcalc: error: ")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (f"{SPEC}\t- a: conv(4, 3)\n", "4:1", "a tab indents this line: use spaces"),
        (f"{SPEC}  - a: conv(4, 3)\n  \t- b: relu()\n", "5:3", "a tab indents this line: use spaces"),
        (
            f"{SPEC}  - a: conv(4, 3)\n - b: relu()\n",
            "5:2",
            "this line begins after 1 space, those above it after 0, 2",
        ),
        ("inputs:\n  x: [3, 8, 8]\n   y: 3\n", "3:", "this line begins after 3 spaces, those above it after 0, 2"),
    ],
)
@pytest.mark.parametrize("command", ["analyze", "check"])
def test_tabs_and_indents(capsys: pytest.CaptureFixture[str], text: str, place: str, says: str, command: str) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    told = said(capsys, *(["analyze", "a.yaml"] if command == "analyze" else ["check", "--config", "a.yaml"]))
    assert told.startswith(f"a.yaml:{place}") and says in told and "spaces" in told


def test_a_word_where_a_number_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "analyze", "resnet50", "--set", "num_classes=ten")
    assert told.startswith("num_classes=ten does not fit resnet50, where it is 1000: ")
    Path("costcalc.yaml").write_text(
        "version: 1\nmodels:\n  - model: resnet50\n    at: [{parameters: {num_classes: ten}}]\n", encoding="utf-8"
    )
    assert "num_classes=ten does not fit resnet50, where it is 1000" in said(capsys, "check")


def test_the_parameter_that_does_not_fit_is_named_among_several(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "analyze", "resnet50", "--set", "num_classes=10", "--set", "groups=x", "--set", "base=64")
    assert told.startswith("groups=x does not fit resnet50, where it is 1: ")


@pytest.mark.parametrize("value", ["10,20", "[10, 20]", "(10, 20)"])
def test_a_list_where_one_value_belongs_offers_runs_and_a_formula(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    told = said(capsys, "analyze", "resnet50", "--set", f"num_classes={value}")
    assert "run the command for each value" in told
    assert "`costcalc formula resnet50 --symbols num_classes`" in told
    assert dispatch.outcome(["formula", "resnet50", "--symbols", "num_classes"]) == 0


def test_a_list_that_is_one_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.outcome(["analyze", "resnet50", "--set", "depths=[1, 1, 1, 1]"]) == 0


@pytest.mark.parametrize(("word", "bits"), [("fp16", 16), ("bf16", 16), ("int8", 8), ("float32", 32), ("half", 16)])
def test_the_name_of_an_element_type_for_its_bits(capsys: pytest.CaptureFixture[str], word: str, bits: int) -> None:
    assert f"{word} has {bits} bits: --bits {bits}" in said(capsys, "analyze", "resnet50", "--bits", word)
    Path("costcalc.yaml").write_text(
        f"version: 1\nmodels:\n  - model: resnet50\n    at: [{{bits: {word}}}]\n", encoding="utf-8"
    )
    told = said(capsys, "check")
    assert told.startswith("costcalc.yaml:4:") and f"{word} has {bits} bits" in told
    assert "has" not in said(capsys, "analyze", "resnet50", "--bits", "many").partition("1024")[2]


@pytest.mark.skipif(os.sep != "/", reason="there these are paths")
@pytest.mark.parametrize(
    ("name", "here"),
    [
        (r"C:\models\net.py:Net", "models/net.py"),
        (r"C:\models\net.yaml", "models/net.yaml"),
        (r".\net.yaml", "./net.yaml"),
        ("C:/models/net.py:Net", "models/net.py"),
    ],
)
def test_a_path_of_windows(capsys: pytest.CaptureFixture[str], name: str, here: str) -> None:
    if ".py" in name:
        pytest.importorskip("torch.nn")
    told = said(capsys, "analyze", name)
    assert "this is a path of Windows, and on this system folders have a / between them" in told and here in told


def test_a_model_of_a_hub(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch.nn")
    told = said(capsys, "analyze", "torch.hub:x")
    assert told.startswith("'torch.hub:x': models of a hub are not read by name") and "net.py:build" in told
    assert "write hf:x, whose configuration is read from" in said(capsys, "analyze", "diffusers:x")
    assert "write hf:bert, whose configuration is read from" in said(capsys, "analyze", "huggingface:bert")
    told = said(capsys, "analyze", "google/vit-base-patch16-224")
    assert told == (
        "there is no file google/vit-base-patch16-224; a model of Hugging Face is hf:google/vit-base-patch16-224\n"
    )
    assert "a model of timm is timm:resnet18" in said(capsys, "analyze", "timm/resnet18")
    assert said(capsys, "analyze", "nets/model.pth") == "nets/model.pth: there is no such file\n"
    Path("google").mkdir()
    assert said(capsys, "analyze", "google/vit") == "google/vit: there is no such file\n"
    assert "others are timm:NAME, torchvision:NAME, hf:NAME" in said(capsys, "analyze", "bert-base-uncased")


@pytest.mark.parametrize("name", ["hf:gpt2", "hf:bert-base-uncased", "hf:org/model"])
def test_a_model_of_hugging_face_that_is_not_at_hand(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Without transformers how to install it is said, and with it that nothing is fetched."""
    pytest.importorskip("torch.nn")
    told = said(capsys, "analyze", name)
    assert "pip install 'costcalc[hf]'" in told or "cache" in told


@pytest.mark.parametrize(
    "args", [["analyze", "resnet50", "--columns", "sram"], ["check", "lenet5", "--max", "sram=4MB"]]
)
def test_sram_is_peak_memory(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    told = said(capsys, *args)
    assert "memory of activations is peak" in told and "did you mean" not in told


def test_a_syntax_error_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch.nn")
    Path("net.py").write_text("from part import Net\n", encoding="utf-8")
    Path("part.py").write_text("class Net:\n    def f(self:\n        pass\n", encoding="utf-8")
    for name in ("net.py:Net", "part.py:Net"):
        told = said(capsys, "analyze", name).splitlines()
        assert told[0].startswith("part.py:2: ") and "SyntaxError" in told[0] and told[1] == "  def f(self:"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [("num_classes", "num_classes"), ("width, depth", "width"), ("*, depth", "depth")],
)
def test_a_constructor_that_lacks_an_argument(capsys: pytest.CaptureFixture[str], arguments: str, names: str) -> None:
    pytest.importorskip("torch.nn")
    text = f"from torch import nn\nclass Net(nn.Linear):\n    def __init__(self, {arguments}):\n"
    text += "        super().__init__(4, 4)\n"
    Path("net.py").write_text(text, encoding="utf-8")
    told = said(capsys, "analyze", "net.py:Net", "--input", "4")
    assert f"--set {names}=" in told and f'--kwargs \'{{"{names}": ' in told
    text += "class Outer(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = Net()\n"
    Path("net.py").write_text(text, encoding="utf-8")
    assert "--kwargs" not in said(capsys, "analyze", "net.py:Outer", "--input", "4"), "a mistake in the code itself"


@pytest.mark.parametrize(
    ("model", "own", "given", "meant"),
    [
        ("resnet18", "3×224×224", "224x224x3", "3x224x224"),
        ("lenet5", "1×32×32", "28x28x1", "1x28x28"),
        ("kws", "1×49×10", "49x10x1", "1x49x10"),
        ("c3d", "3×16×112×112", "8x64x64x3", "3x8x64x64"),
    ],
)
def test_an_image_with_its_channels_last(
    capsys: pytest.CaptureFixture[str], model: str, own: str, given: str, meant: str
) -> None:
    letters = "cthw" if given.count("x") == 3 else "chw"
    for command in (["analyze", model], ["compare", model, "resnet50"], ["check", model, "--max", "macs=1G"]):
        told = said(capsys, *command, "--input", given)
        assert f"of {model} has its channels first, {own}, and {given.replace('x', '×')} has them last" in told
        assert told.endswith(f": write {meant}; or say --layout {letters}, if it is meant so\n")
    Path("costcalc.yaml").write_text(
        f"version: 1\nmodels:\n  - model: {model}\n    at: [{{input: {given}}}]\n    budgets: {{macs: 1 G}}\n"
    )
    told = said(capsys, "check")
    assert told.startswith("costcalc.yaml:4:10: ") and told.endswith(f"or say layout: {letters}, if it is meant so\n")


def test_the_other_order_is_taken_where_its_layout_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.outcome(["analyze", "resnet18", "--input", "224x224x3", "--layout", "chw"]) == 0
    assert "image 1×224×224×3" in capsys.readouterr().out


def test_an_image_with_its_channels_first_for_a_spec_that_has_them_last(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(
        "name: a\ninputs: {x: [32, 32, 3]}\nlayers:\n  - turn: permute([0, 3, 1, 2])\n  - a: conv(4, 3)\n",
        encoding="utf-8",
    )
    assert dispatch.outcome(["analyze", "a.yaml", "--input", "64x64x3"]) == 0
    capsys.readouterr()
    assert "has its channels last, 32×32×3, and 3×64×64 has them first: write 64x64x3" in said(
        capsys, "analyze", "a.yaml", "--input", "3x64x64"
    )


@pytest.mark.parametrize("given", ["1x96x96", "64x56x56", "3x3x3", "16x8x3", "4x4x3"])
def test_shapes_that_may_be_meant_are_taken(capsys: pytest.CaptureFixture[str], given: str) -> None:
    Path("a.yaml").write_text("name: a\ninputs: {x: [64, 32, 32]}\nlayers:\n  - a: conv(4, 1)\n", encoding="utf-8")
    assert dispatch.outcome(["analyze", "a.yaml", "--input", given]) == 0


def test_an_input_that_a_shipped_model_cannot_have_is_blamed_and_not_its_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = said(capsys, "analyze", "kws", "--input", "1x4x4")
    assert told.startswith("1×4×4 does not fit kws, whose own input is 1×49×10: pool: the window spans 25")


NET = """\
import torch.nn as nn
from torch.nn import Module

class Block(nn.Module):
    pass

class Helper:
    pass

class Plain(Module):
    pass

class Net(Block):
    class Inner(nn.Module):
        pass
"""


def test_the_modules_of_a_file_are_listed_where_none_or_a_wrong_one_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("net.py").write_text(NET, encoding="utf-8")
    listed = "its modules are Block, Net, Plain\n"
    told = said(capsys, "analyze", "net.py")
    assert told == f"net.py is Python code; say what in it is the model, as in net.py:Net; {listed}"
    pytest.importorskip("torch.nn")
    for command in (["analyze"], ["trace"], ["check", "--max", "macs=1G", "--allow-code"]):
        assert said(capsys, *command, "net.py:Nte") == f"net.py has no 'Nte' (did you mean 'Net'?); {listed}"
    assert said(capsys, "analyze", "net.py:") == f"say what in net.py is the model, as in net.py:Net; {listed}"
    # Of what is named the attributes are no such list.
    assert said(capsys, "analyze", "net.py:Net.Outer") == "net.py has no 'Outer'\n"
    Path("empty.py").write_text("x = 1\n", encoding="utf-8")
    assert said(capsys, "analyze", "empty.py:Net") == "empty.py has no 'Net'\n"


def test_a_file_of_python_is_not_run_to_list_its_modules(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(
        "open('ran', 'w').close()\nclass A(\nclass B(nn.Module):\n" + "(" * 5000, encoding="utf-8"
    )
    assert said(capsys, "analyze", "net.py").endswith("as in net.py:B\n") and not Path("ran").exists()
    Path("net.py").write_bytes(b"class \xff(nn.Module):\nclass A\x1b[31m(nn.Module):\n")
    assert said(capsys, "analyze", "net.py").endswith("as in net.py:Net\n")
