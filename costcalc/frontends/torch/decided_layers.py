"""Which layers the sizes decide that depend on values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from costcalc.errors import CostcalcError
from costcalc.frontends.torch.value_dependent import Decision
from costcalc.ir.call import Step
from costcalc.ir.graph import Graph, Node
from costcalc.ir.value_size import ValueSize


def value_sizes(
    graph: Graph,
    names: Sequence[str],
    decisions: Sequence[Decision],
    bounds: bool,
    steps: Sequence[Sequence[Step]],
    less: Callable[[], Graph] | None,
) -> tuple[ValueSize, ...]:
    """``decisions``, each with its name and the layers that it decides.

    bounds  whether the most of them is the most work
    steps   what stands for each recorded call
    less    traces the model with one less of each size: a layer is decided by them if it is then another; and by
            that one whose selection it follows from. Without it, all that follows is said to be decided
    """
    changed = _changed(graph, less) if less and decisions else None
    after = {d: _following(graph, (step for call in d.calls if call >= 0 for step in steps[call])) for d in decisions}
    claimed = set().union(*after.values()) if after else set()
    found = []
    for decision, name in zip(decisions, names, strict=True):
        layers = tuple(
            node.name
            for node in graph.nodes
            if (changed is None or node.name in changed)
            # What code makes from the number alone follows from no selection that the graph shows.
            and (node.name in after[decision] or (changed is not None and node.name not in claimed))
        )
        # With other values than those of a run, more may be done elsewhere.
        most = bounds and decision.size == decision.most and not decision.met
        found.append(
            ValueSize(name, decision.size, decision.most, decision.kind, decision.given, most, decision.met, layers)
        )
    return tuple(found)


def _changed(graph: Graph, less: Callable[[], Graph]) -> set[str] | None:
    """The layers that are there no more, or are others, with one less of each size; None where that cannot be run."""
    try:
        other = less()
    except CostcalcError:
        return None
    there = {node.name: node for node in other.nodes}
    return {node.name for node in graph.nodes if _differs(graph, node, other, there.get(node.name))}


def _differs(graph: Graph, node: Node, other: Graph, there: Node | None) -> bool:
    return (
        there is None
        or node.op != there.op
        or graph.input_types(node) != other.input_types(there)
        or graph.output_types(node) != other.output_types(there)
    )


def _following(graph: Graph, steps: Iterable[Step]) -> set[str]:
    """The layers that ``steps`` have become, and all that reads what they make."""
    values = {made.value for step in steps for made in step.outputs if made.value}
    found = set()
    for node in graph.nodes:
        if not values.isdisjoint(node.inputs) or not values.isdisjoint(node.outputs):
            found.add(node.name)
            values.update(node.outputs)
    return found
