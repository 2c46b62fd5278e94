"""What one layer costs by itself: work, weights and compulsory traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from costcalc.ir.dims import Dim, total
from costcalc.ir.graph import Graph, Node
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType, Weight


class Work(NamedTuple):
    """What an op does to inputs of given types, wherever it stands.

    macs, ops      arithmetic
    weights        its tensors by PyTorch's name
    kind           what reports call this use of the op
    """

    macs: Dim
    ops: Dim
    weights: dict[str, Weight]
    kind: str


def work_of() -> Callable[[Graph, Node], Work]:
    """A function that works out a node's ``Work``, once for equal ops on equal types."""
    known: dict[tuple[Op, tuple[TensorType, ...], TensorType], Work] = {}

    def work(graph: Graph, node: Node) -> Work:
        types = graph.input_types(node)
        y = graph.types[node.outputs[0]]
        key = (node.op, types, y)
        found = known.get(key)
        if found is None:
            op = node.op
            found = known[key] = Work(
                op.macs(*types, y=y), op.ops(*types, y=y), op.weights(*types), op.kind(*types)
            )  # fmt: skip
        return found

    return work


def element_count(weights: dict[str, Weight], trained: bool) -> Dim:
    """Elements of the trained tensors, or of the others."""
    return total(w.type.size for w in weights.values() if w.trained is trained)
