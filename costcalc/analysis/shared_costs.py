"""What layers add to an inference, worked out once for those that are alike.

Most layers of a network do what another does, on tensors of the same types that lie in storages of the same sizes:
then they add the same.
"""

from __future__ import annotations

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.layer_costs import Work
from costcalc.analysis.storage import Storage
from costcalc.analysis.traffic import Inference
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.memo import Memo
from costcalc.ir.tensor import Weight


class AddedCost(NamedTuple):
    """What one layer adds to an inference.

    amounts   its figures, taken by itself
    row       the values of those without what it reads and makes, in the order of ``Storage.nothing``
    """

    amounts: Amounts
    row: tuple[Dim, ...]


class AddedCosts:
    """What each layer of ``graph`` adds; ``may_share``: layers may share weights or read them as values."""

    def __init__(self, graph: Graph, storage: Storage) -> None:
        self.may_share = bool(storage.root.settled) or any(node.called for node in graph.nodes)
        self._storage, self._inference = storage, Inference(storage)
        self._known: dict[int | tuple[Dim, ...], AddedCost] = {}
        rules = [(figure.name, figure.moved, figure.is_recorded, figure.values) for figure in FIGURES.values()]
        self._plain = Memo("what layers add", (storage.width, rules))

    def __call__(self, node: Node, work: Work) -> AddedCost:
        """That of ``node``, which does ``work``."""
        root, reads = self._storage.root, node.inputs
        if root.settled:
            return self._of(node, work)  # what is done beforehand is another matter for each
        if self._storage.group_of and (node.name in self._storage.group_of or node.op.is_view):
            return self._of(node, work)  # what it reads and writes depends on what else its kernel does
        kept = reads if root.views.isdisjoint(reads) else tuple([root[v] for v in reads])
        if len(kept) > 1 and len({*kept}) < len(kept):
            return self._of(node, work)  # several of its inputs lie in one storage
        key = id(work) if kept is reads else (id(work), *map(self._storage.bits.__getitem__, kept))
        cost = self._known.get(key)
        if cost is None:
            if kept is reads:  # it follows from the work alone, in any model
                of, cost = self._plain.get(id(work)) or (work, self._of(node, work))
                self._plain.put(id(work), (of, cost))
            else:
                cost = self._of(node, work)
            self._known[key] = cost
        return cost

    def owned(self, node: Node, work: Work) -> dict[str, Weight]:
        """Its weights by their names in the model, where it matters which they are."""
        return {node.weight(local): weight for local, weight in work.weights.items()} if self.may_share else {}

    def _of(self, node: Node, work: Work) -> AddedCost:
        storage = self._storage
        amounts = self._inference(node, work)
        row = tuple([amounts[name] for name in storage.nothing])
        reads, makes = storage.touched(node)
        weights = [node.weight(local) for local in work.weights]
        storage.put_values(amounts, storage.distinct({*reads, *makes}, weights))
        return AddedCost(amounts, row)
