"""Storage, traffic, liveness and totals on graphs small enough to count by hand."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc import analyze, load
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.analysis.roofline import Machine
from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def op(name: str, *args: Any, **kwargs: Any) -> Any:
    return find_op(name)(*args, **kwargs)


def builder(*shape: int) -> GraphBuilder:
    return GraphBuilder("test", {"image": TensorType(shape)})


def separable(b: int, c: int, h: int, w: int, k: int, m: int) -> Report:
    graph = builder(b, c, h, w)
    graph.add("block.depthwise", op("conv", c, k, padding=k // 2, groups=c, bias=False), ["image"])
    graph.add("block.pointwise", op("conv", m, 1, bias=False), ["block.depthwise"])
    return report(graph.build(["block.pointwise"]))


def test_one_conv_stores_what_the_facts_say() -> None:
    # facts, section 1: 32·(M·C·K·K + B·C·H·W + B·M·E·F)
    graph = builder(2, 3, 10, 12)
    graph.add("conv", op("conv", 5, 3, bias=False), ["image"])
    (layer,) = report(graph.build(["conv"])).layers
    assert layer.storage_bits == 32 * (5 * 3 * 9 + 2 * 3 * 10 * 12 + 2 * 5 * 8 * 10)


def test_a_separable_block_stores_its_inner_map_once_and_its_layers_twice() -> None:
    # facts, section 1: 32·(B·C·H·W + C·K·K + B·C·E·F + M·C + B·M·E·F), MACs B·K·K·C·E·F + B·M·C·E·F
    b, c, h, w, k, m = 2, 3, 8, 8, 3, 16
    result = separable(b, c, h, w, k, m)
    (block,) = result.blocks
    assert block.name == "block"
    assert block.storage_bits == 32 * (b * c * h * w + c * k * k + b * c * h * w + m * c + b * m * h * w)
    assert block.macs == b * k * k * c * h * w + b * m * c * h * w
    assert sum(layer.storage_bits for layer in result.layers) == block.storage_bits + 32 * b * c * h * w
    assert result.total.storage_bits == block.storage_bits


def test_a_layer_is_in_each_block_whose_name_its_own_begins_with() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("stem", op("relu"), ["image"])
    graph.add("body.first.act", op("relu"), ["stem"])
    graph.add("body.first.conv", op("conv", 4, 1), ["body.first.act"])
    graph.add("body.last", op("relu"), ["body.first.conv"])
    result = report(graph.build(["body.last"]))
    assert {block.name: (block.layers, block.ops) for block in result.blocks} == {
        "body": (3, 3 * 64 + 4 * 64 + 4 * 64),
        "body.first": (2, 3 * 64 + 4 * 64),
    }


WRONG = [{"bits": 0}, {"bits": -1}, {"bits": 1.5}, {"bits": True}, {"bits": "8"}, {"fps": 0}, {"fps": float("nan")}]


@pytest.mark.parametrize("asked", WRONG, ids=str)
def test_a_width_or_a_pace_that_cannot_be_is_refused_before_anything_is_counted(asked: dict[str, Any]) -> None:
    name = next(iter(asked))
    with pytest.raises(CostcalcError, match=f"{name} must be a .*number from "):
        analyze("lenet5", **asked)


def test_bits_replace_the_width_of_floats_only() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("bn", op("batch_norm"), ["image"])
    full, half = report(graph.build(["bn"])), report(graph.build(["bn"]), bits=16)
    # weight, bias, running mean and variance shrink; the int64 counter of batches does not
    assert full.total.weight_bits == 4 * 3 * 32 + 64
    assert half.total.weight_bits == 4 * 3 * 16 + 64
    assert (full.total.params, full.total.buffers) == (6, 7)


def test_a_batch_norm_reads_its_four_vectors_but_not_its_counter() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("bn", op("batch_norm"), ["image"])
    (layer,) = report(graph.build(["bn"])).layers
    assert layer.read_bits == 32 * (3 * 64 + 4 * 3)
    assert layer.write_bits == 32 * 3 * 64


def test_views_are_free() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("flat", op("flatten"), ["image"])
    result = report(graph.build(["flat"]))
    (layer,) = result.layers
    assert (layer.read_bits, layer.write_bits) == (0, 0)
    assert layer.storage_bits == result.total.storage_bits == 32 * 192


def test_the_halves_of_a_split_are_stored_with_what_they_came_from() -> None:
    graph = builder(1, 4, 8, 8)
    halves = graph.add("halves", op("split", 2), ["image"])
    graph.add("left", op("conv", 2, 1, bias=False), [halves[0]])
    graph.add("both", op("concat"), ["left", halves[1]])
    result = report(graph.build(["both"]))
    image, half = 32 * 4 * 64, 32 * 2 * 64
    assert halves == ("halves.0", "halves.1")
    assert result.layers[1].storage_bits == half + half + 32 * 4
    assert result.total.storage_bits == image + half + 32 * 4 + image


def test_a_tensor_read_twice_by_one_layer_is_read_once() -> None:
    graph = builder(1, 4, 8, 8)
    graph.add("double", op("add"), ["image", "image"])
    assert report(graph.build(["double"])).layers[0].read_bits == 32 * 256


def test_shared_weights_count_once_in_the_total_and_work_each_time() -> None:
    graph = builder(1, 4, 8, 8)
    conv = op("conv", 4, 3, padding=1)
    graph.add("a", conv, ["image"])
    graph.add("b", conv, ["a"], called={"weight": "a.weight", "bias": "a.bias"})
    result = report(graph.build(["b"]))
    assert result.total.params == 4 * 4 * 9 + 4
    assert result.total.macs == 2 * 64 * 4 * 4 * 9
    assert [layer.params for layer in result.layers] == [148, 148]


def test_columns_that_add_up_add_up() -> None:
    graph = builder(1, 3, 32, 32)
    graph.add("a.conv", op("conv", 8, 3, padding=1), ["image"])
    graph.add("a.bn", op("batch_norm"), ["a.conv"])
    graph.add("a.relu", op("relu"), ["a.bn"])
    graph.add("b.pool", op("max_pool", 2), ["a.relu"])
    result = report(graph.build(["b.pool"]))
    for figure in ("macs", "ops", "params", "buffers", "weight_bits", "read_bits", "write_bits"):
        whole = getattr(result.total, figure)
        assert sum(getattr(layer, figure) for layer in result.layers) == whole
        assert sum(getattr(block, figure) for block in result.blocks) == whole


def test_a_weight_that_is_a_value_is_no_activation() -> None:
    # 10 numbers come in and 1000 go out; the table of 1000×10 is a weight, turned or not.
    graph = builder(1, 10)
    graph.add("table", op("parameter", (1000, 10)), [])
    graph.add("turned", op("transpose"), ["table"])
    graph.add("out", op("matmul"), ["image", "turned"])
    assert report(graph.build(["out"])).total.peak_bits == 32 * (10 + 1000)


def test_an_input_that_nobody_reads_is_not_held() -> None:
    graph = GraphBuilder("test", {"image": TensorType((1, 64)), "mask": TensorType((1, 1000))})
    graph.add("act", op("relu"), ["image"])
    result = report(graph.build(["act"]))
    assert result.total.peak_bits == result.total.storage_bits == 32 * (64 + 64)


def test_what_nobody_reads_is_freed_at_once() -> None:
    # The places of the 16 maxima are 64 bits each, and gone when the last layer takes 16 numbers to 8·16.
    graph = builder(1, 1, 8, 8)
    pooled, _ = graph.add("pool", op("max_pool", 2, indices=True), ["image"])
    graph.add("act", op("relu"), [pooled])
    graph.add("wide", op("conv", 8, 1), ["act"])
    result = report(graph.build(["wide"]))
    assert (result.total.peak_bits, result.total.peak_at) == (32 * (16 + 8 * 16), "wide")


def test_peak_memory_is_where_most_is_alive() -> None:
    graph = builder(1, 1, 8, 8)
    graph.add("wide", op("conv", 16, 3, padding=1), ["image"])
    graph.add("narrow", op("conv", 2, 1), ["wide"])
    graph.add("out", op("concat"), ["narrow", "image"])
    result = report(graph.build(["out"]))
    # at `narrow`: the image (still to be read), 16 maps, 2 maps
    assert (result.total.peak_bits, result.total.peak_at) == (32 * 64 * (1 + 16 + 2), "narrow")


def test_symbols_go_through_everything_but_receptive_fields_and_time() -> None:
    n, h = Expr.symbol("n"), Expr.symbol("h")
    graph = GraphBuilder("test", {"image": TensorType((n, 3, h, h))})
    graph.add("conv", op("conv", 8, 3, padding=1, bias=False), ["image"])
    result = report(graph.build(["conv"]))
    assert str(result.total.macs) == "216·h^2·n"
    assert result.to_dict()["total"]["storage_bits"] == "352·h^2·n + 6912"
    with pytest.raises(CostcalcError, match="needs sizes that are numbers"):
        report(graph.build(["conv"]), machine=TOY)


TOY = Machine("toy", "Toy", {"float32": 1000.0, "int8": 4000.0}, bandwidth=100.0, source="this test")


def test_time_is_the_slower_of_arithmetic_and_traffic() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("conv", op("conv", 8, 3, padding=1, bias=False), ["image"])
    graph.add("relu", op("relu"), ["conv"])
    graph.add("flat", op("flatten"), ["relu"])
    result = report(graph.build(["flat"]), machine=TOY)
    conv, relu, flat = (layer.time for layer in result.layers)
    assert conv is not None and relu is not None and flat is not None
    assert (conv.compute, conv.traffic) == (64 * 216 / 1000, 4 * (192 + 216 + 512) / 100)
    assert (conv.bound, relu.bound, flat.bound) == ("memory", "memory", "nothing")
    assert result.total.time is not None
    assert result.total.time.seconds == conv.seconds + relu.seconds


def test_a_machine_without_a_rate_for_the_width_says_what_it_has() -> None:
    graph = builder(1, 3, 8, 8)
    graph.add("relu", op("relu"), ["image"])
    with pytest.raises(CostcalcError, match=r"no peak rate for 16-bit elements; it has 32 \(float32\), 8 \(int8\)"):
        report(graph.build(["relu"]), machine=TOY, bits=16)


def test_the_record_has_the_keys_of_the_contract() -> None:
    record = separable(1, 3, 8, 8, 3, 4).to_dict()
    assert list(record) == [
        "schema", "model", "settings", "total", "layers", "blocks", "uncounted", "assumptions",
    ]  # fmt: skip
    assert record["schema"] == 1
    assert record["model"]["inputs"] == {"image": [1, 3, 8, 8]}
    assert {
        "name", "op", "inputs", "input_shapes", "output_shapes", "macs", "ops", "params", "buffers", "storage_bits",
        "read_bits", "write_bits", "receptive_field", "source",
    } <= set(record["layers"][0])  # fmt: skip
    assert record["layers"][0]["receptive_field"] == {
        "size": [3, 3], "stride": [1, 1], "offset": [-1, -1], "aligned": True,
        "seen": [3, 3], "image": [8, 8],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "hrnet_w18", "swin_t"])
def test_a_block_makes_and_sees_what_its_last_layer_does(name: str) -> None:
    found = analyze(load(name))
    for block in found.blocks:
        *_, last = [layer for layer in found.layers if layer.name.startswith(block.name + ".")]
        assert (block.output_shapes, block.receptive_field) == (last.output_shapes, last.receptive_field)
    assert any(block.receptive_field for block in found.blocks)


def test_a_weight_that_nothing_reads_is_not_what_its_block_makes() -> None:
    # As a trace has it: the weights that the forward left out come last.
    b = GraphBuilder("left out", {"image": TensorType((1, 3, 8, 8))})
    b.add("block.conv", find_op("conv")(4, 3), ["image"])
    b.add("fc", find_op("linear")(2), ["block.conv"])
    b.add("block.unread", find_op("parameter")((5,)), [])
    (block,) = report(b.build(["fc"])).blocks
    assert (block.layers, block.params, block.output_shapes) == (2, 4 * 27 + 4 + 5, ((1, 4, 6, 6),))
    assert isinstance(block.receptive_field, ReceptiveField) and block.receptive_field.size == (3, 3)
