"""What a value is made from: which can be made beforehand, once, and which takes an inference."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costcalc.ir.op import Op
    from costcalc.ir.tensor import TensorType


class Origin(Enum):
    """What a value depends on.

    CONSTANT   nothing: numbers that are known, zeros or positions
    MODEL      tensors of the model, and constants
    DATA       an input of the model, or what is random, or unknown; only this takes an inference
    """

    CONSTANT = "constant"
    MODEL = "model"
    DATA = "data"


def origin_of(op: Op, inputs: Iterable[Origin], types: tuple[TensorType, ...], made: tuple[TensorType, ...]) -> Origin:
    """What ``op`` makes of inputs of these origins and types, itself being of types ``made``.

    Sums of products of the model's tensors with a constant are
    work of every inference: the constant stands for data, as the zeros do that a recurrent cell begins with.
    """
    met = set(inputs)
    if Origin.DATA in met or op.is_random:
        return Origin.DATA
    constant = Origin.CONSTANT in met
    if op.weights(*types):
        met.add(Origin.MODEL)
    if Origin.MODEL not in met:
        return Origin.CONSTANT
    return Origin.DATA if constant and _multiplies(op, types, made) else Origin.MODEL


def _multiplies(op: Op, types: tuple[TensorType, ...], made: tuple[TensorType, ...]) -> bool:
    macs = op.macs(*types, y=made[0])
    return not (isinstance(macs, int) and macs == 0)
