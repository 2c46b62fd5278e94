"""The MACs of a step of training: forward, and the gradients that the backward pass works out."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import FLOATING_BITS


class Needs(NamedTuple):
    """Which gradients of a layer are worked out.

    trained    whether a weight of it is trained, or made of one that is
    wanted     for each input, whether something trained stands before it
    prepared   the values among its weights of which that holds
    """

    trained: bool
    wanted: tuple[bool, ...]
    prepared: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return self.trained or any(self.wanted)


def needs(graph: Graph) -> Iterator[tuple[Node, Needs]]:
    """Each layer, in order, with the gradients that are worked out where something trained stands before it."""
    wanted: set[str] = set()
    for node in graph.nodes:
        weights = node.stored(node.op.weights(*graph.input_types(node)))
        prepared = tuple(value for value in node.prepared.values() if value in wanted)
        trained = bool(prepared) or any(w.trained and not w.frozen for w in weights.values())
        found = Needs(trained, tuple([value in wanted for value in node.inputs]), prepared)
        if found.any:
            wanted.update(v for v in node.outputs if graph.types[v].dtype in FLOATING_BITS)
        yield node, found


class Backward(NamedTuple):
    """MACs of the forward and of the backward pass by layer, and the layers for which there is no rule."""

    forward: dict[str, Dim]
    backward: dict[str, Dim]
    unknown: tuple[str, ...]


def backward(graph: Graph) -> Backward:
    """What a step of training multiplies.

    Work on weights alone, which an inference does beforehand, is done in every step of training.
    """
    forward: dict[str, Dim] = {}
    back: dict[str, Dim] = {}
    unknown = []
    for node, needed in needs(graph):
        types, y = graph.input_types(node), graph.types[node.outputs[0]]
        macs = node.op.macs(*types, y=y)
        forward[node.name] = macs
        if isinstance(macs, int) and macs == 0:
            continue
        gradients: Dim | None = 0
        if needed.any:
            gradients = node.op.backward_macs(*types, y=y, trained=needed.trained, wanted=needed.wanted)
        if gradients is None:
            unknown.append(node.name)
        else:
            back[node.name] = gradients
    return Backward(forward, back, tuple(unknown))
