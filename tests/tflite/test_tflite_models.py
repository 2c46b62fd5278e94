"""TFLite files: published networks to the digit, each kind of operator by hand, names, types, sizes, and commands."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph
from tests.tflite.twins import resnet50
from tests.tflite.writing_tflite import File, Open

_ABOVE = (up / "shared/golden/tflite" for up in Path(__file__).parents)
GOLDEN = next((folder for folder in _ABOVE if folder.is_dir()), Path("-"))

# MACs of convolutions and dense layers of MLPerf Tiny's networks (mlcommons/tiny 1afd2c9), worked out by hand.
MLPERF_TINY = {"kws_ref_model": 2_656_768, "vww_96_int8": 7_489_664, "ad01_int8": 264_192, "str_ww_ref_model": 826_368}


@pytest.mark.parametrize("name", MLPERF_TINY)
def test_published_networks(name: str) -> None:
    path = GOLDEN / f"{name}.tflite"
    if not path.is_file():
        pytest.skip("the files of MLPerf Tiny are not here")
    found = report(load(str(path)))
    assert found.total.macs == MLPERF_TINY[name]
    assert not found.uncounted and found.is_complete
    # int8 weights, and biases of 32 bits: one for each output of a layer.
    assert found.total.weight_bits < 10 * found.total.params


SAME, VALID = ("byte", 0), ("byte", 1)


def _one(b: int) -> tuple[str, int]:
    return "int", b


def test_groups_are_in_the_shape_of_the_filter(opened: Open) -> None:
    f = File()
    x, w, b = f.tensor("x", 1, 8, 8, 8), f.weight("a/conv/Conv2D", 12, 3, 3, 2), f.weight("bias", 12)
    y = f.tensor("a/conv/Relu6", 1, 4, 4, 12)
    f.operator("CONV_2D", [x, w, b], [y], {0: SAME, 1: _one(2), 2: _one(2), 3: ("byte", 3)})
    graph = opened(f, [x], [y])
    assert [n.name for n in graph.nodes] == ["a.conv.conv", "a.conv.relu6"]
    assert graph.nodes[0].op.groups == 4  # type: ignore[attr-defined]
    found = report(graph)
    assert found.total.macs == 4 * 4 * 12 * 3 * 3 * 2
    assert found.total.params == 12 * 9 * 2 + 12
    # The activation is part of the operator: the map before it is neither written nor read.
    assert found.total.traffic_bits == 32 * (8 * 8 * 8 + found.total.params + 4 * 4 * 12)
    assert found.layers[-1].receptive_field.size == (3, 3)


def test_a_depthwise_multiplier(opened: Open) -> None:
    f = File()
    x, w, y = f.tensor("x", 1, 9, 7, 4), f.weight("w", 1, 3, 3, 8), f.tensor("y", 1, 9, 7, 8)
    f.operator("DEPTHWISE_CONV_2D", [x, w, -1], [y], {0: SAME, 1: _one(1), 2: _one(1), 3: _one(2)})
    found = report(opened(f, [x], [y]))
    assert found.total.macs == 9 * 7 * 8 * 9
    assert found.layers[0].kind == "group conv" or found.layers[0].kind == "depthwise conv"


@pytest.mark.parametrize(("padding", "size"), [(SAME, 10), (VALID, 11), (VALID, 12)])
def test_a_transposed_convolution_does_what_lands_from_each_input(opened: Open, padding: Any, size: int) -> None:
    f = File()
    x, w, y = f.tensor("x", 1, 5, 5, 3), f.weight("w", 6, 3, 3, 3), f.tensor("y", 1, size, size, 6)
    f.operator("TRANSPOSE_CONV", [f.numbers(1, size, size, 6), w, x], [y], {0: padding, 1: _one(2), 2: _one(2)})
    graph = opened(f, [x], [y])
    assert graph.types[graph.outputs[0]].shape == (1, size, size, 6)
    assert report(graph).total.macs == 5 * 5 * 3 * 6 * 9


def test_three_axes_and_one(opened: Open) -> None:
    f = File()
    x, w, y = f.tensor("x", 1, 6, 6, 6, 2), f.weight("w", 3, 3, 3, 2, 5), f.tensor("y", 1, 4, 4, 4, 5)
    f.operator("CONV_3D", [x, w], [y], {0: VALID, 1: _one(1), 2: _one(1), 3: _one(1)})
    assert report(opened(f, [x], [y])).total.macs == 4**3 * 5 * 27 * 2


def test_dense_layers_and_products(opened: Open) -> None:
    f = File()
    x, w, y = f.tensor("x", 2, 3, 8), f.weight("w", 5, 8), f.tensor("y", 6, 5)
    f.operator("FULLY_CONNECTED", [x, w, -1], [y], {})
    z = f.tensor("z", 6, 6)
    f.operator("BATCH_MATMUL", [y, y], [z], {1: ("kind", 1)})
    found = report(opened(f, [x], [z]))
    assert [layer.macs for layer in found.layers if layer.macs] == [6 * 5 * 8, 6 * 6 * 5]


def test_the_mean_over_places_is_pooling(opened: Open) -> None:
    for keepdim, shape in ((1, (1, 1, 1, 6)), (0, (1, 6))):
        f = File()
        x, y = f.tensor("x", 1, 7, 5, 6), f.tensor("y", *shape)
        f.operator("MEAN", [x, f.numbers(1, 2)], [y], {0: ("kind", keepdim)})
        graph = opened(f, [x], [y])
        assert graph.nodes[0].op.name == "global_avg_pool" and graph.types[graph.outputs[0]].shape == shape
        assert report(graph).total.ops == 7 * 5 * 6


def test_a_dilated_convolution_through_batches_sees_what_it_sees(opened: Open) -> None:
    """SPACE_TO_BATCH_ND, a 3×3 convolution and BATCH_TO_SPACE_ND: a dilation of 2, as TensorFlow writes it."""
    f = File()
    x, a = f.tensor("x", 1, 12, 12, 3), f.tensor("a", 4, 8, 8, 3)
    f.operator("SPACE_TO_BATCH_ND", [x, f.numbers(2, 2), f.numbers(2, 2, 2, 2, shape=(2, 2))], [a])
    b, y = f.tensor("b", 4, 6, 6, 4), f.tensor("y", 1, 12, 12, 4)
    f.operator("CONV_2D", [a, f.weight("w", 4, 3, 3, 3)], [b], {0: VALID, 1: _one(1), 2: _one(1)})
    f.operator("BATCH_TO_SPACE_ND", [b, f.numbers(2, 2), f.numbers(0, 0, 0, 0, shape=(2, 2))], [y])
    graph = opened(f, [x], [y])
    found = report(graph)
    assert found.total.macs == 12 * 12 * 4 * 27 and not found.uncounted
    assert graph.types[graph.outputs[0]].shape == (1, 12, 12, 4)


def test_weights_are_stored_as_the_file_has_them(opened: Open) -> None:
    f = File()
    x = f.tensor("x", 1, 4, dtype="int8", scales=1)
    w, b = f.weight("w", 6, 4, dtype="int4", scales=6), f.weight("b", 6, dtype="int32", scales=6)
    y = f.tensor("y", 1, 6, dtype="int8", scales=1)
    f.operator("FULLY_CONNECTED", [x, w, b], [y], {})
    assert report(opened(f, [x], [y])).total.weight_bits == 24 * 4 + 6 * 32
    f = File()
    x, half, w = f.tensor("x", 1, 4), f.weight("half", 6, 4, dtype="float16"), f.tensor("w", 6, 4)
    f.operator("DEQUANTIZE", [half], [w])
    y = f.tensor("y", 1, 6)
    f.operator("FULLY_CONNECTED", [x, w, -1], [y], {})
    graph = opened(f, [x], [y])
    assert len(graph.nodes) == 1 and report(graph).total.weight_bits == 24 * 16


def test_a_weight_of_two_layers_is_one(opened: Open) -> None:
    f = File()
    x, w = f.tensor("x", 1, 8), f.weight("w", 8, 8)
    y, z = f.tensor("y", 1, 8), f.tensor("z", 1, 8)
    f.operator("FULLY_CONNECTED", [x, w, -1], [y], {})
    f.operator("FULLY_CONNECTED", [y, w, -1], [z], {})
    found = report(opened(f, [x], [z]))
    assert (found.total.params, found.total.macs) == (64, 128)


def test_the_twin_of_a_spec_has_its_macs(tmp_path: Path) -> None:
    (tmp_path / "twin.tflite").write_bytes(resnet50())
    graph = load(str(tmp_path / "twin.tflite"))
    found = report(graph)
    assert found.total.macs == report(load("resnet50")).total.macs == 4_089_184_256
    # Norms are folded: 25,557,032 less their two vectors, and a bias for each convolution.
    assert found.total.params == 25_557_032 - 26_560 and found.layers[-1].name == "fc"


def test_what_has_no_rule_or_keeps_a_state_is_named(opened: Open) -> None:
    f = File()
    x, y, z = f.tensor("x", 1, 8), f.tensor("y", 1, 9), f.tensor("z", 1, 8)
    f.operator("MyOwn\n::error::", [x], [y], custom=True)
    state = f.tensor("state", 8, variable=True)
    f.operator("FULLY_CONNECTED", [y, f.weight("a", 8, 9), state], [z], {})
    graph = opened(f, [x], [z])
    found = report(graph)
    assert [layer.kind for layer in found.layers if not layer.counted] == ["MyOwn_error", "fully_connected"]
    assert not found.is_complete
    assert found.total.params == 8 * 9


def test_an_assignment_makes_nothing_and_is_named(opened: Open) -> None:
    f = File()
    x, y, handle = f.tensor("x", 1, 8), f.tensor("y", 1, 8), f.tensor("h", dtype="resource")
    f.operator("VAR_HANDLE", [], [handle])
    f.operator("ASSIGN_VARIABLE", [handle, x], [])
    f.operator("RELU", [x], [y])
    found = report(opened(f, [x], [y]))
    assert [layer.kind for layer in found.layers if not layer.counted] == ["var_handle", "assign_variable"]


def test_where_the_file_says_otherwise_it_is_told_and_not_counted(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 1, 8, 8, 3), f.tensor("y", 1, 5, 5, 4)
    f.operator("CONV_2D", [x, f.weight("w", 4, 3, 3, 3)], [y], {0: SAME, 1: _one(2), 2: _one(2)})
    graph = opened(f, [x], [y])
    assert not report(graph).is_complete
    assert "it makes 1×5×5×4, by our rule 1×4×4×4" in " ".join(graph.assumed)


def test_another_batch_and_open_sizes(opened: Open) -> None:
    f = File()
    x, a = f.tensor("x", 1, 4, 4, 2, open=(0,)), f.tensor("a", 1, 32)
    f.operator("RESHAPE", [x, f.numbers(1, 32)], [a], {})
    y = f.tensor("y", 1, 3)
    f.operator("FULLY_CONNECTED", [a, f.weight("w", 3, 32), -1], [y], {})
    assert report(opened(f, [x], [y], batch=5)).total.macs == 5 * 96
    graph = opened(f, [x], [y], symbols=["batch"])
    assert str(report_of_macs(graph)) == "96·n"
    with pytest.raises(CostcalcError, match="that values decide; it has none"):
        opened(f, [x], [y], parameters={"width": 2})


def report_of_macs(graph: Graph) -> Any:
    """MACs in closed form."""
    from costcalc.analysis.formula import formulas

    return next(one.total for one in formulas(graph) if one.figure.name == "macs")


def test_shapes_that_are_computed_are_followed(opened: Open) -> None:
    """A flatten of Keras with an open batch: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    f = File()
    x, size = f.tensor("x", 1, 4, 4, 2, open=(0,)), f.tensor("size", 4, dtype="int32")
    f.operator("SHAPE", [x], [size], {})
    first, shape, y = f.tensor("first", dtype="int32"), f.tensor("shape", 2, dtype="int32"), f.tensor("y", 1, 32)
    f.operator("STRIDED_SLICE", [size, f.numbers(0), f.numbers(1), f.numbers(1)], [first], {4: ("int", 1)})
    f.operator("PACK", [first, f.numbers(-1, shape=())], [shape], {0: _one(2)})
    f.operator("RESHAPE", [x, shape], [y], {})
    assert opened(f, [x], [y], batch=3).types["y"].shape == (3, 32)
    assert not report(opened(f, [x], [y])).uncounted


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name, width in (("old", 4), ("new", 6)):
        f = File()
        x, y = f.tensor("x", 1, 8, 8, 3, dtype="int8", scales=1), f.tensor("y", 1, 4, 4, width, dtype="int8", scales=1)
        w, b = (
            f.weight("w", width, 3, 3, 3, dtype="int8", scales=width),
            f.weight("b", width, dtype="int32", scales=width),
        )
        f.operator("CONV_2D", [x, w, b], [y], {0: SAME, 1: _one(2), 2: _one(2), 3: ("byte", 1)})
        Path(f"{name}.tflite").write_bytes(f.bytes([x], [y]))
    macs = 16 * 4 * 27
    assert dispatch.outcome(["analyze", "old.tflite", "--exact"]) == 0
    printed = capsys.readouterr().out
    assert f"{macs:,}" in printed and "4×4×4" in printed and "x 1×8×8×3" in printed
    assert dispatch.outcome(["diff", "old.tflite", "new.tflite"]) == 0
    assert "width" in capsys.readouterr().out
    assert dispatch.outcome(["memory", "old.tflite", "--train"]) == 2
    assert "its weights are whole numbers (int32, int8), which have no gradient" in capsys.readouterr().err
    assert dispatch.outcome(["trace", "old.tflite", "--output", "old.yaml"]) == 0
    assert report(load("old.yaml")).total.macs == macs
    Path("costcalc.yaml").write_text("version: 1\nmodels:\n  - {model: old.tflite, budgets: {macs: 2 k}}\n")
    assert (
        dispatch.outcome(["check"]) == 0
        and dispatch.outcome(["lock"]) == 0
        and dispatch.outcome(["check", "--locked"]) == 0
    )
    assert dispatch.outcome(["explain", "old.tflite", "y.conv"]) == 0
    capsys.readouterr()
    assert dispatch.outcome(["formula", "old.tflite", "--symbols", "batch"]) == 0
    assert "1,728·n" in capsys.readouterr().out


def test_verify_builds_it_with_floating_point_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fvcore")
    f = File()
    x, a = f.tensor("x", 1, 9, 9, 3, dtype="int8", scales=1), f.tensor("a", 1, 5, 5, 4, dtype="int8", scales=1)
    w, b = f.weight("w", 4, 3, 3, 3, dtype="int8", scales=4), f.weight("b", 4, dtype="int32", scales=4)
    f.operator("CONV_2D", [x, w, b], [a], {0: SAME, 1: _one(2), 2: _one(2), 3: ("byte", 3)})
    y = f.tensor("y", 1, 2, 2, 4, dtype="int8", scales=1)
    f.operator("AVERAGE_POOL_2D", [a], [y], {0: VALID, 1: _one(2), 2: _one(2), 3: _one(2), 4: _one(2)})
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    assert dispatch.outcome(["verify", str(path)]) == 0, capsys.readouterr().out


def test_a_large_constant_is_not_read(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 1, 4), f.tensor("y", 1, 4)
    f.operator("FULLY_CONNECTED", [x, f.tensor("w", 4, 4, data=struct.pack("<16f", *range(16))), -1], [y], {})
    assert report(opened(f, [x], [y])).total.macs == 16


def test_what_is_written_in_another_element_type_is_counted(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 1, 8, dtype="int8", scales=1), f.tensor("y", 1, 4, dtype="int16", scales=1)
    f.operator("FULLY_CONNECTED", [x, f.weight("w", 4, 8, dtype="int8", scales=1), -1], [y], {})
    graph = opened(f, [x], [y])
    found = report(graph)
    assert (found.total.macs, graph.types[graph.outputs[0]].dtype) == (32, "int16") and found.is_complete
    # What the product makes before it is narrowed passes within one kernel.
    assert found.total.traffic_bits == 8 * 8 + 8 * 32 + 16 * 4


def test_a_tflite_file_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "twin.tflite").write_bytes(resnet50())
    code = "import sys; from costcalc.cli.dispatch import outcome; outcome(['analyze', 'twin.tflite']); "
    code += "print(*({'numpy', 'flatbuffers', 'tflite', 'torch', 'onnx', 'typer'} & {*sys.modules}), 'end')"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.splitlines()[-1] == "end"


@pytest.mark.parametrize("names", [("a/b", "a.b"), ("", "")])
def test_inputs_of_one_name_are_two(opened: Open, names: tuple[str, str]) -> None:
    f = File()
    x, y = (f.tensor(name, 1, size) for name, size in zip(names, (4, 5), strict=True))
    z = f.tensor("z", 1, 9)
    f.operator("CONCATENATION", [x, y], [z], {0: ("int", 1)})
    graph = opened(f, [x, y], [z], input={(names[0] or "input").replace("/", ".") + "_1": [5]})
    assert [graph.types[name].shape for name in graph.inputs] == [(1, 4), (1, 5)]
    assert graph.types[graph.outputs[0]].shape == (1, 9)


def test_numbers_that_are_worked_out_beforehand_are_a_constant_where_they_are_read(opened: Open) -> None:
    f = File()
    a, b, s = f.numbers(1, 2), f.numbers(3, 4), f.tensor("s", 2, dtype="int32")
    x, z = f.tensor("x", 1, 2, dtype="int32"), f.tensor("z", 1, 2, dtype="int32")
    f.operator("ADD", [a, b], [s], {})
    f.operator("ADD", [x, s], [z], {})
    graph = opened(f, [x], [z])
    assert [(node.op.name, node.outputs) for node in graph.nodes] == [("constant", ("s",)), ("add", ("z",))]


def _lstm(full: bool) -> bytes:
    """Seven steps of 3 features, 5 states; ``full``: peepholes, norms, a projection to 4, no input gate."""
    f, width = File(), 4 if full else 5
    gates = ["f", "c", "o"] if full else ["i", "f", "c", "o"]
    x, y = f.tensor("x", 2, 7, 3), f.tensor("y", 2, 7, width)

    def each(kind: str, *shape: int, of: str = "ifco") -> list[int]:
        return [f.weight(f"{kind}.{g}", *shape) if g in gates else -1 for g in of]

    inputs = [x, *each("w", 5, 3), *each("r", 5, width)]
    inputs += each("p", 5, of="ifo") if full else [-1] * 3
    inputs += each("b", 5)
    inputs += [f.weight("proj", 4, 5), f.weight("proj.b", 4)] if full else [-1, -1]
    inputs += [f.tensor("h", 2, width, variable=True), f.tensor("s", 2, 5, variable=True)]
    inputs += each("n", 5) if full else []
    f.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], {0: ("byte", 4), 3: ("kind", 0)})
    return f.bytes([x], [y])


def _svdf() -> bytes:
    """9 features, 4 units of rank 2, which remember 6 inferences."""
    f = File()
    x, y = f.tensor("x", 3, 9), f.tensor("y", 3, 4)
    state = f.tensor("state", 3, 48, variable=True)
    inputs = [x, f.weight("a", 8, 9), f.weight("b", 8, 6), f.weight("c", 4), state]
    f.operator("SVDF", inputs, [y], {0: _one(2), 1: ("byte", 1)})
    return f.bytes([x], [y])


def _lstm_of_a_step() -> bytes:
    """3 features, 5 states."""
    f = File()
    x, y = f.tensor("x", 2, 3), f.tensor("y", 2, 5)
    inputs = [x, *(f.weight(f"w{i}", 5, 3) for i in range(4)), *(f.weight(f"r{i}", 5, 5) for i in range(4)), -1, -1, -1]
    inputs += [*(f.weight(f"b{i}", 5) for i in range(4)), -1, -1]
    inputs += [f.tensor("h", 2, 5, variable=True), f.tensor("s", 2, 5, variable=True)]
    f.operator("LSTM", inputs, [y], {0: ("byte", 4)})
    return f.bytes([x], [y])


def _lstm_both_ways(merged: bool) -> bytes:
    """Seven steps of 3 features, 5 states each way."""
    f = File()
    x, y = f.tensor("x", 2, 7, 3), f.tensor("y", 2, 7, 10 if merged else 5)
    inputs = [x]
    for way in "fb":
        inputs += [f.weight(f"{way}w{i}", 5, 3) for i in range(4)] + [f.weight(f"{way}r{i}", 5, 5) for i in range(4)]
        inputs += [-1, -1, -1, *(f.weight(f"{way}b{i}", 5) for i in range(4)), -1, -1]
    inputs += [f.tensor(f"s{i}", 2, 5, variable=True) for i in range(4)] + [-1] * 9
    outputs = [y] if merged else [y, f.tensor("z", 2, 7, 5)]
    f.operator("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs, {0: ("byte", 4), 3: ("kind", merged), 4: ("kind", 0)})
    return f.bytes([x], outputs)


def _rnn(name: str, options: dict[int, Any], x: tuple[int, ...], y: tuple[int, ...], ways: int = 1) -> bytes:
    """3 features, 5 states; ``ways`` directions."""
    f = File()
    given, made = f.tensor("x", *x), f.tensor("y", *y)
    inputs = [given]
    for way in range(ways):
        inputs += [f.weight(f"w{way}", 5, 3), f.weight(f"r{way}", 5, 5), f.weight(f"b{way}", 5)]
        inputs += [f.tensor(f"h{way}", 2, 5, variable=True)]
    f.operator(name, inputs + [-1] * (3 if ways == 2 else 0), [made], options)
    return f.bytes([given], [made])


RECURRENT = {
    "a step of an lstm": (_lstm_of_a_step(), 2 * 4 * 5 * (3 + 5), 4 * (5 * 3 + 5 * 5 + 5)),
    "both ways, in one": (_lstm_both_ways(True), 2 * 14 * 4 * 5 * (3 + 5), 2 * 4 * (5 * 3 + 5 * 5 + 5)),
    "both ways, in two": (_lstm_both_ways(False), 2 * 14 * 4 * 5 * (3 + 5), 2 * 4 * (5 * 3 + 5 * 5 + 5)),
    "a step": (_rnn("RNN", {0: ("byte", 4)}, (2, 3), (2, 5)), 2 * 5 * (3 + 5), 5 * 3 + 5 * 5 + 5),
    "a sequence": (
        _rnn("UNIDIRECTIONAL_SEQUENCE_RNN", {0: ("kind", 0), 1: ("byte", 1)}, (2, 7, 3), (2, 7, 5)),
        14 * 5 * (3 + 5),
        5 * 3 + 5 * 5 + 5,
    ),
    "a sequence, time first": (
        _rnn("UNIDIRECTIONAL_SEQUENCE_RNN", {0: ("kind", 1), 1: ("byte", 4)}, (7, 2, 3), (7, 2, 5)),
        14 * 5 * (3 + 5),
        5 * 3 + 5 * 5 + 5,
    ),
    "a sequence both ways": (
        _rnn("BIDIRECTIONAL_SEQUENCE_RNN", {0: ("kind", 0), 1: ("byte", 4), 2: ("kind", 1)}, (2, 7, 3), (2, 7, 10), 2),
        2 * 14 * 5 * (3 + 5),
        2 * (5 * 3 + 5 * 5 + 5),
    ),
    "lstm": (_lstm(False), 14 * 4 * 5 * (3 + 5), 4 * (5 * 3 + 5 * 5 + 5)),
    "full": (_lstm(True), 14 * (3 * 5 * (3 + 4) + 4 * 5), 3 * (5 * 3 + 5 * 4 + 5) + 2 * 5 + 4 * 5 + 4 + 3 * 5),
    "svdf": (_svdf(), 3 * 8 * (9 + 6), 8 * 9 + 8 * 6 + 4),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_kernels(tmp_path: Path, name: str) -> None:
    """By hand, at each step for each gate its states times what goes in; and the shapes are those of a run."""
    data, macs, params = RECURRENT[name]
    (tmp_path / "net.tflite").write_bytes(data)
    found = report(load(str(tmp_path / "net.tflite")))
    assert (found.total.macs, found.total.params, found.is_complete) == (macs, params, True)
    pytest.importorskip("ai_edge_litert", reason="the test extra brings it on Linux")
    from costcalc.frontends.sources import Request
    from costcalc.verification import tflite_file

    for check, differ in tflite_file.witnessed(str(tmp_path / "net.tflite"), Request()):
        assert not differ and check.compared, check


MOVES: dict[str, tuple[list[tuple[int, ...]], dict[int, Any], tuple[int, ...]]] = {
    # numbers beside an input of 2 × 3 × 4, options, the shape that comes of it
    "GATHER_ND": ([(1, 2, 0, 1)], {}, (2, 4)),
    "MATRIX_DIAG": ([], {}, (2, 3, 4, 4)),
    "REVERSE_SEQUENCE": ([(1, 3)], {0: ("int", 1)}, (2, 3, 4)),
}


@pytest.mark.parametrize("name", MOVES)
def test_operators_that_move_elements(tmp_path: Path, name: str) -> None:
    numbers, options, made = MOVES[name]
    f = File()
    x, y = f.tensor("x", 2, 3, 4), f.tensor("y")
    shape = (2, 2) if name == "GATHER_ND" else None
    f.operator(name, [x, *(f.numbers(*given, shape=shape) for given in numbers)], [y], options)
    graph = opened_in(tmp_path, f, [x], [y])
    assert graph.types[graph.outputs[0]].shape == made
    assert report(graph).is_complete and report(graph).total.macs == 0


def test_a_cache_that_is_written_in_part_and_a_size_that_is_worked_out(tmp_path: Path) -> None:
    """A step of decoding puts its keys into a cache; the rank of a tensor, as a shape, is no work."""
    f = File()
    cache, new, y = f.tensor("cache", 1, 8, 4), f.tensor("new", 1, 1, 4), f.tensor("y", 1, 8, 4)
    f.operator("DYNAMIC_UPDATE_SLICE", [cache, new, f.numbers(0, 3, 0)], [y], {})
    graph = opened_in(tmp_path, f, [cache, new], [y])
    assert [node.op.name for node in graph.nodes if not node.is_leaf] == ["scatter"] and report(graph).is_complete


def opened_in(folder: Path, f: File, inputs: list[int], outputs: list[int]) -> Any:
    (folder / "net.tflite").write_bytes(f.bytes(inputs, outputs))
    return load(str(folder / "net.tflite"))


def test_operators_of_stablehlo(opened: Open) -> None:
    """A product for each of 2 places over 5 and over the whole of 3 × 4; then moves and functions of elements."""
    f = File()
    x, w = f.tensor("x", 2, 5, 4), f.tensor("w", 3, 2, 4)
    product, turned, part = f.tensor("p", 2, 5, 3), f.tensor("t", 3, 2, 5), f.tensor("c", 1, 2, 3)
    both, flat, above = f.tensor("b", 3, 2, 10), f.tensor("f", 60), f.tensor("g", 60, dtype="bool")
    dot = {0: ("longs", [0]), 1: ("longs", [1]), 2: ("longs", [2]), 3: ("longs", [2])}
    f.operator("STABLEHLO_DOT_GENERAL", [x, w], [product], dot)
    f.operator("STABLEHLO_TRANSPOSE", [product], [turned], {0: ("longs", [2, 0, 1])})
    cut = {0: ("longs", [1, 0, 0]), 1: ("longs", [3, 2, 5]), 2: ("longs", [2, 1, 2])}
    f.operator("STABLEHLO_SLICE", [turned], [part], cut)
    f.operator("STABLEHLO_CONCATENATE", [turned, turned], [both], {0: ("long", 2)})
    f.operator("STABLEHLO_RESHAPE", [both], [flat])
    f.operator("STABLEHLO_COMPARE", [flat, flat], [above], {0: ("count", 3)})
    graph = opened(f, [x, w], [part, above])
    found = report(graph)
    assert found.is_complete, graph.assumed
    assert found.total.macs == 2 * 5 * 3 * 4
    assert [graph.types[v].shape for v in graph.outputs] == [(1, 2, 3), (60,)]
    functions = {n.op.function for n in graph.nodes if n.op.name == "elementwise"}  # type: ignore[attr-defined]
    assert functions == {"copy", "gt"}
