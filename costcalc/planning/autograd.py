"""A step of training as PyTorch takes it, by what each op says that it keeps: forward pass, loss, backward pass.

The rules, as autograd has them (torch 2.13, ``torch/csrc/autograd``):

- A value lives until its last use, and longer where a layer keeps it; each storage is there once, whoever keeps it.
- The backward pass goes through the layers in the opposite order. While a layer's gradients are worked out there are
  the gradients of its results, what it kept, and what it makes; then what it kept and the former are given up.
- Gradients that only pass (of a sum, a view) are the same memory. Where a value was read several times its gradients
  are added up in the memory of the first, if nobody else holds it and it is a whole tensor, else in new memory.
- Gradients of parameters stay. The loss is the sum of all results.

A segment of layers may be recomputed, as ``torch.utils.checkpoint`` does (not reentrant): of it only what it was given
is kept. Its forward pass is done again when the first of its layers needs what it kept, up to the last that keeps
anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from costcalc.analysis.backward import Needs, needs
from costcalc.classes import NamedTuple
from costcalc.errors import OptionError
from costcalc.ir.allocations import Allocation, ObservedStep, SavedForBackward
from costcalc.ir.graph import Graph, Node
from costcalc.ir.saved import NOTHING, Saves
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.planning.autocast import CAST, WeightCast, cast, kept, weight_casts
from costcalc.planning.heap import Heap
from costcalc.planning.sizes import ValueSizes
from costcalc.planning.strides import is_one_axis, strides

SCALAR = 4
"""Bytes of a sum of results."""


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
    beside   bytes that are there besides while its gradients are worked out
    casts    the weights that are cast, as autocast does
    """

    node: Node
    reads: tuple[str | None, ...]
    makes: tuple[tuple[str, int, str], ...]
    needs: Needs
    keeps: Saves
    dead: tuple[str, ...]
    weights: tuple[tuple[str, int], ...]
    beside: int
    casts: tuple[WeightCast, ...] = ()


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
            if steps is not None and not is_one_axis(types[i], steps, apart):
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

    def is_differentiable(self, value: str) -> bool:
        """Whether it can have a gradient: indices and truth values have none, and nothing is kept to make one."""
        dtype = self.graph.types[value].dtype
        return dtype in FLOATING_BITS or dtype.startswith("complex")

    def _layer(self, node: Node, needed: Needs, dead: tuple[str, ...]) -> LayerStep:
        graph, sizes = self.graph, self.sizes
        types = graph.input_types(node)
        made = tuple((v, sizes.of(v), graph.types[v].dtype) for v in node.outputs if self.root[v] == v)
        keeps: Saves | None = NOTHING
        beside: tuple[TensorType, ...] = ()
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
            sum(map(sizes.of_type, beside)), casts,
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
            if layers[i].keeps != NOTHING:
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


class Autograd:
    """One step of training of a ``GradientPlan``, with the ``segments`` recomputed."""

    def __init__(self, plan: GradientPlan, segments: Sequence[Segment] = ()) -> None:
        self.plan, self.heap = plan, Heap()
        self.values: dict[str, int] = {}  # storage → its number, while the forward pass holds it
        self.kept: dict[str, list[int]] = {}
        self.grads: dict[str, int] = {}
        self.saved: list[SavedForBackward] = []
        self.gradients: dict[str, int] = {}
        self._seen: set[object] = set()  # storages that are listed as saved
        self.starts = {s.start: s for s in segments}
        self.segment_of = {i: s for s in segments for i in range(s.start, s.stop)}
        self.given: dict[Segment, dict[str, int]] = {}
        self.casts: dict[str, int] = {}  # copies of weights that are made once, while the forward pass holds them
        self.narrow: dict[str, int] = {}  # gradients of such copies, until they are cast back
        self.to_widen: LayerStep | None = None
        uses = [(copy.name, layer.node.name) for layer in plan.layers for copy in layer.casts if copy.once]
        self.first_use = dict(reversed(uses))

    def step(self) -> ObservedStep:
        """All of it."""
        plan, graph, heap = self.plan, self.plan.graph, self.heap
        for i, layer in enumerate(plan.layers):
            segment = self.segment_of.get(i)
            if segment is not None and segment.start == i:
                self.enter(segment)
            self.forward(layer, keep=segment is None)
        wanted = [v for v in graph.outputs if plan.root[v] is not None and self.has_gradient(v)]
        if not wanted:
            raise OptionError(f"{graph.name}: none of its results depends on a parameter that is trained")
        heap.begin("the loss")
        others = [v for v in dict.fromkeys(wanted) if graph.types[v].dtype != "float32"]
        for value in others:  # are summed in float32
            heap.drop(heap.make(plan.sizes.of_type(graph.types[value]._replace(dtype="float32"))))
        total = heap.make(SCALAR)
        heap.make(SCALAR)  # with what is added to it, which its caller holds
        heap.drop(total)
        for number in self.casts.values():
            heap.drop(number)
        turn = len(heap.steps)
        heap.begin("the loss")
        one = heap.make(SCALAR)
        for value in dict.fromkeys(wanted):
            self.grads[value] = self._new(value) if value in others else heap.hold(one)
        for i in reversed(range(len(plan.layers))):
            segment = self.segment_of.get(i)
            self.backward(plan.layers[i], segment)
            if segment is not None and segment.start == i:
                for number in self.given[segment].values():
                    heap.drop(number)
        self._widen()
        heap.drop(one)  # which the call of the backward pass has held
        inputs = tuple(
            Allocation("input", plan.sizes.of(v), graph.types[v].dtype, 0, max(len(heap.steps) - 1, 0))
            for v in graph.inputs
        )
        return ObservedStep(
            heap.run(inputs), turn, tuple(self.saved), sum(heap.size(n) for n in self.gradients.values()),
            heap.now, plan.parameters, plan.weights, tuple(plan.unknown),
        )  # fmt: skip

    def enter(self, segment: Segment) -> None:
        """Hold what a segment is given, since its forward pass will be done again."""
        crossing = self.plan.crossing(segment)
        self.given[segment] = {root: self.heap.hold(self.values[root]) for root in crossing}
        first = self.plan.layers[segment.start].node.name
        for root in crossing:
            self._list(first, self.values[root])

    def forward(self, layer: LayerStep, *, keep: bool) -> None:
        """One layer, and what dies with it; with ``keep`` what it keeps is held."""
        heap, values, node = self.heap, self.values, layer.node
        heap.begin(node.name)
        beside = () if keep and layer.keeps != NOTHING else self._discards(layer)
        for value, size, dtype in layer.makes:
            values[value] = heap.make(size, dtype)
        casts = self._cast(layer)
        if keep:
            self.kept[node.name] = self._keep(layer)
        for copied, number in casts:
            if keep and copied.kept:
                self.kept[node.name].append(number)
                self._list(node.name, number)
            else:
                heap.drop(number)
        for size in beside:
            heap.drop(heap.make(size))
        for root in layer.dead:
            if root in values:
                heap.drop(values.pop(root))

    def _cast(self, layer: LayerStep) -> list[tuple[WeightCast, int]]:
        """The copies of its weights, each held once more."""
        made = []
        for copy in layer.casts:
            if copy.name in self.casts:
                number = self.heap.hold(self.casts[copy.name])
            else:
                number = self.heap.make(copy.bytes, self.plan.autocast)
                if copy.once:
                    self.casts[copy.name] = self.heap.hold(number)
            made.append((copy, number))
        return made

    def _discards(self, layer: LayerStep) -> tuple[int, ...]:
        plan = self.plan
        types = plan.graph.input_types(layer.node)
        made = layer.node.op.discards(*types, y=plan.graph.types[layer.node.outputs[0]])
        return tuple(plan.sizes.of_type(t) for t in made)

    def _keep(self, layer: LayerStep) -> list[int]:
        plan, heap, node = self.plan, self.heap, layer.node
        held = []
        roots = [layer.reads[i] for i in layer.keeps.inputs] + [plan.root[node.outputs[j]] for j in layer.keeps.outputs]
        for root in roots:
            if root is None:
                continue
            if root in self.values:
                held.append(heap.hold(self.values[root]))
                self._list(node.name, self.values[root])
            elif root not in self._seen:  # an input of the model, which its caller holds
                self._seen.add(root)
                self.saved.append(SavedForBackward(node.name, plan.sizes.of(root), True))
        for kind in layer.keeps.maps:
            held.append(heap.make(plan.sizes.of_type(kind), kind.dtype))
            self._list(node.name, held[-1])
        return held

    def _list(self, layer: str, number: int) -> None:
        if number not in self._seen:
            self._seen.add(number)
            self.saved.append(SavedForBackward(layer, self.heap.size(number), False))

    def has_gradient(self, value: str) -> bool:
        """Whether something that is trained stands before ``value``, and it is no index or truth value."""
        return self.plan.is_differentiable(value) and any(
            layer.needs.any and value in layer.node.outputs for layer in self.plan.layers
        )

    def recompute(self, segment: Segment) -> None:
        """The forward pass of a segment once more; then what its layers keep is there, and nothing else of it."""
        listed = len(self.saved)
        outside = self.values
        self.values = {root: self.heap.hold(number) for root, number in self.given[segment].items()}
        layers = self.plan.again(segment)
        for layer in layers:
            if layer is layers[-1] and keeps_only_inputs(layer):
                self.kept[layer.node.name] = self._keep(layer)  # it is stopped before it is done
            else:
                self.forward(layer, keep=True)
        for number in self.values.values():
            self.heap.drop(number)
        self.values = outside
        del self.saved[listed:]

    def backward(self, layer: LayerStep, segment: Segment | None = None) -> None:
        """The gradients of one layer."""
        plan, heap, node = self.plan, self.heap, layer.node
        if self.to_widen and not node.name.startswith(f"{self.to_widen.node.name}{CAST}"):
            self._widen()  # after the casts of inputs, which were made after those of weights
        above = [self.grads.pop(v) for v in node.outputs if v in self.grads]
        if above and segment is not None and layer.keeps != NOTHING and node.name not in self.kept:
            self.recompute(segment)
        heap.begin(node.name)
        made: list[tuple[str, int]] = []
        if above and layer.needs.any:
            types, types_of = plan.graph.input_types(node), plan.graph.types
            back = node.op.hands_back(*types, y=plan.graph.types[node.outputs[0]])
            for value, wanted, same in zip(node.inputs, layer.needs.wanted, back, strict=True):
                if wanted:
                    passes = same and types_of[value].dtype == types_of[node.outputs[0]].dtype
                    made.append((value, heap.hold(above[0]) if passes else self._new(value)))
            made += [(value, self._new(value)) for value in layer.needs.prepared]
        cast_of = {copy.name: copy for copy in layer.casts}
        own = [
            (name, heap.make(cast_of[name].bytes if name in cast_of else size)) for name, size in layer.weights if above
        ]
        if above and layer.beside:
            heap.drop(heap.make(layer.beside))
        for number in above:
            heap.drop(number)
        for number in self.kept.pop(node.name, ()):
            heap.drop(number)
        for name, number in own:
            if name not in cast_of:
                self._gradient(name, number)
            elif name in self.narrow:
                heap.drop(number)  # added to that of the copy, which there is
            else:
                self.narrow[name] = number
        if cast_of:
            self.to_widen = layer
        for value, number in made:
            self._add(node.name, value, number)

    def _widen(self) -> None:
        """Cast the gradients of the last layer's weights back, but of those that a layer before it uses too."""
        layer, self.to_widen = self.to_widen, None
        for name, size in layer.weights if layer else ():
            if layer and name in self.narrow and self.first_use.get(name, layer.node.name) == layer.node.name:
                self.heap.begin(layer.node.name)
                self._gradient(name, self.heap.make(size))
                self.heap.drop(self.narrow.pop(name))

    def _gradient(self, name: str, number: int) -> None:
        """The gradient of a weight, or one that is added to what there is."""
        if name in self.gradients:
            self.heap.drop(number)
        else:
            self.gradients[name] = number

    def _new(self, value: str) -> int:
        return self.heap.make(self.plan.sizes.of(value), self.plan.graph.types[value].dtype)

    def _add(self, layer: str, value: str, number: int) -> None:
        """Add a gradient to those that there are of ``value``."""
        heap = self.heap
        old = self.grads.get(value)
        if old is None:
            self.grads[value] = number
            return
        if heap.is_alone(old) and heap.size(old) == self.plan.sizes.of(value):
            heap.drop(number)
            return
        heap.begin(layer)
        self.grads[value] = self._new(value)
        heap.drop(old)
        heap.drop(number)


def step(graph: Graph, autocast: str = "") -> ObservedStep:
    """What a step of training of ``graph`` holds, by the rules of its ops, perhaps in a narrower type."""
    return Autograd(GradientPlan(graph, autocast)).step()


def keeps_only_inputs(layer: LayerStep) -> bool:
    """Whether all that a layer keeps is there before it is done."""
    return not layer.keeps.outputs and not layer.keeps.maps


def _is_view(node: Node) -> bool:
    training = node.op.is_view_in_training
    return node.op.is_view if training is None else training
