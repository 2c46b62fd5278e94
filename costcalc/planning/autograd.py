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

from costcalc.errors import OptionError, listing
from costcalc.ir.allocations import Allocation, ObservedStep, SavedForBackward
from costcalc.ir.graph import Graph
from costcalc.ir.saved import NOTHING
from costcalc.ir.tensor import FLOATING_BITS
from costcalc.planning.autocast import CAST, WeightCast
from costcalc.planning.gradient_plan import GradientPlan, LayerStep, Segment, keeps_only_inputs
from costcalc.planning.heap import Heap

SCALAR = 4
"""Bytes of a sum of results."""


class Autograd:
    """One step of training of a ``GradientPlan``, with the ``segments`` recomputed."""

    def __init__(self, plan: GradientPlan, segments: Sequence[Segment] = ()) -> None:
        self.plan, self.heap = plan, Heap()
        self.values: dict[str, int] = {}  # storage → its number, while the forward pass holds it
        self.kept: dict[str, list[int]] = {}
        self.kept_inputs: dict[tuple[str, int], int] = {}  # of these that of an input, by its layer and position
        self.grads: dict[str, int] = {}
        self.saved: list[SavedForBackward] = []
        self.gradients: dict[str, int] = {}
        self._seen: set[object] = set()  # storages that are listed as saved
        segments = [s for s in segments if plan.again(s)]  # what keeps nothing is as it was
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
            why = _whole_numbers(graph)
            raise OptionError(f"{graph.name}: none of its results depends on a parameter that is trained{why}")
        heap.begin("the loss")
        others = [v for v in dict.fromkeys(wanted) if graph.types[v].dtype != "float32"]
        for value in others:  # are summed in float32
            heap.drop(heap.make(plan.as_summed(value)))
        total = heap.make(SCALAR)
        heap.make(SCALAR)  # with what is added to it, which its caller holds
        heap.drop(total)
        for number in self.casts.values():
            heap.drop(number)
        turn = len(heap.steps)
        heap.begin("the loss")
        one = heap.make(SCALAR)
        for value in dict.fromkeys(wanted):
            self.grads[value] = self.new(value) if value in others else heap.hold(one)
        for i in reversed(range(len(plan.layers))):
            segment = self.segment_of.get(i)
            self.backward(plan.layers[i], segment)
            if segment is not None and segment.start == i:
                for number in self.given[segment].values():
                    heap.drop(number)
        self.widen()
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
        casts = self.cast(layer)
        if keep:
            self.kept[node.name] = self._keep(layer)
        self._keep_casts(layer, casts, keep=keep)
        for size in beside:
            heap.drop(heap.make(size))
        for root in layer.dead:
            if root in values:
                heap.drop(values.pop(root))

    def cast(self, layer: LayerStep) -> list[tuple[WeightCast, int]]:
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

    def _keep_casts(self, layer: LayerStep, casts: list[tuple[WeightCast, int]], *, keep: bool = True) -> None:
        """Hold those that the backward pass reads, if ``keep``, and let go of the others."""
        for copied, number in casts:
            if keep and copied.kept:
                self.kept[layer.node.name].append(number)
                self._list(layer.node.name, number)
            else:
                self.heap.drop(number)

    def _discards(self, layer: LayerStep) -> tuple[int, ...]:
        plan = self.plan
        types = plan.graph.input_types(layer.node)
        made = layer.node.op.discards(*types, y=plan.graph.types[layer.node.outputs[0]])
        return tuple(plan.sizes.of_type(t) for t in made)

    def _keep(self, layer: LayerStep) -> list[int]:
        plan, heap, node = self.plan, self.heap, layer.node
        held = []
        roots = [(i, layer.reads[i]) for i in layer.keeps.inputs]
        roots += [(-1, plan.root[node.outputs[j]]) for j in layer.keeps.outputs]
        for i, root in roots:
            if root is None:
                continue
            if root in self.values:
                held.append(heap.hold(self.values[root]))
                self.kept_inputs[node.name, i] = held[-1]
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
        """The forward pass of a segment once more; then what its layers keep is there, and nothing else of it.

        Copies of weights in a narrower type are made anew, since autocast has given them up with the forward pass.
        """
        listed = len(self.saved)
        outside, casts = self.values, self.casts
        self.casts = {}
        self.values = {root: self.heap.hold(number) for root, number in self.given[segment].items()}
        layers = self.plan.again(segment)
        for layer in layers:
            if layer is layers[-1] and keeps_only_inputs(layer):
                self.heap.begin(layer.node.name)
                copies = self.cast(layer)
                self.kept[layer.node.name] = self._keep(layer)  # it is stopped before it is done
                self._keep_casts(layer, copies)
            else:
                self.forward(layer, keep=True)
        for number in (*self.values.values(), *self.casts.values()):
            self.heap.drop(number)
        self.values, self.casts = outside, casts
        del self.saved[listed:]

    def backward(self, layer: LayerStep, segment: Segment | None = None) -> None:
        """The gradients of one layer."""
        heap, node = self.heap, layer.node
        if self.to_widen and not node.name.startswith(f"{self.to_widen.node.name}{CAST}"):
            self.widen()  # after the casts of inputs, which were made after those of weights
        above = [self.grads.pop(v) for v in node.outputs if v in self.grads]
        if above and segment is not None and layer.keeps_any and node.name not in self.kept:
            self.recompute(segment)
        passing = self._passing(layer) if above else set()
        held = {i: heap.hold(above[0]) for i in passing}
        cast_of = {copy.name: copy for copy in layer.casts}
        sizes = [(name, cast_of[name].bytes if name in cast_of else size) for name, size in layer.weights if above]
        if above:
            self._on_the_way(layer, above, passing, sum(size for _, size in sizes))
        heap.begin(node.name)
        made: list[tuple[str, int]] = []
        if above and layer.needs.any:
            for i, value in enumerate(node.inputs):
                if layer.needs.wanted[i]:
                    made.append((value, held[i] if i in held else self.new(value)))
            made += [(value, self.new(value)) for value in layer.needs.prepared]
        own = [(name, heap.make(size)) for name, size in sizes]
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

    def _passing(self, layer: LayerStep) -> set[int]:
        """The inputs whose gradients are in the memory of that of the result."""
        types, node = self.plan.graph.types, layer.node
        y = types[node.outputs[0]]
        back = node.op.hands_back(*self.plan.graph.input_types(node), y=y)
        return {
            i for i, same in enumerate(back)
            if same and layer.needs.wanted[i] and types[node.inputs[i]].dtype == y.dtype
        }  # fmt: skip

    def _on_the_way(self, layer: LayerStep, above: list[int], passing: set[int], weights: int) -> None:
        """What is made to work the gradients out, and dropped; ``above`` those of the results, given up when spent.

        weights   bytes of the gradients of its weights
        """
        heap, node = self.heap, layer.node
        wanted = [i for i, wanted in enumerate(layer.needs.wanted) if wanted and i not in passing]
        for moment, size in layer.beside:
            while moment.spent and above:
                heap.drop(above.pop())
            for number in (self.kept_inputs.pop((node.name, i), None) for i in moment.done):
                if number is not None:
                    self.kept[node.name].remove(number)
                    heap.drop(number)
            whole = moment.gradients is None
            there = [node.inputs[i] for i in wanted if whole or i in (moment.gradients or ())]
            heap.begin(node.name)
            heap.drop(heap.make(size + weights * whole + sum(map(self.plan.sizes.of, there))))

    def widen(self) -> None:
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

    def new(self, value: str) -> int:
        """A gradient of ``value``."""
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
        self.grads[value] = self.new(value)
        heap.drop(old)
        heap.drop(number)


def _whole_numbers(graph: Graph) -> str:
    """That its weights are whole numbers, where they are, as of a file that was quantised."""
    stored = (node.stored(node.op.weights(*graph.input_types(node))) for node in graph.nodes)
    kinds = {weight.type.dtype for weights in stored for weight in weights.values()}
    if not kinds or any(kind in FLOATING_BITS or kind.startswith("complex") for kind in kinds):
        return ""
    said = f"its weights are whole numbers ({listing(kinds)}), which have no gradient"
    return f": {said}; a step of training is that of the network from which it was quantised"


def step(graph: Graph, autocast: str = "") -> ObservedStep:
    """What a step of training of ``graph`` holds, by the rules of its ops, perhaps in a narrower type."""
    return Autograd(GradientPlan(graph, autocast)).step()
