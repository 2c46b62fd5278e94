"""Along which axes of an input the axes of each value lie, whatever is mixed along them on the way.

A softmax over the columns of an image sees all of them at each place, and still makes columns: what later slides along
that axis slides along the image's. So unlike what a value sees (``views``) this tells where its axes come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from costcalc.analysis.axis_factors import Factor, aligned, count, redistribute
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.index_map import IDENTITY, Anywhere, AxisMap, AxisMaps, IndexMap, Regroup, Steps

Carried: TypeAlias = "tuple[tuple[Factor, ...], ...]"
"""For each axis of a value the factors of the input's axes that lie along it; where they are not as many places as it
has, such as along a diagonal, it lies along all of them at once."""

Shape: TypeAlias = "tuple[Dim, ...]"


def carried(graph: Graph, value: str) -> Iterator[tuple[Node, list[Carried | None]]]:
    """Each node that depends on the input ``value``, with what the axes of its inputs lie along; None of others."""
    shape: tuple[int, ...] = graph.types[value].shape  # type: ignore[assignment]
    found: dict[str, Carried] = {value: tuple((Factor(axis, 1, size),) for axis, size in enumerate(shape))}
    for node in graph.nodes:
        before = [found.get(v) for v in node.inputs]
        if not any(before):
            continue
        yield node, before
        types = graph.input_types(node)
        for index, made in enumerate(node.outputs):
            y = graph.types[made]
            index_maps = node.op.index_maps_of(index, *types, y=y)
            ways = [_along(c, s, x.shape, y.shape) for c, s, x in zip(before, index_maps, types, strict=True) if c]
            found[made] = ways[0] if len(ways) == 1 else tuple(map(_together, zip(*ways, strict=True)))


def axes_of(factors: Sequence[Factor]) -> list[int]:
    """The input's axes in ``factors``, in their order; those of size 1 leave no trace."""
    return list(dict.fromkeys(p.axis for p in factors if p.axis is not None and p.size > 1))


def _along(before: Carried, index_map: IndexMap, x: Shape, y: Shape) -> Carried:
    if isinstance(index_map, Steps):
        for step, made in index_map.steps:
            before, x = _along(before, step, x, made), made
        return before
    return _regrouped(before, x, y) if isinstance(index_map, Regroup) else _followed(before, index_map, x, y)


def _followed(before: Carried, index_map: AxisMaps, x: Shape, y: Shape) -> Carried:
    """By the axes that are followed; an axis that is mixed lies along itself where the output has it."""
    along: dict[int, list[AxisMap]] = {}
    taken = set()
    for out, entry in enumerate(index_map):
        if isinstance(entry, AxisMap):
            taken.add(entry.axis)
            at = out if entry.along is None else entry.along
            if at < len(y) and entry.window.stride:
                along.setdefault(at, []).append(entry)
    mixed = [axis for axis in range(len(x)) if axis not in taken]
    free = [out for out in range(len(y)) if out not in along and not (out < len(index_map) and _fixed(index_map[out]))]
    pairs = zip(mixed, free, strict=True) if len(mixed) == len(free) else ((a, a) for a in mixed if a in free)
    for axis, out in pairs:
        if x[axis] == y[out] or len(axes_of(before[axis])) == 1:
            along[out] = [AxisMap(axis)]
    made = []
    for out, size in enumerate(y):
        axis_maps = along.get(out, ())
        if len(axis_maps) == 1 and x[axis_maps[0].axis] == size and abs(axis_maps[0].window.stride) == IDENTITY.stride:
            made.append(before[axis_maps[0].axis])
        else:
            made.append(_loose([p for axis_map in axis_maps for p in before[axis_map.axis]], size))
    return tuple(made)


def _fixed(entry: AxisMap | Anywhere | None) -> bool:
    """Whether an output axis stands where it sees one place of an input's axis."""
    return isinstance(entry, AxisMap) and entry.along is None


def _regrouped(before: Carried, x: Shape, y: Shape) -> Carried:
    made: list[tuple[Factor, ...]] = []
    for old, new in aligned(x, y):
        flat = [p for axis in old for p in before[axis]]
        sizes: list[int] = [y[axis] for axis in new]  # type: ignore[misc]
        exact = all(count(before[axis]) == x[axis] for axis in old)
        found = redistribute(flat, sizes) if exact else None
        made += before[old.start : old.stop] if len(old) == len(new) == 1 else found or [_loose(flat, n) for n in sizes]
    return tuple(made)


def _loose(factors: Sequence[Factor], size: Dim) -> tuple[Factor, ...]:
    """An axis of ``size`` that lies along all axes of ``factors``."""
    return tuple(Factor(axis, 1, size) for axis in axes_of(factors) if size != 1) or (Factor(None, 0, size),)  # type: ignore[arg-type]


def _together(ways: Sequence[tuple[Factor, ...]]) -> tuple[Factor, ...]:
    """What an axis lies along that does through several inputs."""
    known = [factors for factors in dict.fromkeys(ways) if axes_of(factors)]
    if len(known) < 2:
        return (known or ways)[0]
    return _loose([p for factors in known for p in factors], known[0][0].size)
