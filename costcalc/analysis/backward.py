"""The MACs of a step of training: forward, and the gradients that the backward pass works out."""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import FLOATING_BITS


class Backward(NamedTuple):
    """MACs of the forward and of the backward pass by layer, and the layers for which there is no rule."""

    forward: dict[str, Dim]
    backward: dict[str, Dim]
    unknown: tuple[str, ...]


def backward(graph: Graph) -> Backward:
    """What a step of training multiplies. A gradient is worked out where something trained stands before it.

    Work on weights alone, which an inference does beforehand, is done in every step of training.
    """
    wanted: set[str] = set()
    forward: dict[str, Dim] = {}
    back: dict[str, Dim] = {}
    unknown = []
    for node in graph.nodes:
        types = graph.input_types(node)
        weights = node.stored(node.op.weights(*types))
        trained = any(w.trained and not w.frozen for w in weights.values())
        trained = trained or any(value in wanted for value in node.prepared.values())
        needs = tuple(value in wanted for value in node.inputs)
        if trained or any(needs):
            wanted.update(v for v in node.outputs if graph.types[v].dtype in FLOATING_BITS)
        y = graph.types[node.outputs[0]]
        macs = node.op.macs(*types, y=y)
        forward[node.name] = macs
        if isinstance(macs, int) and macs == 0:
            continue
        gradients = node.op.backward_macs(*types, y=y, trained=trained, wanted=needs) if trained or any(needs) else 0
        if gradients is None:
            unknown.append(node.name)
        else:
            back[node.name] = gradients
    return Backward(forward, back, tuple(unknown))
