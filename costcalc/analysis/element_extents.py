"""What each element of a value sees of the image, told one by one, where pixel maps leave no more than a bound.

The axes of a value are cut into digits, as a window's number and the place in it are two digits of a row. Along each
axis of the image a table says for all values of those digits on which it depends from which pixel to which is seen. Ops
move, join and cut digits by the same index maps by which pixel maps are composed; elements of known masks, of triangles
and of what was put among zeros see nothing. Padding sees nothing either, so that all this is of real places alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise, product
from math import prod
from operator import mul
from typing import TypeAlias

from costcalc.analysis.axis_factors import aligned
from costcalc.analysis.masks import Masks
from costcalc.analysis.routes import Route, route
from costcalc.classes import NamedTuple
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import IDENTITY, AxisMap, IndexMap, Regroup, Several, Steps
from costcalc.ir.use import Use

MOST_ELEMENTS = 40_000
"""Of one table."""
MOST_WORK = 4_000_000
"""Elements that are looked at for a graph: a second or two. What comes after is not told."""
NOTHING = 1 << 60, -1
"""The first and the last pixel of what sees none, such that those of several together are the least and the largest."""

Digit: TypeAlias = "tuple[int, int]"  # an axis, and which of its digits
Sized: TypeAlias = "list[tuple[Digit, int]]"
Inputs: TypeAlias = "slice | None"  # those that an output sees along an axis, if there are any


class Untold(Exception):
    """Data say what is seen, or it would take too long to tell."""


class Table(NamedTuple):
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
    tables: tuple[Table, ...]

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


class _Work:
    """What may still be done."""

    def __init__(self) -> None:
        self.left = MOST_WORK

    def take(self, elements: int, *, kept: bool = True) -> None:
        """Raise ``Untold`` if to look at so many elements, or to have them in a table, is too much."""
        self.left -= elements
        if self.left < 0 or (kept and elements > MOST_ELEMENTS):
            raise Untold


def element_extents(graph: Graph, image: str, axes: tuple[int, ...]) -> dict[str, ElementExtents | None]:
    """For each value of which it can be told what its elements see of the input ``image`` along its ``axes``; None for
    those that see nothing.
    """
    found: dict[str, ElementExtents | None] = {**dict.fromkeys(graph.inputs), image: _of_image(graph, image, axes)}
    known: dict[tuple[object, ...], ElementExtents | None] = {}
    kept: list[object] = []
    masks, work = Masks(graph), _Work()
    for node, use in zip(graph.nodes, graph.uses, strict=True):
        if any(value not in found for value in node.inputs):
            continue
        before = [found[value] for value in node.inputs]
        is_masked = len(before) == 2 and masks.among(node)
        for index, value in enumerate(node.outputs):
            key = (id(use), index, *map(id, before), *([node.name] if is_masked else []))
            if key not in known:
                try:
                    made = _made(use, index, before, work)
                    known[key] = _masked(made, node, masks, graph, work) if made and is_masked else made
                except Untold:
                    continue
                kept.append(before)
            found[value] = known[key]
    return found


def _of_image(graph: Graph, image: str, axes: tuple[int, ...]) -> ElementExtents:
    shape = ints(graph.types[image].shape)
    tables = (Table(((axis, 0),), [*range(shape[axis])], [*range(shape[axis])]) for axis in axes)
    return _plain(ElementExtents(tuple((size,) for size in shape), tuple(tables)))


def _made(use: Use, index: int, before: Sequence[ElementExtents | None], work: _Work) -> ElementExtents | None:
    """What output ``index`` of an op sees through inputs that see ``before``."""
    if not any(before):
        return None
    op, y = use.op, use.outputs[index]
    stated = op.element_maps(index, *use.inputs, y=y)
    blank = op.blank(*use.inputs, y=y)
    if not op.is_counted or op.is_untold or stated is None or (op.leaves_zeros and blank is None):
        raise Untold
    shape = ints(y.shape)
    ways = zip(before, stated, use.inputs, strict=True)
    seen = [
        _through(e, way, ints(x.shape), shape, work)
        for e, element_map, x in ways
        for way in (element_map.ways if isinstance(element_map, Several) else (element_map,))
        if e is not None
    ]
    made = _together(seen, shape, work)
    if blank is not None:
        along, is_blank = blank
        sizes = [shape[axis] for axis in along]
        work.take(prod(sizes))
        held = [not is_blank(*places) for places in product(*map(range, sizes))]
        made = _held(
            made, Table(tuple((axis, 0) for axis in along), held, held), dict(zip(along, sizes, strict=True)), work
        )
    return made if made.most() else None


def _masked(e: ElementExtents, node: Node, masks: Masks, graph: Graph, work: _Work) -> ElementExtents | None:
    """``e`` where the mask of ``node`` leaves something."""
    left = masks.left(node)
    if left is None:
        return e
    held, of_mask = left
    rank = len(e.digits)
    sizes = dict(enumerate(of_mask, rank - len(of_mask)))
    made = _held(e, Table(tuple((axis, 0) for axis in sizes), held, held), sizes, work)
    return made if made.most() else None


def _through(
    e: ElementExtents, index_map: IndexMap, x: tuple[int, ...], y: tuple[int, ...], work: _Work
) -> ElementExtents:
    """What an output of shape ``y`` sees through an input of shape ``x``."""
    if isinstance(index_map, Steps):
        for step, made in index_map.steps:
            e, x = _through(e, step, x, ints(made), work), ints(made)
        return e
    if isinstance(index_map, Regroup):
        return _regrouped(e, x, y, work)
    return _along(e, route(index_map, x, y), x, y, work)


def _along(e: ElementExtents, by: Route, x: tuple[int, ...], y: tuple[int, ...], work: _Work) -> ElementExtents:
    """What an output sees whose axes follow those of its input."""
    varying = {axis for t in e.tables for axis, _ in t.over}
    if varying.intersection(by.anywhere) or varying.intersection(axis for axis, _ in by.borders):
        raise Untold
    # Digits of the input stand apart from those of the output by their sign until they are followed.
    tables = [([((-1 - axis, k), size) for (axis, k), size in e.sized(t.over)], t.lo, t.hi) for t in e.tables]
    for axis in varying.intersection(by.mixed):
        tables = [_followed(t, axis, _all_of(e, axis), [slice(0, x[axis], 1)], [], work) for t in tables]
    targets = Counter(out for _, entries, _ in by.axis_maps for out, _ in entries)
    digits: list[tuple[int, ...]] = [(size,) for size in y]
    for axis, entries, _ in by.axis_maps:
        (out, only), whole = entries[0], _all_of(e, axis)
        is_kept = len(entries) == 1 and out < len(y) and targets[out] == 1 and x[axis] == y[out]
        if is_kept and only.window == IDENTITY and only.sees is None and only.within is None:
            digits[out] = e.digits[axis]
            tables = [
                ([((out, k), n) if a == -1 - axis else ((a, k), n) for (a, k), n in t], lo, hi) for t, lo, hi in tables
            ]
            continue
        inputs = _inputs(entries, x[axis], y, axis in varying)
        if axis in varying or None in inputs:
            made = [((out, 0), y[out]) for out, _ in entries if out < len(y)]
            tables = [_followed(t, axis, whole, inputs, made, work) for t in tables]
    found = []
    for sized, lo, hi in tables:
        over = sorted({digit: n for digit, n in sized if n > 1}.items())
        found.append(_ordered(sized, lo, hi, over, work))
    return _plain(ElementExtents(tuple(digits), tuple(found)))


def _all_of(e: ElementExtents, axis: int) -> Sized:
    """All digits of an axis of an input that is being followed."""
    return [((-1 - axis, k), size) for k, size in enumerate(e.digits[axis])]


def _inputs(entries: Sequence[tuple[int, AxisMap]], size: int, y: tuple[int, ...], varies: bool) -> list[Inputs]:
    """What all outputs that follow an axis of ``size`` see of it: of several axes in their order."""
    each: list[list[tuple[int, int] | None]] = []
    gap = 1
    for out, entry in entries:
        if entry.bound and entry.sees is None and varies:
            raise Untold
        places = range(y[out]) if out < len(y) else range(1)
        seen: list[tuple[int, int] | None] = [*map(entry.sees or entry.window.at, places)]
        if entry.within and out < len(y):
            first, last = entry.within
            seen = [found if first <= o <= last else None for o, found in enumerate(seen)]
        each.append(seen)
        gap = max(gap, entry.gap)
    made: list[Inputs] = []
    for parts in product(*each):
        if None in parts:
            made.append(None)
            continue
        ends = [part for part in parts if part is not None]
        first, last = sum(part[0] for part in ends), sum(part[1] for part in ends)
        first = first if first >= 0 else first + gap * -(first // gap)
        made.append(slice(first, min(last, size - 1) + 1, gap) if first <= min(last, size - 1) else None)
    return made


def _followed(
    table: tuple[Sized, Sequence[int], Sequence[int]],
    axis: int,
    whole: Sized,
    inputs: list[Inputs],
    made: Sized,
    work: _Work,
) -> tuple[Sized, Sequence[int], Sequence[int]]:
    """``table`` with the digits ``made`` in place of those of an input axis, ``whole``."""
    sized, lo, hi = table
    others = [(digit, n) for digit, n in sized if digit[0] != -1 - axis]
    if len(others) == len(sized):  # it does not depend on the axis, but for outputs that see nothing of it
        if None not in inputs:
            return table
        work.take(len(lo) * len(inputs))
        return (
            [*others, *made],
            [n if seen else NOTHING[0] for n in lo for seen in inputs],
            [n if seen else NOTHING[1] for n in hi for seen in inputs],
        )
    # Behind the others, so that what is seen together lies in a row.
    _, lo, hi = _ordered(sized, lo, hi, [*others, *whole], work)
    n = prod(size for _, size in whole)
    outer = len(lo) // n
    work.take(outer * len(inputs))
    work.take(outer * sum((s.stop - s.start) // s.step + 1 for s in inputs if s) // 8, kept=False)  # which is quick
    least, most = [], []
    for start in range(0, len(lo), n):
        first, last = lo[start : start + n], hi[start : start + n]
        least += [min(first[seen]) if seen else NOTHING[0] for seen in inputs]
        most += [max(last[seen]) if seen else NOTHING[1] for seen in inputs]
    return [*others, *made], least, most


def _ordered(sized: Sized, lo: Sequence[int], hi: Sequence[int], over: Sized, work: _Work) -> Table:
    """A table over other digits: those it has, in another order, and further ones on which it does not depend.

    Of a digit that it has twice, as of a diagonal, both are the same.
    """
    digits = tuple(digit for digit, _ in over)
    if sized == over:
        return Table(digits, lo, hi)
    steps: dict[Digit, int] = {}
    step = 1
    for digit, n in reversed(sized):
        steps[digit] = steps.get(digit, 0) + step
        step *= n
    work.take(prod(n for _, n in over))
    at = [0]
    for digit, n in over:
        step = steps.get(digit, 0)
        at = [i + j for i in at for j in range(0, step * n, step)] if step else [i for i in at for _ in range(n)]
    return Table(digits, [lo[i] for i in at], [hi[i] for i in at])


def _plain(e: ElementExtents) -> ElementExtents:
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
        tables.append(Table(tuple(digit for digit, _ in sized), lo, hi))
    return ElementExtents(e.digits, tuple(tables))


def _inner(sizes: Sequence[int]) -> list[int]:
    """How many elements lie within one step of each digit of these sizes, and in all."""
    return [*accumulate(sizes[::-1], mul, initial=1)]


def _chain(bounds: Iterable[int]) -> bool:
    ordered = sorted({*bounds})
    return not any(b % a for a, b in pairwise(ordered))


def _cut(wanted: Sequence[Sequence[int]]) -> list[int] | None:
    """The sizes of the fewest digits, outermost first, into which several ways to cut an axis go; None if none do."""
    bounds = {n for sizes in wanted for n in _inner(sizes)}
    if not _chain(bounds):
        return None
    ordered = sorted(bounds)
    return [b // a for a, b in pairwise(ordered)][::-1]


def _recut(table: Table, runs: Sequence[tuple[Sized, Sized]], work: _Work) -> Table:
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
    _, lo, hi = _ordered(held, lo, hi, want, work)
    return Table(tuple(digit for digit, _ in sized), lo, hi)


def _regrouped(e: ElementExtents, x: tuple[int, ...], y: tuple[int, ...], work: _Work) -> ElementExtents:
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
    return _plain(ElementExtents(tuple(digits), tuple(_recut(t, runs, work) for t in e.tables)))


def _together(several: list[ElementExtents], y: tuple[int, ...], work: _Work) -> ElementExtents:
    """What is seen through several inputs of shape ``y``."""
    e, *others = several
    for other in others:
        if other is e or other == e:
            continue
        digits = tuple(tuple(_cut([a, b]) or [n]) for a, b, n in zip(e.digits, other.digits, y, strict=True))
        tables = []
        for mine, theirs in zip(_with_digits(e, digits, work), _with_digits(other, digits, work), strict=True):
            over = [((axis, k), digits[axis][k]) for axis, k in sorted({*mine.over, *theirs.over})]
            a, b = (_ordered([(d, digits[d[0]][d[1]]) for d in t.over], t.lo, t.hi, over, work) for t in (mine, theirs))
            tables.append(Table(a.over, [*map(min, a.lo, b.lo)], [*map(max, a.hi, b.hi)]))
        e = _plain(ElementExtents(digits, tuple(tables)))
    return e


def _with_digits(e: ElementExtents, digits: tuple[tuple[int, ...], ...], work: _Work) -> list[Table]:
    """The tables of ``e`` with its axes cut as ``digits`` say."""
    if e.digits == digits:
        return [*e.tables]
    runs = [
        ([((axis, k), n) for k, n in enumerate(before)], [((axis, k), n) for k, n in enumerate(after)])
        for axis, (before, after) in enumerate(zip(e.digits, digits, strict=True))
    ]
    return [_recut(t, runs, work) for t in e.tables]


def _held(e: ElementExtents, held: Table, sizes: dict[int, int], work: _Work) -> ElementExtents:
    """``e`` without what elements see that are not ``held``, along axes of such ``sizes``; of size 1 for all places."""
    along = [(axis, n) for axis, n in sizes.items() if n > 1]
    runs = [([((axis, 0), n)], [((axis, k), m) for k, m in enumerate(e.digits[axis])]) for axis, n in along]
    mask = _recut(Table(tuple((axis, 0) for axis, _ in along), held.lo, held.hi), runs, work)
    tables = []
    for t in e.tables:
        over = e.sized(sorted({*t.over, *mask.over}))
        seen, left = (_ordered(e.sized(s.over), s.lo, s.hi, over, work) for s in (t, mask))
        tables.append(
            Table(
                seen.over,
                [n if kept else NOTHING[0] for n, kept in zip(seen.lo, left.lo, strict=True)],
                [n if kept else NOTHING[1] for n, kept in zip(seen.hi, left.lo, strict=True)],
            )
        )
    return _plain(ElementExtents(e.digits, tuple(tables)))
