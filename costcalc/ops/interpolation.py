"""Which elements of an axis each output of a resize weighs, in the arithmetic that PyTorch does it with.

Places are worked out in single precision (in double for float64), as PyTorch's kernels work them out: 5·(1/0.7 rounded)
can fall short of a whole number that the fraction hits. Of an axis too long to look at whole, exact fractions tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from math import ceil, floor
from struct import pack, unpack
from typing import TypeAlias, TypeVar

from costcalc.classes import NamedTuple
from costcalc.ir.index_map import Number, ratio

Made = TypeVar("Made")
Spans: TypeAlias = "tuple[tuple[int, int], ...]"
"""For each output the first and the last input that it weighs with other than 0."""
MOST_PLACES = 10_000
LONGEST = 2**24
"""Whole numbers up to this one are single-precision numbers."""


class Resize(NamedTuple):
    """One axis from ``size`` elements to ``made``.

    taps        elements weighed: 1 copies the nearest, 2 is linear, 4 cubic, 6 Lanczos
    factor      how many outputs an input has, where that was given; else made / size
    corners     the first and last elements of both fall on each other
    exact       of copying: from the output's centre, not its start
    antialias   the kernel grows with the step
    double      places are double-precision numbers
    """

    size: int
    made: int
    taps: int
    factor: float | None = None
    corners: bool = False
    exact: bool = False
    antialias: bool = False
    double: bool = False


def step(axis: Resize) -> Number:
    """Inputs from one output to the next, as a fraction: of a factor the decimal as it is written, 0.1 as 1/10, or the
    third that 0.3333333333333333 is."""
    if axis.corners:
        return ratio(axis.size - 1, max(axis.made - 1, 1))
    if axis.factor is None:
        return ratio(axis.size, axis.made)
    from fractions import Fraction

    written = Fraction(repr(axis.factor) if isinstance(axis.factor, float) else axis.factor)
    short = written.limit_denominator(1000)
    factor = short if float(short) == axis.factor else written
    return ratio(factor.denominator, factor.numerator)


def is_exact(axis: Resize) -> bool:
    """Whether floating-point numbers hold all places of ``axis``: what divides is a power of two."""
    parts = step(axis).denominator
    return parts & (parts - 1) == 0 and parts * axis.size <= LONGEST


def exactly(axis: Resize) -> tuple[Callable[[int], tuple[int, int]], tuple[Number, ...]]:
    """What an output sees by exact fractions; and the shifts by which its place is next to a whole number there."""
    by, half = step(axis), ratio(1, 2)
    up, parts = by.numerator, by.denominator  # fractions would take most of the time
    if axis.taps == 1 and axis.exact:
        return lambda o: ((2 * o + 1) * up // (2 * parts),) * 2, (half * by,)
    if axis.taps == 1:
        return lambda o: (o * up // parts,) * 2, (0,)
    start: Number = 0 if axis.corners else half * by - half
    begin = 0 if axis.corners else up - parts
    beyond = axis.taps // 2 - 1

    def sees(output: int) -> tuple[int, int]:
        at = begin + 2 * output * up
        first, last = at // (2 * parts), -(-at // (2 * parts))
        return (first - beyond, last + beyond) if first < last else (first, last)

    return sees, (start,)


def of_numbers(most: int) -> Callable[[Callable[[Resize], Made]], Callable[[Resize], Made]]:
    """Keeps what is worked out for ``most`` axes, in plain numbers.

    Places that are looked at one by one have no formula, and one axis must not be told in the letters of another.
    """

    def kept(rule: Callable[[Resize], Made]) -> Callable[[Resize], Made]:
        known = lru_cache(most)(rule)

        @wraps(rule)
        def of(axis: Resize) -> Made:
            return known(axis._replace(size=int(axis.size), made=int(axis.made)))

        return of

    return kept


def single(x: float) -> float:
    """``x`` rounded to single precision."""
    return unpack("f", pack("f", x))[0]  # type: ignore[no-any-return]


@of_numbers(64)  # each may have thousands
def spans(axis: Resize) -> Spans:
    """What each output of ``axis`` weighs."""
    rounded = float if axis.double and axis.taps > 1 else single  # copying is always in single precision
    step = _step(axis, rounded)
    if axis.taps == 1:
        return tuple((i, i) for i in _copied(axis, step))
    if axis.antialias:
        return tuple(_trimmed(axis, step, o, rounded) for o in range(axis.made))
    return tuple(_interpolated(axis, step, o, rounded) for o in range(axis.made))


@of_numbers(1024)
def read(axis: Resize) -> int:
    """How many inputs some output weighs."""
    last = axis.size - 1
    return len({min(max(i, 0), last) for first, end in spans(axis) for i in range(first, end + 1)})


@of_numbers(1024)
def terms(axis: Resize) -> int:
    """How many products all outputs of an antialiased ``axis`` take: the elements that the kernel reaches, at the
    border fewer. One whose weight comes out as 0 at the very end of the kernel is multiplied too."""
    rounded = float if axis.double else single
    step = _step(axis, rounded)
    return sum(stop - start for start, stop, _ in (_reached(axis, step, o, rounded) for o in range(axis.made)))


def _step(axis: Resize, rounded: Callable[[float], float]) -> float:
    """Inputs from one output to the next."""
    if axis.corners:
        return rounded((axis.size - 1) / (axis.made - 1)) if axis.made > 1 else 0.0
    return rounded(1 / axis.factor if axis.factor else axis.size / axis.made)


def _copied(axis: Resize, step: float) -> list[int]:
    last, outputs = axis.size - 1, range(axis.made)
    if axis.exact:
        return [min(int(single(single(o + 0.5) * step)), last) for o in outputs]
    if axis.made == axis.size:
        return [*outputs]
    if axis.made == 2 * axis.size:
        return [o >> 1 for o in outputs]
    return [min(int(single(o * step)), last) for o in outputs]


def _interpolated(axis: Resize, step: float, output: int, rounded: Callable[[float], float]) -> tuple[int, int]:
    """The elements around the output's place, whether a processor rounds once or after each operation."""
    if axis.corners:
        return _around(axis, rounded(step * output), rounded)
    centre = step * (output + 0.5)  # of numbers in single precision it is exact
    at, fused = rounded(rounded(centre) - 0.5), rounded(centre - 0.5)
    (first, last) = _around(axis, at, rounded)
    if fused == at:
        return first, last
    start, stop = _around(axis, fused, rounded)
    return min(first, start), max(last, stop)


def _around(axis: Resize, at: float, rounded: Callable[[float], float]) -> tuple[int, int]:
    """The elements around the place ``at``; where it hits one, that one alone. Beyond the edge is the edge."""
    last = axis.size - 1
    if axis.taps == 2:
        at = max(at, 0.0)
    first = min(floor(at), last)
    beyond = axis.taps // 2 - 1
    part = rounded(at - first)
    if part <= 0:
        return max(first, 0), max(first, 0)
    if part >= 1 and axis.taps == 2:
        return min(first + 1, last), min(first + 1, last)
    return max(first - beyond, 0), min(first + 1 + beyond, last)


def _reached(
    axis: Resize, step: float, output: int, rounded: Callable[[float], float]
) -> tuple[int, int, Callable[[int], float]]:
    """The elements that the kernel of an antialiased output reaches, and how far each lies from its centre, where
    the kernel ends at ``taps / 2``."""
    half = axis.taps / 2
    support = rounded(half * step) if step >= 1 else half
    shrunk = rounded(1 / step) if step >= 1 else 1.0
    centre = rounded(step * (output + 0.5))
    start = max(int(rounded(rounded(centre - support) + 0.5)), 0)
    stop = min(int(rounded(rounded(centre + support) + 0.5)), axis.size, start + 2 * ceil(support) + 1)
    return start, max(stop, start), lambda i: rounded(rounded(rounded(i - centre) + 0.5) * shrunk)


def _trimmed(axis: Resize, step: float, output: int, rounded: Callable[[float], float]) -> tuple[int, int]:
    start, stop, distance = _reached(axis, step, output, rounded)

    def vanishes(i: int) -> bool:
        at = abs(distance(i))
        return at >= axis.taps / 2 or (at == 1 and axis.taps == 4)  # there the cubic kernel crosses 0

    first, last = start, stop - 1
    while first < last and vanishes(first):
        first += 1
    while last > first and vanishes(last):
        last -= 1
    return first, last
