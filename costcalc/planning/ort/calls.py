"""The calls that ONNX Runtime makes: the layers that it joins, or the parts that it makes of one.

What a convolution in blocks of channels makes lies in blocks, its channels filled up to whole ones, until something
needs it as it was: then one copy is made for all who do.

Sources: onnxruntime 1.32.0, ``core/optimizer/nchwc_transformer.cc``, ``core/mlas/lib/convolve.cpp`` (working buffers);
which kernels write over their input was seen in runs of single operators (``benchmarks/memory_ort.py --operators``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.ir.channels_last import channels_last
from costcalc.ir.dims import Dim, prod
from costcalc.ir.graph import Node
from costcalc.ir.tensor import TensorType
from costcalc.planning.joining import JoinedGroup
from costcalc.planning.ort.gone import CUTS, Gone, axes_of, permutation
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.joiner import LINEAR
from costcalc.transforms.fuse.ort import BLOCK

WRITES_OVER = frozenset(
    ("relu", "relu6", "hardtanh", "leaky_relu", "sigmoid", "tanh", "elu", "hardsigmoid", "selu", "celu", "softplus",
     "softmax", "log_softmax")
)  # fmt: skip
"""What may write over an input that nothing else needs any more. Sums, products, GELU and SiLU may not."""
PARTS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "hardswish": ((0,), (0, 1)),  # HardSigmoid, Mul
    "mish": ((0,), (0, 1)),  # Softplus with Tanh in its place, Mul
}
"""Layers that are several calls on maps of one size: for each what it reads, 0 the layer's input, else what the so
manieth made."""
ONE = frozenset(
    (*WRITES_OVER, *PARTS, *LINEAR, "reshape", "flatten", "squeeze", "unsqueeze", "max_pool", "avg_pool",
     "global_avg_pool", "global_max_pool", "adaptive_avg_pool", "mean", "sum", "reduction", "gelu", "silu", "prelu",
     "add", "subtract", "multiply", "divide", "group_norm", "elementwise", "batch_norm", "instance_norm", "layer_norm",
     "layer_scale", "scale", "concat", "pad", "permute", "transpose", "split", "unbind", "select", "slice", "take",
     "gather", "embedding", "upsample", "expand", "tile", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
     "class_token", "position_embedding", "roll", "parameter", "constant", "scaled_dot_product_attention",
     "multi_head_attention", "relative_position_bias", "local_response_norm")
)  # fmt: skip
"""Layers of which it is known what calls they are; of others it is a guess."""
WORKSPACE = 128 * 128 * 4
"""Bytes into which a convolution that is not in blocks unrolls a part of its input, for each thread."""


class Value(NamedTuple):
    """What a call makes, by the shape that ONNX Runtime knows it by."""

    name: str
    bytes: int
    shape: tuple[Dim, ...]


class KernelCall(NamedTuple):
    """One node as it is run.

    layer      what it is called: the first of its layers
    reads      the values that it needs
    makes      what it makes
    over       the values among ``reads`` that it may write over
    shares     whether what it makes is its first input in another shape
    scratch    bytes that its kernel needs beside
    layers     the layers whose work it does
    is_copy    whether it only copies a map into blocks of channels or out of them
    """

    layer: str
    reads: tuple[str, ...]
    makes: tuple[Value, ...]
    over: tuple[str, ...] = ()
    shares: bool = False
    scratch: int = 0
    layers: tuple[str, ...] = ()
    is_copy: bool = False


class SessionCalls(NamedTuple):
    """The nodes of a session in the order in which they run, and the groups of layers that they are of."""

    calls: tuple[KernelCall, ...]
    groups: list[JoinedGroup]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Builder:
    """Makes the calls of groups, with copies into blocks and out of them between those that need other layouts.

    calls   the first value that each call makes → the call
    of      group, by its identity → the values under which its calls are in ``calls``
    """

    def __init__(self, sizes: ValueSizes, gone: Gone, blocked: set[str]) -> None:
        self.sizes, self.gone, self.blocked = sizes, gone, blocked
        self.calls: dict[str, KernelCall] = {}
        self.of: dict[int, tuple[str, ...]] = {}

    def add(self, group: JoinedGroup) -> None:
        """The calls of ``group``."""
        made = list(self._calls(group))
        for call in made:
            self.calls[call.makes[0].name] = call
        self.of[id(group)] = tuple(call.makes[0].name for call in made)

    def plain(self, name: str) -> str:
        """``name`` as the model has it, copied out of blocks if it lies in them."""
        if name not in self.blocked:
            return name
        kind = self.sizes.graph.types[name]
        return self._copied(name, "out of blocks", kind)

    def in_blocks(self, name: str) -> str:
        """``name`` in blocks, copied into them unless it lies so."""
        return name if name in self.blocked else self._copied(name, "into blocks", self._whole(name))

    def _copied(self, name: str, how: str, kind: TensorType) -> str:
        copy = f"{name} ({how})"
        if copy not in self.calls:
            self.calls[copy] = KernelCall(copy, (name,), (self._value(copy, kind),), is_copy=True)
        return copy

    def _whole(self, name: str) -> TensorType:
        """The type of ``name`` in whole blocks."""
        kind = self.sizes.graph.types[self.gone.map_of.get(name, name)]
        n, channels, *spatial = kind.shape
        whole = -(-channels // BLOCK) * BLOCK if isinstance(channels, int) else channels
        return kind.with_shape(n, whole, *spatial)

    def _value(self, name: str, kind: TensorType) -> Value:
        return Value(name, self.sizes.of_type(kind), tuple(kind.shape))

    def _made(self, name: str) -> Value:
        kind = self.sizes.graph.types[name]
        if name in self.gone.last:
            kind = channels_last(kind)
        return self._value(name, self._whole(name) if name in self.blocked else kind)

    def _calls(self, group: JoinedGroup) -> Iterator[KernelCall]:
        lead, types = worker(group), self.sizes.graph.types
        inside = group.outputs[0] in self.blocked
        reads, makes = self._reads(group, lead, inside), tuple(map(self._made, group.outputs))
        layers = tuple(node.name for node in group.nodes)
        op, name = lead.op.name, group.lead.name
        if op in CUTS and (lead.inputs[0] in self.gone.turned or self.gone.selected(lead)):
            yield from self._cut(lead, reads[0], makes)
        elif op in PARTS and not inside:
            yield from _parted(KernelCall(name, reads, makes, layers=layers), PARTS[op])
        elif op == "group_norm":
            yield from self._normed(lead, reads[0], makes[0], layers)
        elif op == "roll":
            yield from self._rolled(lead, reads[0], makes[0])
        elif op == "scaled_dot_product_attention":
            y = types[lead.outputs[0]]
            scores = y.with_shape(*y.shape[:-1], types[lead.inputs[1]].shape[-2])
            yield from self._attended(name, reads, scores, makes[0], layers)
        elif op == "multi_head_attention":
            yield from self._heads(lead, reads, makes[0], layers)
        elif op == "linear" and len(types[lead.inputs[0]].shape) > 2 and getattr(lead.op, "bias", False):
            # A product of matrices, of two axes, whose input and result are given other shapes.
            x, y = types[lead.inputs[0]], types[lead.outputs[0]]
            rows = prod(y.shape[:-1])
            into = self._value(f"{name} (its input as a matrix)", x.with_shape(rows, x.shape[-1]))
            out = self._value(f"{name} (as a matrix)", y.with_shape(rows, y.shape[-1]))
            yield KernelCall(name, reads[:1], (into,), shares=True)
            yield KernelCall(name, (into.name, *reads[1:]), (out,), layers=layers)
            yield KernelCall(name, (out.name,), makes, shares=True)
        else:
            sums = any(node.op.name == "add" for node in group.nodes[1:])
            reads_it_too = group.addend in {self.gone.stand_in[v] for v in lead.inputs}
            over: tuple[str, ...] = ()
            if sums and group.addend and not reads_it_too:
                over = (reads[group.inputs.index(group.addend)],)
            elif all(node.op.name in WRITES_OVER for node in group.nodes):
                over = reads[:1]
            scratch = 0 if inside else _scratch(self.sizes, lead)
            yield KernelCall(name, reads, makes, over, lead.op.is_reshape, scratch, layers)

    def _reads(self, group: JoinedGroup, lead: Node, inside: bool) -> tuple[str, ...]:
        """The inputs of ``group``, each in blocks or out of them as it is needed."""
        if not inside:
            if group.inputs and group.inputs[0] in self.blocked and self._puts_channels_last(lead):
                return group.inputs  # a copy out of blocks turns the axes on its way
            return tuple(map(self.plain, group.inputs))
        if self._takes_maps_as_they_are(lead):
            return (*map(self.plain, group.inputs[:1]), *map(self.in_blocks, group.inputs[1:]))
        return tuple(map(self.in_blocks, group.inputs))

    def _takes_maps_as_they_are(self, node: Node) -> bool:
        """Whether a convolution in blocks reads a map of fewer channels than a block as it is."""
        if node.op.name not in ("conv", "pointwise") or getattr(node.op, "groups", 1) != 1:
            return False
        channels = self.sizes.graph.types[node.inputs[0]].shape[1]
        return isinstance(channels, int) and channels < BLOCK

    def _puts_channels_last(self, node: Node) -> bool:
        types = self.sizes.graph.types
        return bool(node.inputs) and permutation(node, len(types[node.inputs[0]].shape)) == (0, 2, 3, 1)

    def _cut(self, node: Node, source: str, makes: tuple[Value, ...]) -> Iterator[KernelCall]:
        """A cut whose parts are put in order only then: by calls of their own, or by those that read them."""
        op: Any = node.op
        types, kind = self.sizes.graph.types, self.sizes.graph.types[node.inputs[0]]
        order = self.gone.turned.get(node.inputs[0])
        axis = op.axis % len(kind.shape)
        shape = (*kind.shape[:axis], 1, *kind.shape[axis + 1 :])
        shapes = [types[v].shape if node.op.name == "split" else shape for v in node.outputs]
        back = range(len(shape)) if order is None else sorted(range(len(shape)), key=order.__getitem__)
        parts = [
            self._value(f"{value.name} (as it is cut)", kind.with_shape(*(cut[i] for i in back)))
            for value, cut in zip(makes, shapes, strict=True)
        ]
        siblings = self.gone.selected(node)
        if not siblings:
            yield KernelCall(node.name, (source,), tuple(parts), layers=(node.name,))
        elif siblings[0] is node:
            names = [f"{one.outputs[0]} (as it is cut)" for one in siblings]
            yield KernelCall(node.name, (source,), tuple(parts[0]._replace(name=name) for name in names))
        for value, part, cut in zip(makes, parts, shapes, strict=True):
            users = self.gone.users[value.name]
            shares = order is None or (len(users) == 1 and users[0].op.name in ("transpose", "permute"))
            turned = value if shares else value._replace(shape=tuple(cut))
            yield KernelCall(node.name, (part.name,), (turned,), shares=shares, layers=(node.name,))

    def _normed(self, node: Node, x: str, y: Value, layers: tuple[str, ...]) -> Iterator[KernelCall]:
        """A norm of groups: of each as if it was a channel, then a factor and a summand for each channel."""
        kind, groups = self.sizes.graph.types[node.outputs[0]], vars(node.op)["groups"]
        rows = (kind.shape[0], groups, prod(kind.shape[1:]) // groups)
        into = Value(f"{node.name} (its input by groups)", y.bytes, rows)
        normed = into._replace(name=f"{node.name} (by groups)")
        back, scaled = (y._replace(name=f"{node.name} ({which})") for which in ("normalised", "scaled"))
        yield KernelCall(node.name, (x,), (into,), shares=True)
        yield KernelCall(node.name, (into.name,), (normed,))
        yield KernelCall(node.name, (normed.name,), (back,), shares=True)
        yield KernelCall(node.name, (back.name,), (scaled,))
        yield KernelCall(node.name, (scaled.name,), (y,), layers=layers)

    def _rolled(self, node: Node, x: str, y: Value) -> Iterator[KernelCall]:
        """Along each axis a cut in two, and their concatenation the other way round."""
        kind = self.sizes.graph.types[node.outputs[0]]
        op: Any = node.op
        axes = axes_of(op.axes)
        for i, (axis, shift) in enumerate(zip(axes, axes_of(op.shift), strict=True)):
            at, size = axis % len(kind.shape), kind.shape[axis]
            head = -shift % size
            name = f"{node.name} ({i + 1} of {len(axes)})"
            parts = tuple(
                self._value(f"{name}, {which}", kind.with_shape(*kind.shape[:at], length, *kind.shape[at + 1 :]))
                for which, length in (("head", head), ("tail", size - head))
            )
            made = y if i == len(axes) - 1 else y._replace(name=name)
            yield KernelCall(node.name, (x,), parts)
            yield KernelCall(node.name, (parts[1].name, parts[0].name), (made,), layers=(node.name,))
            x = made.name

    def _attended(
        self, name: str, reads: tuple[str, ...], scores: TensorType, y: Value, layers: tuple[str, ...]
    ) -> Iterator[KernelCall]:
        """The scores, their mask, their softmax in place, their product with the values."""
        score = self._value(f"{name} (scores)", scores)
        yield KernelCall(name, reads[:2], (score,))
        if len(reads) > 3:
            masked = score._replace(name=f"{name} (masked)")
            yield KernelCall(name, (score.name, reads[3]), (masked,))
            score = masked
        weights = score._replace(name=f"{name} (weights)")
        yield KernelCall(name, (score.name,), (weights,), over=(score.name,))
        yield KernelCall(name, (weights.name, reads[min(2, len(reads) - 1)]), (y,), layers=layers)

    def _heads(self, node: Node, reads: tuple[str, ...], y: Value, layers: tuple[str, ...]) -> Iterator[KernelCall]:
        """Attention with its projections, as torch.nn.MultiheadAttention is exported: lengths come before batches."""
        types, name = self.sizes.graph.types, node.name
        x = types[node.inputs[0]]
        *batch, length, width = x.shape
        keys = types[node.inputs[min(1, len(node.inputs) - 1)]].shape[-2]
        inputs = reads if len(reads) > 1 else reads * 3
        if len(inputs) == 2:
            inputs = (*inputs, inputs[1])
        projected: list[str] = []
        if len(reads) == 1:
            first = self._value(f"{name} (lengths first)", x.with_shape(length, *batch, width))
            wide = self._value(f"{name} (projected)", x.with_shape(prod(x.shape[:-1]), 3 * width))
            turned = self._value(f"{name} (query, key, value)", x.with_shape(3, length, *batch, 1, width))
            parts = tuple(self._value(f"{name} ({part})", x.with_shape(1, length, *batch, width)) for part in "qkv")
            yield KernelCall(name, inputs[:1], (first,))
            yield KernelCall(name, (first.name,), (wide,))
            yield KernelCall(name, (wide.name,), (turned,))
            yield KernelCall(name, (turned.name,), parts)
            projected = [part.name for part in parts]
        else:
            for value, part in zip(inputs, "qkv", strict=True):
                rows = length if part == "q" else keys
                made = self._value(f"{name} ({part})", x.with_shape(*batch, rows, width))
                yield KernelCall(name, (value,), (made,))
                projected.append(made.name)
        heads = vars(node.op)["heads"]
        scores = x.with_shape(*batch, heads, length, keys)
        joint = self._value(f"{name} (of all heads)", x.with_shape(*batch, heads, length, width // heads))
        yield from self._attended(name, tuple(projected), scores, joint, ())
        together = self._value(f"{name} (heads together)", x.with_shape(length, *batch, width))
        yield KernelCall(name, (joint.name,), (together,))
        out = self._value(f"{name} (projected together)", x.with_shape(prod(x.shape[:-1]), width))
        yield KernelCall(name, (together.name,), (out,))
        yield KernelCall(name, (out.name,), (y,), layers=layers)


def worker(group: JoinedGroup) -> Node:
    """The layer of ``group`` that does its work: behind a padding the one that took it in."""
    return next((node for node in group.nodes if node.op.name in LINEAR), group.lead)


def _parted(call: KernelCall, parts: tuple[tuple[int, ...], ...]) -> Iterator[KernelCall]:
    """The calls that ``call`` is, on maps of one size."""
    names = [call.reads[0]]
    for i, takes in enumerate(parts[:-1], 1):
        names.append(f"{call.layer} ({i} of {len(parts)})")
        made = call.makes[0]._replace(name=names[-1])
        yield KernelCall(call.layer, tuple(names[k] for k in takes), (made,))
    yield call._replace(reads=tuple(names[k] for k in parts[-1]))


def _scratch(sizes: ValueSizes, node: Node) -> int:
    """Bytes that a kernel that is not in blocks needs beside its maps, for one thread."""
    op: Any = node.op
    if op.name == "local_response_norm":
        x = sizes.graph.types[node.inputs[0]]  # squares of one image, with zeros before and behind, and sums of them
        return sizes.of_type(x.with_shape(2 * x.shape[1] + op.size - 1, *x.spatial))
    if op.name not in ("conv", "pointwise", "depthwise", "conv_transpose") or not node.inputs:
        return 0
    x, y = sizes.graph.types[node.inputs[0]], sizes.graph.types[node.outputs[0]]
    weight = op.weights(x)["weight"].type
    taps = prod(weight.shape[1:])
    if op.name == "conv_transpose":
        return sizes.of_type(x.with_shape(taps, *x.spatial))  # all that one image scatters, of one group
    if all(k == 1 for k in weight.shape[2:]) and x.spatial == y.spatial:
        return 0
    groups = x.shape[1] if op.name == "depthwise" else getattr(op, "groups", 1)
    filters, places = weight.shape[0] // groups, prod(y.spatial)
    if isinstance(filters, int) and isinstance(places, int) and filters > places:
        return sizes.of_type(x.with_shape(taps, places))
    return WORKSPACE
