"""What an output sees through one of its inputs, by the index map of its op."""

from __future__ import annotations

from collections.abc import Iterable

from costcalc.analysis import place_tables
from costcalc.analysis.axis_factors import Factor, aligned, count, moves, redistribute
from costcalc.analysis.pixel_map import PixelMap, Seen, Span
from costcalc.analysis.routes import Route, plain_axis, route
from costcalc.analysis.sliding import loosened, loosens, lose, misses, mix, shifted, slide
from costcalc.ir.dims import Dim
from costcalc.ir.index_map import IDENTITY, AxisMap, IndexMap, Regroup, Steps, Window


def through(
    pixel_map: PixelMap, index_map: IndexMap | Route, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]
) -> PixelMap | None:
    """What an output of shape ``y`` sees through an input of shape ``x``, of an image of ``extent``; or None."""
    if isinstance(index_map, Route):
        return _along(pixel_map, index_map, x, y, extent)
    if isinstance(index_map, Steps):
        found: PixelMap | None = pixel_map
        for step, made in index_map.steps:
            found, x = found and through(found, step, x, made, extent), made
        return found
    if isinstance(index_map, Regroup):
        return _regroup(pixel_map, x, y)
    return _along(pixel_map, route(index_map, x, y), x, y, extent)


def _along(
    pixel_map: PixelMap, by: Route, x: tuple[Dim, ...], y: tuple[Dim, ...], extent: tuple[int, ...]
) -> PixelMap | None:
    """What an output sees whose axes follow those of its input; None where it sees nothing."""
    if by.windows is not None and pixel_map.starts is None and not pixel_map.unlike:
        found = _by_windows(pixel_map, by, x, y)
        if found is not None:
            return found
    pixel_map = _in_a_row(pixel_map, [a for a, entries, same in by.axis_maps if same < 0 and len(entries) == 1], x)
    tangled = [a for a, entries, out in by.axis_maps if out < 0 and (len(entries) > 1 or len(pixel_map.factors[a]) > 1)]
    pixel_map = on_lines(pixel_map, tangled)
    spans = list(pixel_map.spans)
    bound = pixel_map.bound or (pixel_map.unlike and _is_part(pixel_map, by, x, y))
    for axis in by.anywhere:
        lose(pixel_map.factors[axis], spans)
    mixed = [axis for axis in by.mixed if moves(pixel_map.factors[axis])]
    if mixed:
        for axis in mixed:
            if pixel_map.start(axis) > 0 or count(pixel_map.factors[axis]) > pixel_map.start(axis) + x[axis]:  # type: ignore[operator]
                lose(pixel_map.factors[axis], spans)  # not all of its places are there
        kept = {p.axis for axis, _, _ in by.axis_maps for p in pixel_map.factors[axis] if p.size > 1}
        mix([p for axis in mixed for p in pixel_map.factors[axis]], kept, spans, extent)
    factors = [plain_axis(size) for size in y]
    starts = [0] * len(y)
    for axis, entries, same in by.axis_maps:
        before = pixel_map.factors[axis]
        out, axis_map = entries[0]
        alone = len(before) == len(entries) == 1
        if same < 0 and len(entries) == 1 and out < len(y) and misses(axis_map, x[axis], y[out]):
            return None
        if alone and moves(before) and (same < 0 or axis_map.bound):
            told = _place_by_place(pixel_map, axis, x[axis], out, axis_map, y, factors, spans, extent)
            if told is None:
                return None
            if told:
                continue
        if same >= 0 and not moves(factors[same]):
            factors[same], starts[same] = before, pixel_map.start(axis)
        elif moves(before):
            if alone and before[0].table:
                bound |= loosened(before[0], spans)
                before = (before[0]._replace(table=None),)
                pixel_map = pixel_map._replace(
                    factors=(*pixel_map.factors[:axis], before, *pixel_map.factors[axis + 1 :])
                )
            single = out < len(y) and len(entries) == 1 and len(before) > 1
            if not single or not shifted(pixel_map, axis, x[axis], out, axis_map, y, factors, starts, spans):
                bound |= slide(pixel_map, axis, x[axis], entries, y, factors, spans)
            bound |= loosens(entries, before)
    borders = pixel_map.borders
    for axis, border in by.borders:
        borders |= {(p.axis, border) for p in pixel_map.factors[axis] if p.axis is not None}
    off = tuple(starts) if any(starts) else None
    unlike = pixel_map.unlike and not _is_whole(pixel_map, by, x)
    return PixelMap(tuple(factors), tuple(spans), pixel_map.aligned, by.within, off, borders, bound, unlike)


def _by_windows(pixel_map: PixelMap, by: Route, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> PixelMap | None:
    """``_along`` where all axes go on in lines, as in most layers; None where there is more to it."""
    assert by.windows is not None
    for axis in by.mixed:
        if moves(pixel_map.factors[axis]):
            return None
    factors: list[tuple[Factor, ...]] = [plain_axis(size) for size in y]
    spans = list(pixel_map.spans)
    for axis, out, window in by.windows:
        own = pixel_map.factors[axis]
        if window is None:
            factors[out] = own
            continue
        p = own[0]
        stride, lo, hi = window
        if hi < 0 or lo >= x[axis]:  # type: ignore[operator]
            return None  # not even the first output need see anything
        if len(own) > 1 or p.table or p.also:
            return None
        if p.axis is None:
            continue
        if (lo or hi) and isinstance(seen := spans[p.axis], Span):
            spans[p.axis] = seen.widened(p.step, lo, hi)
        factors[out] = (Factor(p.axis, p.step * stride, y[out]),)  # type: ignore[arg-type]
    return PixelMap(
        tuple(factors), tuple(spans), pixel_map.aligned, by.within, None, pixel_map.borders, pixel_map.bound
    )


def is_beyond(pixel_map: PixelMap, extent: tuple[int, ...]) -> bool:
    """Whether all places of ``pixel_map`` look past the image of ``extent``, at padding alone."""
    for axis, (seen, pixels) in enumerate(zip(pixel_map.spans, extent, strict=True)):
        if isinstance(seen, Span) and type(seen.lo) is type(seen.hi) is int and seen.hi >= 0 and seen.lo < pixels:
            continue  # the first place looks at the image
        lines = [line for factors in pixel_map.factors for p in factors for line in p.lines() if line.axis == axis]
        bordered = any(a == axis for a, _ in pixel_map.borders)  # beyond the image they see mirrored or far pixels
        if bordered or isinstance(seen, str) or len(lines) > 1 or any(line.table for line in lines):
            continue
        step, size = (lines[0].step, lines[0].size) if lines else (0, 1)
        if (step < 0 or seen.lo < 0 or seen.hi > pixels - 1) and misses(AxisMap(0, Window(step, *seen)), pixels, size):
            return True
    return False


def _place_by_place(
    pixel_map: PixelMap, axis: int, size: Dim, out: int, axis_map: AxisMap, y: tuple[Dim, ...],
    factors: list[tuple[Factor, ...]], spans: list[Seen], extent: tuple[int, ...],
) -> bool | None:  # fmt: skip
    """Follow an axis of one factor by what each of its places sees, where a line does not tell that.

    Returns whether it could; None where no place is left that sees anything.
    """
    ((moving,), (stride, lo, hi)) = pixel_map.factors[axis], axis_map.window
    assert moving.axis is not None
    seen = spans[moving.axis]
    if not isinstance(seen, Span) or pixel_map.start(axis) or moving.also:
        return False
    if any(p.axis == moving.axis for a, factors in enumerate(pixel_map.factors) if a != axis for p in factors):
        return False  # a place lies where both axes say together
    # What padding took of the image is seen at places of which nothing is told.
    nothing = False if any(a == moving.axis for a, _ in pixel_map.borders) else None
    if not stride:  # one place, or a few, of all outputs
        if moving.table is None or moving.size != size:
            return False
        at = place_tables.looked_up(moving)
        around = place_tables.around(map(at, range(int(lo), int(hi) + 1)))
        if around is None:
            return nothing
        spans[moving.axis] = seen.widened(1, *around)
        return True
    many = y[out] if out < len(y) else 0
    if not isinstance(many, int) or not 0 < many <= place_tables.MOST_PLACES or moves(factors[out]):
        return False
    if not place_tables.follows(moving, axis_map, size):  # type: ignore[arg-type]
        return False
    found, reach = place_tables.followed(moving, seen, axis_map, many, extent[moving.axis])
    if found.table and not any(found.table.places):
        return nothing
    spans[moving.axis] = reach
    factors[out] = (found,)
    return True


def _in_a_row(pixel_map: PixelMap, axes: Iterable[int], x: tuple[Dim, ...]) -> PixelMap:
    """``pixel_map``; an axis of ``axes`` with several factors along one axis of the image, that is no line gets a table
    of its places."""
    factors = list(pixel_map.factors)
    for axis in axes:
        own = factors[axis]
        if len(own) > 1 and pixel_map.whole(axis, x[axis]) and count(own) <= place_tables.MOST_PLACES:
            along = {p.axis for p in own} - {None}
            others = (p.axis for a, ps in enumerate(pixel_map.factors) if a != axis for p in ps)
            if len(along) == 1 and along.isdisjoint(others) and not any(p.also for p in own):
                (image_axis,) = along
                factors[axis] = place_tables.in_a_row(own, image_axis)  # type: ignore[arg-type]
    return pixel_map._replace(factors=tuple(factors)) if factors != [*pixel_map.factors] else pixel_map


def on_lines(pixel_map: PixelMap, axes: Iterable[int]) -> PixelMap:
    """``pixel_map`` with a line around the places of each of its ``axes`` that are told one by one."""
    if not any(p.table for axis in axes for p in pixel_map.factors[axis]):
        return pixel_map
    factors, spans = list(pixel_map.factors), list(pixel_map.spans)
    for axis in axes:
        for p in factors[axis]:
            loosened(p, spans)
        factors[axis] = tuple(p._replace(table=None) for p in factors[axis])
    return pixel_map._replace(factors=tuple(factors), spans=tuple(spans), bound=True)


def _is_part(pixel_map: PixelMap, by: Route, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> bool:
    """Whether an output has only some of the elements beside each other: of some channels."""
    for axis, entries, _ in by.axis_maps:
        if not moves(pixel_map.factors[axis]) and x[axis] != 1:
            for out, axis_map in entries:
                is_some = axis_map.sees is not None or axis_map.within is not None
                if is_some or axis_map.window != IDENTITY or out >= len(y) or x[axis] != y[out]:
                    return True
    return False


def _is_whole(pixel_map: PixelMap, by: Route, x: tuple[Dim, ...]) -> bool:
    """Whether an output sees all of the elements beside each other, but for the batch."""
    return not any(axis and x[axis] != 1 and not moves(pixel_map.factors[axis]) for axis, _, _ in by.axis_maps)


def _regroup(pixel_map: PixelMap, x: tuple[Dim, ...], y: tuple[Dim, ...]) -> PixelMap:
    """The same elements, in the same order, under the shape ``y``."""
    spans, bound = list(pixel_map.spans), pixel_map.bound
    factors_out: list[tuple[Factor, ...]] = []
    starts: list[int] = []
    for before, after in aligned(x, y):
        factors = pixel_map.factors[before.start : before.stop]
        if len(before) == len(after) == 1:
            factors_out.extend(factors)
            starts.append(pixel_map.start(before.start))
            continue
        starts += [0] * len(after)
        flat = [p for ps in factors for p in ps]
        whole_axes = all(pixel_map.whole(axis, x[axis]) for axis in before)
        sizes: list[int] = [y[axis] for axis in after]  # type: ignore[misc]
        found = redistribute(flat, sizes) if whole_axes else None
        if found is None and whole_axes and any(p.table for p in flat):
            bound = True
            for p in flat:
                loosened(p, spans)
            found = redistribute([p._replace(table=None) for p in flat], sizes)
        if found is None:
            lose(flat, spans)
            found = [plain_axis(size) for size in sizes]
        factors_out.extend(found)
    off = tuple(starts) if any(starts) else None
    return PixelMap(
        tuple(factors_out), tuple(spans), pixel_map.aligned, None, off, pixel_map.borders, bound, pixel_map.unlike
    )
