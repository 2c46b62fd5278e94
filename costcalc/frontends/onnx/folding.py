"""Arithmetic on tensors whose elements are known: shapes, axes, positions. It is done here, once, and is not a layer.

Elements are ints, floats, truth values, or sizes that are left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from costcalc.ir.dims import maximum, minimum
from costcalc.ir.expr import Expr

MOST = 4096
"""Elements of a tensor that are worked out."""
Numbers = tuple[Any, ...]


class Unknown(Exception):
    """What cannot be worked out, so that the node becomes a layer like any other."""


class Array:
    """Elements in their order, under a shape of ints."""

    __slots__ = ("numbers", "shape")

    def __init__(self, shape: Sequence[int], numbers: Sequence[Any]) -> None:
        self.shape, self.numbers = tuple(shape), tuple(numbers)

    @property
    def strides(self) -> tuple[int, ...]:
        """How far apart the places along each axis are."""
        found, step = [], 1
        for size in reversed(self.shape):
            found.append(step)
            step *= size
        return tuple(reversed(found))


def count(shape: Sequence[int]) -> int:
    """Elements of ``shape``. Raises ``Unknown`` for more than are worked out."""
    if not all(isinstance(size, int) for size in shape):
        raise Unknown
    made = math.prod(shape)
    if made > MOST or any(size < 0 for size in shape):
        raise Unknown
    return made


def picked(x: Array, shape: Sequence[int], where: Callable[[tuple[int, ...]], int]) -> Array:
    """An array of ``shape`` that has at each place the element of ``x`` that ``where`` says."""
    count(shape)
    return Array(shape, [x.numbers[where(position)] for position in product(*map(range, shape))])


def stretched(x: Array, shape: Sequence[int]) -> Array:
    """``x`` broadcast to ``shape``."""
    if x.shape == tuple(shape):
        return x
    if len(x.numbers) == 1:
        return Array(shape, x.numbers * count(shape))
    ahead = len(shape) - len(x.shape)
    if ahead < 0 or any(a not in (1, b) for a, b in zip(x.shape, shape[ahead:], strict=True)):
        raise Unknown
    steps = [0 if size == 1 else step for size, step in zip(x.shape, x.strides, strict=True)]
    return picked(x, shape, lambda position: sum(i * s for i, s in zip(position[ahead:], steps, strict=True)))


def together(*arrays: Array) -> tuple[int, ...]:
    """The shape that arrays of these shapes stretch to."""
    rank = max(len(a.shape) for a in arrays)
    padded = [(1,) * (rank - len(a.shape)) + a.shape for a in arrays]
    shape = []
    for sizes in zip(*padded, strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            raise Unknown
        shape.append(wide.pop() if wide else 1)
    return tuple(shape)


def each(function: Callable[..., Any], *arrays: Array) -> Array:
    """``function`` of the elements of ``arrays`` that meet."""
    shape = together(*arrays)
    count(shape)
    rows = zip(*(stretched(a, shape).numbers for a in arrays), strict=True)
    try:
        return Array(shape, [function(*row) for row in rows])
    except (TypeError, ZeroDivisionError, OverflowError, ValueError):
        raise Unknown from None


def transposed(x: Array, order: Sequence[int]) -> Array:
    """``x`` with its axes in another order."""
    steps = [x.strides[axis] for axis in order]
    shape = [x.shape[axis] for axis in order]
    return picked(x, shape, lambda position: sum(i * s for i, s in zip(position, steps, strict=True)))


def gathered(x: Array, indices: Array, axis: int) -> Array:
    """The places ``indices`` of ``axis``, whose axes take its place."""
    size, step = x.shape[axis], x.strides
    if not all(type(i) is int and -size <= i < size for i in indices.numbers):
        raise Unknown
    rank = len(indices.shape)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    inner = indices.strides

    def where(position: tuple[int, ...]) -> int:
        at = indices.numbers[sum(i * s for i, s in zip(position[axis : axis + rank], inner, strict=True))] % size
        others = (*position[:axis], at, *position[axis + rank :])
        return sum(i * s for i, s in zip(others, step, strict=True))

    return picked(x, shape, where)


def sliced(x: Array, axis: int, start: int, stop: int, step: int) -> Array:
    """Part of an axis, as Python slices it."""
    return gathered(x, Array((len(taken := range(x.shape[axis])[start:stop:step]),), list(taken)), axis)


def joined(arrays: Sequence[Array], axis: int) -> Array:
    """Arrays one after the other along an axis."""
    first = arrays[0]
    along = sum(a.shape[axis] for a in arrays)
    shape = (*first.shape[:axis], along, *first.shape[axis + 1 :])
    count(shape)
    blocks = math.prod(first.shape[:axis])
    made: list[Any] = []
    for block in range(blocks):
        for a in arrays:
            size = len(a.numbers) // blocks
            made += a.numbers[block * size : (block + 1) * size]
    return Array(shape, made)


def reduced(x: Array, axes: Sequence[int], keep: bool, function: Callable[[list[Any]], Any]) -> Array:
    """``function`` of the elements along ``axes``."""
    gone = set(axes)
    shape = [1 if a in gone else size for a, size in enumerate(x.shape)]
    groups: dict[tuple[int, ...], list[Any]] = {position: [] for position in product(*map(range, shape))}
    for position, number in zip(product(*map(range, x.shape)), x.numbers, strict=True):
        groups[tuple(0 if a in gone else i for a, i in enumerate(position))].append(number)
    try:
        numbers = [function(group) for group in groups.values()]
    except (TypeError, ValueError):
        raise Unknown from None
    return Array(shape if keep else [s for a, s in enumerate(shape) if a not in gone], numbers)


def whole(value: Any) -> Any:
    """``value`` cast to a whole number, towards zero."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise Unknown
    return int(value)


def decimal(value: Any) -> Any:
    """``value`` cast to a floating-point number; a size that is left open stays as it is."""
    return value if isinstance(value, Expr) else float(value)


def divided(a: Any, b: Any) -> Any:
    """Of whole numbers the quotient towards zero, as engines have it."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        if isinstance(b, float):
            if not b.is_integer():
                raise Unknown
            b = int(b)
        if isinstance(a, float) or (isinstance(b, int) and b <= 0):
            raise Unknown
        return a // b
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def times(a: Any, b: Any) -> Any:
    """A product; of a size that is left open with a whole number only."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        a, b = (int(v) if isinstance(v, float) and v.is_integer() else v for v in (a, b))
        if isinstance(a, float) or isinstance(b, float):
            raise Unknown
    return a * b


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of numbers that are known; of sizes that are left open it is not."""

    def of(*values: Any) -> Any:
        if any(isinstance(v, Expr) for v in values):
            raise Unknown
        return function(*values)

    return of


def _same(a: Any, b: Any) -> Any:
    if isinstance(a, Expr) or isinstance(b, Expr):
        if a == b:
            return True
        # Sizes are from 1, so that none is a placeholder such as -1 or 0.
        if (isinstance(a, int) and a < 1) or (isinstance(b, int) and b < 1):
            return False
        raise Unknown
    return a == b


def _round(value: Any) -> Any:
    return value if isinstance(value, int) else float(round(value))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": times, "Div": divided,
    "Mod": lambda a, b: a % b, "Pow": _plain(lambda a, b: a**b if abs(b) < 64 and abs(a) < 2**40 else 0 / 0),
    "Neg": lambda a: -a, "Abs": _plain(abs), "Sqrt": _plain(math.sqrt), "Exp": _plain(math.exp),
    "Log": _plain(math.log),
    "Floor": lambda a: a if isinstance(a, (int, Expr)) else float(math.floor(a)),
    "Ceil": lambda a: a if isinstance(a, (int, Expr)) else float(math.ceil(a)),
    "Round": _plain(_round), "Sign": _plain(lambda a: (a > 0) - (a < 0)), "Reciprocal": _plain(lambda a: 1 / a),
    "Equal": _same, "Less": _plain(lambda a, b: a < b), "Greater": _plain(lambda a, b: a > b),
    "LessOrEqual": _plain(lambda a, b: a <= b), "GreaterOrEqual": _plain(lambda a, b: a >= b),
    "And": _plain(lambda a, b: bool(a and b)), "Or": _plain(lambda a, b: bool(a or b)),
    "Xor": _plain(lambda a, b: bool(a) != bool(b)), "Not": _plain(lambda a: not a),
    "Where": lambda c, a, b: a if c else b,
    "Max": lambda *v: _folded(maximum, v), "Min": lambda *v: _folded(minimum, v),
    "Relu": _plain(lambda a: max(a, 0)), "Sum": lambda *v: sum(v[1:], v[0]),
}  # fmt: skip
"""Operators that treat each element by itself."""
TRUTHS = frozenset(("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not"))


def _folded(function: Callable[[Any, Any], Any], values: Sequence[Any]) -> Any:
    if any(isinstance(v, Expr) for v in values):
        made = values[0]
        for value in values[1:]:
            if isinstance(value, float) or isinstance(made, float):
                raise Unknown
            made = function(made, value)
        return made
    return max(values) if function is maximum else min(values)


def _product(values: list[Any]) -> Any:
    made: Any = 1
    for value in values:
        made = times(made, value)
    return made


def _extreme(function: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    return lambda values: _folded(function, values)


REDUCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "ReduceProd": _product, "ReduceSum": sum, "ReduceMax": _extreme(maximum), "ReduceMin": _extreme(minimum),
}  # fmt: skip


def counted(start: Any, stop: Any, step: Any) -> Iterator[Any]:
    """``Range``."""
    if any(isinstance(v, Expr) for v in (start, stop, step)) or not step:
        raise Unknown
    number = max(math.ceil((stop - start) / step), 0)
    if number > MOST:
        raise Unknown
    return (start + i * step for i in range(number))
