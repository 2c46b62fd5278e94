"""A file against the model that it was exported from: layers that answer to each other, and a reason for each other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from costcalc import analyze, diff, load
from costcalc.cli.dispatch import outcome
from costcalc.difference.export_effects import elements, held_by, rewritings
from costcalc.difference.export_matching import rewritten
from costcalc.errors import CostcalcError, OptionError
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.verification.exported_file import ExportOrigin, against, at_inputs_of

Layer = tuple[str, str, tuple[Any, ...], list[str]]


def graph(
    source: str, layers: list[Layer], outputs: list[str], called: dict[str, dict[str, str]] | None = None
) -> Graph:
    """Layers of an op with options on values; the input ``x`` is 6 rows of 8."""
    b = GraphBuilder("net", {"x": TensorType((1, 6, 8))})
    for name, op, options, reads in layers:
        b.add(name, find_op(op)(*options), reads, (called or {}).get(name, {}))
    return b.build(outputs, source=source)


def said(
    model: list[Layer], file: list[Layer], out: str = "y", more: dict[str, dict[str, str]] | None = None
) -> list[str]:
    """What is told of a model and a file of it, whose elements must come out."""
    a, b = graph("net.py:Net", model, [out]), graph("net.onnx", file, [out], more)
    found = rewritten(a, b, analyze(a), analyze(b))
    changes = list(elements(a, b, found))
    assert held_by(a) + sum(change.elements for change in changes) == held_by(b)
    return [*rewritings(found), *(f"{change.rule}: {change.elements}" for change in changes)]


def test_layers_as_they_were_are_not_told() -> None:
    layers: list[Layer] = [("a", "linear", (4,), ["x"]), ("y", "linear", (3,), ["a"])]
    assert said(layers, layers) == []


def test_a_projection_that_is_split() -> None:
    model: list[Layer] = [("a.qkv", "linear", (24,), ["x"]), ("y", "relu", (), ["a.qkv"])]
    file: list[Layer] = [
        ("a.q", "linear", (8,), ["x"]), ("a.k", "linear", (8,), ["x"]), ("a.v", "linear", (8,), ["x"]),
        ("y", "concat", (-1,), ["a.q", "a.k", "a.v"]),
    ]  # fmt: skip
    assert said(model, file) == ["1 projection is split"]
    assert said(file, model) == ["1 layer is made of several"]


def test_attention_as_its_products_and_back() -> None:
    model: list[Layer] = [
        ("q", "linear", (8,), ["x"]), ("a.attend", "scaled_dot_product_attention", (), ["q", "q", "q"]),
        ("y", "linear", (8,), ["a.attend"]),
    ]  # fmt: skip
    file: list[Layer] = [
        ("q", "linear", (8,), ["x"]), ("a.t", "transpose", (), ["q"]), ("a.m", "matmul", (), ["q", "a.t"]),
        ("a.s", "softmax", (-1,), ["a.m"]), ("a.n", "matmul", (), ["a.s", "q"]), ("y", "linear", (8,), ["a.n"]),
    ]  # fmt: skip
    assert said(model, file) == ["1 attention is written as its products"]
    assert said(file, model) == ["1 attention is made of its products"]
    renamed = [(f"node_{n}" if n != "y" else n, op, o, [f"node_{r}" if r != "x" else r for r in reads])
               for n, op, o, reads in file]  # fmt: skip
    assert said(model, renamed) == ["1 layer has another name", "1 attention is written as its products"]


def test_work_that_no_input_decides_and_work_that_no_output_needs() -> None:
    made: Layer = ("seen", "constant", ((1, 6, 8),), [])
    model: list[Layer] = [made, ("places", "linear", (8,), ["seen"]), ("idle", "linear", (5,), ["x"]),
                          ("z", "linear", (8,), ["x"]), ("y", "add", (), ["z", "places"])]  # fmt: skip
    file: list[Layer] = [
        ("table", "parameter", ((6, 8),), []),
        ("z", "linear", (8,), ["x"]),
        ("y", "add", (), ["z", "table"]),
    ]
    found = said(model, file)
    assert found[:2] == [
        "1 layer is worked out at export, since no input decides it: −384 MACs",
        "1 layer is left out, since no output needs it: −240 MACs",
    ]
    assert sorted(found[2:]) == sorted(
        ["2 tensors that nothing reads are left out: -45", "2 tensors are worked out at export: -72",
         "1 tensor of the file was worked out at export: 48"]
    )  # fmt: skip


def test_work_done_once_for_two_and_work_done_twice() -> None:
    twice: list[Layer] = [("a", "linear", (8,), ["x"]), ("b", "linear", (8,), ["x"]), ("y", "add", (), ["a", "b"])]
    once: list[Layer] = [("a", "linear", (8,), ["x"]), ("y", "add", (), ["a", "a"])]
    shared = {"b": {"weight": "a.weight", "bias": "a.bias"}}
    a, b = graph("net.py:Net", twice, ["y"], shared), graph("net.onnx", once, ["y"])
    found = rewritten(a, b, analyze(a), analyze(b))
    assert [*rewritings(found)] == ["1 layer is done once with a layer that does the same: −384 MACs"]
    a, b = graph("net.py:Net", once, ["y"]), graph("net.onnx", twice, ["y"], shared)
    found = rewritten(a, b, analyze(a), analyze(b))
    assert [*rewritings(found)] == ["1 layer is done again beside one that does the same: +384 MACs"]
    # With weights of their own they are two layers, of which one is not there.
    a, b = graph("net.py:Net", twice, ["y"]), graph("net.onnx", once, ["y"])
    found = rewritten(a, b, analyze(a), analyze(b))
    assert [*rewritings(found)] == ["1 layer is not in the file: −384 MACs"]


def test_what_nothing_explains_is_a_disagreement_with_its_layer() -> None:
    file = graph("net.onnx", [("a", "linear", (4,), ["x"]), ("y", "linear", (3,), ["a"])], ["y"])
    with pytest.raises(OptionError, match="--against is for a file"):
        against(graph("resnet50", [("y", "relu", (), ["x"])], ["y"]), ExportOrigin("net.py:Net"))
    with pytest.raises(CostcalcError):
        against(file, ExportOrigin("no/such.py:Net"))


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8, classes=5):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu().flatten(2).transpose(1, 2)
        x = self.out(nn.functional.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1)))
        return self.head(x.mean(1))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``net.py`` and the ``net.onnx`` that PyTorch's older exporter made of it, which needs the least."""
    pytest.importorskip("onnx", reason="the test extra brings it")
    folder = tmp_path_factory.mktemp("against")
    (folder / "net.py").write_text(NET)
    space: dict[str, Any] = {}
    exec(compile(NET, "net.py", "exec"), space)
    torch.manual_seed(0)
    model: nn.Module = space["Net"]().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(2, 3, 16, 12),), str(folder / "net.onnx"), dynamo=False)
    yield folder


def test_a_file_and_its_module(exported: Path) -> None:
    origin = ExportOrigin(f"{exported / 'net.py'}:Net")
    file = load(str(exported / "net.onnx"))
    checks, (macs, tensors) = against(file, origin)
    assert [differ for _, differ in checks] == [[], []]
    # 2 images of 8 × 6 places: the conv, four projections, scores and mixing, the head.
    assert macs.total == macs.ours == 2 * (48 * 8 * 27 + 4 * 48 * 64 + 2 * 48 * 48 * 8 + 8 * 5)
    assert macs.remainder == tensors.remainder == 0
    assert [(d.reason, d.amount) for d in tensors.differences] == [
        ("1 norm is folded into the layer before it", 32), ("1 bias is there instead", -8),
    ]  # fmt: skip
    assert at_inputs_of(file, origin).types["x"].shape == (2, 3, 16, 12)
    assert diff(load(origin.name, batch=2, input=(3, 16, 12)), file).notes == (
        "net: 1 attention is written as its products",
        "net: 1 norm is folded into the layer before it: −32 elements",
        "net: 1 bias is there instead: +8 elements",
    )


def test_a_module_of_another_width_is_contradicted_layer_by_layer(exported: Path) -> None:
    checks, (macs, tensors) = against(
        load(str(exported / "net.onnx")), ExportOrigin(f"{exported / 'net.py'}:Net", {"classes": 7})
    )
    (_, differ), (_, held) = checks
    assert [(d.layer, d.ours, d.theirs) for d in differ] == [("head", f"{2 * 8 * 5}", f"{2 * 8 * 7}")]
    assert macs.remainder == 2 * 8 * 2 and tensors.remainder == 9 * 2 and len(held) == 1


def test_the_command(exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported)
    monkeypatch.setenv("COLUMNS", "100")
    assert outcome(["verify", "net.onnx", "--against", "net.py:Net"]) == 0
    said = capsys.readouterr().out
    assert "MACs by net.py:Net" in said and "elements by net.py:Net" in said
    assert "+ 32 1 norm is folded into the layer before it" in said
    assert outcome(["verify", "net.onnx", "--against", "net.py:Net", "--kwargs", '{"classes": 7}']) == 5
    assert "head: MACs by net.py:Net\n  we say 80\n  net.py:Net says 112\n" in capsys.readouterr().out
    assert outcome(["verify", "lenet5", "--against", "net.py:Net"]) == 2
    assert "--against is for a file that was exported" in capsys.readouterr().err
