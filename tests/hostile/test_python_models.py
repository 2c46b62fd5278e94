"""Python models that misbehave: a sentence and code 2; what they print stays apart from what costcalc writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from costcalc.cli import dispatch

MODELS = """
import sys
import torch
from torch import nn

class Good(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3)

class Loud(Good):
    def forward(self, x):
        print("noise")
        return super().forward(x)

class Exits(Good):
    def forward(self, x):
        sys.exit(0)

class ExitsEarly(Good):
    def __init__(self):
        sys.exit(0)

class Odd(Good):
    def forward(self, x):
        raise BaseException("odd")

class Interrupted(Good):
    def forward(self, x):
        raise KeyboardInterrupt

class Lazy(nn.LazyConv2d):
    def __init__(self):
        super().__init__(4, 3)

class Numpy(Good):
    def forward(self, x):
        return torch.from_numpy(super().forward(x).detach().numpy())
"""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models in a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("strange.py").write_text(MODELS, encoding="utf-8")
    Path("exits.py").write_text("import sys\nsys.exit(0)\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("strange.py:Exits", "strange.py:Exits ends the process: SystemExit: 0"),
        ("strange.py:ExitsEarly", "ends the process"),
        ("exits.py:Net", "ends the process"),
        ("strange.py:Odd", "BaseException: odd"),
        ("strange.py:Lazy", "the size of weight of Lazy is not known yet"),
        ("strange.py", "strange.py is Python code; say what in it is the model, as in strange.py:Net"),
        ("resnet:resnet50", "a shipped model is named without a colon"),
    ],
)
def test_a_model_that_cannot_be_traced_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], model: str, says: str
) -> None:
    assert dispatch.outcome(["analyze", model, "--input", "3x8x8"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err.splitlines()[0]


@pytest.mark.parametrize("size", ["3x999999999999x9999999999999", "3x9999999999999999999x8"])
def test_an_input_larger_than_a_tensor_can_be(capsys: pytest.CaptureFixture[str], size: str) -> None:
    assert dispatch.outcome(["analyze", "strange.py:Good", "--input", size]) == 2
    assert "PyTorch has no tensor as large as 1×3×9999" in capsys.readouterr().err


def test_an_interrupt_inside_a_model_interrupts() -> None:
    assert dispatch.outcome(["analyze", "strange.py:Interrupted", "--input", "3x8x8"]) == 130


@pytest.mark.parametrize("command", ["analyze", "verify"])
def test_what_a_model_prints_does_not_spoil_the_json(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert dispatch.outcome([command, "strange.py:Loud", "--input", "3x8x8", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)
    assert "noise" in said.err


def test_a_model_that_goes_through_numpy_is_run_with_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.outcome(["analyze", "strange.py:Numpy", "--input", "3x8x8", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["total"]["macs"] == 4 * 6 * 6 * 3 * 3 * 3
    assert any("real tensors" in assumption for assumption in report["assumptions"])
