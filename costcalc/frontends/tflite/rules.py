"""What each operator of TFLite is in our ops. Maps are (batch, places …, channels).

A rule takes the graph that is built and the operator, adds layers, and binds its outputs; it raises ``Unlike`` where
the operator is used in a way that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costcalc.frontends.tflite.build import Building, Unlike, Value
from costcalc.frontends.tflite.flat import Table
from costcalc.frontends.tflite.read import Operator
from costcalc.ir.call import once
from costcalc.ir.dims import Dim, prod
from costcalc.ir.op import find_op

Rule = Callable[[Building, Operator], None]
RULES: dict[str, Rule] = {}
"""Name of an operator in the schema → its rule."""

SAME = 0
"""The number of that padding."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Decorator: the function is the rule of these operators."""

    def give(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return give


def _options(o: Operator) -> Table:
    if o.options is None:
        raise Unlike("its options are missing")
    return o.options


def _finish(b: Building, o: Operator, value: Value, activation: int = 0) -> None:
    """The activation that is part of the operator, and its output."""
    made: dict[int, Callable[[], Value]] = {
        0: lambda: value,
        1: lambda: b.make("relu", value),
        2: lambda: b.make("hardtanh", value, low=-1.0, high=1.0),
        3: lambda: b.make("relu6", value),
        4: lambda: b.make("tanh", value),
        5: lambda: b.make("elementwise", value, function="sign", dtype=b.type_of(value).dtype),
    }
    if activation not in made:
        raise Unlike(f"its activation {activation} is not known")
    b.bind(o.outputs[0], made[activation]())


def _weights(b: Building, o: Operator, filter: int = 1, bias: int = 2) -> dict[str, int]:
    found = {"weight": o.inputs[filter]}
    if len(o.inputs) > bias and o.inputs[bias] >= 0:
        found["bias"] = o.inputs[bias]
    if not all(b.is_constant(i) for i in found.values()):
        raise Unlike("its weights are computed while it runs")
    return found


# -- convolutions and products ------------------------------------------------------------------------


def _sliding(t: Table, stride: Sequence[int], dilation: Sequence[int] = ()) -> dict[str, Any]:
    """Stride, dilation and padding from the fields of the options, which list the height before the width."""
    return {
        "stride": once(tuple(t.whole(field, 1) or 1 for field in stride)),
        "padding": "same" if t.byte(0) == SAME else 0,
        **({"dilation": once(tuple(t.whole(field, 1) or 1 for field in dilation))} if dilation else {}),
        "channels_last": True,
    }


@rule("CONV_2D")
def conv_2d(b: Building, o: Operator) -> None:
    """Groups have no field: they are how often the filter's channels go into the input's."""
    t, weights = _options(o), _weights(b, o)
    out, height, width, channels = b.sizes(o.inputs[1])
    given = b.type_of(o.inputs[0]).shape[-1]
    if not isinstance(given, int) or not channels or given % channels:
        raise Unlike(f"its filter has {channels} channels, its input {given}")
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once((height, width)), groups=given // channels,
        bias="bias" in weights, **_sliding(t, (2, 1), (5, 4)),
    )  # fmt: skip
    _finish(b, o, y, t.byte(3))


@rule("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(b: Building, o: Operator) -> None:
    """The filter is (1, height, width, channels × multiplier)."""
    t, weights = _options(o), _weights(b, o)
    _, height, width, out = b.sizes(o.inputs[1])
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once((height, width)),
        groups=b.type_of(o.inputs[0]).shape[-1], bias="bias" in weights, **_sliding(t, (2, 1), (6, 5)),
    )  # fmt: skip
    _finish(b, o, y, t.byte(4))


@rule("CONV_3D")
def conv_3d(b: Building, o: Operator) -> None:
    """The filter is (depth, height, width, channels in, out)."""
    t, weights = _options(o), _weights(b, o)
    *kernel, channels, out = b.sizes(o.inputs[1])
    given = b.type_of(o.inputs[0]).shape[-1]
    if not isinstance(given, int) or not channels or given % channels:
        raise Unlike(f"its filter has {channels} channels, its input {given}")
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once(tuple(kernel)), groups=given // channels,
        bias="bias" in weights, **_sliding(t, (1, 3, 2), (5, 7, 6)),
    )  # fmt: skip
    _finish(b, o, y, t.byte(4))


def _transposed(
    b: Building, o: Operator, kernel: tuple[int, ...], out: int, stride: tuple[int, ...], same: bool
) -> Value:
    """A transposed convolution, whose output's size is an input; what is laid beyond it is cut off."""
    weights = _weights(b, o, 1, 3)
    size = b.known(o.inputs[0]) or list(b.declared(o.outputs[0]).shape)
    padding, extra = [], []
    for given, wanted, k, s in zip(b.type_of(o.inputs[2]).shape[1:-1], size[1:-1], kernel, stride, strict=True):
        if not b.as_written or not isinstance(given, int) or not isinstance(wanted, int):
            # Resized: as much is laid as the padding says.
            padding.append(((max(k - s, 0)) // 2, max(k - s, 0) - max(k - s, 0) // 2) if same else (0, 0))
            extra.append(max(s - k, 0))
            continue
        beyond = (given - 1) * s + k - wanted
        before = max(beyond, 0) // 2 if same else 0
        padding.append((before, max(beyond, 0) - before))
        extra.append(max(-beyond, 0))
    return b.make(
        "conv_transpose", o.inputs[2], weights=weights, out_channels=out, kernel=once(kernel), stride=once(stride),
        padding=tuple(padding), output_padding=once(tuple(extra)), bias="bias" in weights, channels_last=True,
    )  # fmt: skip


@rule("TRANSPOSE_CONV")
def transpose_conv(b: Building, o: Operator) -> None:
    """Inputs are the output's size, the filter (out, height, width, in), and the map."""
    t = _options(o)
    out, height, width, _ = b.sizes(o.inputs[1])
    stride = t.whole(2, 1) or 1, t.whole(1, 1) or 1
    _finish(b, o, _transposed(b, o, (height, width), out, stride, t.byte(0) == SAME), t.byte(3))


@rule("CONV_3D_TRANSPOSE")
def conv_3d_transpose(b: Building, o: Operator) -> None:
    """The filter is (depth, height, width, out, in)."""
    t = _options(o)
    *kernel, out, _ = b.sizes(o.inputs[1])
    stride = t.whole(1, 1) or 1, t.whole(3, 1) or 1, t.whole(2, 1) or 1
    _finish(b, o, _transposed(b, o, tuple(kernel), out, stride, t.byte(0) == SAME), t.byte(4))


@rule("FULLY_CONNECTED")
def fully_connected(b: Building, o: Operator) -> None:
    """Weights are (out, in); all axes of the input but those of its last features are one, unless they are kept."""
    t = _options(o)
    x: int | Value = o.inputs[0]
    out, features = b.type_of(o.inputs[1]).shape
    shape = b.type_of(x).shape
    if len(shape) != 2 and not (t.flag(2) and shape[-1:] == (features,)):
        x = b.make("reshape", x, shape=(-1, features), keep_batch=False)
    if b.is_constant(o.inputs[1]):
        weights = _weights(b, o)
        y = b.make("linear", x, weights=weights, out_features=out, bias="bias" in weights)
    else:
        y = b.make("matmul", x, b.make("transpose", o.inputs[1]))
        if len(o.inputs) > 2 and o.inputs[2] >= 0:
            y = b.make("add", y, o.inputs[2])
    _finish(b, o, y, t.byte(0))


@rule("BATCH_MATMUL")
def batch_matmul(b: Building, o: Operator) -> None:
    """Either side may be transposed."""
    t = _options(o)
    x, y = (b.make("transpose", i) if t.flag(k) else b.value(i) for k, i in enumerate(o.inputs[:2]))
    _finish(b, o, b.make("matmul", x, y))


# -- pooling and resizing -----------------------------------------------------------------------------


def _pooled(b: Building, o: Operator, op: str, x: int | Value, **more: Any) -> Value:
    t = _options(o)
    return b.make(op, x, kernel=once((t.whole(4, 1), t.whole(3, 1))), **_sliding(t, (2, 1)), **more)


@rule("AVERAGE_POOL_2D")
def average_pool_2d(b: Building, o: Operator) -> None:
    """What lies outside is not counted."""
    _finish(b, o, _pooled(b, o, "avg_pool", o.inputs[0], count_include_pad=False), _options(o).byte(5))


@rule("MAX_POOL_2D")
def max_pool_2d(b: Building, o: Operator) -> None:
    """The largest of each window."""
    _finish(b, o, _pooled(b, o, "max_pool", o.inputs[0]), _options(o).byte(5))


@rule("L2_POOL_2D")
def l2_pool_2d(b: Building, o: Operator) -> None:
    """The root of the mean of the squares."""
    squares = b.make("elementwise", o.inputs[0], function="square")
    mean = _pooled(b, o, "avg_pool", squares, count_include_pad=False)
    _finish(b, o, b.make("elementwise", mean, function="sqrt"), _options(o).byte(5))


@rule("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(b: Building, o: Operator) -> None:
    """To a size; without half_pixel_centers as old versions of TensorFlow do it, from the corners of pixels."""
    t, bilinear = _options(o), o.name == "RESIZE_BILINEAR"
    align, half = (t.flag(2), t.flag(3)) if bilinear else (t.flag(0), t.flag(1))
    size = tuple(b.wanted(o.inputs[1]))
    if (not (align or half)) if bilinear else align:
        b.note("samples from the corners of pixels; its window is told as that from their centres")
    mode = "bilinear" if bilinear else "nearest-exact" if half else "nearest"
    y = b.make("upsample", o.inputs[0], size=size, mode=mode, align_corners=align and bilinear, channels_last=True)
    _finish(b, o, y)


@rule("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def space_to_depth(b: Building, o: Operator) -> None:
    """Blocks of pixels become channels, and back."""
    op = "pixel_shuffle" if o.name == "DEPTH_TO_SPACE" else "pixel_unshuffle"
    _finish(b, o, b.make(op, o.inputs[0], factor=_options(o).whole(0), channels_last=True))


@rule("SPACE_TO_BATCH_ND")
def space_to_batch(b: Building, o: Operator) -> None:
    """The places of each residue become a sample of their own: how dilated convolutions are written."""
    block, flat = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    n = len(block)
    x: int | Value = o.inputs[0]
    if any(flat):
        pads = tuple(zip(flat[::2], flat[1::2], strict=True))
        x = b.make("pad", x, amount=pads, axes=tuple(range(1, n + 1)))
    batch, *rest = b.type_of(x).shape
    split = [d for size, k in zip(rest[:n], block, strict=True) for d in (size // k, k)]
    x = b.make("reshape", x, shape=(batch, *split, *rest[n:]), keep_batch=False)
    order = (*range(2, 2 * n + 1, 2), 0, *range(1, 2 * n, 2), *range(2 * n + 1, 1 + 2 * n + len(rest) - n))
    x = _copied(b, b.make("permute", x, axes=order))
    small = [size // k for size, k in zip(rest[:n], block, strict=True)]
    _finish(b, o, b.make("reshape", x, shape=(batch * prod(block), *small, *rest[n:]), keep_batch=False))


@rule("BATCH_TO_SPACE_ND")
def batch_to_space(b: Building, o: Operator) -> None:
    """The inverse: samples become the places of each residue; then the padding is cut off."""
    block, flat = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    n = len(block)
    batch, *rest = b.type_of(o.inputs[0]).shape
    x = b.make("reshape", o.inputs[0], shape=(*block, batch // prod(block), *rest), keep_batch=False)
    order = [n]
    for i in range(n):
        order += [n + 1 + i, i]
    x = _copied(b, b.make("permute", x, axes=(*order, *range(2 * n + 1, n + 1 + len(rest)))))
    large = [size * k for size, k in zip(rest[:n], block, strict=True)]
    x = b.make("reshape", x, shape=(batch // prod(block), *large, *rest[n:]), keep_batch=False)
    for axis, (before, after) in enumerate(zip(flat[::2], flat[1::2], strict=True), 1):
        if before or after:
            x = b.make("slice", x, axis=axis, start=before, stop=-after if after else None)
    _finish(b, o, x)


# -- element by element -------------------------------------------------------------------------------

_ARITHMETIC = {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide"}


@rule(*_ARITHMETIC)
def arithmetic(b: Building, o: Operator) -> None:
    """With another tensor, or with a number."""
    op, known = _ARITHMETIC[o.name], _arithmetic_known(b, o)
    if known is not None:
        b.scope.numbers[o.outputs[0]] = known
        if b.is_constant(o.inputs[0]) and b.is_constant(o.inputs[1]):
            return
    y = _of_two(b, o, op)
    _finish(b, o, y, o.options.byte(0) if o.options else 0)


def _of_two(b: Building, o: Operator, function: str) -> Value:
    """A function of two tensors; of one with a number it is that of one tensor."""
    dtype = b.declared(o.outputs[0]).dtype
    inputs = [i for i in o.inputs[:2] if not (b.is_constant(i) and prod(b.tensor(i).shape) == 1)]
    if len(inputs) == 1 and len(b.type_of(inputs[0]).shape) >= len(b.declared(o.outputs[0]).shape):
        return b.make("elementwise", inputs[0], function=function, dtype=dtype)
    if function in ("add", "subtract", "multiply", "divide"):
        y = b.make(function, *o.inputs[:2])
        if b.type_of(y).dtype == dtype:
            return y
        raise Unlike(f"it makes {dtype} of {' and '.join(b.type_of(i).dtype for i in o.inputs[:2])}")
    return b.make("elementwise", *o.inputs[:2], function=function, dtype=dtype)


def _arithmetic_known(b: Building, o: Operator) -> list[Dim] | None:
    first, second = b.known(o.inputs[0]), b.known(o.inputs[1])
    if first is None or second is None or o.name == "DIV":
        return None
    n = max(len(first), len(second))
    pairs = zip(first * (n if len(first) == 1 else 1), second * (n if len(second) == 1 else 1), strict=True)
    return [x + y if o.name == "ADD" else x - y if o.name == "SUB" else x * y for x, y in pairs]


_BINARY = {
    "MAXIMUM": "maximum", "MINIMUM": "minimum", "POW": "pow", "FLOOR_DIV": "floor_divide", "FLOOR_MOD": "remainder",
    "ATAN2": "atan2", "EQUAL": "eq", "NOT_EQUAL": "ne", "LESS": "lt", "LESS_EQUAL": "le", "GREATER": "gt",
    "GREATER_EQUAL": "ge", "LOGICAL_AND": "logical_and", "LOGICAL_OR": "logical_or", "BITWISE_XOR": "bitwise_xor",
    "RIGHT_SHIFT": "bitwise_right_shift",
}  # fmt: skip


@rule(*_BINARY)
def of_two(b: Building, o: Operator) -> None:
    """A function of two tensors, or of one and a number."""
    _finish(b, o, _of_two(b, o, _BINARY[o.name]))


_UNARY = {
    "ABS": "abs", "CEIL": "ceil", "COS": "cos", "EXP": "exp", "FLOOR": "floor", "LOG": "log", "NEG": "neg",
    "LOGICAL_NOT": "logical_not", "ROUND": "round", "RSQRT": "rsqrt", "SIGN": "sign", "SIN": "sin", "SQRT": "sqrt",
    "SQUARE": "square", "REAL": "real", "IMAG": "imag", "COMPLEX_ABS": "abs",
    "FAKE_QUANT": "fake_quantize_per_tensor_affine",
}  # fmt: skip


@rule(*_UNARY)
def of_one(b: Building, o: Operator) -> None:
    """A function of one tensor."""
    dtype = b.declared(o.outputs[0]).dtype
    _finish(b, o, b.make("elementwise", o.inputs[0], function=_UNARY[o.name], dtype=dtype))


@rule("SQUARED_DIFFERENCE")
def squared_difference(b: Building, o: Operator) -> None:
    """(x - y)²."""
    _finish(b, o, b.make("elementwise", _of_two(b, o, "subtract"), function="square"))


@rule("SELECT", "SELECT_V2")
def select(b: Building, o: Operator) -> None:
    """One of two by a third."""
    inputs = [i for i in o.inputs if not (b.is_constant(i) and prod(b.tensor(i).shape) == 1)]
    _finish(b, o, b.make("elementwise", *inputs, function="where", dtype=b.declared(o.outputs[0]).dtype))


@rule("ADD_N")
def add_n(b: Building, o: Operator) -> None:
    """The sum of all."""
    _finish(b, o, b.make("add", *o.inputs))


_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "RELU": ("relu", {}), "RELU6": ("relu6", {}), "RELU_N1_TO_1": ("hardtanh", {"low": -1.0, "high": 1.0}),
    "RELU_0_TO_1": ("hardtanh", {"low": 0.0, "high": 1.0}), "LOGISTIC": ("sigmoid", {}), "TANH": ("tanh", {}),
    "ELU": ("elu", {}), "HARD_SWISH": ("hardswish", {}), "SOFTMAX": ("softmax", {}), "LOG_SOFTMAX": ("log_softmax", {}),
}  # fmt: skip


@rule(*_ACTIVATIONS)
def activation(b: Building, o: Operator) -> None:
    """An activation without options of the file's; softmax is along the last axis."""
    op, options = _ACTIVATIONS[o.name]
    _finish(b, o, b.make(op, o.inputs[0], **options))


@rule("GELU")
def gelu(b: Building, o: Operator) -> None:
    """Exact, or by the hyperbolic tangent."""
    options: dict[str, Any] = {"approximate": "tanh"} if o.options is not None and o.options.flag(0) else {}
    _finish(b, o, b.make("gelu", o.inputs[0], **options))


@rule("LEAKY_RELU")
def leaky_relu(b: Building, o: Operator) -> None:
    """With the slope of the file."""
    _finish(b, o, b.make("leaky_relu", o.inputs[0], slope=float(_options(o).real(0))))


@rule("PRELU")
def prelu(b: Building, o: Operator) -> None:
    """With a slope for each channel, or one for all; others are a product and a choice."""
    x, slopes = o.inputs
    count: Any = prod(b.tensor(slopes).shape)
    if b.is_constant(slopes) and count in (1, b.type_of(x).shape[-1]):
        _finish(b, o, b.make("prelu", x, weights={"weight": slopes}, per_channel=count > 1, channels_last=True))
        return
    below = b.make("multiply", x, slopes)
    _finish(b, o, b.make("elementwise", b.make("elementwise", x, function="gt"), x, below, function="where"))


@rule("L2_NORMALIZATION")
def l2_normalization(b: Building, o: Operator) -> None:
    """Each vector along the last axis, divided by its length."""
    x = o.inputs[0]
    total = b.make("sum", b.make("elementwise", x, function="square"), axes=(-1,), keepdim=True)
    length = b.make("elementwise", total, function="rsqrt", dtype=b.type_of(x).dtype)
    _finish(b, o, b.make("multiply", x, length))


@rule("LOCAL_RESPONSE_NORMALIZATION")
def local_response_norm(b: Building, o: Operator) -> None:
    """Across neighbouring channels, so many to either side."""
    size = 2 * _options(o).whole(0) + 1
    _finish(b, o, b.make("local_response_norm", o.inputs[0], size=size, channels_last=True))


@rule("DENSIFY")
def densify(b: Building, o: Operator) -> None:
    """A constant that is stored without its zeros is what it is with them."""
    if not b.is_constant(o.inputs[0]):
        raise Unlike("its input is no constant")
    b.note("is stored without its zeros; the figures are with them")
    b.same(o.outputs[0], o.inputs[0])


@rule("CAST", "QUANTIZE", "DEQUANTIZE")
def converted(b: Building, o: Operator) -> None:
    """Into another element type; of a constant this is done beforehand, and the constant is what is stored."""
    x, dtype = o.inputs[0], b.declared(o.outputs[0]).dtype
    known = b.known(x)
    if known is not None and o.name == "CAST":
        b.scope.numbers[o.outputs[0]] = known
    if b.is_constant(x):
        b.same(o.outputs[0], x)
        return
    function = {"CAST": "copy", "QUANTIZE": "quantize_per_tensor", "DEQUANTIZE": "dequantize"}[o.name]
    _finish(b, o, b.make("elementwise", x, function=function, dtype=dtype))


# -- along axes ---------------------------------------------------------------------------------------

_REDUCTIONS = {
    "SUM": "sum", "REDUCE_MAX": "amax", "REDUCE_MIN": "amin", "REDUCE_PROD": "prod", "REDUCE_ANY": "any",
    "REDUCE_ALL": "all",
}  # fmt: skip


def _axes(b: Building, o: Operator) -> tuple[tuple[int, ...], bool]:
    rank = len(b.type_of(o.inputs[0]).shape)
    axes = tuple(sorted({axis % rank for axis in b.wanted(o.inputs[1])}))
    return axes, o.options is not None and o.options.flag(0)


@rule("MEAN")
def mean(b: Building, o: Operator) -> None:
    """Over all places it is global pooling."""
    axes, keepdim = _axes(b, o)
    rank = len(b.type_of(o.inputs[0]).shape)
    if rank > 3 and axes == tuple(range(1, rank - 1)):
        _finish(b, o, b.make("global_avg_pool", o.inputs[0], keepdim=keepdim, channels_last=True))
    else:
        _finish(b, o, b.make("mean", o.inputs[0], axes=axes, keepdim=keepdim))


@rule(*_REDUCTIONS)
def reduced(b: Building, o: Operator) -> None:
    """A sum, product, largest, smallest … along axes."""
    known = b.known(o.inputs[0])
    if known is not None and o.name == "REDUCE_PROD":
        b.scope.numbers[o.outputs[0]] = [prod(known)]
    axes, keepdim = _axes(b, o)
    if not axes:
        b.bind(o.outputs[0], o.inputs[0])
    elif o.name == "SUM":
        _finish(b, o, b.make("sum", o.inputs[0], axes=axes, keepdim=keepdim))
    else:
        function, dtype = _REDUCTIONS[o.name], b.declared(o.outputs[0]).dtype
        _finish(b, o, b.make("reduction", o.inputs[0], function=function, axes=axes, keepdim=keepdim, dtype=dtype))


@rule("ARG_MAX", "ARG_MIN")
def place_of_extreme(b: Building, o: Operator) -> None:
    """Where the largest is."""
    function = "argmax" if o.name == "ARG_MAX" else "argmin"
    rank = len(b.type_of(o.inputs[0]).shape)
    axes = tuple(axis % rank for axis in b.wanted(o.inputs[1]))
    dtype = b.declared(o.outputs[0]).dtype
    _finish(b, o, b.make("reduction", o.inputs[0], function=function, axes=axes, dtype=dtype))


@rule("CUMSUM")
def cumsum(b: Building, o: Operator) -> None:
    """Sums of all up to each."""
    (axis,) = b.wanted(o.inputs[1])
    _finish(b, o, b.make("scan", o.inputs[0], axis=axis))


# -- shapes and order ---------------------------------------------------------------------------------


def _copied(b: Building, value: Value) -> Value:
    """What TFLite writes anew, though only its order or extent is another."""
    return b.make("elementwise", value, function="copy")


@rule("RESHAPE")
def reshape(b: Building, o: Operator) -> None:
    """The same elements; of known numbers they stay known. A batch that the file fixes follows the given one."""
    x, out = o.inputs[0], o.outputs[0]
    if (known := b.known(x)) is not None:
        b.scope.numbers[out] = known
    if b.is_constant(x):
        b.same(out, x)
        return
    wanted = b.known(o.inputs[1]) if len(o.inputs) > 1 else None
    shape = list(wanted) if wanted is not None else list(b.declared(out).shape)
    given = b.type_of(x)
    if not b.as_written and -1 not in [d for d in shape if isinstance(d, int)] and shape:
        fixed = b.declared(x).shape
        if fixed and fixed[0] == shape[0] and given.shape[0] != fixed[0]:
            shape[0] = given.shape[0]
            b.note("has its batch fixed in the file; it is told for the batch that is given")
    b.bind(
        out,
        b.make("reshape", x, shape=tuple(shape), keep_batch=False)
        if shape
        else b.make("squeeze", x, axes=tuple(range(len(given.shape)))),
    )


@rule("SQUEEZE")
def squeeze(b: Building, o: Operator) -> None:
    """Axes of size 1 go."""
    x = o.inputs[0]
    shape = b.type_of(x).shape
    given = o.options.ints(0, 8) if o.options else ()
    axes = tuple(a % len(shape) for a in given) or tuple(
        a for a, d in enumerate(shape) if isinstance(d, int) and d == 1
    )
    if (known := b.known(x)) is not None:
        b.scope.numbers[o.outputs[0]] = known
    if b.is_constant(x):
        b.same(o.outputs[0], x)
    else:
        b.bind(o.outputs[0], b.make("squeeze", x, axes=axes))


@rule("EXPAND_DIMS")
def expand_dims(b: Building, o: Operator) -> None:
    """An axis of size 1 comes."""
    if (known := b.known(o.inputs[0])) is not None:
        b.scope.numbers[o.outputs[0]] = known
    (axis,) = b.wanted(o.inputs[1])
    if b.is_constant(o.inputs[0]):
        b.same(o.outputs[0], o.inputs[0])
    else:
        b.bind(o.outputs[0], b.make("unsqueeze", o.inputs[0], axis=axis))


@rule("SHAPE")
def shape(b: Building, o: Operator) -> None:
    """The sizes of a tensor, which are known."""
    b.scope.numbers[o.outputs[0]] = list(b.type_of(o.inputs[0]).shape)
    dtype = b.declared(o.outputs[0]).dtype
    b.bind(o.outputs[0], b.make("constant", shape=b.declared(o.outputs[0]).shape, dtype=dtype))


@rule("FILL", "ZEROS_LIKE", "RANGE")
def filled(b: Building, o: Operator) -> None:
    """Numbers that are the same for every input."""
    t = b.declared(o.outputs[0])
    made = t.shape
    if o.name == "FILL" and (known := b.known(o.inputs[0])) is not None:
        made = tuple(known)
    elif o.name == "ZEROS_LIKE":
        made = b.type_of(o.inputs[0]).shape
    b.bind(o.outputs[0], b.make("constant", shape=made, dtype=t.dtype))


@rule("TRANSPOSE")
def transpose(b: Building, o: Operator) -> None:
    """The axes in another order, written anew."""
    order = tuple(b.wanted(o.inputs[1]))
    if b.is_constant(o.inputs[0]):
        b.same(o.outputs[0], o.inputs[0])
        return
    _finish(b, o, _copied(b, b.make("permute", o.inputs[0], axes=order)))


@rule("PAD", "PADV2")
def pad(b: Building, o: Operator) -> None:
    """So many before and after each axis; filled with a number."""
    flat = b.wanted(o.inputs[1])
    amounts = {axis: pair for axis, pair in enumerate(zip(flat[::2], flat[1::2], strict=True)) if any(pair)}
    if not amounts:
        _finish(b, o, _copied(b, b.value(o.inputs[0])))
    else:
        _finish(b, o, b.make("pad", o.inputs[0], amount=tuple(amounts.values()), axes=tuple(amounts)))


@rule("MIRROR_PAD")
def mirror_pad(b: Building, o: Operator) -> None:
    """Mirrored at the border, which REFLECT does not repeat."""
    flat = b.wanted(o.inputs[1])
    pairs = [*zip(flat[::2], flat[1::2], strict=True)]
    rank = len(pairs)
    if any(pairs[0]) or any(pairs[-1]) or rank < 3:
        raise Unlike("it mirrors the batch or the channels")
    mode = "reflect" if _options(o).byte(0) == 0 else "replicate"
    if mode == "replicate":
        b.note("repeats the edge as it mirrors; its border is told as the repeated edge")
    _finish(b, o, b.make("pad", o.inputs[0], amount=tuple(pairs[1:-1]), mode=mode, channels_last=True))


@rule("CONCATENATION")
def concatenation(b: Building, o: Operator) -> None:
    """One after another along an axis."""
    t = _options(o)
    known = [b.known(i) for i in o.inputs]
    if all(k is not None for k in known):
        b.scope.numbers[o.outputs[0]] = [n for k in known for n in k or ()]
    _finish(b, o, b.make("concat", *o.inputs, axis=t.whole(0)), t.byte(1))


@rule("PACK")
def pack(b: Building, o: Operator) -> None:
    """One beside another along a new axis; of known numbers a known shape."""
    axis = o.options.whole(1) if o.options else 0
    known = [b.known(i) for i in o.inputs]
    if all(k is not None for k in known):
        b.scope.numbers[o.outputs[0]] = [n for k in known for n in k or ()]
        t = b.declared(o.outputs[0])
        b.bind(o.outputs[0], b.make("constant", shape=t.shape, dtype=t.dtype))
        return
    rank = len(b.type_of(o.inputs[0]).shape) + 1
    _finish(b, o, b.make("concat", *(b.make("unsqueeze", i, axis=axis % rank) for i in o.inputs), axis=axis % rank))


@rule("UNPACK")
def unpack(b: Building, o: Operator) -> None:
    """Each place along an axis by itself."""
    axis = o.options.whole(1) if o.options else 0
    parts = b.several(find_op("unbind")(axis=axis), o.inputs[0])
    for index, part in zip(o.outputs, parts, strict=True):
        b.bind(index, _copied(b, part))


@rule("SPLIT", "SPLIT_V")
def split(b: Building, o: Operator) -> None:
    """Parts of an axis, each written anew."""
    if o.name == "SPLIT":
        x, (axis,), parts = o.inputs[1], b.wanted(o.inputs[0]), len(o.outputs)
        pieces: Any = parts
    else:
        x, (axis,) = o.inputs[0], b.wanted(o.inputs[2])
        sizes = b.wanted(o.inputs[1])
        whole = b.type_of(x).shape[axis]
        pieces = tuple(whole - sum(s for s in sizes if s >= 0) if size < 0 else size for size in sizes)
    made = b.several(find_op("split")(pieces, axis=axis), x)
    for index, part in zip(o.outputs, made, strict=True):
        b.bind(index, _copied(b, part))


@rule("SLICE")
def slice_(b: Building, o: Operator) -> None:
    """From a place on, so many; -1 for all that are left."""
    begin, size = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    x: Value = b.value(o.inputs[0])
    for axis, (start, count, whole) in enumerate(zip(begin, size, b.type_of(x).shape, strict=True)):
        if start or (count != -1 and not (isinstance(whole, int) and count == whole)):
            x = b.make("slice", x, axis=axis, start=start, stop=None if count == -1 else start + count)
    _finish(b, o, _copied(b, x))


@rule("STRIDED_SLICE")
def strided_slice(b: Building, o: Operator) -> None:
    """Python's slices, axis by axis; a mask says where they have no end, and which axes go."""
    t = _options(o)
    begin, end, step = (b.wanted(i) for i in o.inputs[1:4])
    begins, ends, ellipsis, new, gone = (t.whole(field) for field in range(5))
    known, x_shape = b.known(o.inputs[0]), b.type_of(o.inputs[0]).shape
    if ellipsis or new:
        raise Unlike("it has an ellipsis or new axes")
    if known is not None and len(x_shape) == 1 and len(begin) == 1:
        whole = slice(None if begins & 1 else begin[0], None if ends & 1 else end[0], step[0])
        b.scope.numbers[o.outputs[0]] = [known[begin[0]]] if gone & 1 else known[whole]
        made = b.declared(o.outputs[0])
        b.bind(o.outputs[0], b.make("constant", shape=made.shape, dtype=made.dtype))
        return
    if any(s < 0 for s in step):
        raise Unlike("it runs backwards")
    x: Value = b.value(o.inputs[0])
    axis = 0
    for i, (first, last, every) in enumerate(zip(begin, end, step, strict=True)):
        if gone >> i & 1:
            x = b.make("select", x, axis=axis, index=first)
            continue
        start, stop = 0 if begins >> i & 1 else first, None if ends >> i & 1 else last
        size = b.type_of(x).shape[axis]
        if isinstance(stop, int) and isinstance(size, int) and stop >= size:
            stop = None
        if start or stop is not None or every != 1:
            x = b.make("slice", x, axis=axis, start=start, stop=stop, step=every)
        axis += 1
    _finish(b, o, _copied(b, x))


@rule("GATHER")
def gather(b: Building, o: Operator) -> None:
    """Places along an axis: known ones, or the rows of a table that are looked up."""
    axis = o.options.whole(0) if o.options else 0
    x, where = o.inputs[:2]
    known, places = b.known(x), b.known(where)
    if known is not None and places is not None and len(b.type_of(x).shape) == 1:
        b.scope.numbers[o.outputs[0]] = [known[i] for i in places if isinstance(i, int)]
    if o.options is not None and o.options.whole(1):
        raise Unlike("it looks up by batch")
    table = b.tensor(x)
    if b.is_constant(x) and axis in (0, -len(table.shape)) and len(table.shape) == 2:
        dtype = b.declared(o.outputs[0]).dtype
        rows, width = table.shape
        y = b.make("embedding", where, weights={"weight": x}, rows=rows, width=width, dtype=dtype)
        _finish(b, o, y)
        return
    shape = b.type_of(x).shape
    axis %= len(shape)
    if places is not None and all(isinstance(i, int) for i in places):
        size = len(b.type_of(where).shape)
        if size == 0:
            _finish(b, o, _copied(b, b.make("select", x, axis=axis, index=places[0])))
            return
        if size == 1:
            _finish(b, o, b.make("take", x, axis=axis, indices=tuple(places)))
            return
    made = (*shape[:axis], *b.type_of(where).shape, *shape[axis + 1 :])
    _finish(b, o, b.make("gather", x, where, shape=made))


@rule("EMBEDDING_LOOKUP")
def embedding_lookup(b: Building, o: Operator) -> None:
    """Rows of a table."""
    table = b.tensor(o.inputs[1])
    if len(table.shape) != 2 or not b.is_constant(o.inputs[1]):
        raise Unlike("its table is none of rows")
    rows, width = table.shape
    dtype = b.declared(o.outputs[0]).dtype
    y = b.make("embedding", o.inputs[0], weights={"weight": o.inputs[1]}, rows=rows, width=width, dtype=dtype)
    _finish(b, o, y)


@rule("REVERSE_V2")
def reverse(b: Building, o: Operator) -> None:
    """Axes run the other way."""
    _finish(b, o, b.make("flip", o.inputs[0], axes=tuple(b.wanted(o.inputs[1]))))


@rule("TILE")
def tile(b: Building, o: Operator) -> None:
    """Copies side by side."""
    _finish(b, o, b.make("tile", o.inputs[0], repeats=tuple(b.wanted(o.inputs[1]))))


@rule("BROADCAST_TO")
def broadcast_to(b: Building, o: Operator) -> None:
    """Sizes of 1 stretch, and are written out."""
    wanted = b.known(o.inputs[1])
    made = tuple(wanted) if wanted is not None else b.declared(o.outputs[0]).shape
    _finish(b, o, _copied(b, b.make("expand", o.inputs[0], shape=made)))


@rule("TOPK_V2")
def top_k(b: Building, o: Operator) -> None:
    """The largest along the last axis, and where they are."""
    (count,) = b.wanted(o.inputs[1])
    values = b.several(find_op("sort")(axis=-1, largest=count), o.inputs[0])
    b.bind(o.outputs[0], values[0])
    where = b.declared(o.outputs[1]).dtype
    b.bind(
        o.outputs[1],
        values[1]
        if b.type_of(values[1]).dtype == where
        else b.make("elementwise", values[1], function="copy", dtype=where),
    )
