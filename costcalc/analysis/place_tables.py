"""Places that lie on no line: for each of them what it sees along an axis of the image, told one by one.

A roll, indices in any order, a map that is enlarged from coarser places, branches that move unlike each other and what
is written over a part of a tensor are followed exactly by such a table, where a line could only be drawn around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, wraps
from math import ceil, floor, gcd, lcm
from typing import Any, TypeAlias, TypeVar

from costcalc.analysis.axis_factors import Extent, Factor, PlaceTable, as_line
from costcalc.analysis.pixel_map import Span
from costcalc.ir.index_map import AxisMap, Number, Window, ratio, size_of, whole

MOST_PLACES = 8192
"""Of an axis that is followed place by place."""
MOST_LONG, MOST_SHORT, SHORT = 64, 1024, 256
"""Tables that are at hand, of many places and of few: axes of an image are mostly seen alike, and so are families'."""
Way: TypeAlias = "tuple[Factor | None, Span, tuple[int, int] | None]"


Work = TypeVar("Work", bound=Callable[..., Any])


def kept(length: Callable[..., int]) -> Callable[[Work], Work]:
    """Keep what a function returned by its arguments, of tables of some ``length``: of short ones more than of long."""

    def keeping(work: Work) -> Work:
        short, long = lru_cache(maxsize=MOST_SHORT)(work), lru_cache(maxsize=MOST_LONG)(work)

        @wraps(work)
        def asked(*args: Any) -> Any:
            return (short if length(*args) <= SHORT else long)(*args)

        return asked  # type: ignore[return-value]

    return keeping


def looked_up(p: Factor) -> Callable[[int], Extent | None]:
    """What a place of ``p`` sees, also one beyond its ends: a pattern goes on there, anything else sees nothing."""
    step, size, table = p.step, p.size, p.table
    if table is None:
        return lambda place: (step * place, step * place)
    places, period = table.places, table.period
    turn = whole(p.step * period)

    def at(place: int) -> Extent | None:
        if 0 <= place < size:
            return places[place]
        if not period:
            return None
        turns = place // period if place < 0 else (place - size) // period + 1
        lo, hi = places[place - turns * period]  # type: ignore[misc]
        return lo + turns * turn, hi + turns * turn

    return at


def around(seen: Iterable[Extent | None]) -> Extent | None:
    """What all of ``seen`` hold together."""
    found: Extent | None = None
    for each in seen:
        if found is None or each is None:
            found = found or each
        elif each[0] < found[0] or each[1] > found[1]:
            found = min(found[0], each[0]), max(found[1], each[1])
    return found


def in_a_row(factors: Sequence[Factor], axis: int) -> tuple[Factor, ...]:
    """``factors``, which run along one ``axis`` of the image or along none, as one factor of all their places.

    Those that lie on a line, or each pixel several times in a row, are left as they are.
    """
    step, lo, hi = as_line(factors, axis)
    if not any(p.table for p in factors) and hi - lo < 1:
        return tuple(factors)
    places: list[Extent | None] = [(0, 0)]
    for p in factors:
        at = [looked_up(p)(digit) for digit in range(p.size)] if p.axis == axis else [(0, 0)] * p.size
        places = [a and b and (a[0] + b[0], a[1] + b[1]) for a in places for b in at]
    return (Factor(axis, step, len(places), PlaceTable(tuple(places))),)


def follows(p: Factor, axis_map: AxisMap, size: int) -> bool:
    """Whether what is followed from ``p`` by ``axis_map`` lies on no line, or may not, and each place can be told."""
    is_told = axis_map.sees or not axis_map.bound
    if p.size != size or size > MOST_PLACES or not is_told:
        return False
    between = axis_map.window.stride.denominator != 1
    coarse = p.step.numerator not in (1, -1) or axis_map.within is not None or axis_map.gap > 1
    return p.table is not None or axis_map.bound or (between and coarse)


def followed(p: Factor, reach: Span, axis_map: AxisMap, made: int, pixels: int) -> tuple[Factor, Span]:
    """``p`` as ``made`` outputs follow it by ``axis_map``, and what is seen around each of its places.

    reach    what is seen around each place of ``p``
    pixels   how many the image has along the axis
    """
    factor, reach = _followed(p._replace(axis=None), reach, axis_map._replace(axis=0, along=None), made, pixels)
    return factor._replace(axis=p.axis), reach


@kept(lambda p, reach, axis_map, made, pixels: max(p.size, made))
def _followed(p: Factor, reach: Span, axis_map: AxisMap, made: int, pixels: int) -> tuple[Factor, Span]:
    """``followed``, whichever axis it is."""
    window, sees = axis_map.window, axis_map.sees
    inputs = [sees(o) for o in range(made)] if sees else _inputs(window, made)
    if axis_map.within:
        first, last = axis_map.within
        inputs = [seen if first <= o <= last else None for o, seen in enumerate(inputs)]
    places = _seen_through(p, inputs, axis_map.gap)
    period = 0 if axis_map.bound or None in places else _period(p)
    if period:  # after so many outputs that it is a whole number of turns of the inputs
        turns = window.stride.denominator * period
        period = turns // gcd(window.stride.numerator, turns)
    return _factor(whole(p.step * window.stride), places, reach, period, pixels)


def _period(p: Factor) -> int:
    """After how many places what those of ``p`` see comes again; 0 if it does not."""
    return p.table.period if p.table else 1


def _inputs(window: Window, made: int) -> list[tuple[int, int] | None]:
    """The first and the last input that each of ``made`` outputs sees by ``window``."""
    parts = lcm(*(n.denominator for n in window))
    stride, lo, hi = (int(n * parts) for n in window)  # fractions would take most of the time
    return [(-((-stride * o - lo) // parts), (stride * o + hi) // parts) for o in range(made)]


def _seen_through(p: Factor, inputs: Sequence[tuple[int, int] | None], gap: int) -> list[Extent | None]:
    """What is seen through the places ``inputs`` of ``p``, each from one to another with a ``gap`` between."""
    at = looked_up(p)
    seen = [each for each in inputs if each is not None]
    start, end = min((a for a, _ in seen), default=0), max((b for _, b in seen), default=-1)
    if end - start <= 2 * (len(inputs) + p.size):
        told = [at(place) for place in range(start, end + 1)]
        if None not in told:
            los, his = map(list, zip(*told, strict=True)) if told else ([], [])
            rises = p.table is None and p.step.numerator > 0
            if rises or (los == sorted(los) and his == sorted(his)):  # the ends of a window see its ends
                return [
                    each and (los[each[0] - start], his[_last(each, gap) - start])
                    if each and each[0] <= each[1]
                    else None
                    for each in inputs
                ]
    return [each and around(map(at, range(each[0], each[1] + 1, gap))) for each in inputs]


def _last(window: tuple[int, int], gap: int) -> int:
    first, last = window
    return last - (last - first) % gap


def met(axis: int, size: int, ways: Sequence[Way], pixels: int) -> tuple[Factor, Span]:
    """The factor of ``size`` places that see along ``axis`` what they do in several ways together, as ``followed``.

    Each way has the factor, None where all places see the same; what is seen around a place; and the first and the last
    place that see anything so.
    """
    factor, reach = _met(
        size, tuple((p and p._replace(axis=None), around, within) for p, around, within in ways), pixels
    )
    return factor._replace(axis=axis), reach


@kept(lambda size, ways, pixels: size)
def _met(size: int, ways: Sequence[Way], pixels: int) -> tuple[Factor, Span]:
    """``met``, whichever axis it is."""
    alike = len({p and p.step for p, _, _ in ways} | {None}) == 2
    period = lcm(*(0 if p is None or within else _period(p) for p, _, within in ways)) if alike else 0

    def seen(p: Factor | None, reach: Span, within: tuple[int, int] | None) -> Iterator[Extent | None]:
        at = looked_up(p) if p else lambda place: (0, 0)
        first, last = within or (0, size - 1)
        for place in range(size):
            found = at(place) if first <= place <= last else None
            if found is None:
                yield None
            elif period:
                yield found[0] + reach.lo, found[1] + reach.hi
            else:
                yield _inside(found, reach, pixels)

    places = [around(each) for each in zip(*(seen(*way) for way in ways), strict=True)]
    steps = sorted({0, *(p.step for p, _, _ in ways if p)}, key=size_of, reverse=True)
    step = min(steps, key=lambda step: _width(step, places))
    if any(p is None or p.step != step for p, _, _ in ways):
        period = 0
    return _factor(step, places, Span(), period, pixels)


def _width(step: Number, places: Sequence[Extent | None]) -> Number:
    """How wide a window that moves by ``step`` must be to hold what each of ``places`` sees."""
    lo, hi = around((lo - step * i, hi - step * i) for i, (lo, hi) in PlaceTable(tuple(places)).seeing()) or (0, 0)
    return hi - lo


def _factor(step: Number, places: list[Extent | None], reach: Span, period: int, pixels: int) -> tuple[Factor, Span]:
    """The factor whose places see what is in ``reach`` of ``places``: a line where they lie on one.

    Of places in no pattern, or in one that is longer than they are many, it is told what they see of the image, since
    none need stand away from its border.
    """
    if places and places[0]:
        lo, hi = places[0]
        if all(seen == (lo + step * place, hi + step * place) for place, seen in enumerate(places)):
            return Factor(None, step, len(places)), reach.widened(1, lo, hi)
    if 0 < period <= len(places):
        pixels_seen = _whole_pixels(places, reach) if (step * period).denominator == 1 else None
        if pixels_seen:  # after each turn as many pixels further on
            places, reach = pixels_seen, Span()
        return Factor(None, step, len(places), PlaceTable(tuple(places), period)), reach
    inside = tuple(seen and _inside(seen, reach, pixels) for seen in places)
    return Factor(None, step, len(places), PlaceTable(inside)), Span()


def _whole_pixels(places: list[Extent | None], reach: Span) -> list[Extent | None] | None:
    """The first and the last pixel of ``reach`` around what each of ``places`` sees, which are quicker to follow than
    fractions; None where these are none, or some place sees no pixel.
    """
    ends = {n.denominator for seen in places if seen for n in seen} | {n.denominator for n in reach[:2]}
    if ends == {1}:
        return None
    cut = [seen and (ceil(seen[0] + reach.lo), floor(seen[1] + reach.hi)) for seen in places]
    return cut if all(seen and seen[0] <= seen[1] for seen in cut) else None  # type: ignore[return-value]


def _inside(seen: Extent, reach: Span, pixels: int) -> Extent | None:
    """The first and the last pixel of ``reach`` around ``seen`` in an image of so many ``pixels``."""
    first, last = max(ceil(seen[0] + reach.lo), 0), min(floor(seen[1] + reach.hi), pixels - 1)
    return (first, last) if first <= last else None


def beside_line(p: Factor) -> tuple[Number, Number]:
    """How far what the places of ``p``, which has a table, see reaches on either side of its line."""
    assert p.table is not None
    up, parts = p.step.numerator, p.step.denominator  # fractions would take most of the time
    lo, hi = around((lo * parts - up * i, hi * parts - up * i) for i, (lo, hi) in p.table.seeing()) or (0, 0)
    return ratio(lo, parts), ratio(hi, parts)  # type: ignore[arg-type]
