"""How long each value must be kept, and what that needs at the worst moment."""

from __future__ import annotations

from costcalc.analysis.storage import Storage
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, maximum
from costcalc.ir.graph import Graph, Node


class Liveness(NamedTuple):
    """Bits held while each node runs, by node name; the most of them; and the layer, or its group, where that is."""

    held: dict[str, Dim]
    peak: Dim
    at: str


def liveness(graph: Graph, storage: Storage) -> Liveness:
    """Memory for activations when the nodes run in order and values are freed at once.

    While a node runs, its inputs, its outputs and every value that a later node still reads are
    held. A view holds what it views. Weights are not counted here, nor is what is made of them beforehand;
    neither is the scratch space of any kernel, and no op writes in place. A kernel of several layers holds what it
    reads and makes at once, and nothing that stays inside of it.

    storage   where each value of ``graph`` is kept, and its bits
    """
    root, bits_of = storage.root, storage.bits
    kernels, inside = graph.kernels, storage.inside
    last: dict[str, int] = {}
    for i, kernel in enumerate(kernels):
        for node in kernel:
            for value in node.reads:
                last[root[value]] = i
    last.update((root[v], len(kernels)) for v in graph.outputs)

    alive = {v: bits_of[v] for v in graph.inputs if v in last}
    now: Dim = 0
    for bits in alive.values():
        now = now + bits
    held: dict[str, Dim] = {}
    peak, at = now, ""
    for i, kernel in enumerate(kernels):
        unread = []
        for node in kernel:
            for value in node.outputs:
                if value not in root.views and value not in root.settled and value not in inside:
                    alive[value] = bits = bits_of[value]
                    now = now + bits
                    if value not in last:
                        unread.append(value)
        for node in kernel:
            held[node.name] = now
        if isinstance(now, int) and isinstance(peak, int):
            if now > peak:
                peak, at = now, _name(graph, kernel)
        else:
            peak = maximum(peak, now)
        for value in unread:
            now = now - alive.pop(value)
        for node in kernel:
            for value in node.reads:
                kept = root[value]
                if last[kept] == i and kept in alive:
                    now = now - alive.pop(kept)
    return Liveness(held, peak, at)


def _name(graph: Graph, kernel: tuple[Node, ...]) -> str:
    group = graph.group_of.get(kernel[0].name)
    return group.name if group else kernel[0].name
