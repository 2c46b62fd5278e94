"""The effects of the causes add up to the change, exactly, whatever the two graphs are."""

from __future__ import annotations

import pytest
from diffable import graphs, op, residual
from hypothesis import given, settings

from costcalc.analysis.roofline import Machine
from costcalc.difference import Diff, diff
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType

MACHINE = Machine("toy", "toy", {"float32": 1e9}, 1e8, "made up")
EXACT = ("macs", "ops", "params", "buffers", "weights", "storage", "read", "write", "traffic")


def check_sums(found: Diff) -> None:
    for figure in EXACT:
        assert sum(c.of(figure) for c in found.causes) == found.change(figure), figure
        assert sum(c.effect(figure) for c in found.layers) == found.change(figure), figure
    if found.old and found.old.total.time:
        # Times are floats, so that the total itself is rounded.
        assert float(sum(c.of("time") for c in found.causes)) == pytest.approx(float(found.change("time")), abs=1e-12)


@given(graphs(), graphs())
@settings(max_examples=100)
def test_causes_add_up_exactly_on_random_pairs(a: Graph, b: Graph) -> None:
    check_sums(diff(a, b, machine=MACHINE))


@pytest.mark.long
@given(graphs(), graphs())
@settings(max_examples=5000)
def test_causes_add_up_exactly_on_thousands_of_random_pairs(a: Graph, b: Graph) -> None:
    check_sums(diff(a, b, machine=MACHINE))


@given(graphs())
@settings(max_examples=40)
def test_a_graph_does_not_differ_from_itself(a: Graph) -> None:
    found = diff(a, a)
    assert found.same and not found.causes and all(c.mark == "=" for c in found.layers)


def test_a_missing_side_is_added_or_removed_whole() -> None:
    graph = residual()
    for found in (diff(None, graph), diff(graph, None)):
        check_sums(found)
        assert {c.mark for c in found.layers} == ({"+"} if found.new else {"-"})


def scores(width: int) -> Graph:
    """Each token against each other: a map, scaled by a vector of its own, times its transpose."""
    b = GraphBuilder("scores", {"tokens": TensorType((1, 16, 8))})
    b.add("map", op("linear", width), ["tokens"])
    b.add("scale", op("parameter", (width,)), [])
    b.add("scaled", op("multiply"), ["map", "scale"])
    b.add("turned", op("transpose"), ["scaled"])
    b.add("scores", op("matmul"), ["scaled", "turned"])
    return b.build(["scores"])


def test_what_is_read_twice_through_a_view_changes_once() -> None:
    # At 32 bits: linear reads 16·8 tokens and (8 + 1)·w weights and writes 16·w; multiply reads 16·w and w and writes
    # 16·w; matmul reads its one map of 16·w, although twice, and writes 16·16. Storage: three maps, three weights.
    found = diff(scores(8), scores(12))

    check_sums(found)
    assert [(c.kind, c.of("read"), c.of("write"), c.of("storage")) for c in found.causes] == [
        ("width", 32 * 4 * (9 + 16 + 1 + 16), 32 * 4 * (16 + 16), 32 * 4 * (16 + 16 + 9 + 1)),
    ]
    assert [c.effect("storage") for c in found.layers if c.name == "scale"] == [32 * 4]


def one_conv(batch: int, channels: int, size: int, dtype: str = "float32") -> Graph:
    b = GraphBuilder("conv", {"image": TensorType((batch, channels, size, size), dtype)})
    b.add("conv", op("conv", 4, 3, padding=1, bias=False), ["image"])
    return b.build(["conv"])


def test_an_input_changes_in_size_then_batch_then_channels() -> None:
    # batch·size²·4·channels·9 MACs: 1·8²·108 at first, each change on top of those before it.
    found = diff(one_conv(1, 3, 8), one_conv(2, 5, 16))

    check_sums(found)
    assert [(c.kind, c.of("macs")) for c in found.causes] == [
        ("resolution", 16**2 * 108 - 8**2 * 108),
        ("batch", 2 * 16**2 * 108 - 16**2 * 108),
        ("input", 2 * 16**2 * (180 - 108)),
    ]


def test_an_input_of_another_element_type_is_one_change() -> None:
    # Half the bits: 3·8² numbers come in, 4·8² go out, 108 weights.
    found = diff(one_conv(1, 3, 8), one_conv(1, 3, 8, "float16"))

    check_sums(found)
    assert [(c.kind, c.of("read"), c.of("weights")) for c in found.causes] == [
        ("input", -16 * (3 * 64 + 108), -16 * 108),
    ]
