"""The classes of modules beside the blocks and layers that they are; and what of the parameters is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from costcalc import analyze, trace  # noqa: E402
from costcalc.analysis.records import Report  # noqa: E402


class Bottleneck(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.act(x) + self.norm(self.conv(x)))  # type: ignore[no-any-return]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.stages = nn.Sequential(Bottleneck(8), Bottleneck(8))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def found() -> Report:
    return analyze(Net(), (1, 3, 16, 16))


def test_every_block_and_layer_is_the_class_of_its_module(found: Report) -> None:
    classes = {name: type(module).__name__ for name, module in Net().named_modules() if name}
    for block in found.blocks:
        assert block.module == classes[block.name]
    own = {layer.name: layer.module for layer in found.layers}
    assert own["stages.0.act"] == own["stages.0.act_1"] == "ReLU", "a module that is called twice"
    assert own["stages.0.add"] is None and own["mean"] is None, "what no module does alone"
    assert all(own[name] == classes[name] for name in own if name in classes)


def test_in_the_table_and_the_pages(found: Report) -> None:
    text = found.to_text(width=100)
    assert "  0: Bottleneck" in text and "stages: " not in text, "a container says nothing"
    assert "1: Bottleneck" in found.to_html() and "stages.0: Bottleneck" in found.to_markdown(depth=2)
    assert "module" in found.to_csv().splitlines()[0].split(",")


def test_in_the_json_and_not_where_nothing_was_traced(found: Report) -> None:
    record = json.loads(found.to_json())
    assert [b["module"] for b in record["blocks"] if b["name"].startswith("stages.")] == ["Bottleneck"] * 2
    assert "module" not in next(one for one in record["layers"] if one["name"] == "mean")
    assert '"module"' not in analyze("resnet18").to_json()


def test_transforms_hand_them_on() -> None:
    graph = trace(Net(), (1, 3, 16, 16))
    folded = analyze(graph, fold_norm=True)
    assert [block.module for block in folded.blocks] == ["Sequential", "Bottleneck", "Bottleneck"]
    assert analyze(graph, apply="fuse:ort")["stages.0"].module == "Bottleneck"


def test_an_exported_program_knows_them(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Net().eval(), (torch.zeros(1, 3, 16, 16),)), file)
    exported = analyze(str(file))
    assert {b.name: b.module for b in exported.blocks}["stages.1"] == "Bottleneck"
    assert exported["stem"].module == "Conv2d"


def test_trained_parameters_beside_all() -> None:
    model = Net()
    assert "all trainable" in analyze(model, (1, 3, 16, 16)).to_text()
    for parameter in model.stem.parameters():
        parameter.requires_grad_(False)
    text = analyze(model, (1, 3, 16, 16)).to_text()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert "all trainable" not in text
    assert any(line.startswith("trainable") and f"{trained:,}" in line for line in text.splitlines())
    assert "all trainable" not in analyze("resnet18").to_text(), "nothing says so of a spec"
