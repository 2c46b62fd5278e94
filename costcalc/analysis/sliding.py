"""How single axes of a pixel map are followed: slid over, moved along, mixed whole, or lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costcalc.analysis import place_tables
from costcalc.analysis.axis_factors import Factor, as_line, count, moves
from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, PixelMap, Seen, Span
from costcalc.ir.dims import Dim
from costcalc.ir.index_map import AxisMap, Number, size_of

MOST_TRIED = 10_000
"""Outputs, or taps, that are tried one by one; with more a window is taken to see what it spans."""


def misses(axis_map: AxisMap, size: Dim, made: Dim) -> bool:
    """Whether no place of an axis of ``size`` is under a tap of the window, whichever of ``made`` outputs has it."""
    (stride, lo, hi), gap = axis_map.window, axis_map.gap
    regular = axis_map.sees is None and all(isinstance(n, int) for n in axis_map.window) and stride > 0
    if regular and size >= gap:  # type: ignore[operator]
        # Of taps on either side of the axis one is on it too: the first window that does not end before it tells.
        first = max(-(hi // stride), 0)
        return first >= made or stride * first + lo >= size  # type: ignore[operator]
    windows: Iterable[tuple[int, int] | None]
    if made <= MOST_TRIED:  # type: ignore[operator]
        windows = map(axis_map.sees or axis_map.window.at, range(made))  # type: ignore[arg-type]
    elif regular and (hi - lo) // gap < MOST_TRIED:
        # The other way round: each tap is one window over all outputs.
        length = stride * (made - 1)  # type: ignore[operator]
        windows = ((tap, tap + length) for tap in range(lo, hi + 1, gap))  # type: ignore[arg-type,misc]
        gap = stride  # type: ignore[assignment]
    else:
        return False
    return not any(window and _meets(*window, gap, size) for window in windows)


def _meets(first: int, last: int, gap: int, size: Dim) -> bool:
    """Whether one of the places from ``first`` to ``last``, a ``gap`` from each other, is among the first ``size``."""
    if first < 0:
        first += gap * -(first // gap)
    return first <= last and first < size  # type: ignore[operator]


def slide(
    pixel_map: PixelMap, axis: int, size: Dim, entries: Sequence[tuple[int, AxisMap]], y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], spans: list[Seen],
) -> bool:  # fmt: skip
    """Output axes that follow one input axis, of ``size``. Returns whether no more than a bound is left."""
    before, bound = pixel_map.factors[axis], False
    moving: Factor | None = before[0]
    if len(before) > 1:
        if not pixel_map.whole(axis, size):
            lose(before, spans)  # which of its places are where is not followed any further
            return False
        windows = [axis_map.window for _, axis_map in entries]
        if all(not w.stride and w.lo == w.hi for w in windows):
            _fix(before, int(sum(w.lo for w in windows)), spans)
            return False
        moving, bound = _straightened(before, spans)
    if moving is None:
        return bound
    assert moving.axis is not None
    for out, axis_map in entries:
        stride, lo, hi = axis_map.window
        seen = spans[moving.axis]
        if isinstance(seen, Span):
            spans[moving.axis] = seen.widened(moving.step, lo, hi)
        if out >= len(y) or not stride:
            continue
        also = tuple((a, step * stride) for a, step in moving.also)
        follower = Factor(moving.axis, moving.step * stride, y[out], None, also)  # type: ignore[arg-type]
        factors[out] = _at_once(factors[out], follower, spans) if moves(factors[out]) else (follower,)
    for a, step in moving.also:
        for _, axis_map in entries:
            if isinstance(seen := spans[a], Span):
                spans[a] = seen.widened(step, axis_map.window.lo, axis_map.window.hi)
    return bound


def shifted(
    pixel_map: PixelMap, axis: int, size: Dim, out: int, axis_map: AxisMap, y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], starts: list[int], spans: list[Seen],
) -> bool:  # fmt: skip
    """Follow an axis of several factors where that loses none: all moved along, turned round, or one place taken.

    Returns whether it could.
    """
    before, (stride, lo, hi) = pixel_map.factors[axis], axis_map.window
    if lo != hi or moves(factors[out]):
        return False
    if stride == -1 and lo == size - 1 and pixel_map.whole(axis, size):
        _fix(before, int(lo), spans)
        factors[out] = tuple(p._replace(step=-p.step, also=tuple((a, -s) for a, s in p.also)) for p in before)
        return True
    if stride != 1:
        return False
    start, inner, places = pixel_map.start(axis) + int(lo), count(before[1:]), y[out]
    if start >= 0 and start + places <= count(before) and not start % inner and not places % inner:  # type: ignore[operator]
        _fix(before, start, spans)  # whole rows are left
        factors[out] = (before[0]._replace(size=places // inner), *before[1:])  # type: ignore[arg-type]
    else:
        factors[out], starts[out] = before, start
    return True


def _at_once(before: tuple[Factor, ...], p: Factor, spans: list[Seen]) -> tuple[Factor, ...]:
    """An axis whose places run along two axes of the image at once, as those of a diagonal do."""
    ((first, *others), axes) = before, {a for q in (*before, p) for a in (q.axis, *(a for a, _ in q.also))}
    if others or first.table or first.size != p.size or len(axes) < 2 + len(first.also) + len(p.also):
        lose((p,), spans)
        return before
    assert p.axis is not None
    return (first._replace(also=(*first.also, (p.axis, p.step), *p.also)),)


def _straightened(factors: tuple[Factor, ...], spans: list[Seen]) -> tuple[Factor | None, bool]:
    """Places that lie in several factors along one axis, as a line of places: one factor, which covers them all; and
    whether the line is no more than that.

    An axis that can follow no line beside another is seen as far as its factors reach.
    """
    bound = False
    for p in factors:
        lose([Factor(a, step, p.size) for a, step in p.also], spans)
    lines = {a: as_line(factors, a) for a in dict.fromkeys(p.axis for p in factors) if a is not None}
    steepest = max(lines, key=lambda a: size_of(lines[a][0]))
    for axis, (step, lo, hi) in lines.items():
        seen = spans[axis]
        if not isinstance(seen, Span):
            continue
        if axis != steepest and step:
            lo, hi = (sum(end(0, p.step * (p.size - 1)) for p in factors if p.axis == axis) for end in (min, max))
        spans[axis] = seen.widened(1, lo, hi)
        repeated = hi - lo < 1 and all(p.step in (0, 1, -1) for p in factors)  # each pixel several times in a row
        bound |= lo != hi and not repeated
    step = lines[steepest][0]
    return (Factor(steepest, step, count(factors)) if step else None), bound


def _fix(factors: tuple[Factor, ...], index: int, spans: list[Seen]) -> None:
    """All see the place ``index`` of an axis of ``factors``, or start there."""
    for p in reversed(factors):
        index, digit = divmod(index, p.size)
        for line in p.lines():
            seen = spans[line.axis]  # type: ignore[index]
            if isinstance(seen, Span):
                spans[line.axis] = seen.widened(line.step, digit, digit)  # type: ignore[index]


def mix(factors: Sequence[Factor], kept: set[int | None], spans: list[Seen], extent: tuple[int, ...]) -> None:
    """Every output place sees all of these factors. It is global if those are all the places that the image has."""
    steps: dict[int, list[Number]] = {}
    for p in factors:
        for along, step in p.also if p.size > 1 else ():  # of a diagonal it is not all of the image
            if isinstance(seen := spans[along], Span):
                spans[along] = seen.widened(step, 0, p.size - 1)
        seen = spans[p.axis] if p.axis is not None else UNKNOWN
        if p.axis is not None and p.size > 1 and isinstance(seen, Span):
            ends = place_tables.around(map(place_tables.looked_up(p), range(p.size))) if p.table else None
            spans[p.axis] = seen.widened(1, *ends) if ends else seen.widened(p.step, 0, p.size - 1)
            if not p.also:
                steps.setdefault(p.axis, []).append(size_of(p.step))
    for axis, apart in steps.items():
        seen, next_one = spans[axis], min(apart)
        assert isinstance(seen, Span)
        if axis not in kept and seen.lo < max(next_one, 1) and seen.hi > extent[axis] - 1 - max(next_one, 1):
            spans[axis] = GLOBAL


def lose(factors: Sequence[Factor], spans: list[Seen]) -> None:
    """Nothing tells any longer where along the image axes of ``factors`` a place is."""
    for p in factors:
        for axis in (p.axis, *(a for a, _ in p.also)):
            if axis is not None and p.size > 1 and spans[axis] != GLOBAL:
                spans[axis] = UNKNOWN


def loosened(p: Factor, spans: list[Seen]) -> bool:
    """Widen what is seen as far as the places of ``p`` reach beside its line. Returns whether they do."""
    seen = spans[p.axis] if p.axis is not None else UNKNOWN
    if p.table and isinstance(seen, Span):
        spans[p.axis] = seen.widened(1, *place_tables.beside_line(p))  # type: ignore[index]
    return p.table is not None


def loosens(entries: Sequence[tuple[int, AxisMap]], before: Sequence[Factor]) -> bool:
    """Whether what is followed through ``entries`` is no longer just what each place sees.

    Places between those of a coarser map see these by whole steps of it, which a line of pixels does not follow.
    """
    for _, axis_map in entries:
        between = axis_map.window.stride.denominator != 1
        if axis_map.bound or (
            between and any(p.step.numerator not in (0, 1, -1) for p in before if p.axis is not None)
        ):
            return True
    return False
