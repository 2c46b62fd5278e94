"""The factors of a tensor's axes: which of them are places along an axis of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, prod
from costcalc.ir.index_map import Number, ratio, whole

Extent: TypeAlias = "tuple[Number, Number]"  # the first and the last pixel along an image axis


class PlaceTable:
    """What each place of a factor sees along its image axis; None where it sees nothing.

    period  after how many places the pattern comes again, beyond either end too, as that of a resized map does; 0 if it
            does not
    """

    # The hash stands beside the places: a table is looked up by it again and again.
    __slots__ = ("_hash", "period", "places")

    def __init__(self, places: tuple[Extent | None, ...], period: int = 0) -> None:
        self.places, self.period = places, period
        self._hash = hash((places, period))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlaceTable):
            return NotImplemented
        return self is other or (
            self._hash == other._hash and self.period == other.period and self.places == other.places
        )

    def __repr__(self) -> str:
        return f"PlaceTable(places={self.places!r}, period={self.period})"

    def seeing(self) -> Iterator[tuple[int, Extent]]:
        """Each place that sees something, with what it sees."""
        return ((i, seen) for i, seen in enumerate(self.places) if seen is not None)


class Factor(NamedTuple):
    """One factor of a tensor axis: ``size`` steps of ``step`` pixels along image axis ``axis``.

    A step is a fraction after upsampling, and negative after a flip. Of no image axis it is 0. Where the places lie on
    no line a ``table`` says what each sees, and the step is that of the line that is nearest to them.

    also   the other image axes that the same places run along, with their steps: of a diagonal
    """

    axis: int | None
    step: Number
    size: int
    table: PlaceTable | None = None
    also: tuple[tuple[int, Number], ...] = ()

    def lines(self) -> Iterator[Factor]:
        """What it is along each axis of the image."""
        if self.axis is not None:
            yield self
        for axis, step in self.also:
            yield Factor(axis, step, self.size)


def moves(factors: Sequence[Factor]) -> bool:
    """Whether an axis of these factors runs along an image axis."""
    for factor in factors:  # noqa: SIM110 (a generator takes three times as long, and this is asked of every axis)
        if factor.axis is not None:
            return True
    return False


def count(factors: Sequence[Factor]) -> int:
    """The places that an axis of these factors has."""
    return prod(factor.size for factor in factors)  # type: ignore[return-value]


def aligned(x: Sequence[Dim], y: Sequence[Dim]) -> list[tuple[range, range]]:
    """The shortest runs of axes of shape ``x`` and of shape ``y`` that hold as many elements as each other.

    >>> aligned((2, 6, 5), (2, 3, 2, 5))
    [(range(0, 1), range(0, 1)), (range(1, 2), range(1, 3)), (range(2, 3), range(3, 4))]
    """
    runs: list[tuple[range, range]] = []
    i = j = 0
    while i < len(x) and j < len(y):
        first, second = i, j
        left, right = x[i], y[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:  # type: ignore[operator]
                left, i = left * x[i], i + 1
            else:
                right, j = right * y[j], j + 1
        runs.append((range(first, i), range(second, j)))
    if runs and (i < len(x) or j < len(y)):  # axes of size 1 at the end
        runs[-1] = range(runs[-1][0].start, len(x)), range(runs[-1][1].start, len(y))
    return runs or [(range(len(x)), range(len(y)))]


def redistribute(factors: list[Factor], sizes: list[int]) -> list[tuple[Factor, ...]] | None:
    """``factors`` over axes of ``sizes``; None where some would be cut, or places were added."""
    queue = factors[::-1]
    if count(factors) != prod(sizes):
        return None
    factors_out: list[tuple[Factor, ...]] = []
    for wanted in sizes:
        taken: list[Factor] = []
        while wanted > 1 and queue:
            factor = queue.pop()
            if wanted % factor.size == 0:
                taken.append(factor)
                wanted //= factor.size
            elif factor.size % wanted == 0 and factor.table is None and not factor.also:
                inner = factor.size // wanted
                taken.append(Factor(factor.axis, factor.step * inner, wanted))
                queue.append(Factor(factor.axis, factor.step, inner))
                wanted = 1
            else:
                return None
        factors_out.append(_joined(taken) or (_only(taken, queue, wanted),))
    return factors_out


def as_line(factors: Sequence[Factor], axis: int) -> tuple[Number, Number, Number]:
    """The line that the places along image ``axis`` follow best: its step, and how far places are before and after it.

    A map repeated element by element follows a line of a smaller step; one that is tiled follows none, so it is
    all of it at each place:

    >>> as_line((Factor(0, 1, 4), Factor(None, 0, 2)), 0), as_line((Factor(None, 0, 2), Factor(0, 1, 4)), 0)
    ((Fraction(1, 2), Fraction(-1, 2), 0), (0, 0, 3))
    """
    inner, strides = 1, []
    for p in reversed(factors):
        strides.append((p.step if p.axis == axis else 0, inner, p.size))
        inner *= p.size
    lines = []
    for slope in {0: None} | {ratio(step.numerator, m * step.denominator): None for step, m, _ in strides if step}:
        gaps = [(step - slope * m) * (size - 1) for step, m, size in strides]
        lines.append((slope, sum(min(0, gap) for gap in gaps), sum(max(0, gap) for gap in gaps)))
    step, lo, hi = min(lines, key=lambda line: (line[2] - line[1], abs(line[0])))
    return step, whole(lo), whole(hi)


def paired(p: Sequence[Factor], q: Sequence[Factor]) -> list[tuple[Factor, Factor]] | None:
    """Two ways to take one axis apart, cut further to factors of equal sizes; None where they cannot be."""
    if not moves(q):
        return [(factor, Factor(None, 0, factor.size)) for factor in p]
    if not moves(p):
        return [(Factor(None, 0, factor.size), factor) for factor in q]
    if count(p) != count(q):
        return None
    left, right, pairs = list(p), list(q), []
    while left and right:
        a, b = left.pop(), right.pop()  # the innermost
        size = min(a.size, b.size)
        for factor, rest in ((a, left), (b, right)):
            if factor.size % size or (factor.size > size and (factor.table or factor.also)):
                return None
            if factor.size > size:
                rest.append(Factor(factor.axis, factor.step * size, factor.size // size))
        pairs.append((a._replace(size=size), b._replace(size=size)))
    return None if left or right else pairs[::-1]


def _joined(factors: list[Factor]) -> tuple[Factor, ...]:
    """``factors`` without those of size 1, each run along one image axis as one factor."""
    result: list[Factor] = []
    for inner in factors:
        outer = result[-1] if result else None
        tabled = inner.table or inner.also or (outer and (outer.table or outer.also))
        fits = outer and outer.axis == inner.axis and (inner.axis is None or outer.step == inner.step * inner.size)
        if outer and fits and not tabled:
            result[-1] = inner._replace(size=outer.size * inner.size)
        elif inner.size > 1:
            result.append(inner)
    return tuple(result)


def _only(taken: list[Factor], queue: list[Factor], size: int) -> Factor:
    """The factor of size 1 of an axis: an image axis of size 1 keeps its place if it stands next."""
    if taken:
        return taken[0]
    if size == 1 and queue and queue[-1].size == 1:
        return queue.pop()
    return Factor(None, 0, size)
