"""Activation functions in which the elements along an axis meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import divides
from costcalc.ir.fields import Axis
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.op import Condition, Example, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.activation import Activation
from costcalc.ops.axes import has_axes, replaced
from costcalc.ops.traced_steps import converted, reshaped


class AxisActivation(Activation):
    """An activation in which the elements along one axis meet."""

    if TYPE_CHECKING:
        axis: Axis  # a field of each

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        x = call["self"]
        if x.shape == made.shape:  # softmax may be in another element type
            x = converted(call, x, made.dtype)
        if not x.shape:  # which has an axis for PyTorch
            return reshaped(call, call.add(cls(call["dim"]), reshaped(call, x, 1)))
        return call.add(cls(call["dim"]), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(1), TensorType((2, 4, 3))


@op("softmax")
class Softmax(AxisActivation):
    """exp(x - max) / Σ exp(x - max) along an axis.

    Ops          5 per element: maximum, subtract, exp, add, divide.
    """

    keeps = "output"

    aten = "softmax _softmax _safe_softmax"

    per_element, module = 5, "Softmax"

    axis: Axis = -1


@op("log_softmax")
class LogSoftmax(AxisActivation):
    """x - max - log Σ exp(x - max) along an axis.

    Ops          5 per element: maximum, subtract, exp, add, subtract.
    Not counted  the logarithm, one for each sum.
    """

    keeps = "output"

    aten = "log_softmax _log_softmax"

    per_element, module = 5, "LogSoftmax"

    axis: Axis = -1


@op("glu")
class GLU(AxisActivation):
    """First half of an axis times the sigmoid of the second.

    Ops          5 per output element: sigmoid, multiply.
    Source       Dauphin et al. 2016, arXiv 1612.08083.
    """

    aten = "glu"

    per_element, module = 5, "GLU"

    axis: Axis = -1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        size = x.shape[self.axis]
        yield divides(2, size), f"glu halves axis {self.axis}, whose size {size} is odd"

    def infer(self, x: TensorType) -> TensorType:
        return replaced(x, self.axis, x.shape[self.axis] // 2)
