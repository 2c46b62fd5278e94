"""The bytes of a graph's values and weights, and which of its work an inference does."""

from __future__ import annotations

from costcalc.analysis.storage import Roots, roots
from costcalc.errors import OptionError
from costcalc.ir.channels_last import FIELD, channels_second
from costcalc.ir.graph import Graph, Node
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType


class ValueSizes:
    """Bytes of each value of ``graph``, whole ones.

    root      for each value the one whose storage it uses, views seen through
    settled   values that an inference does not make: weights, and what is made of them beforehand
    """

    def __init__(self, graph: Graph, bits: int | None) -> None:
        self.graph, self.bits = graph, bits
        self.root: Roots = roots(graph)
        self.settled = graph.settled
        self._last = any(vars(node.op).get(FIELD) for node in graph.nodes)
        self._known: dict[TensorType, int] = {}

    def of(self, value: str) -> int:
        """Bytes of ``value``. Raises ``OptionError`` where a size is a symbol."""
        return self.of_type(self.graph.types[value])

    def map(self, value: str) -> TensorType:
        """The type of ``value`` with the channels second, wherever the graph's maps have them."""
        found = self.graph.types[value]
        return channels_second(found) if self._last and len(found.shape) > 2 else found

    def of_type(self, kind: TensorType) -> int:
        """Bytes of a tensor of this type, rounded up to whole ones."""
        known = self._known.get(kind)
        if known is None:
            bits = kind.bits(self.bits)
            if not isinstance(bits, int):
                raise OptionError("memory is planned for sizes that are numbers, not symbols")
            known = self._known[kind] = -(-bits // 8)
        return known

    def occupied(self, node: Node, value: str) -> int:
        """Bytes of the memory in which PyTorch leaves ``value``, one that ``node`` makes, on the CPU."""
        made = self.graph.types[value]
        if type(node.op).occupies is not Op.occupies:
            made = node.op.occupies(*self.graph.input_types(node), y=made)
        return self.of_type(made)

    def nodes(self) -> list[Node]:
        """The nodes that an inference runs, in order."""
        return [node for node in self.graph.nodes if node.outputs[0] not in self.settled]

    def read(self, node: Node) -> list[str]:
        """The values that ``node`` reads and that an inference makes or is given."""
        if not self.settled:
            return list(node.inputs)
        return [value for value in node.inputs if value not in self.settled]

    def weights(self) -> int:
        """Bytes of the weights, each once, as the model has them."""
        graph = self.graph
        found = {
            node.weight(local): weight.type
            for node in graph.nodes
            for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items()
        }
        return sum(self.of_type(t) for t in found.values())
