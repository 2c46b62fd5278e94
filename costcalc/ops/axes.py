"""Axes as options name them: counted from 0, or from the end when negative."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.errors import ShapeError
from costcalc.ir.call import Call, once
from costcalc.ir.dims import Dim, equal, total, where
from costcalc.ir.fields import Axes
from costcalc.ir.op import Condition, Op
from costcalc.ir.tensor import TensorType


def has_axes(op: Op, x: TensorType, *axes: int) -> Iterator[Condition]:
    """Each of ``axes`` is an axis of ``x``, and none is named twice.

    Raises at once: the conditions that an op yields next may index the shape.
    """
    rank = len(x.shape)
    for axis in axes:
        if not -rank <= axis < rank:
            raise ShapeError(f"{op.name}: axis {axis} does not exist; the input has axes 0 to {rank - 1}")
    if len({axis % rank for axis in axes}) < len(axes):
        raise ShapeError(f"{op.name}: an axis is named twice")
    yield from ()


def position(axis: int, x: TensorType) -> int:
    """``axis`` counted from 0.

    >>> position(-1, TensorType((2, 3, 5)))
    2
    """
    return axis % len(x.shape)


def replaced(x: TensorType, axis: int, *sizes: Dim) -> TensorType:
    """``x`` with its axis ``axis`` replaced by axes of ``sizes``.

    >>> str(replaced(TensorType((2, 6, 5)), 1, 2, 3))
    '2×2×3×5'
    """
    at = position(axis, x)
    return x.with_shape(*x.shape[:at], *sizes, *x.shape[at + 1 :])


def several(axes: int | tuple[int, ...]) -> tuple[int, ...]:
    """One axis or several, as a tuple.

    >>> several(-1), several((2, 3))
    ((-1,), (2, 3))
    """
    return axes if isinstance(axes, tuple) else (axes,)


def reduced_axes(call: Call) -> Axes:
    """The axes over which a traced reduction goes: those it names, or all."""
    x, given = call.tensors()[0], call.get("dim")
    named = given is not None and given != [] and x.shape  # a scalar has an axis 0 for PyTorch, and none to go
    axes = several(once(given)) if named else tuple(range(len(x.shape)))
    return axes[0] if len(axes) == 1 else axes


def distinct(indices: tuple[int, ...], size: Dim) -> Dim:
    """How many places of an axis of ``size`` are named, some perhaps more than once or from its end.

    >>> distinct((0, 3, 3, -4), 4), distinct((0, 3, 3, -4), 5)
    (2, 3)
    """
    if isinstance(size, int):
        return len({index % size for index in indices})
    ahead, behind = {i for i in indices if i >= 0}, {i for i in indices if i < 0}
    twice = total(where(equal(size, i - j), 1, 0) for i in ahead for j in behind)
    return len(ahead) + len(behind) - twice
