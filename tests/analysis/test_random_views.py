"""Receptive fields of random graphs hold what each place really sees, also where axes are cut, merged, moved and mixed.

The oracle keeps, for every element of every value, which pixels it depends on, as an array of truth values.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.receptive_fields import receptive_fields
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.layout import laid_out
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

SIZE = (6, 4)
IMAGE = TensorType((1, 2, *SIZE))
MOST_ELEMENTS = 400


def of_image() -> Any:
    """(1, 2, h, w, h, w): each element sees its own pixel."""
    pixels = np.eye(prod(SIZE), dtype=bool).reshape(*SIZE, *SIZE)
    return np.broadcast_to(pixels, (*IMAGE.shape, *SIZE)).copy()


def slid(seen: Any, axis: int, kernel: int, stride: int, padding: int) -> Any:
    """A window slid along ``axis``; what lies in the padding sees nothing."""
    seen = np.moveaxis(seen, axis, 0)
    empty = np.zeros((padding, *seen.shape[1:]), bool)
    wide = np.concatenate([empty, seen, empty])
    starts = range(0, len(wide) - kernel + 1, stride)
    return np.moveaxis(np.stack([wide[s : s + kernel].any(0) for s in starts]), 0, axis)


def mixed(seen: Any, axis: int) -> Any:
    """Every place along ``axis`` sees what any of them did."""
    return np.broadcast_to(seen.any(axis, keepdims=True), seen.shape)


def stretches(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether a value of ``shape`` fits one of shape ``to``, its axes of size 1 repeated."""
    return len(shape) == len(to) and all(a in (1, b) for a, b in zip(shape, to, strict=True))


def steps(draw: Any, seen: Any) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any], Any]]:
    """What could come next: an op's name and options, and what its output sees."""
    shape = seen.shape[:-2]
    rank = len(shape)
    axis = draw(st.integers(0, rank - 1))
    size = shape[axis]
    order = draw(st.permutations(range(rank)))
    yield "permute", (order,), {}, seen.transpose(*order, rank, rank + 1)
    cut = [*shape]
    if factors := [f for f in range(2, size) if size % f == 0]:
        factor = draw(st.sampled_from(factors))
        cut[axis : axis + 1] = [factor, size // factor]
    elif axis + 1 < rank:
        cut[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    yield "reshape", (cut,), {"keep_batch": False}, seen.reshape(*cut, *SIZE)
    keepdim = draw(st.booleans())
    if rank > 1 or keepdim:
        yield "mean", (axis, keepdim), {}, seen.any(axis, keepdims=keepdim)
    start, step = draw(st.integers(0, size - 1)), draw(st.integers(1, 3))
    stop = draw(st.integers(start + 1, size))
    kept = seen[(slice(None),) * axis + (slice(start, stop, step),)]
    yield "slice", (axis, start, stop, step), {}, kept
    shift = draw(st.integers(1, 3))
    yield "roll", (shift, axis), {}, np.roll(seen, shift, axis)
    yield "softmax", (axis,), {}, mixed(seen, axis)
    yield "linear", (shape[-1],), {}, mixed(seen, rank - 1)
    if rank in (3, 4):
        kernel, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        if min(shape[2:]) + 2 * padding >= kernel:
            out = mixed(seen, 1)
            for spatial in range(2, rank):
                out = slid(out, spatial, kernel, stride, padding)
            yield "conv", (shape[1], kernel), {"stride": stride, "padding": padding}, out
        twice = seen
        for spatial in range(2, rank):
            twice = twice.repeat(2, spatial)
        yield "upsample", (2,), {}, twice


@settings(max_examples=120)
@given(st.data())
def test_no_place_sees_more_than_its_receptive_field(data: st.DataObject) -> None:
    builder = GraphBuilder("random", {"image": IMAGE})
    sees: dict[str, Any] = {"image": of_image()}
    value = "image"
    for i in range(data.draw(st.integers(1, 7))):
        shape = sees[value].shape
        alike = [v for v in sees if v != value and sees[v].shape == shape]
        stretching = [v for v in sees if v != value and stretches(sees[v].shape, shape)]
        choices = [(*step, [value]) for step in steps(data.draw, sees[value])]
        if stretching:
            other = data.draw(st.sampled_from(stretching))
            choices.append(("multiply", (), {}, sees[value] | sees[other], [value, other]))
        if alike:
            other = data.draw(st.sampled_from(alike))
            axis = data.draw(st.integers(0, len(shape) - 3))
            both = np.concatenate([sees[value], sees[other]], axis)
            choices.append(("concat", (axis,), {}, both, [value, other]))
        small = [choice for choice in choices if choice[3].size <= MOST_ELEMENTS * prod(SIZE)]
        name, options, named, seen, inputs = data.draw(st.sampled_from(small), label="step")
        (value,) = builder.add(f"{name}{i}", find_op(name)(*options, **named), inputs)
        sees[value] = seen
    fields = receptive_fields(laid_out(builder.build([value]), "nchw")).of

    for name, seen in sees.items():
        field = fields[name]
        assert field is not None or not seen.any()
        if not isinstance(field, ReceptiveField):
            continue
        for axis, (size, first) in enumerate(zip(field.size, field.offset, strict=True)):
            along = seen.any(-1 if axis == 0 else -2).reshape(-1, SIZE[axis])
            widths = [np.ptp(np.flatnonzero(place)) + 1 for place in along if place.any()]
            assert max(widths, default=0) <= size, f"{name}: axis {axis} {field}"
            if along[0].any():
                assert np.flatnonzero(along[0])[0] >= first, f"{name}: axis {axis} {field}"
