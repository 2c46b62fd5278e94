"""What each layer of ncnn is in our ops: convolutions, pooling, arithmetic and activations; ``order`` has the rest.

Options have the numbers that ncnn's documentation gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.ncnn.read import REST, NcnnLayer
from costcalc.frontends.ncnn.rules import rule
from costcalc.ir.call import once
from costcalc.ir.dims import Dim, prod

if TYPE_CHECKING:
    from costcalc.frontends.ncnn.build import NcnnBuilder

SAME_UPPER, SAME_LOWER = -233, -234
"""Amounts of padding that are worked out from the size."""


def _activated(b: NcnnBuilder, layer: NcnnLayer, value: Value) -> Value:
    """The activation that is part of a layer."""
    kind = layer.whole(9)
    given = layer.options.get(-23310, ())
    numbers = [float(v) for v in given] if isinstance(given, tuple) else []
    if kind == 0:
        return value
    made: dict[int, Callable[[], Value]] = {
        1: lambda: b.make("relu", value),
        2: lambda: b.make("leaky_relu", value, slope=numbers[0]),
        3: lambda: b.make("hardtanh", value, low=numbers[0], high=numbers[1]),
        4: lambda: b.make("sigmoid", value),
        5: lambda: b.make("mish", value),
        6: lambda: b.make("hardswish", value),
    }
    if kind not in made:
        raise Unlike(f"its activation {kind} is not known")
    return made[kind]()


def _stored(layer: NcnnLayer) -> dict[str, str]:
    """Quantised weights; their biases stay floating-point numbers."""
    return {"weight": "int8"} if layer.whole(8) else {}


# -- convolutions and products -----------------------------------------------------------------------------


def _axes(layer: NcnnLayer, numbers: tuple[int, ...], default: int) -> tuple[int, ...]:
    """An option for each axis: each has its number, and is as that of the width if it is not given."""
    first = layer.whole(numbers[-1], default)
    return tuple(layer.whole(n, first) for n in numbers)


_KERNEL = {1: (1,), 2: (11, 1), 3: (21, 11, 1)}
_DILATION = {1: (2,), 2: (12, 2), 3: (22, 12, 2)}
_STRIDE = {1: (3,), 2: (13, 3), 3: (23, 13, 3)}


def _padding(layer: NcnnLayer, axes: int) -> Any:
    left = layer.whole(4)
    if left == SAME_UPPER:
        return "same"
    if left == SAME_LOWER:
        raise Unlike("it pads more before than after")
    top, right = layer.whole(14, left), layer.whole(15, left)
    bottom = layer.whole(16, top)
    front = layer.whole(24, left)
    pairs = ((front, layer.whole(17, front)), (top, bottom), (left, right))[-axes:]
    if any(amount < 0 for pair in pairs for amount in pair):
        raise Unlike("its padding is worked out as it runs")
    return pairs if any(before != after for before, after in pairs) else once([before for before, _ in pairs])


@rule(*(f"{name}{axes}" for name in ("Convolution", "ConvolutionDepthWise") for axes in ("", "1D", "3D")))
def convolution(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """With groups, if it is one of depthwise; the activation is part of it."""
    if layer.whole(19) or more:
        raise Unlike("its weights are computed while it runs")
    axes = {"1D": 1, "3D": 3}.get(layer.kind[-2:], 2)
    y = b.make(
        "conv", x, out_channels=layer.whole(0), kernel=once(_axes(layer, _KERNEL[axes], 0)),
        stride=once(_axes(layer, _STRIDE[axes], 1)), padding=_padding(layer, axes),
        dilation=once(_axes(layer, _DILATION[axes], 1)), groups=layer.whole(7, 1) or 1, bias=bool(layer.whole(5)),
        stored_as=_stored(layer),
    )  # fmt: skip
    _fits(b, layer, x, prod(_axes(layer, _KERNEL[axes], 0)))
    return _activated(b, layer, y)


def _fits(b: NcnnBuilder, layer: NcnnLayer, x: Value, taps: Dim) -> None:
    """Raise ``Unlike`` where the file has another number of weights than the shapes say."""
    channels: Any = b.type_of(x).shape[1]
    wanted = layer.whole(0) * channels // (layer.whole(7, 1) or 1) * taps
    if layer.whole(6) and layer.whole(6) != wanted:
        raise Unlike(f"it has {layer.whole(6):,} weights, by its input {wanted:,}")


@rule(*(f"{name}{axes}" for name in ("Deconvolution", "DeconvolutionDepthWise") for axes in ("", "1D", "3D")))
def deconvolution(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Transposed; a wanted size crops, or adds at the end."""
    axes = {"1D": 1, "3D": 3}.get(layer.kind[-2:], 2)
    if layer.whole(20) or layer.whole(21) or layer.whole(28):
        raise Unlike("its size or its weights are given otherwise")
    extra = {1: (layer.whole(18),), 2: (layer.whole(19), layer.whole(18))}.get(axes, (0, 0, 0))
    # What is worked out from a size that is not given is nothing: findings/ncnn_deconvolution_same_padding.sh.
    padding = 0 if layer.whole(4) in (SAME_UPPER, SAME_LOWER) else _padding(layer, axes)
    y = b.make(
        "conv_transpose", x, out_channels=layer.whole(0), kernel=once(_axes(layer, _KERNEL[axes], 0)),
        stride=once(_axes(layer, _STRIDE[axes], 1)), padding=padding, output_padding=once(extra),
        dilation=once(_axes(layer, _DILATION[axes], 1)), groups=layer.whole(7, 1) or 1, bias=bool(layer.whole(5)),
        stored_as=_stored(layer),
    )  # fmt: skip
    return _activated(b, layer, y)


@rule("InnerProduct")
def inner_product(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Of all elements, or of the last axis of rows that have as many as the weights."""
    shape = b.type_of(x).shape
    features = layer.whole(2) // max(layer.whole(0), 1)
    if len(shape) > 2 and not (len(shape) == 3 and shape[-1] == features and prod(shape[1:]) != features):
        x = b.make("reshape", x, shape=(-1,))
    y = b.make("linear", x, out_features=layer.whole(0), bias=bool(layer.whole(1)), stored_as=_stored(layer))
    return _activated(b, layer, y)


@rule("Gemm")
def gemm(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """With constant weights a dense layer; else a product of two."""
    if layer.whole(4) or layer.whole(2):
        raise Unlike("its first matrix is constant, or lies the other way")
    if layer.whole(5):
        bias = bool(layer.whole(6)) and layer.whole(10) == 4
        if layer.whole(6) and not bias:
            raise Unlike("what it adds is not a bias")
        return b.make("linear", x, out_features=layer.whole(8), bias=bias)
    right = b.make("transpose", more[0]) if layer.whole(3) else more[0]
    y = b.make("matmul", x, right)
    return b.make("add", y, more[1]) if len(more) > 1 else y


@rule("MatMul")
def matmul(b: NcnnBuilder, layer: NcnnLayer, left: Value, right: Value) -> Value:
    """The second may be transposed."""
    return b.make("matmul", left, b.make("transpose", right) if layer.whole(0) else right)


@rule("MultiHeadAttention")
def attention(b: NcnnBuilder, layer: NcnnLayer, query: Value, *others: Value) -> Value:
    """Projections of queries, keys and values, attention in heads, and a projection of what comes out."""
    if layer.whole(5) or layer.whole(3, layer.whole(0)) != layer.whole(0):
        raise Unlike("it has a mask, or keys of another width")
    return b.make("multi_head_attention", query, *others[:2], heads=layer.whole(1))


@rule("Embed")
def embed(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Rows of a table; indices are elements of the input."""
    return b.make("embedding", x, rows=layer.whole(1), width=layer.whole(0))


# -- pooling and resizing ----------------------------------------------------------------------------------


@rule("Pooling", "Pooling1D", "Pooling3D")
def pooling(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Global, adaptive, or with a window; what is left over at the end gets a window of its own, unless it says so."""
    kind = "avg" if layer.whole(0) else "max"
    axes = len(b.type_of(x).shape) - 2
    if layer.whole(4):
        return b.make(f"global_{kind}_pool", x, keepdim=False)
    if layer.whole(7):
        wanted = layer.whole(18, layer.whole(8)), layer.whole(8)
        if REST in wanted:
            raise Unlike("it keeps one axis")
        return b.make(f"adaptive_{kind}_pool", x, size=once(wanted[-axes:]))
    kernel, stride = (
        _axes(layer, _KERNEL[axes], 0),
        tuple(layer.whole(n, layer.whole(2, 1)) for n in (22, 12, 2))[-axes:],
    )
    mode, left = layer.whole(5), layer.whole(3)
    top = layer.whole(13, left)
    pairs = ((layer.whole(23, left), layer.whole(16, left)), (top, layer.whole(15, top)), (left, layer.whole(14, left)))
    padding: Any = [list(pair) for pair in pairs[-axes:]]
    more: dict[str, Any] = {} if kind == "max" else {"count_include_pad": bool(layer.whole(6))}
    if mode in (2, 3):
        if mode == 3:
            raise Unlike("it pads more before than after")
        padding = "same"
    elif mode == 0:
        for pair, k, s, size in zip(padding, kernel, stride, b.type_of(x).shape[2:], strict=True):
            tail: Any = (size + sum(pair) - k) % s
            if isinstance(tail, int):
                pair[1] += s - tail if tail else 0
            else:
                raise Unlike("the size that is left over is a symbol")
        if any(2 * amount > k for pair, k in zip(padding, kernel, strict=True) for amount in pair):
            if kind == "avg":
                raise Unlike("its last window lies outside of the input")
            x = b.make("pad", x, amount=tuple(map(tuple, padding)), value="-inf")
            padding = [[0, 0]] * axes
    if isinstance(padding, list):
        even = all(before == after for before, after in padding)
        padding = once([p[0] for p in padding]) if even else tuple(map(tuple, padding))
    return b.make(f"{kind}_pool", x, kernel=once(kernel), stride=once(stride), padding=padding, **more)


@rule("Interp")
def interp(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """By a factor or to a size."""
    modes = {1: "nearest", 2: "bilinear", 3: "bicubic"}
    mode, align = modes.get(layer.whole(0)), bool(layer.whole(6))
    if mode is None or more or layer.whole(5):
        raise Unlike("its size is worked out as it runs")
    if layer.whole(3) or layer.whole(4):
        return b.make("upsample", x, size=(layer.whole(3), layer.whole(4)), mode=mode, align_corners=align)
    scales = layer.real(1, 1.0), layer.real(2, 1.0)
    scale = once([int(s) if s == int(s) else s for s in scales])
    return b.make("upsample", x, scale=scale, mode=mode, align_corners=align)


# -- element by element ------------------------------------------------------------------------------------

_BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "pow", "subtract", "divide", "pow", "atan2", "atan2"
)  # fmt: skip
_OPS = ("add", "subtract", "multiply", "divide")


@rule("BinaryOp")
def binary(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """With a number, or with another: a vector as long as there are channels goes along these."""
    function = _BINARY[layer.whole(0)]
    if layer.whole(1):
        return b.make("elementwise", x, function=function)
    y = more[0]
    a, c = b.type_of(x).shape, b.type_of(y).shape
    if len(c) == 2 and len(a) > 2 and c[1] == a[1]:
        y = b.make("reshape", y, shape=(c[1], *(1,) * (len(a) - 2)))
    elif len(a) == 2 and len(c) > 2 and a[1] == c[1]:
        x = b.make("reshape", x, shape=(a[1], *(1,) * (len(c) - 2)))
    return b.make(function, x, y) if function in _OPS else b.make("elementwise", x, y, function=function)


@rule("Eltwise")
def eltwise(b: NcnnBuilder, layer: NcnnLayer, *inputs: Value) -> Value:
    """The product, sum or largest of all."""
    kind = layer.whole(0)
    if kind < 2:
        return b.make("add" if kind else "multiply", *inputs)
    result = inputs[0]
    for other in inputs[1:]:
        result = b.make("elementwise", result, other, function="maximum")
    return result


_UNARY = (
    "abs", "neg", "floor", "ceil", "square", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan",
    "reciprocal", "tanh", "log10", "round", "trunc",
)  # fmt: skip


@rule("UnaryOp")
def unary(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """A function of each element."""
    function = _UNARY[layer.whole(0)]
    return b.make("tanh", x) if function == "tanh" else b.make("elementwise", x, function=function)


_PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "AbsVal": ("elementwise", {"function": "abs"}), "Exp": ("elementwise", {"function": "exp"}),
    "Log": ("elementwise", {"function": "log"}), "Erf": ("elementwise", {"function": "erf"}),
    "Sigmoid": ("sigmoid", {}), "TanH": ("tanh", {}), "Swish": ("silu", {}), "Mish": ("mish", {}), "ELU": ("elu", {}),
    "SELU": ("selu", {}), "CELU": ("celu", {}), "HardSwish": ("hardswish", {}), "HardSigmoid": ("hardsigmoid", {}),
    "Softplus": ("softplus", {}),
}  # fmt: skip


@rule(*_PLAIN)
def plain_function(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """A function that has a name."""
    op, options = _PLAIN[layer.kind]
    return b.make(op, x, **options)


@rule("ReLU")
def relu(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """With a slope it is leaky."""
    return b.make("leaky_relu", x, slope=layer.real(0)) if layer.real(0) else b.make("relu", x)


@rule("Clip")
def clip(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Between two numbers."""
    low, high = layer.real(0, -3.4e38), layer.real(1, 3.4e38)
    return b.make("relu6", x) if (low, high) == (0, 6) else b.make("hardtanh", x, low=low, high=high)


@rule("GELU")
def gelu(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Exact, or by the hyperbolic tangent."""
    return b.make("gelu", x, approximate="tanh") if layer.whole(0) else b.make("gelu", x)


@rule("PReLU")
def prelu(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """A slope for each channel, or one."""
    return b.make("prelu", x, per_channel=layer.whole(0) > 1)


@rule("Dropout")
def dropout(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Nothing, or a factor."""
    return b.make("dropout", x) if layer.real(0, 1.0) == 1 else b.make("scale", x, factor=layer.real(0))


@rule("Softmax")
def softmax(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Along an axis, counted without the batch."""
    axis = layer.whole(0)
    return b.make("softmax", x, axis=axis + 1 if axis >= 0 else axis)


@rule("BatchNorm")
def batch_norm(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """With the statistics of the file."""
    return b.make("batch_norm", x, counter=False)


@rule("Scale", "Bias")
def scale(b: NcnnBuilder, layer: NcnnLayer, x: Value, *more: Value) -> Value:
    """A factor for each channel, and what is added to it."""
    if more:
        raise Unlike("its factors are computed while it runs")
    rank = len(b.type_of(x).shape)
    channels = b.type_of(x).shape[1]
    y = b.make("layer_scale", x) if layer.kind == "Scale" else x
    if layer.kind == "Bias" or layer.whole(1):
        added = b.make("parameter", shape=(1, channels, *(1,) * (rank - 2)))
        y = b.make("add", y, added)
    return y


@rule("LRN")
def local_response_norm(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Across channels."""
    if layer.whole(0):
        raise Unlike("it is within channels")
    return b.make("local_response_norm", x, size=layer.whole(1, 5))


@rule("LayerNorm", "RMSNorm")
def layer_norm(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """Over the last axes that have as many elements as it has factors."""
    op = "layer_norm" if layer.kind == "LayerNorm" else "rms_norm"
    features: Dim = layer.whole(0)
    axes, shape = 0, b.type_of(x).shape
    while axes < len(shape) - 1 and prod(shape[len(shape) - axes :]) != features:
        axes += 1
    return b.make(op, x, axes=max(axes, 1), affine=bool(layer.whole(2, 1)))


@rule("GroupNorm", "InstanceNorm")
def group_norm(b: NcnnBuilder, layer: NcnnLayer, x: Value) -> Value:
    """By group, or by channel."""
    if layer.kind == "GroupNorm":
        return b.make("group_norm", x, groups=layer.whole(0, 1), affine=bool(layer.whole(3, 1)))
    return b.make("instance_norm", x, affine=bool(layer.whole(2, 1)))
