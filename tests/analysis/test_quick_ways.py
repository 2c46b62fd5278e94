"""What is worked out by a shorter way is what the long way says."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import costcalc
from costcalc.analysis import pixel_map_composition, pixel_map_union
from costcalc.analysis.axis_factors import Factor
from costcalc.analysis.pixel_map import GLOBAL, PixelMap, Seen, Span
from costcalc.analysis.records import Layer
from costcalc.analysis.routes import plain_axis, route
from costcalc.ir.graph import Graph, GraphBuilder, Node
from costcalc.ir.index_map import AxisMap, Window
from costcalc.ir.memo import forget
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.ir.use import Uses

EXTENT = (32, 24)
numbers = st.integers(-4, 4)


@st.composite
def spans(draw: Any) -> Seen:
    lo = draw(st.integers(-9, 9))
    return draw(st.sampled_from([GLOBAL, Span(lo, lo + draw(st.integers(0, 9)))]))


@st.composite
def pixel_maps(draw: Any, sizes: tuple[int, ...] = (1, 4, 8, 6)) -> PixelMap:
    """Of a value of four axes, the last two of which mostly run along the image."""
    factors = [plain_axis(size) for size in sizes]
    for axis, along in ((2, draw(st.sampled_from([0, 0, 0, 1]))), (3, draw(st.sampled_from([1, 1, None])))):
        if along is not None:
            factors[axis] = (Factor(along, draw(st.sampled_from([1, 2, 4, -1])), sizes[axis]),)
    seen = draw(spans()), draw(spans())
    return PixelMap(tuple(factors), seen, draw(st.booleans()), None, None, frozenset(), draw(st.booleans()))


windows = st.builds(
    lambda stride, lo, more: Window(stride, lo, lo + more), st.integers(-1, 3), numbers, st.integers(0, 4)
)


@settings(max_examples=300)
@given(pixel_maps(), windows, windows, st.integers(1, 9), st.booleans())
def test_windows_that_are_followed_at_once(
    pixel_map: PixelMap, first: Window, second: Window, many: int, mixes: bool
) -> None:
    x, y = (1, 4, 8, 6), (1, 4, many, 6)
    by = route((AxisMap(0), None if mixes else AxisMap(1), AxisMap(2, first), AxisMap(3, second)), x, y)
    assert pixel_map_composition.through(pixel_map, by, x, y, EXTENT) == pixel_map_composition.through(
        pixel_map, by._replace(windows=None), x, y, EXTENT
    )


@settings(max_examples=300)
@given(pixel_maps(), spans(), spans(), st.booleans())
def test_branches_that_move_alike(pixel_map: PixelMap, first: Seen, second: Seen, aligned: bool) -> None:
    other = pixel_map._replace(spans=(first, second), aligned=aligned)
    assert pixel_map_union.union([pixel_map, other], EXTENT) == (
        pixel_map if pixel_map == other else pixel_map_union._merge(pixel_map, other, EXTENT)
    )


def test_equal_uses_are_one_object() -> None:
    conv = find_op("conv")
    builder = GraphBuilder("net", {"image": TensorType((1, 8, 6, 6))})
    value = "image"
    for name in "abc":
        (value,) = builder.add(name, conv(8, 3, padding=1), [value])
    builder.add("d", conv(8, 3, padding=1, bias=False), [value])
    *same, other = builder.build(["d"]).uses
    assert all(one is next_one for one, next_one in pairwise(same))
    assert other is not same[0]
    taken = TensorType((1, 8, 6, 6))
    assert Uses().of(conv(8, 3, padding=1), (taken,), (taken,)) is same[0]
    assert Uses().of(conv(8, 3, padding=1), (taken,), (TensorType((1, 8, 6, 6), "float16"),)) is not same[0]


def test_what_one_model_leaves_is_no_part_of_the_next() -> None:
    def told(name: str) -> object:
        return costcalc.analyze(name).to_dict()

    forget()
    alone = told("resnet18")
    forget()
    for other in ("resnet34", "lenet5"):
        told(other)
    costcalc.analyze("resnet18", bits=16)
    assert told("resnet18") == alone


def test_an_analysis_leaves_no_garbage_that_holds_layers() -> None:
    """The collector rests meanwhile, and would have to walk over all of them later."""
    costcalc.analyze("lenet5")
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        costcalc.analyze("resnet18")
        gc.collect()
        left = {type(one) for one in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left & {Node, Graph, Layer, PixelMap}
