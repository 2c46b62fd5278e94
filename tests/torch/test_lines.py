"""Which line of the user's made a layer: the innermost frame of their code, and the calls that led to it."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

import costcalc
from costcalc.ir.graph import Graph

BLOCKS = """\
import copy
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)

class Padded(nn.Conv2d):
    def __init__(self, channels, width):
        super().__init__(channels, width, 3, padding=1)
"""
NET = """\
import copy
import torch
from torch import nn
from blocks import Block, Padded

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = Padded(3, width)
        self.blocks = nn.ModuleList(
            [Block(width), Block(width)]
        )
        part = nn.Linear(width, width)
        self.parts = nn.ModuleList([copy.deepcopy(part) for _ in range(2)])
        self.rnn = nn.TransformerEncoderLayer(width, 2, 16)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        x = x.mean((2, 3))
        for part in self.parts:
            x = part(x)
        return self.rnn(x)

def build():
    return Net(4)

made = Net()
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blocks.py").write_text(BLOCKS, encoding="utf-8")
    Path("net.py").write_text(NET, encoding="utf-8")


def lines(graph: Graph) -> dict[str, list[str]]:
    return {n.name: [p.short for p in n.location.chain] if n.location else [] for n in graph.nodes}


@pytest.mark.parametrize("name", ["net.py:Net", "net.py:build"])
def test_a_layer_is_where_its_module_was_made_and_a_call_where_it_stands(name: str) -> None:
    found = lines(costcalc.load(name, input=(3, 8, 8)))
    assert found["stem"] == ["blocks.py:14", "net.py:9"]  # the constructor that says the kernel, and who asked for it
    assert found["relu"] == ["net.py:18"]
    assert found["blocks.0.conv"] == found["blocks.1.conv"] == ["blocks.py:7", "net.py:11"]
    assert found["blocks.0.add"] == ["blocks.py:10", "net.py:20"]
    assert found["mean"] == ["net.py:21"]
    assert found["parts.0"] == ["net.py:14"]  # a copy of what was made elsewhere: where the copies are kept
    assert {line[0] for layer, line in found.items() if layer.startswith("rnn.")} == {"net.py:15"}


def test_a_module_that_was_made_before_has_the_lines_of_its_forward() -> None:
    found = lines(costcalc.load("net.py:made", input=(3, 8, 8)))
    assert found["stem"] == ["net.py:18"] and found["blocks.0.conv"] == ["blocks.py:10", "net.py:20"]


def test_what_called_costcalc_is_not_part_of_the_model() -> None:
    assert lines(costcalc.trace(torch.nn.Linear(3, 4), (1, 3))) == {"linear": []}


def test_places_are_relative_within_the_repository_and_whole_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    monkeypatch.chdir(tmp_path / "ci")
    assert lines(costcalc.load("../net.py:Net", input=(3, 8, 8)))["mean"] == ["../net.py:21"]
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = lines(costcalc.load(f"{tmp_path}/net.py:Net", input=(3, 8, 8)))
    assert found["mean"] == [f"{tmp_path}/net.py:21"]


def test_nothing_is_kept_of_models_that_are_gone() -> None:
    from costcalc.frontends.torch.lines import _MADE

    costcalc.load("net.py:build", input=(3, 8, 8))
    gc.collect()
    assert not [location for kept, location in _MADE.values() if kept() is None]


def test_reports_and_their_json_name_the_line() -> None:
    layers = costcalc.analyze("net.py:Net", input=(3, 8, 8)).to_dict()["layers"]
    assert next(layer["source"] for layer in layers if layer["name"] == "stem") == "blocks.py:14"


def test_helpers_of_the_same_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder, width in (("one", 8), ("two", 16)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "parts.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
        text = "from torch import nn\nfrom parts import WIDTH\ndef build():\n    return nn.Linear(4, WIDTH)\n"
        (tmp_path / folder / "model.py").write_text(text, encoding="utf-8")
    outputs = [costcalc.load(f"{folder}/model.py:build", input=(4,)).nodes[0].op for folder in ("one", "two", "one")]
    assert [repr(op) for op in outputs] == ["linear(8)", "linear(16)", "linear(8)"]


def test_lines_are_found_after_torch_has_compiled_something() -> None:
    """PyTorch 2.13 then has a function of its own in place of ``Module.__init__``."""
    torch.compile(torch.nn.Linear(2, 2), backend="eager")(torch.zeros(1, 2))
    layers = costcalc.analyze("net.py:Net", input=(3, 8, 8)).to_dict()["layers"]
    assert next(layer["source"] for layer in layers if layer["name"] == "stem") == "blocks.py:14"
