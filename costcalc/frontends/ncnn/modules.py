"""What PyTorch's modules and functions are in our ops, as pnnx names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from costcalc.frontends.compose import Unlike, Value, registering
from costcalc.ir.call import once

if TYPE_CHECKING:
    from costcalc.frontends.ncnn.pnnx import PnnxBuilder, PnnxOperator

Rule = Callable[..., "Value | list[Value]"]
RULES: dict[str, Rule] = {}


def rule_of(kind: str) -> Rule | None:
    """The rule of a module or function; None if there is none."""
    return RULES.get(kind.lower().removeprefix("aten::"))


rule = registering(RULES)
"""Decorator: the function is the rule of these, written small."""

_PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "mish", "hardswish", "hardsigmoid")},
    **{name: (name, {}) for name in ("elu", "selu", "celu", "softplus")},
    "identity": ("identity", {}), "dropout": ("dropout", {}), "dropout2d": ("dropout", {}),
    **{name: ("elementwise", {"function": name}) for name in ("abs", "neg", "exp", "log", "sqrt", "rsqrt", "square")},
    **{name: ("elementwise", {"function": name}) for name in ("sin", "cos", "floor", "ceil", "round", "erf")},
    "contiguous": ("identity", {}), "clone": ("elementwise", {"function": "copy"}),
}  # fmt: skip


def _plain(op: str, options: dict[str, Any]) -> Rule:
    def make(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
        return n.make(op, x, **options)

    return make


RULES.update({name: _plain(*entry) for name, entry in _PLAIN.items()})


def _padding(line: PnnxOperator) -> Any:
    if line.options.get("padding_mode", "zeros") not in ("zeros", None):
        raise Unlike("it pads otherwise than with zeros")
    padding = line.options.get("padding", 0)
    if padding == "valid":
        return 0
    return once(padding)


@rule("conv1d", "conv2d", "conv3d")
def conv(n: PnnxBuilder, line: PnnxOperator, x: Value, *more: Value) -> Value:
    """A module, or a function whose kernel is computed."""
    o = line.options
    settings = {name: once(o.get(name, 1)) for name in ("stride", "dilation", "groups")}
    if more:
        if len(more) > 1:
            raise Unlike("its bias is computed")
        return n.make("dynamic_conv", x, more[0], padding=_padding(line), **settings)
    return n.make(
        "conv", x, out_channels=o["out_channels"], kernel=once(o["kernel_size"]), padding=_padding(line),
        bias=bool(o.get("bias")), **settings,
    )  # fmt: skip


@rule("convtranspose1d", "convtranspose2d", "convtranspose3d")
def conv_transpose(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """A transposed convolution."""
    o = line.options
    return n.make(
        "conv_transpose", x, out_channels=o["out_channels"], kernel=once(o["kernel_size"]), padding=_padding(line),
        output_padding=once(o.get("output_padding", 0)), bias=bool(o.get("bias")),
        **{name: once(o.get(name, 1)) for name in ("stride", "dilation", "groups")},
    )  # fmt: skip


@rule("linear")
def linear(n: PnnxBuilder, line: PnnxOperator, x: Value, *more: Value) -> Value:
    """A dense layer."""
    if more:
        y = n.make("matmul", x, n.make("transpose", more[0]))
        return n.make("add", y, more[1]) if len(more) > 1 else y
    return n.make("linear", x, out_features=line.options["out_features"], bias=bool(line.options.get("bias")))


@rule("matmul", "bmm", "mm")
def matmul(n: PnnxBuilder, line: PnnxOperator, x: Value, y: Value) -> Value:
    """A product."""
    return n.make("matmul", x, y)


@rule("batchnorm1d", "batchnorm2d", "batchnorm3d")
def batch_norm(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """With the statistics that training gathered."""
    return n.make("batch_norm", x, affine=bool(line.options.get("affine", True)), counter=False)


@rule("layernorm", "layer_norm", "rmsnorm")
def layer_norm(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Over the last axes."""
    axes = len(line.options["normalized_shape"])
    affine = bool(line.weights)
    if line.kind.lower() == "rmsnorm":
        return n.make("rms_norm", x, axes=axes, affine=affine)
    return n.make("layer_norm", x, axes=axes, affine=affine)


@rule("groupnorm", "instancenorm1d", "instancenorm2d", "instancenorm3d")
def group_norm(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """By group, or by channel."""
    affine = bool(line.options.get("affine"))
    if line.kind.lower() == "groupnorm":
        return n.make("group_norm", x, groups=line.options["num_groups"], affine=affine)
    return n.make("instance_norm", x, affine=affine)


@rule("prelu")
def prelu(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """A slope for each channel, or one."""
    return n.make("prelu", x, per_channel=line.options.get("num_parameters", 1) > 1)


@rule("leakyrelu", "leaky_relu")
def leaky_relu(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """With a slope."""
    return n.make("leaky_relu", x, slope=float(line.options.get("negative_slope", 0.01)))


@rule("hardtanh", "clamp")
def hardtanh(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Between two numbers."""
    low, high = (line.options.get(a, line.options.get(b)) for a, b in (("min_val", "min"), ("max_val", "max")))
    if low is None or high is None:
        return n.make("elementwise", x, function="maximum" if high is None else "minimum")
    return n.make("hardtanh", x, low=float(low), high=float(high))


@rule("gelu")
def gelu(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Exact, or by the hyperbolic tangent."""
    return n.make("gelu", x, approximate="tanh") if line.options.get("approximate") == "tanh" else n.make("gelu", x)


@rule("softmax", "log_softmax", "logsoftmax")
def softmax(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Along an axis."""
    op = "softmax" if line.kind.lower() == "softmax" else "log_softmax"
    return n.make(op, x, axis=line.options["dim"])


@rule("maxpool1d", "maxpool2d", "maxpool3d", "max_pool2d", "avgpool1d", "avgpool2d", "avgpool3d", "avg_pool2d")
def pool(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """With a window."""
    o, is_max = line.options, line.kind.lower().startswith("max")
    more: dict[str, Any] = (
        {"dilation": once(o.get("dilation", 1))} if is_max else {"count_include_pad": o.get("count_include_pad", True)}
    )
    if o.get("return_indices") or o.get("divisor_override"):
        raise Unlike("it returns indices, or divides otherwise")
    stride = o.get("stride") or o["kernel_size"]
    return n.make(
        "max_pool" if is_max else "avg_pool", x, kernel=once(o["kernel_size"]), stride=once(stride),
        padding=once(o.get("padding", 0)), ceil_mode=bool(o.get("ceil_mode")), **more,
    )  # fmt: skip


_ADAPTIVE = [
    f"{form}{d}d"
    for kind in ("avg", "max")
    for form in (f"adaptive{kind}pool", f"adaptive_{kind}_pool")
    for d in (1, 2, 3)
]


@rule(*_ADAPTIVE)
def adaptive_pool(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """To a size; None keeps an axis as it is."""
    size, places = line.options["output_size"], n.type_of(x).shape[2:]
    sizes = size if isinstance(size, tuple) else (size,) * len(places)
    wanted = tuple(p if s in (None, 0) else s for s, p in zip(sizes, places, strict=True))
    kind = "avg" if "avg" in line.kind.lower() else "max"
    if all(s == 1 for s in wanted):
        return n.make(f"global_{kind}_pool", x)
    return n.make(f"adaptive_{kind}_pool", x, size=once(wanted))


@rule("upsample", "interpolate", "upsamplingnearest2d", "upsamplingbilinear2d")
def upsample(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """By a factor or to a size."""
    o = line.options
    mode = o.get("mode") or ("bilinear" if "bilinear" in line.kind.lower() else "nearest")
    align = bool(o.get("align_corners"))
    if o.get("size"):
        return n.make("upsample", x, size=once(o["size"]), mode=mode, align_corners=align)
    scale = o["scale_factor"]
    scales = scale if isinstance(scale, tuple) else (scale,)
    whole = once([int(s) if s == int(s) else s for s in scales])
    return n.make("upsample", x, scale=whole, mode=mode, align_corners=align)


@rule("pixelshuffle", "pixel_shuffle", "pixelunshuffle", "pixel_unshuffle")
def pixel_shuffle(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Channels to pixels, and back."""
    up = "un" not in line.kind.lower()
    factor = line.options["upscale_factor" if up else "downscale_factor"]
    return n.make("pixel_shuffle" if up else "pixel_unshuffle", x, factor=factor)


@rule("channelshuffle", "channel_shuffle")
def channel_shuffle(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Channels dealt out to groups."""
    return n.make("channel_shuffle", x, groups=line.options["groups"])


@rule("pad", "zeropad2d", "constantpad2d")
def pad(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """The last axis first, before and after."""
    flat: tuple[int, ...] = line.options["pad" if "pad" in line.options else "padding"]
    pairs = [*zip(flat[::2], flat[1::2], strict=True)][::-1]
    rank, mode = len(n.type_of(x).shape), line.options.get("mode", "constant") or "constant"
    if any(amount < 0 for pair in pairs for amount in pair):
        raise Unlike("it crops")
    if mode == "constant":
        return n.make("pad", x, amount=tuple(pairs), axes=tuple(range(rank - len(pairs), rank)))
    return n.make("pad", x, amount=tuple(pairs), mode=mode)


@rule("multiheadattention")
def attention(n: PnnxBuilder, line: PnnxOperator, *inputs: Value) -> Value:
    """Projections, attention in heads, and a projection; with the batch in front."""
    o = line.options
    if not o.get("batch_first") or o.get("add_bias_kv") or o.get("add_zero_attn") or len(line.outputs) > 1:
        raise Unlike("its batch is not in front, or it adds keys or returns weights")
    if not o["kdim"] == o["vdim"] == o["embed_dim"]:
        raise Unlike("its keys have another width")
    return n.make("multi_head_attention", *inputs[:3], heads=o["num_heads"], bias=bool(o.get("bias")))


@rule("scaled_dot_product_attention")
def fused_attention(n: PnnxBuilder, line: PnnxOperator, *inputs: Value) -> Value:
    """Of queries, keys and values."""
    return n.make("scaled_dot_product_attention", *inputs[:4], causal=bool(line.options.get("is_causal")))


@rule("embedding")
def embedding(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Rows of a table."""
    return n.make("embedding", x, rows=line.options["num_embeddings"], width=line.options["embedding_dim"])


@rule("pnnx.attribute")
def attribute(n: PnnxBuilder, line: PnnxOperator) -> Value:
    """A tensor of the model as a value."""
    tensor = next(iter(line.weights.values()))
    return n.make("parameter", shape=tensor.shape, dtype=tensor.dtype, trained=tensor.dtype.startswith("float"))


# -- shapes and order -------------------------------------------------------------------------------------------


@rule("flatten")
def flatten(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Axes as one."""
    return n.make("flatten", x, start=line.options.get("start_dim", 1), end=line.options.get("end_dim", -1))


@rule("view", "reshape", "unflatten", "reshape_as", "view_as", "squeeze", "unsqueeze")
def reshape(n: PnnxBuilder, line: PnnxOperator, x: Value, *more: Value) -> Value:
    """The elements in another shape: the one that pnnx met."""
    made = line.shapes.get(line.outputs[0])
    if made is None:
        raise Unlike("the file does not say what it makes")
    return n.make("reshape", x, shape=made.shape, keep_batch=False)


@rule("permute")
def permute(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """The axes in another order."""
    return n.make("permute", x, axes=line.options["dims"])


@rule("transpose")
def transpose(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Two axes for each other."""
    return n.make("transpose", x, first=line.options["dim0"], second=line.options["dim1"])


@rule("cat", "concat")
def cat(n: PnnxBuilder, line: PnnxOperator, *inputs: Value) -> Value:
    """One after another."""
    return n.make("concat", *inputs, axis=line.options.get("dim", 0))


@rule("stack")
def stack(n: PnnxBuilder, line: PnnxOperator, *inputs: Value) -> Value:
    """One beside another along a new axis."""
    axis = line.options.get("dim", 0)
    axis += len(n.type_of(inputs[0]).shape) + 1 if axis < 0 else 0
    return n.make("concat", *(n.make("unsqueeze", x, axis=axis) for x in inputs), axis=axis)


@rule("chunk", "split", "tensor_split", "unbind")
def split(n: PnnxBuilder, line: PnnxOperator, x: Value) -> list[Value]:
    """Parts of an axis, of the sizes that pnnx met."""
    axis = line.options.get("dim", 0)
    if line.kind.lower() == "unbind":
        return list(n.several("unbind", x, axis=axis))
    shapes = [line.shapes[operand].shape for operand in line.outputs]
    return list(n.several("split", x, parts=tuple(shape[axis] for shape in shapes), axis=axis))


@rule("slice")
def slices(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Parts of axes."""
    o = line.options
    given = (o.get(name, o.get(f"{name}s")) for name in ("dim", "start", "end", "step"))
    many = [value if isinstance(value, tuple) else (value,) for value in given]
    for axis, start, end, step in zip(*many, strict=True):
        size: Any = n.type_of(x).shape[axis]
        stop = None if end is None or end >= size else end
        if start or stop is not None or (step or 1) != 1:
            x = n.make("slice", x, axis=axis, start=start or 0, stop=stop, step=step or 1)
    return x


@rule("select")
def select(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """One place of an axis."""
    return n.make("select", x, axis=line.options["dim"], index=line.options["index"])


@rule("expand", "expand_as")
def expand(n: PnnxBuilder, line: PnnxOperator, x: Value, *more: Value) -> Value:
    """Sizes of 1 stretch."""
    return n.make("expand", x, shape=line.shapes[line.outputs[0]].shape)


@rule("mean", "sum", "amax", "amin", "prod")
def reduced(n: PnnxBuilder, line: PnnxOperator, x: Value) -> Value:
    """Along axes."""
    axes = line.options.get("dim", tuple(range(len(n.type_of(x).shape))))
    options: dict[str, Any] = {
        "axes": axes if isinstance(axes, tuple) else (axes,),
        "keepdim": bool(line.options.get("keepdim")),
    }
    kind = line.kind.lower()
    return n.make(kind, x, **options) if kind in ("mean", "sum") else n.make("reduction", x, function=kind, **options)


# -- expressions ------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(@\d+|[A-Za-z_]\w*|-?[\d.]+(?:e[+-]?\d+)?|[(),\[\]])")
_OPS = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide"}
_FUNCTIONS = {
    "pow": "pow", "max": "maximum", "min": "minimum", "maximum": "maximum", "minimum": "minimum", "atan2": "atan2",
    "floor_divide": "floor_divide", "remainder": "remainder", "fmod": "fmod",
}  # fmt: skip
MOST_DEEP = 64


@rule("pnnx.expression")
def expression(n: PnnxBuilder, line: PnnxOperator, *inputs: Value) -> Value:
    """Arithmetic of operands and numbers: ``add(@0,mul(@1,0.5))``."""
    tokens = iter(_TOKEN.findall(str(line.options.get("expr", ""))))
    found = _evaluated(n, tokens, inputs, next(tokens), 0)
    if isinstance(found, float):
        raise Unlike("it is a number")
    return found


def _evaluated(
    n: PnnxBuilder, tokens: Iterator[str], inputs: tuple[Value, ...], token: str, deep: int
) -> Value | float:
    if deep > MOST_DEEP:
        raise Unlike(f"its expression is nested more than {MOST_DEEP} deep")
    if token.startswith("@"):
        return inputs[int(token[1:])]
    if not token[0].isalpha() and token[0] != "_":
        return float(token)
    if next(tokens) != "(":
        raise Unlike("its expression has a word that is not a function")
    arguments: list[Value | float] = []
    token_ = next(tokens)
    while token_ != ")":
        if token_ != ",":
            arguments.append(_evaluated(n, tokens, inputs, token_, deep + 1))
        token_ = next(tokens, ")")
    values = [a for a in arguments if not isinstance(a, float)]
    if not values:
        return float("nan")  # of numbers alone
    if len(values) == 2 and token in _OPS:
        return n.make(_OPS[token], *values)
    if token in ("sigmoid", "tanh") and len(values) == 1:
        return n.make(token, values[0])
    return n.make("elementwise", *values, function=_OPS.get(token) or _FUNCTIONS.get(token, token))
