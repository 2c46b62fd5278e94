"""How many bits a set of layers keeps: each distinct tensor once, views free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.layer_costs import held_in
from costcalc.ir.dims import Dim, minimum
from costcalc.ir.graph import Graph, Group, Node
from costcalc.ir.tensor import TensorType, Weight


class Roots(dict[str, str]):
    """For each value, the value whose storage it uses.

    views       the values that use that of another
    weight_of   for a value that is a weight of the model: the weight's name
    settled     values that depend on no input: weights, and what is made of them beforehand
    kept        of what is made beforehand, the values whose storage an inference reads
    """

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__((v, v) for v in values)
        self.views: set[str] = set()
        self.weight_of: dict[str, str] = {}
        self.settled: frozenset[str] = frozenset()
        self.kept: frozenset[str] = frozenset()

    def is_prepared(self, node: Node) -> bool:
        """Whether the work of ``node`` is done beforehand: its value is settled, and not a tensor of the model."""
        return node.outputs[0] in self.settled and not node.is_leaf


def roots(graph: Graph) -> Roots:
    """For each value, the value whose storage it uses: itself unless an op that only views made it."""
    root = Roots(graph.inputs)
    root.settled = graph.settled
    for node in graph.nodes:
        if node.op.is_view and node.inputs:
            root.update(dict.fromkeys(node.outputs, root[node.inputs[0]]))
            root.views.update(node.outputs)
        else:
            root.update(zip(node.outputs, node.outputs, strict=True))
            if node.is_leaf:
                root.weight_of[node.outputs[0]] = node.weight("weight")
    if root.settled:
        read = {v for node in graph.nodes if node.outputs[0] not in root.settled for v in node.reads}
        read.update(graph.outputs)
        root.kept = frozenset({root[v] for v in read & root.settled} - root.weight_of.keys())
    return root


def inside(graph: Graph, root: Roots) -> frozenset[str]:
    """The values that never are in memory: made, also as views, and read by one kernel alone, and no results."""
    group_of = graph.group_of
    made_in: dict[str, Group] = {}
    for node in graph.nodes:
        group = group_of.get(node.name)
        if group is not None and not node.op.is_view:
            made_in.update(dict.fromkeys(node.outputs, group))
    read: set[str] = set()
    outside = {root[v] for v in graph.outputs}
    for node in graph.nodes:
        if node.op.is_view:
            continue
        group = group_of.get(node.name)
        for value in map(root.__getitem__, node.reads):
            read.add(value)
            if made_in.get(value) is not group:
                outside.add(value)
    kept = {value for value in made_in if value in read and value not in outside}
    return frozenset(value for value, where in root.items() if where in kept)


def unread(graph: Graph, root: Roots, inside: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each layer in a group those of its inputs that are inside of its kernel, or that a layer before it in the
    group reads whole.
    """
    found: dict[str, frozenset[str]] = {}
    for kernel in graph.kernels:
        if len(kernel) == 1:
            continue
        before: set[str] = set()
        for node in kernel:
            values = {v: root[v] for v in node.reads}
            found[node.name] = frozenset(v for v, kept in values.items() if v in inside or kept in before)
            if node.op.has_default("reads") and not node.op.is_view:
                before.update(kept for v, kept in values.items() if v == kept)
    return found


class Storage:
    """Where each value of a graph is kept, and the bits that it needs.

    width     bits of a floating-point element in place of its own
    nothing   a record of figures that are all 0
    group_of  layer → the group that one kernel does
    inside    the values that only one kernel makes and reads, so that they are never in memory
    unread    layer → those of its inputs that it need not read: these, and what its kernel has read already
    """

    def __init__(self, graph: Graph, width: int | None = None) -> None:
        self.root = roots(graph)
        self.width = width
        self.nothing = Amounts((figure.name, 0) for figure in FIGURES.values() if figure.is_recorded)
        self._of_values = [figure.name for figure in FIGURES.values() if figure.values]
        self.group_of = graph.group_of
        self.inside = inside(graph, self.root) if graph.groups else frozenset()
        self.unread = unread(graph, self.root, self.inside) if graph.groups else {}
        of_type: dict[TensorType, Dim] = {}
        self.bits: dict[str, Dim] = {}
        for value, t in graph.types.items():
            bits = of_type.get(t)
            if bits is None:
                bits = of_type[t] = t.bits(width)
            self.bits[value] = bits

    def is_prepared(self, node: Node) -> bool:
        """Whether the work of ``node`` is done beforehand."""
        return self.root.is_prepared(node)

    def touched(self, node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The values that an inference reads in ``node``, and that it makes; of work that is done beforehand nothing
        is read, and made is what is kept of it. What stays inside of a kernel is neither.
        """
        if self.is_prepared(node):
            return (), tuple(v for v in node.outputs if v in self.root.kept)
        if self.inside:
            return tuple(v for v in node.reads if v not in self.inside), tuple(
                v for v in node.outputs if v not in self.inside
            )
        return node.reads, node.outputs

    def put_values(self, amounts: Amounts, bits: Dim) -> None:
        """Add to ``amounts``, of layers and their weights, the ``bits`` of the values that they read and make."""
        for name in self._of_values:
            amounts[name] = amounts[name] + bits

    def distinct(self, values: Collection[str], weights: Collection[str]) -> Dim:
        """Bits of ``values``, as ``distinct_bits`` has them."""
        return distinct_bits(values, self.root, self.bits, weights)


def distinct_bits(values: Collection[str], root: Roots, bits_of: Mapping[str, Dim], weights: Collection[str]) -> Dim:
    """Bits of ``values``, each storage once; nothing for those that are one of ``weights``, by their names.

    Views of a root that is not among the values (the halves of a split, say) bring their own bits, together at most
    those of the root.
    """
    of = bits_of.__getitem__
    if not root.weight_of and root.views.isdisjoint(values):
        return sum(map(of, values))
    stored, views = distinct_values(values, root, weights)
    bits: Dim = sum(map(of, stored))
    for kept, seen in views.items():
        bits = bits + minimum(bits_of[kept], sum(map(of, seen)))
    return bits


def distinct_values(
    values: Collection[str], root: Roots, weights: Collection[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Those of ``values`` that are storages of their own; and by storage those that view one which is not there."""
    stored: list[str] = []
    views: dict[str, list[str]] = {}
    if not root.weight_of:
        seen = root.views.intersection(values)
        stored = [value for value in values if value not in seen]
        for value in values if seen else ():
            if value in seen and root[value] not in values:
                views.setdefault(root[value], []).append(value)
        return stored, views
    for value in values:
        kept = root[value]
        if root.weight_of and root.weight_of.get(kept) in weights:
            continue
        if kept == value:
            stored.append(value)
        elif kept not in values:
            views.setdefault(kept, []).append(value)
    return stored, views


class Tensors:
    """A growing set of distinct tensors and the bits that they need.

    A value that is a weight brings nothing where the weight is in the set, nor does a view where its
    root is: see ``distinct_bits``.
    """

    __slots__ = ("_storage", "_values", "weights")

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.weights: dict[str, Weight] = {}
        self._values: set[str] = set()

    def add(self, *values: Iterable[str]) -> None:
        """Put the named values in."""
        self._values.update(*values)

    def update(self, others: Tensors) -> None:
        """Put all of ``others`` in."""
        self._values |= others._values
        self.weights |= others.weights

    def value_bits(self) -> Dim:
        """Bits of the values, each storage once."""
        return self._storage.distinct(self._values, self.weights)

    def put_values(self, amounts: Amounts) -> None:
        """Add to ``amounts``, which has the weights, what the values bring."""
        self._storage.put_values(amounts, self.value_bits())

    def held(self) -> Amounts:
        """The figures of the weights, each once."""
        return held_in(self.weights.values(), self._storage.width)
