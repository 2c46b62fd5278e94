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

    macs, ops         arithmetic
    weights           its tensors by PyTorch's name
    params, buffers   their elements, trained and not
    weight_bits       their bits, and of those the bits that inference reads
    kind              what reports call this use of the op
    """

    macs: Dim
    ops: Dim
    weights: dict[str, Weight]
    params: Dim
    buffers: Dim
    weight_bits: Dim
    read_bits: Dim
    kind: str


def work_of(width: int | None = None) -> Callable[[Graph, Node], Work]:
    """A function that works out a node's ``Work``, once for equal ops on equal types.

    width   bits of a floating-point element in place of its own
    """
    known: dict[tuple[Op, tuple[TensorType, ...], TensorType], Work] = {}

    def work(graph: Graph, node: Node) -> Work:
        types = graph.input_types(node)
        y = graph.types[node.outputs[0]]
        key = (node.op, types, y)
        found = known.get(key)
        if found is None:
            op, weights = node.op, node.op.weights(*types)
            each = [(w, w.type.bits(width)) for w in weights.values()]
            found = known[key] = Work(
                macs=op.macs(*types, y=y),
                ops=op.ops(*types, y=y),
                weights=weights,
                params=total(w.type.size for w in weights.values() if w.trained),
                buffers=total(w.type.size for w in weights.values() if not w.trained),
                weight_bits=total(bits for _, bits in each),
                read_bits=total(bits for w, bits in each if w.read),
                kind=op.kind(*types),
            )
        return found

    return work
