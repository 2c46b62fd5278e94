"""A network as a chain of blocks, between which one value alone passes, and what each holds in a step of training.

A block is told by itself: what it keeps, the most that lives in its forward and in its backward pass. Of these the
memory of any choice of blocks to recompute is made by addition, which ``checkpoint`` searches; ``autograd`` runs the
whole step.
"""

from __future__ import annotations

from itertools import pairwise

from costcalc.classes import NamedTuple
from costcalc.planning.autocast import CAST
from costcalc.planning.autograd import SCALAR, Autograd
from costcalc.planning.gradient_plan import GradientPlan, LayerStep, Segment, keeps_only_inputs


class Way(NamedTuple):
    """Bytes of a block whose input somebody else holds, or not; the input is in them for as long as it is there.

    forward    the most of its forward pass; ``bare`` where it keeps nothing, ``again`` up to the last layer that keeps
               anything
    backward   the most of its backward pass; ``rest`` from the last layer on that keeps anything
    """

    forward: int
    bare: int
    again: int
    backward: int
    rest: int


class LayerRange(NamedTuple):
    """Layers from ``start`` to before ``stop``.

    given      bytes of its input, 0 of the model's own
    inside     bytes that it keeps, input and output apart
    keeps_input, keeps_output   whether it keeps these
    keeps      whether it keeps anything
    gradients  bytes of the gradients of its weights that are not shared with a later block
    tail       the most of its backward pass before anything kept is needed; ``pending`` gradients there then
    macs       of its forward pass; ``again`` of those that are done once more if it is the last to be recomputed
    ways       what it holds: nobody else holds its input; somebody does; it is the first that is recomputed, and the
               input is held until its gradients are worked out
    casts      bytes of the copies of weights that it makes for the whole forward pass; ``kept_casts`` those of
               ``inside``
    """

    start: int
    stop: int
    given: int
    inside: int
    keeps_input: bool
    keeps_output: bool
    keeps: bool
    gradients: int
    tail: int
    pending: int
    macs: int
    again: int
    ways: tuple[Way, Way, Way]
    casts: int = 0
    kept_casts: int = 0


class BlockChain(NamedTuple):
    """Blocks in their order.

    results   bytes that are there throughout the backward pass: the results
    loss      bytes that are there besides while they are summed
    exact     whether what blocks hold adds up: no copy of a weight is used in two of them
    """

    blocks: list[LayerRange]
    results: int
    loss: int = 0
    exact: bool = True


def chain(plan: GradientPlan) -> BlockChain:
    """The blocks of ``plan``, as small as they can be."""
    cuts = _cuts(plan)
    edges = [(0, ""), *cuts, (len(plan.layers), "")]
    blocks: list[LayerRange] = []
    above: dict[str, int] = {}  # the gradient's bytes at the edge above; of the last block that of each result
    known: set[str] = set()
    exact = True
    for (start, value), (stop, out) in reversed(list(pairwise(edges))):
        block, size = _Told(plan, start, stop, value, out, above.get(out, 0), known).block()
        above = {value: size}
        blocks.append(block)
    seen: set[str] = set()
    for block in blocks:
        copies = {c.name for layer in plan.layers[block.start : block.stop] for c in layer.casts if c.once}
        exact = exact and not copies & seen
        seen |= copies
    made = {plan.root[v] for v in plan.graph.outputs} - {None, *plan.graph.inputs}
    results = sum(plan.sizes.of(root) for root in made if root is not None)
    return BlockChain(blocks[::-1], results + 2 * SCALAR, plan.summing, exact)


def _cuts(plan: GradientPlan) -> list[tuple[int, str]]:
    """The layers before which one value alone passes, with that value."""
    last: dict[str, int] = {}
    for i, layer in enumerate(plan.layers):
        for value in (*layer.node.reads, *layer.node.outputs):
            last[value] = i
    for value in plan.graph.outputs:
        last[value] = len(plan.layers)
    given = set(plan.graph.inputs)
    open_: set[str] = set()
    found = []
    for i, layer in enumerate(plan.layers):
        open_ = {v for v in open_ if last[v] >= i}
        if i and len(open_) == 1:
            (value,) = open_
            if CAST in value:  # a copy that the layer makes itself
                open_.update(_opened(plan, layer, given))
                continue
            found.append((i, value))
        open_.update(_opened(plan, layer, given))
    return found


def _opened(plan: GradientPlan, layer: LayerStep, given: set[str]) -> list[str]:
    """What it makes that is no weight and no input of the model."""
    return [v for v in layer.node.outputs if plan.root[v] is not None and plan.root[v] not in given]


class _Told:
    """What one block holds, by running it alone."""

    def __init__(
        self, plan: GradientPlan, start: int, stop: int, value: str, out: str, above: int, known: set[str]
    ) -> None:
        self.plan, self.start, self.stop = plan, start, stop
        self.layers = plan.layers[start:stop]
        self.root = plan.root[value] if value else None
        self.value, self.out, self.above, self.known = value, out, above, known
        self.out_root = plan.root[out] if out else None
        self.keeping = [i for i, layer in enumerate(self.layers) if layer.keeps_any]

    def block(self) -> tuple[LayerRange, int]:
        """The block, and the bytes of the memory in which the gradient of its input is."""
        plan = self.plan
        ways = []
        for held, alone in ((False, False), (True, False), (True, True)):
            forward, run = self._forward(self.layers, held=held)
            bare, _ = self._forward(self.layers, held=held, keep=False)
            again, _ = self._forward(self._again(), held=held)
            backward, rest = self._backward(run, alone=alone)
            ways.append(Way(forward, bare, again, backward, rest))
        _, run = self._forward(self.layers, held=False)
        kept = {n for numbers in run.kept.values() for n in numbers}
        first = run.first
        last = run.values.get(self.out_root) if self.out_root else None
        results = {run.values[r] for r in map(plan.root.get, plan.graph.outputs) if r in run.values}
        inside = sum(run.heap.size(n) for n in kept - {first, last} - results)
        kept_casts = sum(run.heap.size(n) for n in kept & set(run.casts.values()))
        casts = sum(run.heap.size(n) for n in run.casts.values())
        tail = Autograd(plan)
        before = self.keeping[-1] + 1 if self.keeping else 0
        self._begin_backward(tail)
        for layer in reversed(self.layers[before:]):
            tail.backward(layer)
        tail.widen()
        segment = Segment(self.start, self.stop)
        size = self._backward_whole(run)
        own = {name: size for layer in self.layers for name, size in layer.weights if name not in self.known}
        self.known.update(own)
        macs = sum(plan.macs(layer) for layer in self.layers)
        block = LayerRange(
            self.start, self.stop, self._given(), inside, first in kept, last in kept, bool(self.keeping),
            sum(own.values()), tail.heap.most[0], tail.heap.now - sum(own[n] for n in tail.gradients if n in own),
            macs, plan.extra_macs(segment), (ways[0], ways[1], ways[2]), casts, kept_casts,
        )  # fmt: skip
        return block, size

    def _given(self) -> int:
        return self.plan.sizes.of(self.root) if self.root is not None else 0

    def _again(self) -> list[LayerStep]:
        return self.layers[: self.keeping[-1] + 1] if self.keeping else []

    def _forward(self, layers: list[LayerStep], *, held: bool, keep: bool = True) -> tuple[int, _Run]:
        run = _Run(self.plan)
        if self.root is not None:
            run.heap.begin("input")
            run.first = run.values[self.root] = run.heap.make(self._given())
            if held:
                run.heap.hold(run.first)
        for layer in layers:
            if keep and layers is not self.layers and layer is layers[-1] and keeps_only_inputs(layer):
                run.heap.begin(layer.node.name)
                run.cast(layer)
                continue
            run.forward(layer, keep=keep)
        return run.heap.most[0], run

    def _begin_backward(self, run: Autograd) -> None:
        run.heap.begin("gradient")
        if self.out:
            run.grads[self.out] = run.heap.make(self.above)
            return
        one = run.heap.make(0)  # counted with the results
        for value in dict.fromkeys(self.plan.graph.outputs):
            if run.has_gradient(value):
                wide = self.plan.graph.types[value].dtype == "float32"
                run.grads[value] = run.heap.hold(one) if wide else run.new(value)

    def _backward(self, run: _Run, *, alone: bool) -> tuple[int, int]:
        """The most of the backward pass after ``run``, and from where kept things are needed; the results apart.

        alone   who holds the input besides lets go of it before gradients of weights are cast back
        """
        apart = 0
        for root, number in run.values.items():
            if self.out or root not in map(self.plan.root.get, self.plan.graph.outputs):
                run.heap.drop(number)
            else:
                apart += run.heap.size(number)
        for number in run.casts.values():
            run.heap.drop(number)
        run.values, run.casts = {}, {}
        run.heap.most = (0, -1)
        self._begin_backward(run)
        most = rest = 0
        for i in reversed(range(len(self.layers))):
            if self.keeping and i == self.keeping[-1]:
                most = run.heap.most[0]
                run.heap.most = (run.heap.now, -1)
            run.backward(self.layers[i])
        if alone and run.first >= 0:
            run.heap.drop(run.first)
        run.widen()
        rest = run.heap.most[0]
        return max(most, rest) - apart, rest - apart

    def _backward_whole(self, run: _Run) -> int:
        self._begin_backward(run)
        for layer in reversed(self.layers):
            run.backward(layer)
        run.widen()
        return run.heap.size(run.grads[self.value]) if self.value in run.grads else 0


class _Run(Autograd):
    """One block by itself; ``first`` is the number of its input."""

    first = -1
