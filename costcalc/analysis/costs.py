"""What one layer costs by itself: work, weights and compulsory traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from costcalc.ir.dims import Dim, total
from costcalc.ir.graph import Graph, Node
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType, Weight


class Work(NamedTuple):
    """What an op does to inputs of given types, wherever it stands, and how a report tells of it.

    macs, ops         arithmetic
    weights           its tensors by PyTorch's name, but for those that are made beforehand of others
    params, buffers   their elements, trained and not
    weight_bits       their bits, and of those the bits that inference reads
    input_bits        bits that are read of each input, and of each weight that is made beforehand
    kind              what reports call this use of the op
    options           each option with its value
    input_shapes      and output_shapes, of the values that it reads and makes
    """

    macs: Dim
    ops: Dim
    weights: dict[str, Weight]
    params: Dim
    buffers: Dim
    weight_bits: Dim
    read_bits: Dim
    input_bits: tuple[Dim, ...]
    kind: str
    options: dict[str, Any]
    input_shapes: tuple[tuple[Dim, ...], ...]
    output_shapes: tuple[tuple[Dim, ...], ...]


def input_bits(op: Op, types: tuple[TensorType, ...], y: TensorType, width: int | None = None) -> tuple[Dim, ...]:
    """Bits that ``op`` reads of each of its inputs; none where it only views them."""
    if op.is_view:
        return (0,) * len(types)
    reads = op.reads(*types, y=y)
    return tuple(t.with_shape(elements).bits(width) for t, elements in zip(types, reads, strict=True))


def work_of(width: int | None = None) -> Callable[[Graph, Node], Work]:
    """A function that works out a node's ``Work``, once for equal ops on equal types.

    width   bits of a floating-point element in place of its own
    """
    known: dict[tuple[Op, tuple[TensorType, ...], TensorType, tuple[str, ...]], Work] = {}

    def work(graph: Graph, node: Node) -> Work:
        types = graph.input_types(node)
        y = graph.types[node.outputs[0]]
        key = (node.op, types, y, tuple(node.prepared))
        found = known.get(key)
        if found is None:
            op, every = node.op, node.op.weights(*types)
            weights = node.stored(every)
            found = known[key] = Work(
                macs=op.macs(*types, y=y),
                ops=op.ops(*types, y=y),
                weights=weights,
                params=total(w.type.size for w in weights.values() if w.trained),
                buffers=total(w.type.size for w in weights.values() if not w.trained),
                weight_bits=total(w.type.bits(width) for w in weights.values()),
                read_bits=total(w.read_bits(width) for w in weights.values()),
                input_bits=(
                    *input_bits(op, types, y, width),
                    *(every[local].read_bits(width) for local in node.prepared),
                ),
                kind=op.kind(*types),
                options={option.name: getattr(op, option.name) for option in op.fields},
                input_shapes=tuple(t.shape for t in types),
                output_shapes=tuple(t.shape for t in graph.output_types(node)),
            )
        return found

    return work
