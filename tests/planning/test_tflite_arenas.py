"""Files of TensorFlow Lite: the arena that its interpreter for microcontrollers was seen to take, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import costcalc
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.planning.records import Memory
from tests.tflite.writing_tflite import File

FILES = Path(__file__).parents[3] / "shared" / "golden" / "tflite"
# Arena head as tflite-micro 0.dev20261023182759 (its Python package) prints it: `print_allocations`.
HEAD = {"ad01_int8": 768, "kws_ref_model": 16_000, "str_ww_ref_model": 6_656, "vww_96_int8": 73_728}


@pytest.mark.parametrize("name", HEAD)
def test_the_arena_is_that_of_the_interpreter(name: str) -> None:
    file = FILES / f"{name}.tflite"
    if not file.exists():
        pytest.skip("the files of mlcommons/tiny are not here")
    assert costcalc.memory(str(file), engine="tflm").arena_bytes == HEAD[name]


@pytest.mark.parametrize(
    ("spec", "name"), [("ad01", "ad01_int8"), ("kws", "kws_ref_model"), ("str_ww", "str_ww_ref_model")]
)
def test_the_spec_of_a_network_has_the_arena_of_its_file(spec: str, name: str) -> None:
    assert costcalc.memory(spec, engine="tflm", bits=8).arena_bytes == HEAD[name]


def test_visual_wake_words_need_less_than_the_greedy_planner_takes() -> None:
    # Three maps of 48×48×8 at once; the spec pads evenly where the file pads as TensorFlow does.
    found = costcalc.memory("vww_96", engine="mcu", bits=8)
    assert (found.arena_bytes, found.optimal) == (48 * 48 * (8 + 16), True)


def test_the_interpreter_for_microcontrollers_writes_over_nothing() -> None:
    """What SiLU's product reads is there beside what it makes, while TensorFlow Lite makes it in place.

    TFLite Micro holds three maps of EfficientNet-B0 there and LiteRT two (`benchmarks/memory_tflite.py`).
    """
    micro, other = (costcalc.memory("efficientnet_b0", engine=engine) for engine in ("tflm", "tflite"))
    assert (micro.arena_bytes, other.arena_bytes) == (14_624_256, 10_409_472)


def test_a_sum_is_made_in_place_by_tensorflow_lite_alone() -> None:
    b = GraphBuilder("sums", {"x": TensorType((1, 1, 8, 8))})
    left, right = (b.add(name, find_op("conv")(4, 1), ["x"])[0] for name in ("left", "right"))
    both = b.add("both", find_op("add")(), [left, right])
    b.add("last", find_op("conv")(1, 1), both)
    graph, size = b.build(["last"]), 4 * 8 * 8 * 4
    assert costcalc.memory(graph, engine="tflm").peak_bytes == 3 * size
    assert costcalc.memory(graph, engine="tflite").peak_bytes == 2 * size + size // 4  # with the input, which is kept


SAME, ONE, RELU = ("byte", 0), ("int", 1), 1


def written(folder: Path, file: File, inputs: list[int], outputs: list[int], engine: str) -> Memory:
    path = folder / "net.tflite"
    path.write_bytes(file.bytes(inputs, outputs))
    return costcalc.memory(str(path), engine=engine)


@pytest.mark.parametrize("engine", ["tflm", "tflite"])
def test_a_file_is_planned_by_its_operators(tmp_path: Path, engine: str) -> None:
    """A transpose is one, though its layers are a view and a copy; an activation that the file has apart is another."""
    f = File()
    x, a, b, y = (
        f.tensor("x", 1, 8, 8, 4),
        f.tensor("a", 1, 8, 8, 4),
        f.tensor("b", 1, 8, 8, 4),
        f.tensor("y", 1, 4, 8, 8),
    )
    f.operator("CONV_2D", [x, f.weight("w", 4, 1, 1, 4)], [a], {0: SAME, 1: ONE, 2: ONE})
    f.operator("RELU", [a], [b])
    f.operator("TRANSPOSE", [b, f.numbers(0, 3, 1, 2)], [y])
    found = written(tmp_path, f, [x], [y], engine)
    assert [(t.name.split(".")[0], t.bytes) for t in found.tensors] == [(name, 1024) for name in "xaby"]
    assert len(found.steps) == 3


def test_an_activation_of_an_operator_is_in_it(tmp_path: Path) -> None:
    f = File()
    x, y = f.tensor("x", 1, 8, 8, 4), f.tensor("y", 1, 8, 8, 4)
    f.operator("CONV_2D", [x, f.weight("w", 4, 1, 1, 4)], [y], {0: SAME, 1: ONE, 2: ONE, 3: ("byte", RELU)})
    found = written(tmp_path, f, [x], [y], "tflm")
    assert (found.peak_bytes, len(found.steps)) == (2 * 1024, 1)


def test_a_product_has_room_for_both_factors_transposed(tmp_path: Path) -> None:
    """LiteRT's arena of ViT-B/16, 7,353,728 bytes, has them, and each in a place of its own."""
    f = File()
    x, z, y = f.tensor("x", 2, 3, 4), f.tensor("z", 2, 4, 5), f.tensor("y", 2, 3, 5)
    f.operator("BATCH_MATMUL", [x, z], [y], {0: ("kind", 0)})
    micro, other = (written(tmp_path, f, [x, z], [y], engine) for engine in ("tflm", "tflite"))
    own = 4 * (24 + 40 + 30)
    assert (micro.peak_bytes, other.peak_bytes) == (96 + 160 + 128, own + 4 * (24 + 40))
    assert [t.bytes for t in other.tensors if "scratch" in t.name] == [96, 160]


def test_channels_that_only_go_to_the_end_are_there_already() -> None:
    """As in a block of ConvNeXt, but not in attention, whose four axes are no map."""
    b = GraphBuilder("block", {"x": TensorType((1, 4, 8, 8))})
    (y,) = b.add("conv", find_op("conv")(8, 3, padding=1), ["x"])
    (y,) = b.add("last", find_op("permute")((0, 2, 3, 1)), [y])
    (y,) = b.add("wide", find_op("linear")(16), [y])
    (y,) = b.add("second", find_op("permute")((0, 3, 1, 2)), [y])
    out = b.add("out", find_op("conv")(1, 1), [y])
    assert [s.layer for s in costcalc.memory(b.build(out), engine="tflm").steps] == ["conv", "wide", "out"]
    b = GraphBuilder("keys", {"x": TensorType((1, 6, 32))})
    (y,) = b.add("heads", find_op("reshape")((6, 4, 8)), ["x"])
    out = b.add("turned", find_op("permute")((0, 2, 3, 1)), [y])
    assert [s.layer for s in costcalc.memory(b.build(out), engine="tflm").steps] == ["heads", "turned"]
