"""Groups of layers that one kernel does, as an engine joins them: what passes between them alone is never in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from costcalc.classes import replace
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, Group, Joining


def grouped(graph: Graph, groups: Iterable[Group], joinings: Mapping[str, Joining] | None = None) -> Graph:
    """``graph`` whose layers are done in these ``groups``, the others each by a kernel of its own.

    joinings   why each layer is in the group of another, or in none, where that is known

    Raises ``CostcalcError`` for a layer that there is not or that is in two groups, and for a group that waits for
    what waits for it.

    >>> from costcalc.models import load
    >>> graph = grouped(load("alexnet"), [Group("conv1", ("conv1", "relu1"))])
    >>> [len(kernel) for kernel in graph.kernels][:3]
    [2, 1, 1]
    """
    groups = tuple(groups)
    known = {node.name for node in graph.nodes}
    seen: set[str] = set()
    for group in groups:
        for name in group.layers:
            if name not in known or name in seen:
                what = "is in two groups" if name in seen else f"is not a layer of {graph.name}"
                raise CostcalcError(f"the group {group.name[:80]}: {name[:80]} {what}")
            seen.add(name)
    made = replace(graph, groups=groups, joinings=joinings or {})
    made.kernels  # noqa: B018  it raises for groups that wait for each other
    return made
