"""Functions of each element, and activations."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.regrouping import followed
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, options_of, rule
from costcalc.ir.dims import Dim, prod

_ARITHMETIC = {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide"}


@rule(*_ARITHMETIC)
def arithmetic(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """With another tensor, or with a number."""
    op, known = _ARITHMETIC[o.name], _arithmetic_known(b, o)
    if known is not None:
        b.scope.numbers[o.outputs[0]] = known
        if b.is_constant(o.inputs[0]) and b.is_constant(o.inputs[1]):
            return
    y = function_of_two(b, o, op)
    finish(b, o, y, o.options.byte(0) if o.options else 0)


def function_of_two(b: TFLiteBuilder, o: TFLiteOperator, function: str) -> Value:
    """A function of two tensors; of one with a number it is that of one tensor."""
    dtype = b.declared(o.outputs[0]).dtype
    inputs: list[int | Value] = [i for i in o.inputs[:2] if not (b.is_constant(i) and prod(b.tensor(i).shape) == 1)]
    if len(inputs) == 2 and not b.as_written:
        inputs = [_stretching(b, i, o.outputs[0]) for i in o.inputs[:2]]
    if len(inputs) == 1 and len(b.type_of(inputs[0]).shape) >= len(b.declared(o.outputs[0]).shape):
        return b.make("elementwise", inputs[0], function=function, dtype=dtype)
    if function in ("add", "subtract", "multiply", "divide"):
        y = b.make(function, *(inputs if len(inputs) == 2 else o.inputs[:2]))
        if b.type_of(y).dtype == dtype:
            return y
        raise Unlike(f"it makes {dtype} of {' and '.join(b.type_of(i).dtype for i in o.inputs[:2])}")
    return b.make("elementwise", *(inputs if len(inputs) == 2 else o.inputs[:2]), function=function, dtype=dtype)


def _stretching(b: TFLiteBuilder, index: int, made: int) -> int | Value:
    """A tensor whose axes the file has put together with a batch of 1, as they stretch to those of ``made``."""
    was, now, rank = b.declared(index).shape, b.type_of(index).shape, len(b.declared(made).shape)
    if was == now or len(was) >= rank:
        return index
    found = followed(was, now, (*[1] * (rank - len(was)), *was), b.batch)
    return index if found is None else b.make("reshape", index, shape=found.shape, keep_batch=False)


def _arithmetic_known(b: TFLiteBuilder, o: TFLiteOperator) -> list[Dim] | None:
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


_KNOWN: dict[str, Callable[[Any, Any], Any]] = {
    "EQUAL": operator.eq, "NOT_EQUAL": operator.ne, "LESS": operator.lt, "LESS_EQUAL": operator.le,
    "GREATER": operator.gt, "GREATER_EQUAL": operator.ge, "MAXIMUM": max, "MINIMUM": min,
    "LOGICAL_AND": lambda x, y: bool(x and y), "LOGICAL_OR": lambda x, y: bool(x or y),
}  # fmt: skip
"""What decides whether a loop goes on, worked out where numbers are known."""


@rule(*_BINARY)
def of_two(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A function of two tensors, or of one and a number."""
    first, second = b.known(o.inputs[0]), b.known(o.inputs[1])
    if o.name in _KNOWN and first and second and len(first) == len(second) == 1:
        pair = first[0], second[0]
        if all(isinstance(n, int) for n in pair):
            b.scope.numbers[o.outputs[0]] = [int(_KNOWN[o.name](*pair))]
    finish(b, o, function_of_two(b, o, _BINARY[o.name]))


_UNARY = {
    "ABS": "abs", "CEIL": "ceil", "COS": "cos", "EXP": "exp", "FLOOR": "floor", "LOG": "log", "NEG": "neg",
    "LOGICAL_NOT": "logical_not", "ROUND": "round", "RSQRT": "rsqrt", "SIGN": "sign", "SIN": "sin", "SQRT": "sqrt",
    "SQUARE": "square", "REAL": "real", "IMAG": "imag", "COMPLEX_ABS": "abs",
    "FAKE_QUANT": "fake_quantize_per_tensor_affine",
}  # fmt: skip


@rule(*_UNARY)
def of_one(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A function of one tensor."""
    dtype = b.declared(o.outputs[0]).dtype
    finish(b, o, b.make("elementwise", o.inputs[0], function=_UNARY[o.name], dtype=dtype))


@rule("SQUARED_DIFFERENCE")
def squared_difference(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """(x - y)²."""
    finish(b, o, b.make("elementwise", function_of_two(b, o, "subtract"), function="square"))


@rule("SELECT", "SELECT_V2")
def select(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One of two by a third."""
    inputs = [i for i in o.inputs if not (b.is_constant(i) and prod(b.tensor(i).shape) == 1)]
    finish(b, o, b.make("elementwise", *inputs, function="where", dtype=b.declared(o.outputs[0]).dtype))


@rule("ADD_N")
def add_n(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The sum of all."""
    finish(b, o, b.make("add", *o.inputs))


_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "RELU": ("relu", {}), "RELU6": ("relu6", {}), "RELU_N1_TO_1": ("hardtanh", {"low": -1.0, "high": 1.0}),
    "RELU_0_TO_1": ("hardtanh", {"low": 0.0, "high": 1.0}), "LOGISTIC": ("sigmoid", {}), "TANH": ("tanh", {}),
    "ELU": ("elu", {}), "HARD_SWISH": ("hardswish", {}), "SOFTMAX": ("softmax", {}), "LOG_SOFTMAX": ("log_softmax", {}),
}  # fmt: skip


@rule(*_ACTIVATIONS)
def activation(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """An activation without options of the file's; softmax is along the last axis."""
    op, options = _ACTIVATIONS[o.name]
    finish(b, o, b.make(op, o.inputs[0], **options))


@rule("GELU")
def gelu(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Exact, or by the hyperbolic tangent."""
    options: dict[str, Any] = {"approximate": "tanh"} if o.options is not None and o.options.flag(0) else {}
    finish(b, o, b.make("gelu", o.inputs[0], **options))


@rule("LEAKY_RELU")
def leaky_relu(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """With the slope of the file."""
    finish(b, o, b.make("leaky_relu", o.inputs[0], slope=float(options_of(o).real(0))))


@rule("PRELU")
def prelu(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """With a slope for each channel, or one for all; others are a product and a choice."""
    x, slopes = o.inputs
    count: Any = prod(b.tensor(slopes).shape)
    if b.is_constant(slopes) and count in (1, b.type_of(x).shape[-1]):
        finish(b, o, b.make("prelu", x, weights={"weight": slopes}, per_channel=count > 1, channels_last=True))
        return
    below = b.make("multiply", x, slopes)
    finish(b, o, b.make("elementwise", b.make("elementwise", x, function="gt"), x, below, function="where"))


@rule("L2_NORMALIZATION")
def l2_normalization(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Each vector along the last axis, divided by its length."""
    x = o.inputs[0]
    total = b.make("sum", b.make("elementwise", x, function="square"), axes=(-1,), keepdim=True)
    length = b.make("elementwise", total, function="rsqrt", dtype=b.type_of(x).dtype)
    finish(b, o, b.make("multiply", x, length))


@rule("LOCAL_RESPONSE_NORMALIZATION")
def local_response_norm(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Across neighbouring channels, so many to either side."""
    size = 2 * options_of(o).whole(0) + 1
    finish(b, o, b.make("local_response_norm", o.inputs[0], size=size, channels_last=True))


@rule("DENSIFY")
def densify(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A constant that is stored without its zeros is what it is with them."""
    if not b.is_constant(o.inputs[0]):
        raise Unlike("its input is not a constant")
    b.note("is stored without its zeros; the figures are with them")
    b.same(o.outputs[0], o.inputs[0])


@rule("CAST", "QUANTIZE", "DEQUANTIZE")
def converted(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Into another element type; of a constant this is done beforehand, and the constant is what is stored."""
    x, dtype = o.inputs[0], b.declared(o.outputs[0]).dtype
    known = b.known(x)
    if known is not None and o.name == "CAST":
        b.scope.numbers[o.outputs[0]] = known
    if b.is_constant(x):
        b.same(o.outputs[0], x)
        return
    function = {"CAST": "copy", "QUANTIZE": "quantize_per_tensor", "DEQUANTIZE": "dequantize"}[o.name]
    finish(b, o, b.make("elementwise", x, function=function, dtype=dtype))
