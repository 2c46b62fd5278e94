"""What a step of training does for each layer of a network, whatever is recomputed: the plan of ``autograd``."""

from __future__ import annotations

from functools import cached_property

from costcalc.analysis.backward import Needs, needs
from costcalc.classes import NamedTuple
from costcalc.ir.graph import Graph, Node
from costcalc.ir.saved import NOTHING, Moment, Saves
from costcalc.ir.storage_region import is_one_axis
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.planning.autocast import WeightCast, cast, kept, weight_casts
from costcalc.planning.sizes import ValueSizes
from costcalc.planning.strides import strides


class Segment(NamedTuple):
    """Layers that are recomputed: the numbers of the first, and of the one after the last."""

    start: int
    stop: int


class LayerStep(NamedTuple):
    """What a step does for one layer.

    reads    the storage of each input, by the value that made it; None of weights
    makes    the outputs that are new memory, with their bytes
    needs    which gradients are worked out
    keeps    what is kept for them
    dead     storages that no later layer of the forward pass reads
    weights  the trained weights, by their names in the whole model, with their bytes
    beside   the moments while its gradients are worked out, each with the bytes of its tensors
    casts    the weights that are cast, as autocast does
    """

    node: Node
    reads: tuple[str | None, ...]
    makes: tuple[tuple[str, int, str], ...]
    needs: Needs
    keeps: Saves
    dead: tuple[str, ...]
    weights: tuple[tuple[str, int], ...]
    beside: tuple[tuple[Moment, int], ...]
    casts: tuple[WeightCast, ...] = ()

    @property
    def keeps_any(self) -> bool:
        """Whether anything is kept of it, copies of weights too."""
        return self.keeps != NOTHING or any(copy.kept for copy in self.casts)


class GradientPlan:
    """The layers of ``graph`` for ``Autograd``, which several runs can share.

    unknown   layers without a rule for what they keep, or that keep more than is known
    root      for each value the one whose memory it is, while training; None of what is a weight
    autocast  the narrower type of autocast; "" without
    """

    def __init__(self, graph: Graph, autocast: str = "") -> None:
        graph = cast(graph, autocast) if autocast else graph
        self.graph, self.sizes, self.autocast = graph, ValueSizes(graph, None), autocast
        self.root: dict[str, str | None] = {v: v for v in graph.inputs}
        self.unknown: list[str] = []
        for node in graph.nodes:
            for value in node.outputs:
                self.root[value] = (self.root[node.inputs[0]] if node.inputs else None) if _is_view(node) else value
        last: dict[str, int] = {}
        for i, node in enumerate(graph.nodes):
            for value in (*node.reads, *node.outputs):
                root = self.root[value]
                if root is not None:
                    last[root] = i
        for value in (*graph.outputs, *graph.inputs):
            root = self.root[value]
            if root is not None:
                last[root] = len(graph.nodes)
        dead: list[list[str]] = [[] for _ in range(len(graph.nodes) + 1)]
        for root, i in last.items():
            dead[i].append(root)
        self.last = last
        self.leads = self._leading()
        self.strides = strides(graph)
        self.layers = [self._layer(*pair, tuple(dead[i])) for i, pair in enumerate(needs(graph))]

    def _with_copies(self, node: Node, types: tuple[TensorType, ...], keeps: Saves) -> Saves:
        """``keeps`` with copies in place of inputs that a product cannot read as they lie."""
        for i, apart in keeps.stacks:
            steps = self.strides.get(node.inputs[i])
            if steps is not None and not is_one_axis(types[i].shape, steps, apart):
                others = tuple(j for j in keeps.inputs if j != i)
                keeps = keeps._replace(inputs=others, maps=(*keeps.maps, types[i]))
        return keeps

    def _leading(self) -> set[str]:
        """The values that the results are made of: what leads nowhere keeps nothing for the backward pass."""
        found = set(self.graph.outputs)
        for node in reversed(self.graph.nodes):
            if found.intersection(node.outputs):
                found.update(node.reads)
        return found

    @cached_property
    def weights(self) -> int:
        """Bytes of parameters and buffers."""
        return self.sizes.weights()

    @cached_property
    def batch(self) -> int:
        """Bytes of the inputs."""
        return sum(map(self.sizes.of, self.graph.inputs))

    @cached_property
    def parameters(self) -> tuple[int, ...]:
        """Bytes of each parameter that has a gradient: of what leads nowhere none has."""
        leading = (layer for layer in self.layers if self.leads.intersection(layer.node.outputs))
        return tuple(dict(each for layer in leading for each in layer.weights).values())

    def as_summed(self, value: str) -> int:
        """Bytes of a result in float32, in which the loss adds up."""
        return self.sizes.of_type(self.graph.types[value]._replace(dtype="float32"))

    @cached_property
    def summing(self) -> int:
        """Bytes that are there while the narrower ones of the results are summed, one after the other."""
        others = (v for v in self.graph.outputs if self.root[v] is not None and self.is_differentiable(v))
        return max((self.as_summed(v) for v in others if self.graph.types[v].dtype != "float32"), default=0)

    def is_differentiable(self, value: str) -> bool:
        """Whether it can have a gradient: indices and truth values have none, and nothing is kept to make one."""
        dtype = self.graph.types[value].dtype
        return dtype in FLOATING_BITS or dtype.startswith("complex")

    def _layer(self, node: Node, needed: Needs, dead: tuple[str, ...]) -> LayerStep:
        graph, sizes = self.graph, self.sizes
        types = graph.input_types(node)
        made = tuple((v, sizes.occupied(node, v), graph.types[v].dtype) for v in node.outputs if self.root[v] == v)
        keeps: Saves | None = NOTHING
        beside: tuple[Moment, ...] = ()
        if needed.any and self.leads.intersection(node.outputs) and any(map(self.is_differentiable, node.outputs)):
            y = graph.types[node.outputs[0]]
            keeps = node.op.saves(*types, y=y, trained=needed.trained, wanted=needed.wanted)
            keeps = keeps and self._with_copies(node, types, keeps)
            if self.autocast and keeps is not None:
                keeps = kept(node, keeps, types, node.stored(node.op.weights(*types)))
            if keeps is None or keeps.least:
                self.unknown.append(node.name)
            beside = node.op.beside_gradients(*types, y=y, trained=needed.trained, wanted=needed.wanted)
        stored = node.stored(node.op.weights(*types))
        weights = stored if needed.trained else {}
        casts = weight_casts(node, stored, types, self.autocast, needed.wanted) if self.autocast else ()
        if not needed.any or not self.leads.intersection(node.outputs):
            casts = tuple(c._replace(kept=False) for c in casts)
        return LayerStep(
            node, tuple(self.root[v] for v in node.inputs), made, needed, keeps or NOTHING, dead,
            tuple((node.weight(n), sizes.of_type(w.type)) for n, w in weights.items() if w.trained and not w.frozen),
            tuple([(moment, sum(map(sizes.of_type, moment.maps))) for moment in beside]), casts,
        )  # fmt: skip

    def crossing(self, segment: Segment) -> tuple[str, ...]:
        """The storages that a segment is given, the model's inputs and weights apart."""
        inside = {v for layer in self.layers[segment.start : segment.stop] for v, *_ in layer.makes}
        read = (r for layer in self.layers[segment.start : segment.stop] for r in layer.reads)
        given = set(self.graph.inputs)
        return tuple(dict.fromkeys(r for r in read if r is not None and r not in inside and r not in given))

    def again(self, segment: Segment) -> list[LayerStep]:
        """The layers of a segment that are done again, up to the last that keeps anything."""
        layers = self.layers[segment.start : segment.stop]
        for i in reversed(range(len(layers))):
            if layers[i].keeps_any:
                return layers[: i + 1]
        return []

    def extra_macs(self, segment: Segment) -> int:
        """MACs that are done again; those of the last layer are not where it keeps only what it was given."""
        layers = self.again(segment)
        if layers and keeps_only_inputs(layers[-1]):
            layers = layers[:-1]
        return sum(map(self.macs, layers))

    def macs(self, layer: LayerStep) -> int:
        """Of its forward pass."""
        types, y = self.graph.input_types(layer.node), self.graph.types[layer.node.outputs[0]]
        return int(layer.node.op.macs(*types, y=y))  # type: ignore[arg-type]


def keeps_only_inputs(layer: LayerStep) -> bool:
    """Whether all that a layer keeps is there before it is done."""
    return not layer.keeps.outputs and not layer.keeps.maps


def _is_view(node: Node) -> bool:
    training = node.op.is_view_in_training
    return node.op.is_view if training is None else training
