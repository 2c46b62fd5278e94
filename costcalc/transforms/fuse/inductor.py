"""What the inductor of PyTorch joins: everything but the products, which libraries do, in loops over the same elements.

Source: torch 2.13.0, ``torch/_inductor/lowering.py`` and ``scheduler.py``; its scheduler asked on a CPU
(``benchmarks/fusion_inductor.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from costcalc.ir.graph import Graph, Group, Joining, Node
from costcalc.transforms.fuse.joiner import LINEAR, readers_of

LIBRARY = LINEAR | {
    "scaled_dot_product_attention", "multi_head_attention", "grouped_matmul", "einsum", "bilinear", "lstm", "gru",
    "rnn", "sort", "scatter", "grid_sample", "roi_align", "roi_pool", "nms", "fourier", "max_unpool", "loss", "fold",
}  # fmt: skip
"""Done by calls of a library, or by kernels of their own that take nothing in."""
ROWS = frozenset({"layer_norm", "rms_norm", "group_norm", "instance_norm", "softmax", "log_softmax"})
"""Norms: sums over rows, then arithmetic on each element."""
SUMS = frozenset({"mean", "sum", "reduction", "global_avg_pool", "global_max_pool", "local_response_norm"})
"""Sums over rows that leave an element for each."""
EXPONENTIALS = frozenset({"sigmoid", "silu", "softplus", "mish", "elu", "selu", "celu", "softmax"})
"""Not repeated for each element that a smaller result is stretched to."""
TWICE = frozenset({"silu", "hardswish", "gelu", "mish"})
"""What uses its input twice, so that what makes that is done before where it is more than one operation."""
WINDOWS = frozenset({
    "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "upsample", "unfold", "shift", "take", "gather",
    "embedding",
})  # fmt: skip
"""What reads an element often, or at places of its own choice, so that what it reads is made before, in memory."""


class LoopKernel:
    """A kernel in the making: its layers; the elements that its loops run over; how many kernels wait before it."""

    __slots__ = ("elements", "inline", "into", "last", "layers", "open", "rank", "rows", "unread", "work")

    def __init__(self, node: Node, rank: int, elements: object, open_: bool) -> None:
        self.layers, self.rank, self.elements, self.open = [node.name], rank, elements, open_
        self.rows: object = None  # what is left of the rows that it sums
        self.inline = open_  # whether it is arithmetic alone
        self.unread: Counter[str] = Counter()  # how often each value that it makes is still to be read
        self.into: LoopKernel | None = None
        self.last = node.op.name
        self.work: object = 0  # operations of its last layer

    def whole(self) -> LoopKernel:
        """The kernel that it has become a part of."""
        loops = self
        while loops.into is not None:
            loops = loops.into
        return loops


class Inductor:
    """Layers that run over the same elements join those that make what they read, whoever else reads that."""

    title = "inductor"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.settled = graph.settled
        self.joinings: dict[str, Joining] = {}
        self.readers = readers_of(graph)
        self.made_by: dict[str, LoopKernel] = {}
        self.viewed: dict[str, str] = {}  # a view → what it is one of
        self._kernels: dict[LoopKernel, None] = {}

    def groups(self) -> Iterator[Group]:
        """The groups of two layers and more."""
        order = {node.name: i for i, node in enumerate(self.graph.nodes)}
        for loops in self._kernels:
            if loops.into is None and len(loops.layers) > 1:
                layers = sorted(loops.layers, key=order.__getitem__)
                yield Group(layers[0], tuple(layers))

    def join(self) -> None:
        """Work all layers off, in the graph's order."""
        for node in self.graph.nodes:
            if node.outputs[0] in self.settled:
                continue
            if node.op.is_view:
                if node.inputs and node.inputs[0] in self.made_by:
                    self.made_by.update(dict.fromkeys(node.outputs, self.made_by[node.inputs[0]]))
                    whole = self.viewed.get(node.inputs[0], node.inputs[0])
                    self.viewed.update(dict.fromkeys(node.outputs, whole))
                continue
            self.joinings[node.name] = self._join(node)

    def _join(self, node: Node) -> Joining:
        before = list(dict.fromkeys(self.made_by[v].whole() for v in node.reads if v in self.made_by))
        rank = max((loops.rank for loops in before), default=-1)
        if node.op.name in LIBRARY or not node.op.is_counted:
            return self._alone(node, rank + 1, False, "a library does it")
        reads = self._reads(node)
        if node.op.name in WINDOWS and not self._is_mean(node) and not self._repeats(node, reads, before):
            return self._alone(node, rank + 1, True, "it reads elements at many places, which are made before")
        # Arithmetic that nothing else reads is done where it is read, whatever the loops there.
        inlined = {loops: None for loops in before if self._is_inlined(node, reads, loops)}
        if node.op.name == "concat" and not inlined:
            return self._alone(node, rank + 1, False, "its parts are in memory already, and are copied")
        others = [loops for loops in before if loops not in inlined]
        rank = max((loops.rank for loops in others), default=-1)
        last = [loops for loops in others if loops.rank == rank]
        fitting = [loops for loops in last if loops.open and self._fits(node, loops)]
        if self._is_sum(node):
            fitting = []  # it takes in what nothing else reads alone
        if fitting and len(fitting) == len(last) and all(loops.rank <= rank for loops in inlined):
            first = self._merged([*fitting, *inlined])
            why = "whose result it takes as it is made: its loops run over the same elements"
        elif inlined:
            rank = max([rank + 1, *(loops.rank for loops in inlined)])
            first = self._merged(inlined)
            first.rank, first.elements = rank, self._elements(node)
            why = "which is arithmetic that nothing else reads"
        elif not others:
            return self._alone(node, 0, True, "it reads nothing that a layer makes")
        else:
            other = next(loops for loops in last if loops not in fitting)
            why = "a library makes it" if not other.open else "its loops run over other elements"
            return self._alone(node, rank + 1, True, f"it waits for {other.layers[-1]}: {why}")
        head = first.layers[0]
        first.layers.append(node.name)
        self._note(node, first)
        return Joining(head, f"with {head}, {why}")

    def _is_inlined(self, node: Node, reads: Counter[str], loops: LoopKernel) -> bool:
        """Whether all that ``loops`` makes is arithmetic that only ``node`` reads, and not too dear to be repeated."""
        if not loops.inline or any(count > reads[value] for value, count in loops.unread.items()):
            return False
        if self._is_sum(node) and loops.last in TWICE and len(loops.layers) > 1:
            return False
        stretched = loops.elements != self._elements(node) and node.op.name != "concat"
        return not stretched or loops.last not in EXPONENTIALS

    def _reads(self, node: Node) -> Counter[str]:
        """How often ``node`` reads each value, those behind views by what they are views of."""
        return Counter(self.viewed.get(value, value) for value in node.reads)

    def _repeats(self, node: Node, reads: Counter[str], before: list[LoopKernel]) -> bool:
        """Whether what ``node`` reads at many places is one operation on each element, which is repeated there."""
        if len(before) != 1 or not self._is_inlined(node, reads, before[0]):
            return False
        return len(before[0].layers) == 1 and before[0].work == before[0].elements

    def _alone(self, node: Node, rank: int, open_: bool, why: str) -> Joining:
        loops = LoopKernel(node, rank, self._elements(node), open_)
        self._kernels[loops] = None
        self._note(node, loops)
        return Joining("", why)

    def _note(self, node: Node, loops: LoopKernel) -> None:
        """Take note that ``loops`` does ``node`` as well."""
        if self._is_sum(node):
            loops.rows = self.graph.types[node.outputs[0]].size
        loops.last, y = node.op.name, self.graph.types[node.outputs[0]]
        loops.work = node.op.ops(*self.graph.input_types(node), y=y)
        loops.inline = loops.inline and (node.op.is_pointwise() or node.op.name == "batch_norm")
        # Value by value: a sum of counters goes over all that the kernel has made.
        for value, count in self._reads(node).items():
            left = loops.unread.pop(value, 0) - count
            if left > 0:
                loops.unread[value] = left
        loops.unread.update({value: self.readers[value] for value in node.outputs if self.readers[value]})
        self.made_by.update(dict.fromkeys(node.outputs, loops))

    def _merged(self, kernels: Iterable[LoopKernel]) -> LoopKernel:
        """One kernel of several that do not wait for each other."""
        first, *others = kernels
        for other in others:
            first.layers += other.layers
            first.rows = first.rows or other.rows
            first.unread.update(other.unread)
            first.inline = first.inline and other.inline
            other.into = first
        return first

    def _fits(self, node: Node, loops: LoopKernel) -> bool:
        elements = self._elements(node)
        if elements == loops.elements:
            return True
        return loops.rows is not None and elements == loops.rows

    def _elements(self, node: Node) -> object:
        """How many elements the loops of a layer run over: those that it sums, or those that it makes."""
        return (self.graph.types[node.inputs[0]] if self._is_sum(node) else self.graph.types[node.outputs[0]]).size

    def _is_sum(self, node: Node) -> bool:
        return node.op.name in SUMS or self._is_mean(node)

    def _is_mean(self, node: Node) -> bool:
        """Whether an adaptive pool makes one element of each map."""
        y = self.graph.types[node.outputs[0]]
        places = y.shape[1:-1] if getattr(node.op, "channels_last", False) else y.shape[2:]
        return node.op.name == "adaptive_avg_pool" and all(size == 1 for size in places)


ENGINE = Inductor
