"""Fold batch norms into the layers before them, as every deployed network does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from costcalc.classes import NamedTuple, replace
from costcalc.ir.dims import Dim, prod
from costcalc.ir.graph import Graph, GraphBuilder, Node
from costcalc.ir.index_map import AxisMap, IndexMap, Regroup

AFFINE = ("multiply", "add", "divide", "subtract")
"""Ops that scale or shift their first input by the second."""


class Norm(NamedTuple):
    """What one layer takes in: the numbers by which a norm scales and shifts, and the first of its channels there."""

    numbers: tuple[str, ...]
    first: Dim


def fold_norm(graph: Graph) -> Graph:
    """``graph`` without the batch norms behind layers that map their channels affinely: convolutions, linear layers.

    At inference a batch norm is Y = (α/σ)·X + (β − αμ/σ) per channel: the factor goes into the weights of the layer
    before it and the rest into its bias, which it has from then on. Afterwards the norm costs nothing. Between the two
    may stand what only moves elements and keeps the channels together, another norm, and a concatenation along the
    channels, of which each layer takes in its own. A frozen norm, which is a scale and a shift made beforehand of
    running statistics, goes as well; and where a layer's weights are made beforehand of others, the folded ones replace
    those.

    A norm stays where something else reads a value on the way, the model's outputs among them; where its layer shares
    weights with one that does not take in the same; and where it keeps no running statistics: μ and σ are then those of
    the images. It also stays before a layer, since the shift would be missing in the padding.

    Source: facts of the field; Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3.2.
    """
    barred: set[str] = set()
    while True:
        found = _Folding(graph, barred)
        unlike = found.unlike()
        if not unlike:
            return found.graph_without()
        barred |= unlike


class _Folding:
    """Which norms go into which layers, if none goes into those that are ``barred``."""

    def __init__(self, graph: Graph, barred: set[str]) -> None:
        self.graph, self.barred = graph, barred
        self.maker = {value: node for node in graph.nodes for value in node.outputs}
        self.readers = Counter(value for node in graph.nodes for value in node.reads)
        self.readers.update(graph.outputs)
        self.outputs = {node.name: node.outputs for node in graph.nodes}
        self.read_by: dict[str, list[str]] = {}
        for node in graph.nodes:
            for value in node.reads:
                self.read_by.setdefault(value, []).append(node.name)
        self.folded: dict[str, str] = {}  # what a norm makes → what it read
        self.taking: dict[str, list[Norm]] = {}  # layer → what it takes in
        self.stated = {value for node in graph.nodes if _has_statistics(node) for value in node.outputs}
        for node in graph.nodes:
            if any(value in self.stated for value in node.inputs) and node.outputs[0] in graph.settled:
                self.stated.update(node.outputs)
        self.same = _made_alike(graph)
        for node in graph.nodes:
            self._fold(node)

    def _fold(self, node: Node) -> None:
        """Take ``node`` away if it is a norm and there are layers that can hold it."""
        value, axes, numbers = self._norm(node)
        layers = next(filter(None, (self._behind(value, axis) for axis in axes)), None)
        if not layers:
            return
        first: Dim = 0
        for layer in layers:
            self.taking.setdefault(layer.name, []).append(Norm(numbers, first))
            first = first + self.graph.types[layer.outputs[0]].shape[layer.op.channel_axis or 0]
        self.folded[node.outputs[0]] = value

    def _norm(self, node: Node) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
        """The value that ``node`` scales and shifts, along which axis, and by which numbers.

        It may be one of several axes where there is one channel; of none if the node is not a norm.
        """
        if node.op.name == "batch_norm":
            weights = node.op.weights(*self.graph.input_types(node))
            if "running_mean" in weights:
                return node.inputs[0], (1,), (repr(node.op), *map(node.weight, weights))
        elif node.op.name in AFFINE and len(node.inputs) == 2:
            # Minus a value, or by one, is another function of it.
            orders = (node.inputs, node.inputs[::-1]) if node.op.name in ("multiply", "add") else (node.inputs,)
            for value, number in orders:
                y, x, by = (self.graph.types[v].shape for v in (node.outputs[0], value, number))
                axes = [len(y) - len(by) + axis for axis, size in enumerate(by) if size != 1]
                if not axes:
                    axes = [axis for axis, size in enumerate(y) if size == 1 and axis >= len(y) - len(by)]
                elif len(axes) > 1:
                    continue
                if y == x and number in self.stated and value not in self.graph.settled:
                    return value, tuple(axes), (node.op.name, self.same.get(number, number))
        return "", (), ()

    def _behind(self, value: str, axis: int) -> list[Node] | None:
        """The layers whose channels lie along ``axis`` of ``value``, in order; None if it is not theirs alone."""
        while value in self.folded:
            if self.readers[value] != 1:
                return None
            value = self.folded[value]
        node = self.maker.get(value)
        if node is None or self.readers[value] != 1 or node.name in self.barred:
            return None
        types = self.graph.input_types(node)
        y = self.graph.types[value]
        if node.op.channel_axis is not None:
            return [node] if node.op.channel_axis % len(y.shape) == axis else None
        if node.op.name == "concat" and getattr(node.op, "axis", 0) % len(y.shape) == axis:
            parts = [self._behind(v, axis) for v in node.inputs]
            return [layer for part in parts for layer in part or ()] if all(parts) else None
        alone = len(types) == len(node.outputs) == 1 and types[0].size == y.size and not node.op.is_random
        if alone and node.op.ops(*types, y=y) == node.op.macs(*types, y=y) == 0 and not node.op.weights(*types):
            (index_map,) = node.op.index_maps(*types, y=y)
            before = _axis_before(index_map, axis, types[0].shape, y.shape)
            return None if before is None else self._behind(node.inputs[0], before)
        return None

    def unlike(self) -> set[str]:
        """Layers that share a weight with one that does not take in the same."""
        users: dict[str, set[str]] = {}
        for node in self.graph.nodes:
            weights = node.op.weights(*self.graph.input_types(node))
            for name in (*map(node.weight, node.stored(weights)), *self._made(node.prepared.values())):
                users.setdefault(name, set()).add(node.name)
            for value in node.inputs:
                users.setdefault(self.same.get(value, value), set()).add(node.name)
        found: set[str] = set()
        for node in self.graph.nodes:
            if node.name not in self.taking:
                continue
            weights = node.op.weights(*self.graph.input_types(node))
            for name in (*map(node.weight, node.stored(weights)), *self._made(node.prepared.values())):
                if any(self.taking.get(user) != self.taking[node.name] for user in users[name]):
                    found.add(node.name)
            if any(self.taking.get(user) != self.taking[node.name] for user in self._beside(node)):
                found.add(node.name)
        return found

    def _beside(self, node: Node) -> set[str]:
        """The layers that read what the weights of ``node`` are made of beforehand, without those that make these."""
        made, makers, open_ = set(node.prepared.values()), {}, list(node.prepared.values())
        while open_:
            maker = self.maker[open_.pop()]
            if maker.name not in makers:
                makers[maker.name] = maker
                made.update(maker.outputs)
                open_ += maker.reads
        sources = {
            maker.weight(local)
            for maker in makers.values()
            for local in maker.stored(maker.op.weights(*self.graph.input_types(maker)))
        }
        users = {user.rpartition(".")[0] for name in sources for user in self.graph.users[name]}
        users |= {reader for value in made for reader in self.read_by.get(value, ())}
        # A chain beside it, of another layer, may be equal: what it leads to has to take in the same.
        return self._led_to(users - makers.keys())

    def _led_to(self, names: set[str]) -> set[str]:
        """``names``, or for those that are done beforehand the layers that read what they make."""
        found, open_, seen = set(), list(names), set(names)
        while open_:
            name = open_.pop()
            outputs = self.outputs[name]
            if outputs[0] not in self.graph.settled:
                found.add(name)
                continue
            more = {reader for value in outputs for reader in self.read_by.get(value, ())} - seen
            seen |= more
            open_ += more
        return found

    def _made(self, values: Iterable[str]) -> list[str]:
        return [self.same.get(value, value) for value in values]

    def graph_without(self) -> Graph:
        """The graph in which the norms are gone, and what only they needed."""
        graph = self.graph
        builder = GraphBuilder(graph.name, {value: graph.types[value] for value in graph.inputs})
        holders: dict[tuple[str, ...], str] = {}  # the weights of a layer → the first layer that has them
        kept: list[Node] = []
        for node in graph.nodes:
            if node.outputs[0] in self.folded:
                continue
            inputs = tuple(map(self._instead, node.inputs))
            op, called, prepared = node.op, dict(node.called), dict(node.prepared)
            if node.name in self.taking:
                weights = op.weights(*graph.input_types(node))
                made = {local: self.same.get(value, value) for local, value in prepared.items()}
                held = tuple(made.get(local) or node.weight(local) for local in weights)
                first = holders.setdefault(held, node.name)
                if first != node.name:
                    called |= {local: f"{first}.{local}" for local in (*prepared, *({"bias"} - weights.keys()))}
                op, prepared = type(op)(**{**vars(op), "bias": True}), {}
            kept.append(
                Node(node.name, op, inputs, node.outputs, called, node.location, prepared, node.frozen, node.stored_as)
            )
        outputs = tuple(map(self._instead, graph.outputs))
        for node in self._needed(kept, outputs):
            builder.add(
                node.name, node.op, node.inputs, node.called, node.location, node.prepared, node.frozen, node.stored_as
            )
        folded = builder.build(outputs, graph.parameters, graph.source)
        there = {node.name for node in folded.nodes}
        sizes = tuple(s._replace(layers=tuple(name for name in s.layers if name in there)) for s in graph.sizes)
        operators = {name: of for name, of in graph.operators.items() if name in there}
        folded = replace(folded, assumed=graph.assumed, sizes=sizes, layouts=graph.layouts, modules=graph.modules)
        return replace(folded, operators=operators)

    def _instead(self, value: str) -> str:
        """The value that is there in place of what a norm made."""
        while value in self.folded:
            value = self.folded[value]
        return value

    def _needed(self, nodes: list[Node], outputs: tuple[str, ...]) -> list[Node]:
        """``nodes`` without those that were made beforehand for norms and kernels that are gone."""
        read = Counter(value for node in nodes for value in node.reads)
        read.update(outputs)
        needed: list[Node] = []
        for node in reversed(nodes):
            made = node.outputs
            unread = not any(read[v] for v in made) and any(self.readers[v] for v in made)
            if unread and self.graph.settled.issuperset(made):
                read.subtract(node.reads)
            else:
                needed.append(node)
        return needed[::-1]


def _made_alike(graph: Graph) -> dict[str, str]:
    """For each value that is made beforehand, the first that equal ops make of the same tensors of the model."""
    first: dict[Hashable, str] = {}
    same: dict[str, str] = {}
    for node in graph.nodes:
        if node.outputs[0] not in graph.settled:
            continue
        weights = tuple(node.prepared.get(w) or node.weight(w) for w in node.op.weights(*graph.input_types(node)))
        known = node.inputs or weights  # of a constant the numbers are not kept
        for i, value in enumerate(node.outputs):
            key = (node.op, i, weights, *(same.get(v, v) for v in node.inputs)) if known else value
            same[value] = first.setdefault(key, value)
    return same


def _has_statistics(node: Node) -> bool:
    """Whether ``node`` is a tensor of the model that is not trained, as running statistics are."""
    return node.is_leaf and any(not weight.trained for weight in node.op.weights().values())


def _axis_before(index_map: IndexMap, axis: int, x: tuple[object, ...], y: tuple[object, ...]) -> int | None:
    """The input's axis that lies along ``axis`` of an output that only moves elements; None if it was taken apart."""
    if isinstance(index_map, Regroup):
        same = (b for b in range(len(x)) if x[b] == y[axis] and prod(x[:b]) == prod(y[:axis]))  # type: ignore[arg-type]
        return next(same, None) if y[axis] != 1 else None
    entry = index_map[axis] if isinstance(index_map, tuple) and index_map else None
    if not isinstance(entry, AxisMap) or entry != AxisMap(entry.axis):
        return None
    return entry.axis if x[entry.axis] == y[axis] else None
