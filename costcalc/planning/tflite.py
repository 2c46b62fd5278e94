"""TensorFlow Lite, and TensorFlow Lite for Microcontrollers: what their interpreters put into the arena.

Sources: tensorflow/tflite-micro 90b983c, micro/micro_allocation_info.cc (lifetimes) and
micro/memory_planner/greedy_memory_planner.cc; tensorflow/lite/arena_planner.cc, simple_memory_arena.cc and util.h
(alignment); kernels/conv.cc (im2col). What the converter makes of a network was seen in converted networks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from costcalc.ir.dims import Dim, ceil_div, maximum
from costcalc.ir.fields import per_axis
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType
from costcalc.planning.jobs import Job, Jobs
from costcalc.planning.joining import JoinedGroup
from costcalc.planning.sizes import ValueSizes
from costcalc.planning.windows import second, window

ALIGNMENT = 64
"""Bytes of which offsets are multiples in TensorFlow Lite (kDefaultTensorAlignment)."""
MICRO_ALIGNMENT = 16
"""Bytes of which sizes and offsets are multiples in TensorFlow Lite for Microcontrollers."""

ACTIVATIONS = frozenset(("relu", "relu6", "hardtanh", "tanh"))
"""What an operator of a file can do itself to what it makes."""
WHERE_ONE_WAS = frozenset(("add", "subtract", "multiply", "divide", "softmax"))
"""Operators that TensorFlow Lite lets write over an input that nothing else reads: kernels/add.cc, sub.cc, mul.cc,
div.cc, activations.cc, by ``inplace_operator``."""

PARTS: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "silu": (("sigmoid", (0,)), ("multiply", (0, 1))),
    "hardsigmoid": (("add", (0,)), ("multiply", (1,))),  # the sum with RELU6
    "batch_norm": (("multiply", (0,)), ("add", (1,))),
    "scale": (("multiply", (0,)), ("add", (1,))),
    "channel_shuffle": (("reshape", (0,)), ("transpose", (1,)), ("reshape", (2,))),
}
"""Layers that are several operators: each with what it reads, 0 the layer's input, else what the so manieth made."""

ONE = frozenset(
    (*PARTS, *WHERE_ONE_WAS, "reshape", "flatten", "squeeze", "unsqueeze",
     "conv", "depthwise", "pointwise", "linear", "conv_transpose", "max_pool",
     "avg_pool", "global_avg_pool", "global_max_pool", "mean", "sum", "reduction", "relu", "relu6", "hardtanh",
     "sigmoid", "tanh", "elu", "leaky_relu", "prelu", "hardswish", "gelu", "permute", "transpose", "split", "slice",
     "concat", "pad", "layer_scale", "matmul", "upsample", "log_softmax", "pixel_shuffle", "pixel_unshuffle", "expand",
     "tile", "embedding", "gather", "take", "select", "unbind", "local_response_norm")
)  # fmt: skip
"""Layers that are one operator, or of which ``PARTS`` tells those that they are; of others it is a guess."""


def is_written(graph: Graph) -> bool:
    """Whether ``graph`` is a file of TensorFlow Lite, which says what its operators are."""
    return bool(graph.operators) and graph.source.endswith(".tflite")


def buffers(sizes: ValueSizes, *, micro: bool) -> dict[str, str]:
    """Value → the value in whose place it is: what the converter leaves out is in that of its input.

    So is what TensorFlow Lite reshapes, unless the network was given the one or returns the other; the interpreter for
    microcontrollers (``micro``) copies it. Of a file only an operator that does nothing else reshapes.
    """
    graph = sizes.graph
    found = {value: value for value in graph.types}
    ends = {*graph.inputs, *graph.outputs}
    written = is_written(graph)
    layers = Counter(graph.operators.values()) if written else Counter[str]()
    moved: set[str] = set() if written else _moved_channels(graph)
    for node in graph.nodes:
        if not node.inputs:
            continue
        x, y = node.inputs[0], node.outputs[0]
        if node.op.is_reshape:
            inside = layers[graph.operators.get(node.name, "")] > 1
            shares = inside or (not micro and found[x] not in ends and y not in ends)
        else:
            shares = node.op.is_identity or y in moved
        if shares:
            found[y] = found[x]
    return found


def _moved_channels(graph: Graph) -> set[str]:
    """What is made by bringing the channels of a map to the end or back: in the converted network they are there.

    A map has its places where something slides over them, also after what treats each element, place or channel.
    """
    last: dict[str, bool] = {v: False for v in graph.inputs if len(graph.types[v].shape) == 4}
    found = set()
    for node in graph.nodes:
        y = node.outputs[0]
        is_last = next((last[v] for v in node.inputs if v in last), None)
        if node.op.slides:
            is_last = False
        elif node.op.name == "permute":
            moves = {(0, 2, 3, 1): False, (0, 3, 1, 2): True}.get(
                getattr(node.op, "axes", (0,) * 4)
            )  # from where to where
            if is_last is None or moves is not is_last:
                continue
            is_last = not moves
            found.add(y)
        if is_last is not None and not node.op.is_reshape and len(graph.types[y].shape) == 4:
            last[y] = is_last
    return found - {*graph.outputs}


def operators(sizes: ValueSizes, buffer: Mapping[str, str]) -> list[JoinedGroup]:
    """The layers of each operator of a file: what one of them makes for another of them is in no memory."""
    graph, found = sizes.graph, []
    read = Counter(buffer[v] for node in graph.nodes for v in sizes.read(node))
    read.update(buffer[v] for v in graph.outputs)
    for _, layers in groupby(sizes.nodes(), lambda node: graph.operators.get(node.name, node.name)):
        nodes = [node for node in layers if buffer[node.outputs[0]] == node.outputs[0]]
        if not nodes:
            continue
        made = [v for node in nodes for v in node.outputs]
        inside = Counter(buffer[v] for node in nodes for v in sizes.read(node))
        results = [v for v in made if read[v] > inside[v] or not read[v]]
        inputs = dict.fromkeys(v for v in inside if v not in made)
        worker = _worker(nodes)
        nodes.sort(key=lambda node: node is not worker)
        found.append(JoinedGroup(tuple(nodes), tuple(inputs), "", tuple(results)))
    return found


def _worker(nodes: Sequence[Node]) -> Node:
    """The layer of an operator that says what kernel it has: arithmetic alone, or with an activation behind it."""
    first, *others = nodes
    if all(node.op.name in ACTIVATIONS for node in others):
        return first
    return next((node for node in nodes if node.op.name not in WHERE_ONE_WAS), nodes[-1])


def jobs(sizes: ValueSizes, groups: list[JoinedGroup], buffer: Mapping[str, str], *, micro: bool) -> Jobs:
    """The operators of the converted network, with what each reads and makes.

    TensorFlow Lite gives up neither inputs nor what nothing reads.
    """
    graph = sizes.graph
    kept = dict.fromkeys(buffer[v] for v in graph.outputs if v not in sizes.settled)
    steps = [job for group in groups for job in _operators(sizes, group, micro)]
    inputs = {v: sizes.of(v) for v in graph.inputs}
    if micro:
        return Jobs(inputs, tuple(steps), tuple(kept))
    readers = Counter(v for job in steps for v in job.reads)
    readers.update((*kept, *inputs))
    steps = [job._replace(over=_shared(job, readers, kept)) if job.over else job for job in steps]
    unread = (name for job in steps for name, _ in job.makes if not readers[name])
    return Jobs(inputs, tuple(steps), tuple(dict.fromkeys((*inputs, *kept, *unread))))


def _shared(job: Job, readers: Mapping[str, int], kept: Mapping[str, None]) -> tuple[str, ...]:
    """The inputs over which TensorFlow Lite lets ``job`` write: none but it ever reads them; no result is shared."""
    return tuple(v for v in job.over if readers[v] == 1) if job.makes[0][0] not in kept else ()


def _operators(sizes: ValueSizes, group: JoinedGroup, micro: bool) -> Iterator[Job]:
    lead, name, reads = group.lead, group.lead.name, group.inputs
    types = sizes.graph.types
    x = types[lead.inputs[0]] if lead.inputs else None
    padded = padded_type(lead.op, x, types[lead.outputs[0]]) if x is not None and lead.op.slides else None
    if padded is not None:
        pad = f"{name} (padded)"
        yield Job(pad, reads[:1], ((pad, sizes.of_type(padded)),))
        reads = (pad, *reads[1:])
    size = sizes.of(lead.outputs[0])
    bytes_of = {v: sizes.of(v) for v in reads if v in types}

    def over(operator: str, read: tuple[str, ...]) -> tuple[str, ...]:
        """What is read that is as large as what ``operator`` makes, if it may write over that."""
        shares = not micro and operator in WHERE_ONE_WAS
        return tuple(v for v in read[:2] if bytes_of.get(v) == size) if shares else ()

    last = lead.op.name
    if last in PARTS and not is_written(sizes.graph) and (micro or last != "channel_shuffle"):
        *parts, (last, takes) = PARTS[last]
        made = [*reads[:1]]
        for i, (operator, read) in enumerate(parts, 1):
            of = tuple(made[k] for k in read)
            made.append(f"{name} ({i} of {len(parts) + 1})")
            yield Job(name, of, ((made[-1], size),), 0, over(operator, of))
            bytes_of[made[-1]] = size
        reads = tuple(made[k] for k in takes)
    makes = tuple((v, sizes.of(v)) for v in group.outputs)
    scratch, *more = (0,) if micro or x is None else _scratches(sizes, lead)
    yield Job(name, reads, makes, scratch, over(last, reads), tuple(node.name for node in group.nodes), tuple(more))


def _scratches(sizes: ValueSizes, node: Node) -> tuple[int, ...]:
    """Bytes that the built-in kernel of TensorFlow Lite has beside, each in a place of its own.

    A product has room for both factors transposed (tensorflow/lite/kernels/batch_matmul.cc, InitializeTemporaries).
    """
    if node.op.name == "matmul":
        return tuple(map(sizes.of, node.inputs)) if len(sizes.read(node)) == 2 else (sizes.of(node.inputs[0]),)
    return (_im2col(sizes, node),)


def padded_type(op: Any, x: TensorType, y: TensorType) -> TensorType | None:
    """The type of the input with its padding, where it must be padded by an operator of its own; else None.

    The kernels know no padding (VALID), and one by which ⌈size / stride⌉ places come out, the odd one after (SAME);
    averages leave out what is padded. (It has the channels second, whatever the input has.)
    """
    axes = window(op, x)
    x, y = second(op, x), second(op, y)
    sizes: list[Dim] = []
    same = valid = True
    for (size, span, stride, (before, after)), count in zip(axes, y.spatial, strict=False):
        hangs = (count - 1) * stride + span - size - before - after  # over the end, with ceil_mode
        after = maximum(after + hangs, after)
        needed = maximum((ceil_div(size, stride) - 1) * stride + span - size, 0)
        same = same and (before, after) == (needed // 2, needed - needed // 2)
        valid = valid and (before, after) == (0, 0)
        sizes.append(size + before + after)
    if valid or (same and not getattr(op, "count_include_pad", False)):
        return None
    return x.with_shape(*x.shape[:2], *sizes)


def _im2col(sizes: ValueSizes, node: Node) -> int:
    """Bytes into which the built-in kernel of a convolution unrolls its input; 0 of a plain 1×1, and of depthwise.

    Source: tensorflow/lite/kernels/conv.cc, IsIm2ColRequired, one thread.
    """
    if node.op.name not in ("conv", "pointwise"):
        return 0
    x, y = sizes.graph.types[node.inputs[0]], second(node.op, sizes.graph.types[node.outputs[0]])
    weight = node.op.weights(x)["weight"].type
    _, channels, *kernel = weight.shape
    strides = per_axis(getattr(node.op, "stride", 1), len(kernel))
    dilations = per_axis(getattr(node.op, "dilation", 1), len(kernel))
    groups = getattr(node.op, "groups", 1)
    if len(kernel) > 2 or (groups != 1 and groups == second(node.op, x).channels):
        return 0
    if all(value == 1 for value in (*kernel, *strides, *dilations)):
        return 0
    taps: Dim = channels
    for k in kernel:
        taps = taps * k
    return sizes.of_type(y.with_shape(y.shape[0], taps, *y.spatial))
