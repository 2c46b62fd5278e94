"""What each element of a value sees of the image, told one by one, where pixel maps leave no more than a bound.

Ops move, join and cut the axes of the tables (``extent_tables``) by the same index maps by which pixel maps are
composed; elements of known masks, of triangles and of what was put among zeros see nothing. Nor does padding, so that
all this is of real places alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TypeAlias

from costcalc.analysis.extent_tables import (
    NOTHING,
    Allowance,
    ElementExtents,
    ExtentTable,
    Sized,
    Untold,
    held_only,
    ordered,
    plain,
    regrouped,
    together,
)
from costcalc.analysis.masks import Masks
from costcalc.analysis.routes import Route, route
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import IDENTITY, AxisMap, IndexMap, Regroup, Several, Steps
from costcalc.ir.use import Use

Inputs: TypeAlias = "slice | None"  # those that an output sees along an axis, if there are any


def element_extents(graph: Graph, image: str, axes: tuple[int, ...]) -> dict[str, ElementExtents | None]:
    """For each value of which it can be told what its elements see of the input ``image`` along its ``axes``; None for
    those that see nothing.
    """
    found: dict[str, ElementExtents | None] = {**dict.fromkeys(graph.inputs), image: _of_image(graph, image, axes)}
    known: dict[tuple[object, ...], ElementExtents | None] = {}
    masks, allowance = Masks(graph), Allowance()
    for node, use in zip(graph.nodes, graph.uses, strict=True):
        if any(value not in found for value in node.inputs):
            continue
        before = [found[value] for value in node.inputs]
        is_masked = len(before) == 2 and masks.among(node)
        for index, value in enumerate(node.outputs):
            key = (id(use), index, *map(id, before), *([node.name] if is_masked else []))
            if key not in known:
                try:
                    made = _made(use, index, before, allowance)
                    known[key] = _masked(made, node, masks, graph, allowance) if made and is_masked else made
                except Untold:
                    continue
            found[value] = known[key]
    return found


def _of_image(graph: Graph, image: str, axes: tuple[int, ...]) -> ElementExtents:
    shape = ints(graph.types[image].shape)
    tables = (ExtentTable(((axis, 0),), [*range(shape[axis])], [*range(shape[axis])]) for axis in axes)
    return plain(ElementExtents(tuple((size,) for size in shape), tuple(tables)))


def _made(use: Use, index: int, before: Sequence[ElementExtents | None], allowance: Allowance) -> ElementExtents | None:
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
        _through(e, way, ints(x.shape), shape, allowance)
        for e, element_map, x in ways
        for way in (element_map.ways if isinstance(element_map, Several) else (element_map,))
        if e is not None
    ]
    made = together(seen, shape, allowance)
    if blank is not None:
        along, is_blank = blank
        sizes = [shape[axis] for axis in along]
        allowance.take(prod(sizes))
        held = [not is_blank(*places) for places in product(*map(range, sizes))]
        made = held_only(
            made,
            ExtentTable(tuple((axis, 0) for axis in along), held, held),
            dict(zip(along, sizes, strict=True)),
            allowance,
        )
    return made if made.most() else None


def _masked(e: ElementExtents, node: Node, masks: Masks, graph: Graph, allowance: Allowance) -> ElementExtents | None:
    """``e`` where the mask of ``node`` leaves something."""
    left = masks.left(node)
    if left is None:
        return e
    held, of_mask = left
    rank = len(e.digits)
    sizes = dict(enumerate(of_mask, rank - len(of_mask)))
    made = held_only(e, ExtentTable(tuple((axis, 0) for axis in sizes), held, held), sizes, allowance)
    return made if made.most() else None


def _through(
    e: ElementExtents, index_map: IndexMap, x: tuple[int, ...], y: tuple[int, ...], allowance: Allowance
) -> ElementExtents:
    """What an output of shape ``y`` sees through an input of shape ``x``."""
    if isinstance(index_map, Steps):
        for step, made in index_map.steps:
            e, x = _through(e, step, x, ints(made), allowance), ints(made)
        return e
    if isinstance(index_map, Regroup):
        return regrouped(e, x, y, allowance)
    return _along(e, route(index_map, x, y), x, y, allowance)


def _along(
    e: ElementExtents, by: Route, x: tuple[int, ...], y: tuple[int, ...], allowance: Allowance
) -> ElementExtents:
    """What an output sees whose axes follow those of its input."""
    varying = {axis for t in e.tables for axis, _ in t.over}
    if varying.intersection(by.anywhere) or varying.intersection(axis for axis, _ in by.borders):
        raise Untold
    # Digits of the input stand apart from those of the output by their sign until they are followed.
    tables = [([((-1 - axis, k), size) for (axis, k), size in e.sized(t.over)], t.lo, t.hi) for t in e.tables]
    for axis in varying.intersection(by.mixed):
        tables = [_followed(t, axis, _all_of(e, axis), [slice(0, x[axis], 1)], [], allowance) for t in tables]
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
        allowance.take(prod(y[out] for out, _ in entries if out < len(y)), kept=False)
        inputs = _inputs(entries, x[axis], y, axis in varying)
        if axis in varying or None in inputs:
            made = [((out, 0), y[out]) for out, _ in entries if out < len(y)]
            tables = [_followed(t, axis, whole, inputs, made, allowance) for t in tables]
    found = []
    for sized, lo, hi in tables:
        over = sorted({digit: n for digit, n in sized if n > 1}.items())
        found.append(ordered(sized, lo, hi, over, allowance))
    return plain(ElementExtents(tuple(digits), tuple(found)))


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
    allowance: Allowance,
) -> tuple[Sized, Sequence[int], Sequence[int]]:
    """``table`` with the digits ``made`` in place of those of an input axis, ``whole``."""
    sized, lo, hi = table
    others = [(digit, n) for digit, n in sized if digit[0] != -1 - axis]
    if len(others) == len(sized):  # it does not depend on the axis, but for outputs that see nothing of it
        if None not in inputs:
            return table
        allowance.take(len(lo) * len(inputs))
        return (
            [*others, *made],
            [n if seen else NOTHING[0] for n in lo for seen in inputs],
            [n if seen else NOTHING[1] for n in hi for seen in inputs],
        )
    # Behind the others, so that what is seen together lies in a row.
    _, lo, hi = ordered(sized, lo, hi, [*others, *whole], allowance)
    n = prod(size for _, size in whole)
    outer = len(lo) // n
    allowance.take(outer * len(inputs))
    allowance.take(
        outer * sum((s.stop - s.start) // s.step + 1 for s in inputs if s) // 8, kept=False
    )  # which is quick
    least, most = [], []
    for start in range(0, len(lo), n):
        first, last = lo[start : start + n], hi[start : start + n]
        least += [min(first[seen]) if seen else NOTHING[0] for seen in inputs]
        most += [max(last[seen]) if seen else NOTHING[1] for seen in inputs]
    return [*others, *made], least, most
