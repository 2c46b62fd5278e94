"""How many bits a set of layers keeps: each distinct tensor once, views free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from costcalc.ir.dims import Dim, minimum
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import Weight


def roots(graph: Graph) -> dict[str, str]:
    """For each value, the value whose storage it uses: itself unless an op that only views made it."""
    root = {v: v for v in graph.inputs}
    for node in graph.nodes:
        for value in node.outputs:
            root[value] = root[node.inputs[0]] if node.op.is_view and node.inputs else value
    return root


def weight_name(node: Node, local: str) -> str:
    """The one name of a weight in the whole model; layers that share a weight agree on it."""
    return node.shares.get(local) or f"{node.name}.{local}"


class Tensors:
    """A growing set of distinct tensors and the bits that they need.

    A view brings nothing where its root is in the set. Views of a root that is not in the set (the
    halves of a split, say) bring their own bits, together at most those of the root.
    """

    def __init__(self, graph: Graph, root: Mapping[str, str], width: int | None) -> None:
        self._graph, self._root, self._width = graph, root, width
        self.weights: dict[str, Weight] = {}
        self._values: dict[str, None] = {}

    def add(self, values: Iterable[str]) -> None:
        """Put the named values in."""
        self._values.update(dict.fromkeys(values))

    def weight_bits(self, *, read_only: bool = False) -> Dim:
        """Bits of the weights; with ``read_only`` of those that inference reads."""
        bits: Dim = 0
        for weight in self.weights.values():
            if weight.read or not read_only:
                bits = bits + weight.type.bits(self._width)
        return bits

    def value_bits(self) -> Dim:
        """Bits of the values, each storage once."""
        types, width = self._graph.types, self._width
        bits: Dim = 0
        views: dict[str, Dim] = {}
        for value in self._values:
            root = self._root[value]
            if root == value:
                bits = bits + types[value].bits(width)
            elif root not in self._values:
                views[root] = views.get(root, 0) + types[value].bits(width)
        for root, seen in views.items():
            bits = bits + minimum(types[root].bits(width), seen)
        return bits

    def elements(self, *, trained: bool) -> Dim:
        """Number of elements of the parameters, or of the buffers."""
        count: Dim = 0
        for weight in self.weights.values():
            if weight.trained is trained:
                count = count + weight.type.size
        return count
