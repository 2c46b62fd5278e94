"""Operators of StableHLO that a file has beside TFLite's own: their options lie in the second table."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import MOST_AXES, TFLiteOperator
from costcalc.frontends.tflite.rules.elementwise import function_of_two
from costcalc.frontends.tflite.rules.table import copied, finish, rule, second_options_of

_TWO = {
    "ADD": "add", "SUBTRACT": "subtract", "MULTIPLY": "multiply", "DIVIDE": "divide", "MAXIMUM": "maximum",
    "MINIMUM": "minimum", "POWER": "pow", "REMAINDER": "remainder", "AND": "logical_and", "OR": "logical_or",
    "SHIFT_LEFT": "bitwise_left_shift",
}  # fmt: skip
_ONE = {
    "ABS": "abs", "COSINE": "cos", "EXPONENTIAL": "exp", "FLOOR": "floor", "LOG": "log", "NEGATE": "neg",
    "RSQRT": "rsqrt", "CONVERT": "copy", "CBRT": "pow",
}  # fmt: skip
_COMPARISONS = ("eq", "ne", "ge", "gt", "le", "lt")
"""By the number of a direction."""


def _named(name: str) -> str:
    return f"STABLEHLO_{name}"


@rule(*map(_named, _TWO))
def of_two(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A function of two tensors of one shape."""
    finish(b, o, function_of_two(b, o, _TWO[o.name.removeprefix("STABLEHLO_")]))


@rule(*map(_named, _ONE))
def of_one(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A function of one tensor."""
    function, dtype = _ONE[o.name.removeprefix("STABLEHLO_")], b.declared(o.outputs[0]).dtype
    root: dict[str, Any] = {"numbers": 1 / 3} if o.name.endswith("CBRT") else {}
    finish(b, o, b.make("elementwise", o.inputs[0], function=function, dtype=dtype, **root))


@rule("STABLEHLO_LOGISTIC", "STABLEHLO_TANH")
def activation(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """An activation."""
    finish(b, o, b.make("tanh" if o.name.endswith("TANH") else "sigmoid", o.inputs[0]))


@rule("STABLEHLO_COMPARE")
def compare(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Whether one is as large as, or larger than, another."""
    finish(b, o, function_of_two(b, o, _COMPARISONS[second_options_of(o).count(0)]))


@rule("STABLEHLO_SELECT", "STABLEHLO_CLAMP")
def select(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One of two by a third; or each element between two bounds."""
    first, dtype = o.inputs, b.declared(o.outputs[0]).dtype
    if o.name.endswith("CLAMP"):
        finish(b, o, b.make("elementwise", first[1], first[0], first[2], function="clamp", dtype=dtype))
        return
    finish(b, o, b.make("elementwise", *first, function="where", dtype=dtype))


@rule("STABLEHLO_RESHAPE")
def reshape(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The same elements in the shape that the file says."""
    finish(b, o, b.make("reshape", o.inputs[0], shape=b.declared(o.outputs[0]).shape, keep_batch=False))


@rule("STABLEHLO_TRANSPOSE")
def transpose(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The axes in another order, written anew."""
    finish(b, o, copied(b, b.make("permute", o.inputs[0], axes=second_options_of(o).longs(0, MOST_AXES))))


@rule("STABLEHLO_CONCATENATE")
def concatenate(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """One after another along an axis."""
    finish(b, o, b.make("concat", *o.inputs, axis=second_options_of(o).long(0)))


@rule("STABLEHLO_SLICE")
def cut(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Of each axis a part, written anew."""
    t, shape = second_options_of(o), b.type_of(o.inputs[0]).shape
    starts, stops, steps = (t.longs(field, MOST_AXES) for field in (0, 1, 2))
    value = b.value(o.inputs[0])
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        if (start, stop, step) != (0, shape[axis], 1):
            value = b.make("slice", value, axis=axis, start=start, stop=stop, step=step)
    finish(b, o, copied(b, value))


@rule("STABLEHLO_DOT_GENERAL")
def product(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Products of two tensors, summed over some axes, for each place of others."""
    t = second_options_of(o)
    (x, y), lists = (b.type_of(i).shape for i in o.inputs[:2]), [t.longs(field, MOST_AXES) for field in range(4)]
    left, right = dict(enumerate(ascii_lowercase[: len(x)])), dict(enumerate(ascii_lowercase[13 : 13 + len(y)]))
    for ours, theirs in ((lists[0], lists[1]), (lists[2], lists[3])):
        for mine, other in zip(ours, theirs, strict=True):
            right[other] = left[mine]
    batch = "".join(left[axis] for axis in lists[0])
    free = [left[a] for a in left if a not in (*lists[0], *lists[2])]
    free += [right[a] for a in right if a not in (*lists[1], *lists[3])]
    equation = f"{''.join(left.values())},{''.join(right.values())}->{batch}{''.join(free)}"
    finish(b, o, b.make("einsum", *o.inputs[:2], equation=equation))
