"""What PyTorch's own kernels move on a GPU, layer by layer: beyond what must be moved they copy, cast and reorder.

Sources: torch 2.13, ``ATen/autocast_mode.h`` (what autocast has in which type) and ``native/transformers`` (attention
on other than four axes is done step by step). The constants were chosen on half of the models of timm's tables for two
cards (docs/time.md); what a byte takes on a machine is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from costcalc.analysis.features import number
from costcalc.analysis.layer_costs import Work
from costcalc.analysis.storage import Storage
from costcalc.ir.dims import prod
from costcalc.ir.fields import ints, per_axis
from costcalc.ir.graph import Graph, Node
from costcalc.ir.storage_region import in_a_row, is_one_axis
from costcalc.ir.tensor import FLOATING_BITS, TensorType

TAP = 0.2
"""A depthwise convolution finds each tap's element in a cache, five times as quickly as in memory."""
GROUPED = 4.0
"""How much longer other convolutions by groups take than what they move."""
MOVED, TURNED = 1.5, 2.3
"""How much longer a kernel takes that only moves elements, and a copy that puts axes into their order."""
NARROWER = frozenset({
    "conv", "conv_transpose", "depthwise", "pointwise", "dynamic_conv", "linear", "matmul", "einsum", "prelu",
    "scaled_dot_product_attention", "multi_head_attention", "lstm", "gru", "rnn",
})  # fmt: skip
"""What autocast on a GPU runs in the narrower type."""
FLOAT32 = frozenset({
    "layer_norm", "rms_norm", "softmax", "log_softmax", "softplus", "sum", "scan", "distances", "upsample", "loss",
})  # fmt: skip
FLOAT32_FUNCTIONS = frozenset({
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow",
})  # fmt: skip
"""What it runs in float32: ops, and functions of each element. Group norms are on its list as well, but networks with
them took as long on both cards as in what they are given.
"""
JOINED = frozenset({"position_embedding", "layer_scale", "class_token"})
"""Ops that put their own weights to a map, which makes it as wide as these."""
CONVOLUTIONS = frozenset({"conv", "conv_transpose", "depthwise", "pointwise"})
IN_ROWS = frozenset({"linear", "layer_norm", "rms_norm", "softmax", "log_softmax"})
"""What wants its input in a row, and copies it where its axes are in another order."""
PRODUCTS = frozenset({"matmul", "einsum"})
MOVES = frozenset({
    "reshape", "flatten", "concat", "pad", "roll", "tile", "unfold", "fold", "take", "gather", "upsample", "shift",
})  # fmt: skip
HALF, SINGLE = 2, 4
CHANNELS_LAST = {4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}

Steps = tuple[int, ...]


class EagerKernels:
    """The bytes that the kernels of a graph take as long as, given layer by layer in the graph's order.

    bits   16: under autocast to a type of so many; else elements have their own widths, or so many bits
    """

    def __init__(self, graph: Graph, storage: Storage, bits: int | None) -> None:
        self._graph, self._storage = graph, storage
        self._autocast = bits is not None and bits < 8 * SINGLE
        self._widths: dict[str, float] = {}
        self._kinds: dict[TensorType, tuple[int, float, bool]] = {}
        self._steps: dict[str, Steps] = {}  # of values whose axes do not lie in their order

    def view(self, node: Node) -> None:
        """Take in a layer that does nothing."""
        if not node.inputs or node.outputs[0] in self._graph.settled:
            return
        value = node.inputs[0]
        before = self._graph.types[value]
        steps = self._steps.get(value)
        if steps is None and not node.op.rearranges:
            after = None  # parts and other shapes of what lies in a row are taken to lie in a row
        else:
            after = node.op.view_steps(
                steps or in_a_row(ints(before.shape)), before, y=self._graph.types[node.outputs[0]]
            )
        for made in node.outputs:
            self._widths[made] = self._width_of(value)
            if after is not None and not _is_in_order(self._graph.types[made], after):
                self._steps[made] = after

    def moved(self, node: Node, work: Work) -> float:
        """Bytes whose reading and writing takes as long as the kernels of a layer that does something."""
        graph, op, y = self._graph, node.op, self._graph.types[node.outputs[0]]
        unread, inside = self._storage.unread.get(node.name, ()), self._storage.inside
        width, is_cast = self._works_in(node), self._is_cast(node)
        read = cast = 0.0
        elements = self._elements(node, work)
        for value, count in elements.items():
            own = self._width_of(value)
            takes = width if is_cast and self._kind(value)[2] else own
            if value in unread:
                continue
            read += count * takes
            if takes != own and value not in graph.settled:
                cast += self._size(value) * (own + takes)
        written = sum(width * self._size(value) for value in node.outputs if value not in inside)
        first = node.inputs[0]
        steps = self._steps.get(first)
        last = steps is not None and _is_ordered(graph.types[first], steps, CHANNELS_LAST.get(len(steps), ()))
        x = self._size(first)
        copied, moves = 0.0, read + written
        if op.name in CONVOLUTIONS and (conv := op.as_conv(*graph.input_types(node))) is not None:
            moves, copied = self._convolution(node, conv, work, moves, width, last)
            copied += 2 * width * x * TURNED * (steps is not None and not last)
        elif op.name in IN_ROWS and steps is not None:
            copied = 2 * width * x * TURNED
        elif op.name in PRODUCTS:
            turned = [
                v for v in elements if v in self._steps and not is_one_axis(graph.types[v].shape, self._steps[v], 2)
            ]
            copied = sum(2 * width * self._size(v) * TURNED for v in turned)
        elif op.name == "group_norm":
            moves += read
        elif op.name == "scaled_dot_product_attention" and len(y.shape) != 4:
            moves = self._by_steps(node, width)
        elif op.name in MOVES or (op.name == "elementwise" and dict(op.options()).get("function") == "copy"):
            moves *= MOVED
        self._note(node, width, steps if last else None)
        return moves + copied + cast

    def _convolution(
        self, node: Node, conv: object, work: Work, moves: float, width: float, last: bool
    ) -> tuple[float, float]:
        """What a convolution takes as long as, and the copies that put its maps' channels last and back.

        The library's kernels for dense ones want channels last, and write a map in either order where windows are
        single places.
        """
        x, groups = self._graph.types[node.inputs[0]], int(conv.groups)  # type: ignore[attr-defined]
        macs = number(work.done["macs"])
        if groups > 1 and groups == x.channels:
            return moves + TAP * width * macs, 0.0
        if groups > 1:
            return GROUPED * moves, 0.0
        windows = ints(per_axis(conv.kernel, len(x.spatial)))  # type: ignore[attr-defined]
        copied = self._size(node.inputs[0]) + (self._size(node.outputs[0]) if max(windows, default=1) > 1 else 0)
        return moves, 0.0 if last else 2 * width * copied

    def _by_steps(self, node: Node, width: float) -> float:
        """Attention whose scores are made, scaled and read in float32: what it reads is copied for that, and scaled."""
        taken = sum(self._size(value) for value in node.inputs[:3])
        query, key = (self._graph.types[value].shape for value in node.inputs[:2])
        scores = number(prod(query[:-1]) * key[-2])
        made = self._size(node.outputs[0])
        return taken * (width + 2 * SINGLE) + 4 * SINGLE * scores + made * (2 * SINGLE + width)

    def _elements(self, node: Node, work: Work) -> dict[str, float]:
        """How many elements of each value a layer reads."""
        found: dict[str, float] = {}
        for value, bits in zip(node.reads, work.input_bits, strict=True):
            size, each, _ = self._kind(value)
            found[value] = min(found.get(value, 0.0) + number(bits) / (8 * each), size)
        return found

    def _works_in(self, node: Node) -> float:
        """Bytes of an element of what a layer makes."""
        _, each, is_floating = self._kind(node.outputs[0])
        if not is_floating or not self._autocast:
            return each
        if self._is_float32(node) or node.op.name in JOINED:
            return SINGLE
        if node.op.name in NARROWER:
            return HALF
        return max([self._width_of(v) for v in node.inputs if self._kind(v)[2]], default=HALF)

    def _is_float32(self, node: Node) -> bool:
        name = node.op.name
        return name in FLOAT32 or (
            name == "elementwise" and dict(node.op.options()).get("function") in FLOAT32_FUNCTIONS
        )

    def _is_cast(self, node: Node) -> bool:
        """Whether all that a layer reads is brought to one type first."""
        return self._autocast and (node.op.name in NARROWER or self._is_float32(node))

    def _width_of(self, value: str) -> float:
        """Bytes of an element of what a layer reads: under autocast what is given, and weights, are in float32."""
        _, each, is_floating = self._kind(value)
        return self._widths.get(value, SINGLE) if is_floating and self._autocast else each

    def _kind(self, value: str) -> tuple[int, float, bool]:
        """The elements of a value, bytes of each as it is stored, and whether it is a floating-point one."""
        kind = self._graph.types[value]
        found = self._kinds.get(kind)
        if found is None:
            size, bits = number(kind.size), number(self._storage.bits[value])
            found = self._kinds[kind] = size, bits / 8 / size if size else 1.0, kind.dtype in FLOATING_BITS
        return found

    def _size(self, value: str) -> int:
        return self._kind(value)[0]

    def _note(self, node: Node, width: float, last: Steps | None) -> None:
        """Take note of what a layer makes: how wide it is, and the order of its axes."""
        op, types = node.op, self._graph.types
        y = types[node.outputs[0]]
        self._widths.update(dict.fromkeys(node.outputs, width))
        order: Sequence[int] | None = None
        if op.name == "scaled_dot_product_attention" and len(y.shape) == 4:
            order = (0, 2, 1, 3)
        elif last is not None and len(y.shape) in CHANNELS_LAST and op.name not in IN_ROWS | PRODUCTS:
            order = CHANNELS_LAST[len(y.shape)]
        elif op.is_pointwise() or op.name in ("batch_norm", "elementwise"):
            wide = [v for v in node.inputs if types[v].shape == y.shape]
            if wide and (before := self._steps.get(wide[0])) is not None:
                order = sorted(range(len(before)), key=lambda axis: -before[axis])
        if order:
            steps = _steps(y, order)
            if not _is_in_order(y, steps):
                self._steps.update(dict.fromkeys(node.outputs, steps))


def _steps(kind: TensorType, order: Sequence[int]) -> Steps:
    """How far apart elements along each axis are where the axes lie in ``order``, the outermost first."""
    shape = ints(kind.shape)
    found, apart = [0] * len(shape), 1
    for axis in reversed(order):
        found[axis], apart = apart, apart * shape[axis]
    return tuple(found)


def _is_ordered(kind: TensorType, steps: Steps, order: Sequence[int]) -> bool:
    """Whether axes lie in ``order``; those of one element, and repeated ones, lie anywhere."""
    if len(order) != len(steps):
        return False
    apart = [steps[axis] for axis in order if kind.shape[axis] != 1 and steps[axis]]
    return all(a >= b for a, b in pairwise(apart))


def _is_in_order(kind: TensorType, steps: Steps) -> bool:
    return _is_ordered(kind, steps, range(len(steps)))
