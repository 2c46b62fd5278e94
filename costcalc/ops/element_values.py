"""What functions make of elements that are known: of masks, positions and other small constants.

Elements are Python's numbers. Each result is what the element type holds of it: rounded, or without the bits that do
not fit. What cannot be told like PyTorch tells it, is not told.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

from costcalc.ir.storage_region import in_a_row
from costcalc.ir.tensor import ELEMENT_BITS

Elements: TypeAlias = "Sequence[Any]"

OF_ONE: Mapping[str, Callable[[Any], Any]] = {
    "copy": lambda a: a, "neg": operator.neg, "abs": abs, "logical_not": operator.not_,
    "bitwise_not": lambda a: not a if isinstance(a, bool) else ~a,
}  # fmt: skip
OF_TWO: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "rsub": lambda a, b: b - a, "multiply": operator.mul,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "logical_and": lambda a, b: bool(a and b), "logical_or": lambda a, b: bool(a or b), "maximum": max, "minimum": min,
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "remainder": operator.mod,
    "floor_divide": operator.floordiv,
}  # fmt: skip


def each(function: str, operands: Sequence[Elements], dtype: str, made: str) -> Elements | None:
    """``function`` of each element of ``operands``, as long as each other, which are taken as ``dtype``; the results
    as ``made``. None where it is not known.

    >>> each("subtract", [(3, 0), (1, 1)], "uint8", "uint8")
    [2, 255]
    """
    rule: Any = {1: OF_ONE, 2: OF_TWO}.get(len(operands), {}).get(function)
    if rule is None:
        return None
    try:
        taken = [[held(n, dtype) for n in operand] for operand in operands]
        return [held(rule(*numbers), made) for numbers in zip(*taken, strict=True)]
    except (ArithmeticError, TypeError, ValueError):
        return None


def held(number: Any, dtype: str) -> Any:
    """What an element of type ``dtype`` holds of ``number``. Raises ``ValueError`` where that is not known.

    >>> held(0.1, "float16"), held(300, "uint8"), held(-1, "bool"), held(2.7, "int32")
    (0.0999755859375, 44, True, 2)
    """
    if number != number:
        raise ValueError("not a number")
    if dtype == "bool":
        return bool(number)
    if dtype == "float64":
        return float(number)
    if dtype in ("float32", "float16"):
        form = {"float32": "f", "float16": "e"}[dtype]
        try:
            return struct.unpack(form, struct.pack(form, number))[0]
        except OverflowError:
            raise ValueError(f"{number} is beyond {dtype}") from None
    if "int" not in dtype:
        raise ValueError(f"rounding to {dtype} has no rule")
    bits = ELEMENT_BITS[dtype]
    whole = int(number) & ((1 << bits) - 1)
    return whole if dtype.startswith("u") or whole < 1 << (bits - 1) else whole - (1 << bits)


def stretched(elements: Elements, shape: tuple[int, ...], to: tuple[int, ...]) -> Elements:
    """``elements`` of a tensor of ``shape``, broadcast.

    >>> stretched((1, 2), (2, 1), (2, 3))
    [1, 1, 1, 2, 2, 2]
    """
    if shape == to:
        return elements
    whole = (1,) * (len(to) - len(shape)) + shape
    strides = [0 if n == 1 else step for n, step in zip(whole, in_a_row(whole), strict=True)]
    return [elements[sum(i * s for i, s in zip(index, strides, strict=True))] for index in product(*map(range, to))]


def below_or_above(elements: Elements, shape: tuple[int, ...], diagonal: int, upper: bool) -> Elements:
    """``elements`` with zeros above the ``diagonal`` of each matrix; or below it, for ``upper``."""
    rows, columns = shape[-2:]
    stays = operator.ge if upper else operator.le
    left = [stays(column - row, diagonal) for row in range(rows) for column in range(columns)]
    return [n if left[i % len(left)] else 0 for i, n in enumerate(elements[: prod(shape)])]
