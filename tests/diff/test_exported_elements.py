"""Elements of a file are not the parameters of the model that it was exported from: the difference is told by kind."""

from __future__ import annotations

import pytest

from costcalc.difference import diff
from costcalc.frontends.sources import SOURCES
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def net(source: str, *, norm: bool, bias: bool, tied: bool, merged: bool, head: bool = True) -> Graph:
    """A conv of 3×3×3×4, perhaps with its norm, and three linear layers of 4×4; of these weights are perhaps shared."""
    b = GraphBuilder("net", {"x": TensorType((2, 3, 8, 8))})
    (v,) = b.add("conv", find_op("conv")(4, 3, bias=not norm), ["x"])
    if norm:
        (v,) = b.add("bn", find_op("batch_norm")(), [v])
    (v,) = b.add("pool", find_op("global_avg_pool")(keepdim=False), [v])
    (v,) = b.add("a", find_op("linear")(4, bias=bias), [v])
    (v,) = b.add("b", find_op("linear")(4), [v], {"bias": "a.bias"} if merged and bias else {})
    (v,) = b.add("c", find_op("linear")(4, bias=False), [v], {"weight": "b.weight"} if tied else {})
    if head:
        (v,) = b.add("head", find_op("linear")(5, bias=False), [v])
    return b.build([v], source=source)


def test_each_kind_of_difference_is_told_and_they_add_up() -> None:
    model = net("net.py:Net", norm=True, bias=True, tied=True, merged=False)
    file = net("net.onnx", norm=False, bias=True, tied=False, merged=True, head=False)
    said = diff(model, file).notes
    assert said == (
        "net: 1 layer is not in the file: −40 MACs",
        "net: 1 norm is folded into the layer before it: −16 elements",
        "net: 1 bias is there instead: +4 elements",
        "net: 1 shared weight is copied: +16 elements",
        "net: 1 tensor that equals another is kept once: −4 elements",
        "net: −20 elements besides, of tensors that no layer of both has",
    )
    (was, params), (kept, buffers) = diff(model, file).figure("params"), diff(model, file).figure("buffers")
    assert (params + buffers) - (was + kept - 1) == -16 + 4 + 16 - 4 - 20  # type: ignore[operator]  # 1 counts steps
    assert diff(file, model).notes == said


def test_a_bias_that_is_left_out() -> None:
    old = net("net.py:Net", norm=False, bias=True, tied=False, merged=False)
    new = net("net.onnx", norm=False, bias=False, tied=False, merged=False)
    assert diff(old, new).notes == ("net: 1 bias of zeros is left out: −4 elements",)


@pytest.mark.parametrize("name", ["onnx", "tflite", "ncnn"])
def test_files_are_those_of_the_table_of_sources(name: str) -> None:
    old = net("net.py:Net", norm=False, bias=True, tied=False, merged=False)
    new = net(f"net{SOURCES[name].suffixes[0]}", norm=False, bias=False, tied=False, merged=False)
    assert diff(old, new).notes == ("net: 1 bias of zeros is left out: −4 elements",)
    for model in ("net.yaml", "net.pt2", "timm:net", "net.onnx:no"):
        assert diff(old, net(model, norm=False, bias=False, tied=False, merged=False)).notes == ()


def test_nothing_is_told_of_two_models_or_of_two_files() -> None:
    for source in ("net.py:Net", "net.onnx"):
        assert diff(*(net(source, norm=n, bias=True, tied=False, merged=False) for n in (True, False))).notes == ()
