"""ONNX and TFLite files whose batch or sizes are fixed, counted at others; or the node that does not take them.

What a file is at another batch is told by the file that the same model is exported to at that batch: written here by
hand; `benchmarks/exported_onnx.py`'s models were compared so too (docs/files.md).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.frontends.regrouping import followed
from costcalc.ir.dims import prod
from tests.onnx_files.onnx_writer import Graph, ints, node, saved, tensor, value
from tests.tflite.writing_tflite import File


def transformer(path: Path, batch: int, tokens: int = 6) -> str:
    """A class token, heads, windows and a classifier, as exporters write them for a batch that is fixed."""
    n = batch
    nodes = [
        node("Concat", ["cls" if n == 1 else "cls_n", "x"], ["joined"], axis=1, name="join"),
        node("Add", ["joined", "places"], ["h"], name="add"),
        node("MatMul", ["h", "w"], ["qkv"], name="qkv"),
        node("Reshape", ["qkv", "to_heads"], ["heads"], name="to_heads"),
        node("Transpose", ["heads"], ["first"], perm=[0, 2, 1, 3], name="first"),
        node("Transpose", ["heads"], ["turned"], perm=[0, 2, 3, 1], name="turned"),
        node("MatMul", ["first", "turned"], ["scores"], name="scores"),
        node("MatMul", ["scores", "first"], ["seen"], name="seen"),
        node("Transpose", ["seen"], ["back"], perm=[0, 2, 1, 3], name="back"),
        node("Reshape", ["back", "to_rows"], ["rows"], name="to_rows"),
        node("MatMul", ["rows", "v"], ["made"], name="out"),
        node("Reshape", ["made", "to_all"], ["y"], name="to_all"),
    ]
    length = tokens + 1
    tensors = [
        tensor("model.cls", [1, 1, 8]), tensor("places", [1, length, 8]), tensor("w", [8, 8]), tensor("v", [8, 8]),
        ints("to_heads", n, length, 2, 4), ints("to_rows", n * length, 8), ints("to_all", n, length * 8),
    ]  # fmt: skip
    repeat = [node("Expand", ["model.cls", "times"], ["cls_n"], name="repeat")]
    tensors += [ints("times", n, 1, 8)] if n > 1 else []
    nodes = [*(repeat if n > 1 else []), *nodes]
    nodes = [one.replace(b"\x0a\x03cls", b"\x0a\x09model.cls") if n == 1 else one for one in nodes]
    graph = Graph(nodes, [value("x", [n, tokens, 8])], [value("y", [n, length * 8])], tensors)
    return saved(path, graph)


def test_a_fixed_batch_is_rewritten_where_the_file_allows(tmp_path: Path) -> None:
    there = report(load(transformer(tmp_path / "three.onnx", 3)))
    net = transformer(tmp_path / "one.onnx", 1)
    here = report(load(net, batch=3))
    assert here.total.macs == there.total.macs == 3 * report(load(net)).total.macs
    assert {layer.name: layer.macs for layer in here.layers if layer.macs} == {
        layer.name: layer.macs for layer in there.layers if layer.macs
    }
    assert any("what the file joins once is joined to each sample" in note for note in load(net, batch=3).assumed)
    assert load(net, batch=1).assumed == load(net).assumed  # its own batch changes nothing


def test_a_batch_that_is_fixed_above_one_too(tmp_path: Path) -> None:
    graph = load(transformer(tmp_path / "two.onnx", 2), batch=6)
    with_six = load(transformer(tmp_path / "six.onnx", 6))
    assert report(graph).total.macs == report(with_six).total.macs
    assert graph.types[graph.outputs[0]].shape == with_six.types[with_six.outputs[0]].shape


def test_the_node_that_fixes_a_size_is_named(tmp_path: Path) -> None:
    net = transformer(tmp_path / "one.onnx", 1)
    says = r"it fixes the sizes of x 1×6×8, and does not take others: Add 'add': axis 1 of the inputs is 8 and 7"
    with pytest.raises(CostcalcError, match=says):
        load(net, input=(7, 8))
    assert dispatch.outcome(["analyze", net, "--input", "7x8"]) == 2


def convolutions(path: Path, *, dense: bool) -> str:
    nodes = [
        node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="conv"),
        node("Resize", ["a", "", "", "sizes"], ["b"], mode="nearest", name="resize"),
        node("Reshape", ["b", "flat"], ["c"], name="flat"),
    ]
    tensors = [tensor("w", [4, 3, 3, 3]), ints("sizes", 1, 4, 16, 16), ints("flat", 1, 4, 256)]
    if dense:
        nodes += [
            node("Reshape", ["c", "rows"], ["d"], name="rows"),
            node("Gemm", ["d", "g"], ["y"], name="head", transB=1),
        ]
        tensors += [ints("rows", 1, 1024), tensor("g", [5, 1024])]
    else:
        nodes += [node("Identity", ["c"], ["y"], name="end")]
    return saved(path, Graph(nodes, [value("x", [1, 3, 8, 8])], [value("y", None)], tensors))


def test_sizes_of_places(tmp_path: Path) -> None:
    net = convolutions(tmp_path / "net.onnx", dense=False)
    graph = load(net, input=(3, 12, 8), batch=2)
    assert report(graph).total.macs == 2 * 12 * 8 * 4 * 27
    assert graph.types[graph.outputs[0]].shape == (2, 4, 256)  # what is resized to stays what the file says
    dense = convolutions(tmp_path / "dense.onnx", dense=True)
    assert report(load(dense, batch=2)).total.macs == 2 * (64 * 4 * 27 + 1024 * 5)
    assert report(load(dense, input=(3, 12, 8))).total.macs == 96 * 4 * 27 + 1024 * 5


def test_a_dense_layer_that_does_not_fit_says_so_and_asks_for_no_report(tmp_path: Path) -> None:
    nodes = [node("Flatten", ["x"], ["a"], name="flat"), node("Gemm", ["a", "g"], ["y"], name="head", transB=1)]
    graph = Graph(nodes, [value("x", [1, 3, 4, 4])], [value("y", None)], [tensor("g", [5, 48])])
    net = saved(tmp_path / "net.onnx", graph)
    with pytest.raises(CostcalcError, match="Gemm 'head': g is a parameter of 5×48 float32") as found:
        load(net, input=(3, 5, 4))
    assert "please report" not in found.value.message


def test_a_vector_of_one_is_no_batch(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], name="dense"), node("Mul", ["a", "scale"], ["y"], name="scaled")]
    inputs = [value("x", [1, 8]), value("scale", [1])]
    net = saved(tmp_path / "net.onnx", Graph(nodes, inputs, [value("y", None)], [tensor("w", [8, 5])]))
    graph = load(net, batch=4)
    assert graph.types["x"].shape == (4, 8) and graph.types["scale"].shape == (1,)


def test_random_reshapes_follow_the_batch() -> None:
    chance = random.Random(15)
    for _ in range(2000):
        own, times = chance.choice([2, 3]), chance.choice([2, 4, 5])
        inner = [chance.choice([1, 2, 3, 4, 6]) for _ in range(chance.randint(1, 4))]
        made = [own, *inner]
        for _ in range(chance.randint(0, 3)):  # put axes together, or take one apart
            at = chance.randrange(len(made))
            if chance.random() < 0.5 and at + 1 < len(made):
                made[at : at + 2] = [made[at] * made[at + 1]]
            elif at:
                part = chance.choice([k for k in range(1, made[at] + 1) if made[at] % k == 0])
                made[at : at + 1] = [part, made[at] // part]
        found = followed([own, *inner], [own * times, *inner], made, (own * times, own))
        # Samples lie one after another, so that as many follow as there are now: the first axis is so much longer.
        assert found is not None and (found.first, found.last) == (0, 0)
        assert found.shape == (made[0] * times, *made[1:])
        assert prod(found.shape) == own * times * prod(inner)


def test_a_tflite_file_whose_converter_put_the_batch_away(tmp_path: Path) -> None:
    """Means over a batch of 1, reshapes that stand for transpositions, sums with matrices: as litert-torch writes."""
    f = File()
    x = f.tensor("x", 1, 5, 8)
    mean, column, centred = f.tensor("mean", 5), f.tensor("column", 1, 5, 1), f.tensor("centred", 1, 5, 8)
    f.operator("MEAN", [x, f.numbers(0, 2)], [mean], {0: ("kind", 0)})
    f.operator("RESHAPE", [mean, f.numbers(1, 5, 1)], [column], {0: ("ints", [1, 5, 1])})
    f.operator("SUB", [x, column], [centred], {})
    moved, heads = f.tensor("moved", 5, 1, 2, 4), f.tensor("heads", 2, 5, 1, 4)
    f.operator("RESHAPE", [centred, f.numbers(5, 1, 2, 4)], [moved], {0: ("ints", [5, 1, 2, 4])})
    f.operator("TRANSPOSE", [moved, f.numbers(2, 0, 1, 3)], [heads], {})
    back, rows, dense = f.tensor("back", 5, 1, 2, 4), f.tensor("rows", 5, 8), f.tensor("dense", 5, 8)
    f.operator("TRANSPOSE", [heads, f.numbers(1, 2, 0, 3)], [back], {})
    f.operator("RESHAPE", [back, f.numbers(5, 8)], [rows], {0: ("ints", [5, 8])})
    f.operator("FULLY_CONNECTED", [rows, f.weight("w", 8, 8)], [dense], {})
    y = f.tensor("y", 1, 5, 8)
    f.operator("ADD", [x, dense], [y], {})
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    one, four = report(load(str(path))), report(load(str(path), batch=4))
    assert not four.uncounted
    assert (four.total.macs, four.total.ops) == (4 * one.total.macs, 4 * one.total.ops)
    graph = load(str(path), batch=4)
    assert graph.types[graph.outputs[0]].shape == (4, 5, 8)
    assert any("is over the batch too, which the file has once" in note for note in graph.assumed)
    assert dispatch.outcome(["formula", str(path), "--symbols", "batch"]) == 0
