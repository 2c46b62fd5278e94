"""What the elements of a value see of the image, in tables over the digits of its axes; and what moves such tables.

An axis is cut into digits, as a window's number and the place in it are two digits of a row, outermost first. A table
has the first and the last pixel for all values of those digits on which they depend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import prod
from operator import mul
from typing import TypeAlias

from costcalc.analysis.axis_factors import aligned
from costcalc.classes import NamedTuple

MOST_ELEMENTS = 40_000
"""Of one table."""
MOST_WORK = 4_000_000
"""Elements that are looked at for a graph: a second or two. What comes after is not told."""
NOTHING = 1 << 60, -1
"""The first and the last pixel of what sees none, such that those of several together are the least and the largest."""

Digit: TypeAlias = "tuple[int, int]"  # an axis, and which of its digits
Sized: TypeAlias = "list[tuple[Digit, int]]"


class Untold(Exception):
    """Data say what is seen, or it would take too long to tell."""


class ExtentTable(NamedTuple):
    """The first and the last pixel along an image axis that elements see, for all values of the digits ``over`` in
    their order, the last one running quickest.
    """

    over: tuple[Digit, ...]
    lo: Sequence[int]
    hi: Sequence[int]


class ElementExtents(NamedTuple):
    """What the elements of a value see.

    digits   for each axis the sizes of its digits, outermost first
    tables   for each image axis
    """

    digits: tuple[tuple[int, ...], ...]
    tables: tuple[ExtentTable, ...]

    def sized(self, over: Iterable[Digit]) -> Sized:
        """Digits with their sizes."""
        return [((axis, k), self.digits[axis][k]) for axis, k in over]

    def at(self, indices: Sequence[int | None]) -> list[tuple[int, int] | None]:
        """The first and the last pixel along each image axis that is seen by the elements that stand at ``indices``,
        None for all along an axis; None where these see nothing.
        """
        digit_of: dict[Digit, int] = {}
        for axis, (index, sizes) in enumerate(zip(indices, self.digits, strict=True)):
            rest = index or 0
            for k in range(len(sizes) - 1, -1, -1) if index is not None else ():
                rest, digit_of[axis, k] = divmod(rest, sizes[k])
        found: list[tuple[int, int] | None] = []
        for over, lo, hi in self.tables:
            at = [0]
            for digit, n in self.sized(over):
                chosen = [digit_of[digit]] if digit in digit_of else range(n)
                at = [i * n + j for i in at for j in chosen]
            last = max([hi[i] for i in at])
            found.append((min([lo[i] for i in at]), last) if last >= 0 else None)
        return found

    def most(self) -> tuple[int, ...] | None:
        """The most pixels that one element sees along each image axis; None if all see nothing."""
        found = [
            max([hi - lo + 1 for lo, hi in zip(t.lo, t.hi, strict=True) if hi >= 0], default=0) for t in self.tables
        ]
        return tuple(found) if all(found) else None


class Allowance:
    """What may still be done."""

    def __init__(self) -> None:
        self.left = MOST_WORK

    def take(self, elements: int, *, kept: bool = True) -> None:
        """Raise ``Untold`` if to look at so many elements, or to have them in a table, is too much."""
        self.left -= elements
        if self.left < 0 or (kept and elements > MOST_ELEMENTS):
            raise Untold


def ordered(sized: Sized, lo: Sequence[int], hi: Sequence[int], over: Sized, allowance: Allowance) -> ExtentTable:
    """A table over other digits: those it has, in another order, and further ones on which it does not depend.

    Of a digit that it has twice, as of a diagonal, both are the same.
    """
    digits = tuple(digit for digit, _ in over)
    if sized == over:
        return ExtentTable(digits, lo, hi)
    steps: dict[Digit, int] = {}
    step = 1
    for digit, n in reversed(sized):
        steps[digit] = steps.get(digit, 0) + step
        step *= n
    allowance.take(prod(n for _, n in over))
    at = [0]
    for digit, n in over:
        step = steps.get(digit, 0)
        at = [i + j for i in at for j in range(0, step * n, step)] if step else [i for i in at for _ in range(n)]
    return ExtentTable(digits, [lo[i] for i in at], [hi[i] for i in at])


def plain(e: ElementExtents) -> ElementExtents:
    """The same without digits on which nothing depends."""
    tables = []
    for over, lo, hi in e.tables:
        sized, inner = e.sized(over), 1
        for digit, n in sized[::-1]:
            turn = n * inner
            same = all(
                lo[i : i + inner] == lo[i // turn * turn : i // turn * turn + inner] for i in range(0, len(lo), inner)
            )
            if same and all(
                hi[i : i + inner] == hi[i // turn * turn : i // turn * turn + inner] for i in range(0, len(hi), inner)
            ):
                sized = [(d, m) for d, m in sized if d != digit]
                lo = [n for i in range(0, len(lo), turn) for n in lo[i : i + inner]]
                hi = [n for i in range(0, len(hi), turn) for n in hi[i : i + inner]]
            else:
                inner = turn
        tables.append(ExtentTable(tuple(digit for digit, _ in sized), lo, hi))
    return ElementExtents(e.digits, tuple(tables))


def _inner(sizes: Sequence[int]) -> list[int]:
    """How many elements lie within one step of each digit of these sizes, and in all."""
    return [*accumulate(sizes[::-1], mul, initial=1)]


def _chain(bounds: Iterable[int]) -> bool:
    bounds_in_order = sorted({*bounds})
    return not any(b % a for a, b in pairwise(bounds_in_order))


def _cut(wanted: Sequence[Sequence[int]]) -> list[int] | None:
    """The sizes of the fewest digits, outermost first, into which several ways to cut an axis go; None if none do."""
    bounds = {n for sizes in wanted for n in _inner(sizes)}
    if not _chain(bounds):
        return None
    bounds_in_order = sorted(bounds)
    return [b // a for a, b in pairwise(bounds_in_order)][::-1]


def _recut(table: ExtentTable, runs: Sequence[tuple[Sized, Sized]], allowance: Allowance) -> ExtentTable:
    """``table`` with each run of digits cut into others, which have as many elements in the same order."""
    over = [*table.over]
    sized: Sized = []
    lo, hi = table.lo, table.hi
    size_of = dict(digit for before, _ in runs for digit in before)
    held = [(digit, size_of[digit]) for digit in over]
    # Where a cut goes through a digit of the run, all of its digits are needed.
    want: Sized = []
    for before, after in runs:
        mine = [digit for digit in before if digit[0] in over]
        if not mine:
            continue
        inner, finer = _inner([n for _, n in before]), {*_inner([n for _, n in after])}
        if all(n in finer for n in inner):
            ends = dict(zip((digit for digit, _ in before), zip(inner[-2::-1], inner[:0:-1], strict=True), strict=True))
            ats = dict(zip((digit for digit, _ in after), _inner([n for _, n in after])[-2::-1], strict=True))
            for digit, n in mine:
                start, end = ends[digit]
                want.append((digit, n))
                sized += [(d, m) for d, m in after if m > 1 and start <= ats[d] < end]
        else:
            want += before
            sized += [(d, m) for d, m in after if m > 1]
    _, lo, hi = ordered(held, lo, hi, want, allowance)
    return ExtentTable(tuple(digit for digit, _ in sized), lo, hi)


def regrouped(e: ElementExtents, x: tuple[int, ...], y: tuple[int, ...], allowance: Allowance) -> ElementExtents:
    """The same elements, in the same order, under the shape ``y``."""
    runs: list[tuple[Sized, Sized]] = []
    digits: list[tuple[int, ...]] = []
    for before, after in aligned(x, y):
        sizes = [n for axis in before for n in e.digits[axis]]
        bounds = {*_inner([y[axis] for axis in after])}
        for n in _inner(sizes):
            if _chain({*bounds, n}):
                bounds.add(n)
        ends = _inner([y[axis] for axis in after])[::-1]
        cut = []
        for axis, end, start in zip(after, ends[:-1], ends[1:], strict=True):
            inside = sorted(n for n in bounds if start <= n <= end)
            cut.append((axis, [b // a for a, b in pairwise(inside)][::-1] or [1]))
        digits += [tuple(sizes) for _, sizes in cut]
        held = [((axis, k), n) for axis in before for k, n in enumerate(e.digits[axis])]
        runs.append((held, [((axis, k), n) for axis, sizes in cut for k, n in enumerate(sizes)]))
    return plain(ElementExtents(tuple(digits), tuple(_recut(t, runs, allowance) for t in e.tables)))


def together(several: list[ElementExtents], y: tuple[int, ...], allowance: Allowance) -> ElementExtents:
    """What is seen through several inputs of shape ``y``."""
    e, *others = several
    for other in others:
        if other is e or other == e:
            continue
        digits = tuple(tuple(_cut([a, b]) or [n]) for a, b, n in zip(e.digits, other.digits, y, strict=True))
        tables = []
        for mine, theirs in zip(
            _with_digits(e, digits, allowance), _with_digits(other, digits, allowance), strict=True
        ):
            over = [((axis, k), digits[axis][k]) for axis, k in sorted({*mine.over, *theirs.over})]
            a, b = (
                ordered([(d, digits[d[0]][d[1]]) for d in t.over], t.lo, t.hi, over, allowance) for t in (mine, theirs)
            )
            tables.append(ExtentTable(a.over, [*map(min, a.lo, b.lo)], [*map(max, a.hi, b.hi)]))
        e = plain(ElementExtents(digits, tuple(tables)))
    return e


def _with_digits(e: ElementExtents, digits: tuple[tuple[int, ...], ...], allowance: Allowance) -> list[ExtentTable]:
    """The tables of ``e`` with its axes cut as ``digits`` say."""
    if e.digits == digits:
        return [*e.tables]
    runs = [
        ([((axis, k), n) for k, n in enumerate(before)], [((axis, k), n) for k, n in enumerate(after)])
        for axis, (before, after) in enumerate(zip(e.digits, digits, strict=True))
    ]
    return [_recut(t, runs, allowance) for t in e.tables]


def held_only(e: ElementExtents, held: ExtentTable, sizes: dict[int, int], allowance: Allowance) -> ElementExtents:
    """``e`` without what elements see that are not ``held``, along axes of such ``sizes``; of size 1 for all places."""
    along = [(axis, n) for axis, n in sizes.items() if n > 1]
    runs = [([((axis, 0), n)], [((axis, k), m) for k, m in enumerate(e.digits[axis])]) for axis, n in along]
    mask = _recut(ExtentTable(tuple((axis, 0) for axis, _ in along), held.lo, held.hi), runs, allowance)
    tables = []
    for t in e.tables:
        over = e.sized(sorted({*t.over, *mask.over}))
        seen, left = (ordered(e.sized(s.over), s.lo, s.hi, over, allowance) for s in (t, mask))
        tables.append(
            ExtentTable(
                seen.over,
                [n if kept else NOTHING[0] for n, kept in zip(seen.lo, left.lo, strict=True)],
                [n if kept else NOTHING[1] for n, kept in zip(seen.hi, left.lo, strict=True)],
            )
        )
    return plain(ElementExtents(e.digits, tuple(tables)))
