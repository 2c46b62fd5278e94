"""What is seen through several inputs together."""

from __future__ import annotations

from costcalc.analysis.axis_factors import Factor, count, moves, paired
from costcalc.analysis.pixel_map import GLOBAL, UNKNOWN, PixelMap, Seen, Span
from costcalc.analysis.place_tables import MOST_PLACES, met
from costcalc.analysis.routes import plain_axis
from costcalc.analysis.sliding import loosened, lose
from costcalc.ir.index_map import size_of


def union(pixel_maps: list[PixelMap], extent: tuple[int, ...]) -> PixelMap:
    """What a place sees through all of its inputs together, of an image of ``extent``."""
    result = pixel_maps[0]
    is_among = any(pixel_map.within is not None for pixel_map in pixel_maps)
    for pixel_map in pixel_maps[1:]:
        if pixel_map is not result and pixel_map != result:
            # Most branches move alike, as a block and its shortcut do.
            alike = not is_among and not (pixel_map.starts or result.starts) and pixel_map.factors == result.factors
            result = _widened(result, pixel_map) if alike else _merge(result, pixel_map, extent)
    if is_among:
        if len(pixel_maps) == 1:
            result = _among_nothing(result, extent)
        differ = len(pixel_maps) == 1 or any(pixel_map.spans != pixel_maps[0].spans for pixel_map in pixel_maps)
        unlike = result.unlike or (differ and False in _beside(pixel_maps))
        result = result._replace(within=None, unlike=unlike)
    return result


def _widened(a: PixelMap, b: PixelMap) -> PixelMap:
    """``_merge`` of maps whose places move alike, one by one if need be, with none among others."""
    spans, is_aligned = [], a.aligned and b.aligned
    moved = {p.axis for factors in a.factors for p in factors if p.size > 1} if is_aligned else ()
    for axis, (v, w) in enumerate(zip(a.spans, b.spans, strict=True)):
        spans.append(_joined(v, w))
        if axis in moved and isinstance(v, Span) and isinstance(w, Span):
            is_aligned = is_aligned and v.lo + v.hi == w.lo + w.hi
    borders, bound = a.borders | b.borders, a.bound or b.bound
    return PixelMap(a.factors, tuple(spans), is_aligned, None, None, borders, bound, a.unlike or b.unlike)


def _among_nothing(pixel_map: PixelMap, extent: tuple[int, ...]) -> PixelMap:
    """``pixel_map``, whose places lie among others that see nothing of the image."""
    factors, spans = list(pixel_map.factors), list(pixel_map.spans)
    for at, limits in enumerate(pixel_map.within or ()):
        p, *more = factors[at]
        seen = spans[p.axis] if p.axis is not None else UNKNOWN
        shared = any(q.axis == p.axis for i, qs in enumerate(factors) if i != at for q in qs)
        told = not (more or shared or p.also or pixel_map.start(at)) and p.size <= MOST_PLACES
        if limits and limits != (0, p.size - 1) and told and isinstance(seen, Span):
            assert p.axis is not None
            factor, spans[p.axis] = met(p.axis, p.size, [(p, seen, limits)], extent[p.axis])
            factors[at] = (factor,)
    return pixel_map._replace(factors=tuple(factors), spans=tuple(spans))


def _merge(a: PixelMap, b: PixelMap, extent: tuple[int, ...]) -> PixelMap:
    """What is seen through both: moving as one of them does, wide enough for the other."""
    spans_a, spans_b = list(a.spans), list(b.spans)
    factors_out: list[tuple[Factor, ...]] = []
    is_aligned, bound = a.aligned and b.aligned, a.bound or b.bound
    moved: tuple[set[int], set[int]] = set(), set()
    starts: list[int] = []
    for at, (p, q) in enumerate(zip(a.factors, b.factors, strict=True)):
        if p == q and not moves(p):
            factors_out.append(p)
            starts.append(0)
            continue
        told = _place_by_place(a, b, at, spans_a, spans_b, extent)
        if told is not None:
            factor, centred, attained = told
            bound |= not attained
            factors_out.append((factor,))
            starts.append(0)
            is_aligned = is_aligned and centred
            continue
        if any(f.table for f in (*p, *q)) and p != q:
            bound = True
            p, q = _on_line(p, spans_a), _on_line(q, spans_b)
        runs_in = [pixel_map.start(at) for pixel_map, factors in ((a, p), (b, q)) if moves(factors)]
        starts.append(runs_in[0] if runs_in else 0)
        alike = len({*runs_in}) <= 1
        if p == q and alike:
            for each in p:
                if each.axis is not None and each.size > 1:
                    moved[0].add(each.axis)
                    moved[1].add(each.axis)
            factors_out.append(p)
            continue
        tangled = any(f.also for f in (*p, *q))  # each runs along two axes of the image at once
        pairs = paired(p, q) if alike and not tangled else None
        if pairs is None:
            starts[-1] = 0
            lose(p, spans_a)
            lose(q, spans_b)
            factors_out.append(plain_axis(max(count(p), count(q))))
            continue
        chosen = []
        for mine, other in pairs:
            factor = _chosen(mine, other)
            chosen.append(factor)
            for own, spans, runs, pixel_map in ((mine, spans_a, moved[0], a), (other, spans_b, moved[1], b)):
                limits = pixel_map.within[at] if pixel_map.within and len(pairs) == 1 else None
                first, last = limits or (0, factor.size - 1)
                if own.axis is not None and own.size > 1:
                    runs.add(own.axis)
                for axis in {own.axis, factor.axis} - {None}:
                    gap = (own.step if own.axis == axis else 0) - (factor.step if factor.axis == axis else 0)
                    seen = spans[axis]  # type: ignore[index]
                    if gap and isinstance(seen, Span):
                        spans[axis] = seen.widened(gap, first, last)  # type: ignore[index]
                        bound |= first != last
            steady = mine.axis is None or other.axis is None or mine == other
            is_aligned = is_aligned and (steady or factor.size == 1)
        factors_out.append(tuple(chosen))
    joined = [_joined(v, w) for v, w in zip(spans_a, spans_b, strict=True)]
    for axis, (v, w) in enumerate(zip(spans_a, spans_b, strict=True)):
        if axis in moved[0] and axis in moved[1] and isinstance(v, Span) and isinstance(w, Span):
            is_aligned = is_aligned and v.lo + v.hi == w.lo + w.hi
    off = tuple(starts) if any(starts) else None
    if True in _beside([a, b]) and joined not in (spans_a, spans_b):
        bound = True  # some places see what one input does, others what the other does, and none both
    unlike = a.unlike or b.unlike
    return PixelMap(
        tuple(factors_out), tuple(joined), is_aligned, _both_within(a, b), off, a.borders | b.borders, bound, unlike
    )


def _place_by_place(
    a: PixelMap, b: PixelMap, at: int, spans_a: list[Seen], spans_b: list[Seen], extent: tuple[int, ...]
) -> tuple[Factor, bool, bool] | None:
    """What places along the axis ``at`` see through both, told one by one; None where lines tell it, or nothing can.

    That is where they move along one axis of the image, which nothing else of either map moves along, unlike each
    other or among others' places. Beside it whether both lie around the same middle, and whether a place sees it all.
    """
    p, q = a.factors[at], b.factors[at]
    axes = {f.axis for f in (*p, *q)} - {None}
    if len(axes) != 1 or len(p) > 1 or len(q) > 1 or p[0].size != q[0].size or not 1 < p[0].size <= MOST_PLACES:
        return None
    (axis,) = axes
    assert axis is not None
    v, w = spans_a[axis], spans_b[axis]
    limits = [pixel_map.within[at] if pixel_map.within else None for pixel_map in (a, b)]
    if not isinstance(v, Span) or not isinstance(w, Span) or (p == q and (limits == [None, None] or v == w)):
        return None
    if any(pixel_map.start(at) for pixel_map in (a, b)) or p[0].also or q[0].also:
        return None
    if any(
        f.axis == axis
        for pixel_map in (a, b)
        for i, factors in enumerate(pixel_map.factors)
        if i != at
        for f in factors
    ):
        return None
    ways = [
        (factors[0] if factors[0].axis == axis else None, span, limit)
        for factors, span, limit in zip((p, q), (v, w), limits, strict=True)
    ]
    found, reach = met(axis, p[0].size, ways, extent[axis])
    spans_a[axis] = spans_b[axis] = reach
    centred = (p == q and v.lo + v.hi == w.lo + w.hi) or not (moves(p) and moves(q))
    # Among others' places along another axis too: some places see what one of them does, and none need see both.
    apart = any(
        i != at and limit and moves(pixel_map.factors[i])
        for pixel_map in (a, b)
        for i, limit in enumerate(pixel_map.within or ())
    )
    return found, centred, not apart


def _on_line(factors: tuple[Factor, ...], spans: list[Seen]) -> tuple[Factor, ...]:
    """``factors`` with lines around the places that are told one by one."""
    for p in factors:
        loosened(p, spans)
    return tuple(p._replace(table=None) for p in factors)


def _beside(pixel_maps: list[PixelMap]) -> set[bool]:
    """Whether some of them are among others along axes that run along the image, and along some that do not."""
    limited = {at for pixel_map in pixel_maps for at, limits in enumerate(pixel_map.within or ()) if limits}
    return {any(moves(pixel_map.factors[at]) for pixel_map in pixel_maps) for at in limited}


def _joined(v: Seen, w: Seen) -> Seen:
    if GLOBAL in (v, w):
        return GLOBAL
    if not isinstance(v, Span) or not isinstance(w, Span):
        return UNKNOWN
    return Span(min(v.lo, w.lo), max(v.hi, w.hi))


def _chosen(p: Factor, q: Factor) -> Factor:
    """How the union of two moves along their common places: as the faster one, or not at all if they part ways."""
    if q.axis is None:
        return p
    if p.axis is None:
        return q
    if p.axis == q.axis:
        return Factor(None, 0, p.size) if p.step * q.step < 0 else max(p, q, key=lambda factor: size_of(factor.step))
    return p


def _both_within(a: PixelMap, b: PixelMap) -> tuple[tuple[int, int] | None, ...] | None:
    if a.within is None or b.within is None:
        return None
    return tuple(
        (min(v[0], w[0]), max(v[1], w[1])) if v and w else None for v, w in zip(a.within, b.within, strict=True)
    )
