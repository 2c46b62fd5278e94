"""Functions of each element: of one tensor, of several that stretch to meet, casts and choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import NodeUse, dtype_named, is_number
from costcalc.ir.call import Traced
from costcalc.ops.broadcasting import broadcast

UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor", "Log": "log",
    "Neg": "neg", "Not": "logical_not", "Reciprocal": "reciprocal", "Round": "round", "Sign": "sign", "Sin": "sin",
    "Sinh": "sinh", "Sqrt": "sqrt", "Tan": "tan", "IsInf": "isinf", "IsNaN": "isnan", "BitwiseNot": "bitwise_not",
}  # fmt: skip
BINARY = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Pow": "pow", "Mod": "remainder",
    "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor", "Equal": "eq", "Less": "lt", "LessOrEqual": "le",
    "Greater": "gt", "GreaterOrEqual": "ge", "BitShift": "bitwise_left_shift", "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor", "Max": "maximum", "Min": "minimum",
}  # fmt: skip
OF_THEIR_OWN = ("add", "subtract", "multiply", "divide")
"""Functions of tensors that are ops by these names."""


def unary(n: NodeUse) -> Traced:
    return n.elementwise(UNARY[n.node.operator], n.x(0))


def binary(n: NodeUse) -> Traced:
    """Of two tensors; or of one and a number, which is not a tensor."""
    function = BINARY[n.node.operator]
    if n.node.operator == "BitShift" and n.attribute("direction") == "RIGHT":
        function = "bitwise_right_shift"
    return met(n, function, n.held(0), n.held(1))


def met(n: NodeUse, function: str, a: Traced, b: Traced) -> Traced:
    """``function`` of two values, either of which may be a number."""
    for x, other in ((a, b), (b, a)):
        if is_number(other) and not is_number(x) and len(other.type.shape) <= len(x.type.shape):
            return n.elementwise(function, n.real(x))
    left, right = n.real(a), n.real(b)
    if function == "pow":
        return n.elementwise(function, left, right, dtype=a.type.dtype)
    if function in OF_THEIR_OWN:
        return n.add(function, left, right)  # type: ignore[no-any-return]
    return n.elementwise(function, left, right)


def variadic(n: NodeUse) -> Traced:
    """Sum, Max, Min, Mean of any number of tensors."""
    operator = n.node.operator
    values = [n.held(i) for i in range(len(n.given))]
    if len(values) == 1:
        return n.x(0)
    if operator == "Mean":
        return n.elementwise("divide", n.add("add", *(n.real(v) for v in values)))
    function = {"Sum": "add", "Max": "maximum", "Min": "minimum"}[operator]
    y = values[0]
    for value in values[1:]:
        y = met(n, function, y, value)
    return y


def cast(n: NodeUse) -> Traced:
    x = n.x(0)
    dtype = n.type(1).dtype if n.node.operator == "CastLike" else dtype_named(n.attribute("to", 0))
    if x.type.dtype == dtype:
        return x
    y = n.elementwise("copy", x, dtype=dtype)
    y.numbers = n.held(0).numbers if dtype.startswith(("int", "uint")) else None
    return y


def bit_cast(n: NodeUse) -> Traced:
    dtype = dtype_named(n.attribute("to", 0))
    return n.add("part", n.x(0), options=(n.shape(0), dtype))  # type: ignore[no-any-return]


def choose(n: NodeUse) -> Traced:
    """``Where``: numbers among the choices are no tensors."""
    values = [n.held(i) for i in range(3)]
    whole = broadcast(*(v.type.shape for v in values))
    tensors = [v for v in values if not is_number(v)] or values[:1]
    if broadcast(*(v.type.shape for v in tensors)) != whole:
        tensors = values
    return n.elementwise("where", *(n.real(v) for v in tensors), dtype=values[1].type.dtype)


def identity(n: NodeUse) -> Any:
    return n.given[0]


def dropout(n: NodeUse) -> Any:
    """At inference its input; the mask, where something reads it, is all ones."""
    x = n.x(0)
    y = n.add("dropout", x)
    return (y, n.constant(x.type._replace(dtype="bool"))) if n.wants(1) else y


RULES: dict[str, Callable[[NodeUse], Any]] = {
    **dict.fromkeys(UNARY, unary), **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(("Sum", "Max", "Min", "Mean"), variadic),
    "Cast": cast, "CastLike": cast, "BitCast": bit_cast, "Where": choose, "Identity": identity, "Dropout": dropout,
}  # fmt: skip
