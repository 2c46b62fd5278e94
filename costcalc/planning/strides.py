"""How views lie in memory, where that decides what PyTorch copies before a product."""

from __future__ import annotations

from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph
from costcalc.ir.storage_region import in_a_row
from costcalc.ir.tensor import TensorType


def strides(graph: Graph) -> dict[str, tuple[int, ...]]:
    """For each value that is a view and does not lie in a row the steps of its axes, in elements."""
    found: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        if not node.op.is_view or len(node.inputs) != 1:
            continue
        before = graph.types[node.inputs[0]]
        steps = found.get(node.inputs[0]) or in_a_row(ints(before.shape))
        for value in node.outputs:
            after = node.op.view_steps(steps, before, y=graph.types[value])
            if after is not None and not _is_in_a_row(graph.types[value], after):
                found[value] = after
    return found


def _is_in_a_row(kind: TensorType, steps: tuple[int, ...]) -> bool:
    return all(d == 1 or a == b for d, a, b in zip(kind.shape, steps, in_a_row(ints(kind.shape)), strict=True))
