"""How many bits a set of layers keeps: each distinct tensor once, views free."""

from __future__ import annotations

from collections.abc import Iterable

from costcalc.ir.dims import Dim, minimum
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import Weight


class Roots(dict[str, str]):
    """For each value, the value whose storage it uses.

    weight_of   for a value that is a weight of the model: the weight's name
    """

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__((v, v) for v in values)
        self.weight_of: dict[str, str] = {}


def roots(graph: Graph) -> Roots:
    """For each value, the value whose storage it uses: itself unless an op that only views made it."""
    root = Roots(graph.inputs)
    for node in graph.nodes:
        if node.op.is_view and not node.inputs:
            root.weight_of[node.outputs[0]] = weight_name(node, "weight")
        for value in node.outputs:
            root[value] = root[node.inputs[0]] if node.op.is_view and node.inputs else value
    return root


def weight_name(node: Node, local: str) -> str:
    """The one name of a weight in the whole model; layers that share a weight agree on it."""
    return node.shares.get(local) or f"{node.name}.{local}"


class Tensors:
    """A growing set of distinct tensors and the bits that they need.

    A value that is a weight brings nothing where the weight is in the set, nor does a view where its
    root is. Views of a root that is not in the set (the halves of a split, say) bring their own bits,
    together at most those of the root.
    """

    def __init__(self, graph: Graph, root: Roots, width: int | None) -> None:
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
            if self._root.weight_of.get(root) in self.weights:
                continue
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
