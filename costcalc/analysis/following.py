"""What an output sees through one of its inputs, by the index map of its op."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costcalc.analysis import place_tables
from costcalc.analysis.axis_factors import Factor, aligned, as_line, count, moves, redistribute
from costcalc.analysis.view import GLOBAL, UNKNOWN, Seen, Span, View
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.index_map import (
    IDENTITY,
    Anywhere,
    AxisMap,
    AxisMaps,
    IndexMap,
    Number,
    Regroup,
    Steps,
    Window,
    size_of,
)


class Route(NamedTuple):
    """An index map by axes, between two shapes, as what is to be done with any view.

    axis_maps  each input axis that is followed, with the output axes that do and how; and the one among these
               that has it just as it is, or -1
    anywhere   the input axes of which nothing tells what is seen
    mixed      those that every output sees whole
    plain      the output's axes where they run along nothing
    within     and borders: of which outputs, and how beyond them, as ``AxisMap`` has them
    """

    axis_maps: tuple[tuple[int, list[tuple[int, AxisMap]], int], ...]
    anywhere: tuple[int, ...]
    mixed: tuple[int, ...]
    plain: tuple[tuple[Factor, ...], ...]
    within: tuple[tuple[int, int] | None, ...] | None
    borders: tuple[tuple[int, str], ...]


def route(index_map: AxisMaps, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> Route:
    """``index_map``, from an input of shape ``x`` to an output of shape ``y``."""
    axis_maps: dict[int, list[tuple[int, AxisMap]]] = {}
    anywhere: list[int] = []
    for out, entry in enumerate(index_map):
        if isinstance(entry, Anywhere):
            anywhere.append(entry.axis)
        elif entry is not None:
            axis_maps.setdefault(entry.axis, []).append((out if entry.along is None else entry.along, entry))
    within: list[tuple[int, int] | None] = [None] * len(y)
    borders = []
    found = []
    for axis, entries in axis_maps.items():
        ((first, axis_map), *others) = entries
        straight = not others and axis_map.window == IDENTITY and first < len(y) and x[axis] == y[first]
        found.append((axis, entries, first if straight else -1))
        for out, axis_map in entries:
            if axis_map.within is not None and out < len(y):
                within[out] = axis_map.within
            if axis_map.border:
                borders.append((axis, axis_map.border))
    mixed = tuple(axis for axis in range(len(x)) if axis not in axis_maps and axis not in anywhere)
    plain = tuple((plain_factor(size),) for size in y)
    return Route(tuple(found), tuple(anywhere), mixed, plain, tuple(within) if any(within) else None, tuple(borders))


def through(
    view: View, index_map: IndexMap | Route, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]
) -> View | None:
    """What an output of shape ``y`` sees through an input of shape ``x``, of an image of ``extent``; or None."""
    if isinstance(index_map, Route):
        return _along(view, index_map, x, y, extent)
    if isinstance(index_map, Steps):
        found: View | None = view
        for step, made in index_map.steps:
            found, x = found and through(found, step, x, made, extent), made
        return found
    if isinstance(index_map, Regroup):
        return _regroup(view, x, y)
    return _along(view, route(index_map, x, y), x, y, extent)


def _along(view: View, by: Route, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]) -> View | None:
    """What an output sees whose axes follow those of its input; None where it sees nothing."""
    view = _in_a_row(view, [a for a, entries, same in by.axis_maps if same < 0 and len(entries) == 1], x)
    tangled = [a for a, entries, out in by.axis_maps if out < 0 and (len(entries) > 1 or len(view.factors[a]) > 1)]
    view = on_lines(view, tangled)
    spans = list(view.spans)
    bound = view.bound or (view.unlike and _is_part(view, by, x, y))
    for axis in by.anywhere:
        lose(view.factors[axis], spans)
    mixed = [axis for axis in by.mixed if moves(view.factors[axis])]
    if mixed:
        for axis in mixed:
            if view.start(axis) > 0 or count(view.factors[axis]) > view.start(axis) + x[axis]:  # type: ignore[operator]
                lose(view.factors[axis], spans)  # not all of its places are there
        kept = {p.axis for axis, _, _ in by.axis_maps for p in view.factors[axis] if p.size > 1}
        _mix([p for axis in mixed for p in view.factors[axis]], kept, spans, extent)
    factors = list(by.plain)
    starts = [0] * len(y)
    for axis, entries, same in by.axis_maps:
        before = view.factors[axis]
        out, axis_map = entries[0]
        alone = len(before) == len(entries) == 1
        if same < 0 and len(entries) == 1 and out < len(y) and _misses(axis_map, x[axis], y[out]):
            return None
        if alone and moves(before) and (same < 0 or axis_map.bound):
            found = _place_by_place(view, axis, x[axis], out, axis_map, y, factors, spans, extent)
            if found is None:
                return None
            if found:
                continue
        if same >= 0 and not moves(factors[same]):
            factors[same], starts[same] = before, view.start(axis)
        elif moves(before):
            if alone and before[0].table:
                bound |= loosened(before[0], spans)
                before = (before[0]._replace(table=None),)
                view = view._replace(factors=(*view.factors[:axis], before, *view.factors[axis + 1 :]))
            single = out < len(y) and len(entries) == 1 and len(before) > 1
            if not single or not _shifted(view, axis, x[axis], out, axis_map, y, factors, starts, spans):
                bound |= _slide(view, axis, x[axis], entries, y, factors, spans)
            bound |= _loosens(entries, before)
    borders = view.borders
    for axis, border in by.borders:
        borders |= {(p.axis, border) for p in view.factors[axis] if p.axis is not None}
    off = tuple(starts) if any(starts) else None
    unlike = view.unlike and not _is_whole(view, by, x)
    return View(tuple(factors), tuple(spans), view.aligned, by.within, off, borders, bound, unlike)


MOST_TRIED = 10_000
"""Outputs, or taps, that are tried one by one; with more a window is taken to see what it spans."""


def _misses(axis_map: AxisMap, size: Dim, made: Dim) -> bool:
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


def is_beyond(view: View, extent: tuple[int, ...]) -> bool:
    """Whether all places of ``view`` look past the image of ``extent``, at padding alone."""
    for axis, (seen, pixels) in enumerate(zip(view.spans, extent, strict=True)):
        lines = [line for factors in view.factors for p in factors for line in p.lines() if line.axis == axis]
        if isinstance(seen, str) or len(lines) > 1 or any(line.table for line in lines):
            continue
        step, size = (lines[0].step, lines[0].size) if lines else (0, 1)
        if (step < 0 or seen.lo < 0 or seen.hi > pixels - 1) and _misses(AxisMap(0, Window(step, *seen)), pixels, size):
            return True
    return False


def _place_by_place(
    view: View, axis: int, size: Dim, out: int, axis_map: AxisMap, y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], spans: list[Seen], extent: tuple[int, ...],
) -> bool | None:  # fmt: skip
    """Follow an axis of one factor by what each of its places sees, where a line does not tell that.

    Returns whether it could; None where no place is left that sees anything.
    """
    ((moving,), (stride, lo, hi)) = view.factors[axis], axis_map.window
    assert moving.axis is not None
    seen = spans[moving.axis]
    if not isinstance(seen, Span) or view.start(axis) or moving.also:
        return False
    if any(p.axis == moving.axis for a, factors in enumerate(view.factors) if a != axis for p in factors):
        return False  # a place lies where both axes say together
    if not stride:  # one place, or a few, of all outputs
        if moving.table is None or moving.size != size:
            return False
        at = place_tables.looked_up(moving)
        around = place_tables.around(map(at, range(int(lo), int(hi) + 1)))
        if around is None:
            return None
        spans[moving.axis] = seen.widened(1, *around)
        return True
    many = y[out] if out < len(y) else 0
    if not isinstance(many, int) or not 0 < many <= place_tables.MOST_PLACES or moves(factors[out]):
        return False
    if not place_tables.follows(moving, axis_map, size):  # type: ignore[arg-type]
        return False
    found, spans[moving.axis] = place_tables.followed(moving, seen, axis_map, many, extent[moving.axis])
    if found.table and not any(found.table.places):
        return None
    factors[out] = (found,)
    return True


def _in_a_row(view: View, axes: Iterable[int], x: tuple[Dim, ...]) -> View:
    """``view`` with each of ``axes`` that has several factors along one axis of the image, and lies on no line, as one
    whose places are told one by one."""
    factors = list(view.factors)
    for axis in axes:
        own = factors[axis]
        if len(own) > 1 and view.whole(axis, x[axis]) and count(own) <= place_tables.MOST_PLACES:
            along = {p.axis for p in own} - {None}
            others = (p.axis for a, ps in enumerate(view.factors) if a != axis for p in ps)
            if len(along) == 1 and along.isdisjoint(others) and not any(p.also for p in own):
                (image_axis,) = along
                factors[axis] = place_tables.in_a_row(own, image_axis)  # type: ignore[arg-type]
    return view._replace(factors=tuple(factors)) if factors != [*view.factors] else view


def on_lines(view: View, axes: Iterable[int]) -> View:
    """``view`` with a line around the places of each of its ``axes`` that are told one by one."""
    if not any(p.table for axis in axes for p in view.factors[axis]):
        return view
    factors, spans = list(view.factors), list(view.spans)
    for axis in axes:
        for p in factors[axis]:
            loosened(p, spans)
        factors[axis] = tuple(p._replace(table=None) for p in factors[axis])
    return view._replace(factors=tuple(factors), spans=tuple(spans), bound=True)


def loosened(p: Factor, spans: list[Seen]) -> bool:
    """Widen what is seen as far as the places of ``p`` reach beside its line. Returns whether they do."""
    seen = spans[p.axis] if p.axis is not None else UNKNOWN
    if p.table and isinstance(seen, Span):
        spans[p.axis] = seen.widened(1, *place_tables.beside_line(p))  # type: ignore[index]
    return p.table is not None


def _loosens(entries: list[tuple[int, AxisMap]], before: Sequence[Factor]) -> bool:
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


def _is_part(view: View, by: Route, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> bool:
    """Whether an output has only some of the elements beside each other: of some channels."""
    for axis, entries, _ in by.axis_maps:
        if not moves(view.factors[axis]) and x[axis] != 1:
            for out, axis_map in entries:
                if axis_map.window != IDENTITY or out >= len(y) or x[axis] != y[out]:
                    return True
    return False


def _is_whole(view: View, by: Route, x: tuple[Dim, ...]) -> bool:
    """Whether an output sees all of the elements beside each other, but for the batch."""
    return not any(axis and x[axis] != 1 and not moves(view.factors[axis]) for axis, _, _ in by.axis_maps)


def lose(factors: Sequence[Factor], spans: list[Seen]) -> None:
    """Nothing tells any longer where along the image axes of ``factors`` a place is."""
    for p in factors:
        for axis in (p.axis, *(a for a, _ in p.also)):
            if axis is not None and p.size > 1 and spans[axis] != GLOBAL:
                spans[axis] = UNKNOWN


def _mix(factors: Sequence[Factor], kept: set[int | None], spans: list[Seen], extent: tuple[int, ...]) -> None:
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


def _shifted(
    view: View, axis: int, size: Dim, out: int, axis_map: AxisMap, y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], starts: list[int], spans: list[Seen],
) -> bool:  # fmt: skip
    """Follow an axis of several factors where that loses none: all moved along, turned round, or one place taken.

    Returns whether it could.
    """
    before, (stride, lo, hi) = view.factors[axis], axis_map.window
    if lo != hi or moves(factors[out]):
        return False
    if stride == -1 and lo == size - 1 and view.whole(axis, size):
        _fix(before, int(lo), spans)
        factors[out] = tuple(p._replace(step=-p.step, also=tuple((a, -s) for a, s in p.also)) for p in before)
        return True
    if stride != 1:
        return False
    start, inner, places = view.start(axis) + int(lo), count(before[1:]), y[out]
    if start >= 0 and start + places <= count(before) and not start % inner and not places % inner:  # type: ignore[operator]
        _fix(before, start, spans)  # whole rows are left
        factors[out] = (before[0]._replace(size=places // inner), *before[1:])  # type: ignore[arg-type]
    else:
        factors[out], starts[out] = before, start
    return True


def _slide(
    view: View, axis: int, size: Dim, entries: list[tuple[int, AxisMap]], y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], spans: list[Seen],
) -> bool:  # fmt: skip
    """Output axes that follow one input axis, of ``size``. Returns whether no more than a bound is left."""
    before, bound = view.factors[axis], False
    moving: Factor | None = before[0]
    if len(before) > 1:
        if not view.whole(axis, size):
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


def _at_once(before: tuple[Factor, ...], p: Factor, spans: list[Seen]) -> tuple[Factor, ...]:
    """An axis whose places run along two axes of the image at once, as those of a diagonal do."""
    ((first, *others), axes) = before, {a for q in (*before, p) for a in (q.axis, *(a for a, _ in q.also))}
    if others or first.table or first.size != p.size or len(axes) < 2 + len(first.also) + len(p.also):
        lose((p,), spans)
        return before
    assert p.axis is not None
    return (first._replace(also=(*first.also, (p.axis, p.step), *p.also)),)


def _fix(factors: tuple[Factor, ...], index: int, spans: list[Seen]) -> None:
    """All see the place ``index`` of an axis of ``factors``, or start there."""
    for p in reversed(factors):
        index, digit = divmod(index, p.size)
        for line in p.lines():
            seen = spans[line.axis]  # type: ignore[index]
            if isinstance(seen, Span):
                spans[line.axis] = seen.widened(line.step, digit, digit)  # type: ignore[index]


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


def _regroup(view: View, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> View:
    """The same elements, in the same order, under the shape ``y``."""
    spans, bound = list(view.spans), view.bound
    factors_out: list[tuple[Factor, ...]] = []
    starts: list[int] = []
    for before, after in aligned(x, y):
        factors = view.factors[before.start : before.stop]
        if len(before) == len(after) == 1:
            factors_out.extend(factors)
            starts.append(view.start(before.start))
            continue
        starts += [0] * len(after)
        flat = [p for ps in factors for p in ps]
        whole_axes = all(view.whole(axis, x[axis]) for axis in before)
        sizes = [plain_factor(y[axis]).size for axis in after]
        found = redistribute(flat, sizes) if whole_axes else None
        if found is None and whole_axes and any(p.table for p in flat):
            bound = True
            for p in flat:
                loosened(p, spans)
            found = redistribute([p._replace(table=None) for p in flat], sizes)
        if found is None:
            lose(flat, spans)
            found = [(plain_factor(y[axis]),) for axis in after]
        factors_out.extend(found)
    off = tuple(starts) if any(starts) else None
    return View(tuple(factors_out), tuple(spans), view.aligned, None, off, view.borders, bound, view.unlike)


def plain_factor(size: Dim) -> Factor:
    """An axis of ``size`` that runs along none of the image."""
    return Factor(None, 0, size)  # type: ignore[arg-type]
