"""The functions that expressions can call. There are no others, and none can be added by a spec."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import islice
from typing import Any

from costcalc.errors import SpecError
from costcalc.frontends.spec.values import MAX_LIST, Value, add, admit, at_least, equal, is_number, shown, truth, where
from costcalc.ir import dims
from costcalc.ir.expr import Expr
from costcalc.ir.fields import per_axis


def call(name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The function ``name`` of the arguments."""
    function, usage = FUNCTIONS[name]
    try:
        return admit(function(*args, **kwargs))
    except TypeError:
        raise SpecError(f"{name} does not take {_spelled(args, kwargs)}; it is used as {usage}") from None


def _spelled(args: list[Value], kwargs: dict[str, Value]) -> str:
    parts = [*map(shown, args[:4]), *(f"{k}={shown(v)}" for k, v in islice(kwargs.items(), 4))]
    return f"({', '.join(parts)}{', …' if len(args) > 4 or len(kwargs) > 4 else ''})"


def _numbers(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The numbers given one by one or as one list; ``TypeError`` for anything else."""
    items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    if not items or not all(map(is_number, items)):
        raise TypeError
    if any(isinstance(v, Expr) for v in items) and any(isinstance(v, float) for v in items):
        raise TypeError
    return items


def _number(x: Value) -> Value:
    return _numbers((x,))[0] if not isinstance(x, tuple) else _fail()


def _list(x: Value) -> tuple[Value, ...]:
    return x if isinstance(x, tuple) else _fail()


def _fail() -> Any:
    raise TypeError


def _whole(rule: Callable[[float], int]) -> Callable[[Value], Value]:
    """``rule`` for fractions; what is whole already, symbols included, passes."""
    return lambda x: int(rule(x)) if isinstance(_number(x), float) else x + 0


def _max(*values: Value) -> Value:
    items = _numbers(values)
    return reduce(dims.maximum, items) if any(isinstance(v, Expr) for v in items) else max(items)


def _min(*values: Value) -> Value:
    items = _numbers(values)
    return reduce(dims.minimum, items) if any(isinstance(v, Expr) for v in items) else min(items)


def _abs(x: Value) -> Value:
    return dims.maximum(x, -x) if isinstance(_number(x), Expr) else abs(x)


def _round(x: Value, digits: int = 0) -> Value:
    if isinstance(_number(x), Expr):
        return x
    if not isinstance(digits, int) or abs(digits) > 300:
        raise TypeError
    return round(x, digits) if digits else round(x)


def _float(x: Value) -> Value:
    return _fail() if isinstance(_number(x), Expr) else float(x)


def _sqrt(x: Value) -> Value:
    if isinstance(_number(x), Expr):
        raise TypeError
    if x < 0:
        raise SpecError(f"{shown(x)} has no square root")
    return math.sqrt(x)


def _log(x: Value) -> Value:
    if isinstance(_number(x), Expr):
        raise TypeError
    if x <= 0:
        raise SpecError(f"{shown(x)} has no logarithm")
    return math.log(x)


def _range(*bounds: Value) -> Value:
    if not all(isinstance(b, int) for b in bounds):
        for b in bounds:
            if isinstance(b, Expr):
                raise SpecError(f"how often a loop runs cannot depend on a symbol, {b}")
        raise TypeError
    if len(bounds) == 3 and bounds[2] == 0:
        raise SpecError("the step of a range cannot be 0")
    numbers = range(*bounds)
    if numbers and max(0, (numbers[-1] - numbers[0]) // numbers.step) + 1 > MAX_LIST:
        raise SpecError(f"range{_spelled(list(bounds), {})} has more than {MAX_LIST:,} numbers")
    return tuple(numbers)


def _sum(values: Value) -> Value:
    return reduce(add, _list(values), 0)


def _sorted(values: Value) -> Value:
    items = _list(values)
    if any(not isinstance(v, (int, float)) for v in items):
        raise TypeError
    return tuple(sorted(items))


def round_to(value: Value, multiple: int = 8, least: int | None = None) -> Value:
    """The multiple nearest to ``value``, at least ``least`` and never below 90 % of ``value``: the mobile nets' rule.

    >>> round_to(32 * 1.4), round_to(24 * 0.35), round_to(11)
    (48, 8, 16)
    """
    if not isinstance(multiple, int) or multiple < 1 or not (least is None or isinstance(least, int)):
        raise TypeError
    _number(value)
    half = multiple // 2 if isinstance(value, Expr) else multiple / 2
    near = (value + half) // multiple * multiple
    near = near if isinstance(near, Expr) else int(near)
    near = _max(near, multiple if least is None else least)
    return where(at_least(10 * near, 9 * value), near, near + multiple)


def half_padding(kernel: Value, dilation: Value = 1) -> Value:
    """The padding at which a kernel of odd size keeps the size of a map, for all axes or for each.

    >>> half_padding(3), half_padding((1, 5)), half_padding(3, 2), half_padding(3, (1, 2))
    (1, (0, 2), 2, (1, 2))
    """
    if not isinstance(kernel, tuple) and not isinstance(dilation, tuple):
        return _whole_number(dilation) * (_whole_number(kernel) // 2)
    axes = len(kernel if isinstance(kernel, tuple) else dilation)
    kernels, dilations = per_axis(kernel, axes), per_axis(dilation, axes)
    if len(kernels) != len(dilations):
        raise SpecError(f"half_padding: {len(kernels)} kernel sizes do not fit {len(dilations)} dilations")
    return tuple(_whole_number(d) * (_whole_number(k) // 2) for k, d in zip(kernels, dilations, strict=True))


def _whole_number(x: Value) -> Value:
    return x if isinstance(x, (int, Expr)) and not isinstance(x, bool) else _fail()


FUNCTIONS: dict[str, tuple[Callable[..., Value], str]] = {
    "abs": (_abs, "abs(number)"),
    "all": (lambda values: all(map(truth, _list(values))), "all(list)"),
    "any": (lambda values: any(map(truth, _list(values))), "any(list)"),
    "ceil": (_whole(math.ceil), "ceil(number)"),
    "distinct": (lambda values: tuple(dict.fromkeys(_list(values))), "distinct(list)"),
    "enumerate": (lambda values, start=0: tuple(enumerate(_list(values), start)), "enumerate(list, start=0)"),
    "float": (_float, "float(number)"),
    "floor": (_whole(math.floor), "floor(number)"),
    "half_padding": (half_padding, "half_padding(kernel, dilation=1)"),
    "int": (_whole(int), "int(number)"),
    "len": (lambda values: len(_list(values)), "len(list)"),
    "log": (_log, "log(number)"),
    "max": (_max, "max(number, number, ...) or max(list)"),
    "min": (_min, "min(number, number, ...) or min(list)"),
    "range": (_range, "range(stop), range(start, stop) or range(start, stop, step)"),
    "reversed": (lambda values: _list(values)[::-1], "reversed(list)"),
    "round": (_round, "round(number) or round(number, digits)"),
    "round_to": (round_to, "round_to(number, multiple=8, least=multiple)"),
    "sorted": (_sorted, "sorted(list of numbers)"),
    "sqrt": (_sqrt, "sqrt(number)"),
    "sum": (_sum, "sum(list of numbers)"),
    "zip": (lambda *lists: tuple(zip(*map(_list, lists), strict=False)), "zip(list, list, ...)"),
}
"""Name → the function, and how it is used."""
__all__ = ["FUNCTIONS", "call", "equal", "round_to"]
