"""Activation functions: each element by itself, but for the softmaxes and GLU.

Every operation counts as the formula is written: an addition, subtraction, multiplication,
division, comparison or maximum is 1, an elementary function (exp, log, tanh, erf) is 1. Of a
function with two branches, both are counted. Constants such as √(2/π) cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, divides
from costcalc.ir.fields import Axis
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.window import Sight, mixing
from costcalc.ops.axes import has_axes, replaced
from costcalc.ops.traced import own

if TYPE_CHECKING:
    from torch import nn


class Activation(Op):
    """What activations share: shape in is shape out, and a fixed number of ops per element."""

    per_element: ClassVar[int]
    """Scalar operations for one output element."""
    module: ClassVar[str]
    """The class in ``torch.nn``; its arguments are the fields in their order."""

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return self.per_element * y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        made: nn.Module = getattr(nn, self.module)(*(getattr(self, field.name) for field in self.fields))
        return made

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))


# -- piecewise linear --------------------------------------------------------------------------


@op("relu")
class ReLU(Activation):
    """max(x, 0).

    Ops          1 per element.
    Source       Nair & Hinton 2010.
    """

    aten = "relu"

    per_element, module = 1, "ReLU"


@op("relu6")
class ReLU6(Activation):
    """min(max(x, 0), 6).

    Ops          2 per element.
    Source       Krizhevsky 2010; MobileNet's choice.
    """

    aten = "relu6"

    per_element, module = 2, "ReLU6"


@op("leaky_relu")
class LeakyReLU(Activation):
    """x where x > 0, else slope · x.

    Ops          2 per element: compare, multiply.
    Source       Maas et al. 2013.
    """

    aten = "leaky_relu"

    per_element, module = 2, "LeakyReLU"

    slope: float = 0.01

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(float(call["negative_slope"])), call["self"])  # type: ignore[no-any-return]


@op("prelu")
class PReLU(Activation):
    """Leaky ReLU with a trained slope, one for all or one a channel.

    Ops          2 per element: compare, multiply.
    Source       He et al. 2015, arXiv 1502.01852.
    """

    aten = "prelu _prelu_kernel"

    per_element, module = 2, "PReLU"

    per_channel: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if self.per_channel:
            yield len(x.shape) > 1, "prelu takes (batch, channels, …) to have a slope for each channel"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return {"weight": parameter(x.channels if self.per_channel else 1)}

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.PReLU(x.channels.__index__() if self.per_channel else 1)  # type: ignore[union-attr]

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, weight = call["self"], call["weight"]
        if not own(weight) or len(weight.shape) != 1:
            return NotImplemented
        return call.add(cls(per_channel=weight.shape[0] > 1), x, weight=weight)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(per_channel=True), TensorType((2, 3, 4, 2))


@op("hardtanh")
class Hardtanh(Activation):
    """min(max(x, low), high).

    Ops          2 per element.
    Source       Collobert 2004.
    """

    aten = "hardtanh"

    per_element, module = 2, "Hardtanh"

    low: float = -1.0
    high: float = 1.0

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        low, high = float(call["min_val"]), float(call["max_val"])
        return call.add(ReLU6() if (low, high) == (0, 6) else cls(low, high), call["self"])  # type: ignore[no-any-return]


@op("hardsigmoid")
class Hardsigmoid(Activation):
    """min(max(x / 6 + ½, 0), 1).

    Ops          4 per element.
    Source       Courbariaux et al. 2015, arXiv 1511.00363; in this scale MobileNetV3's.
    """

    aten = "hardsigmoid"

    per_element, module = 4, "Hardsigmoid"


@op("hardswish")
class Hardswish(Activation):
    """x · hardsigmoid(x).

    Ops          5 per element.
    Source       Howard et al. 2019, arXiv 1905.02244.
    """

    aten = "hardswish"

    per_element, module = 5, "Hardswish"


# -- smooth ------------------------------------------------------------------------------------


@op("sigmoid")
class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    Ops          4 per element: negate, exp, add, divide.
    """

    aten = "sigmoid"

    per_element, module = 4, "Sigmoid"


@op("silu")
class SiLU(Activation):
    """x · sigmoid(x), also called swish.

    Ops          5 per element.
    Source       Elfwing et al. 2017, arXiv 1702.03118.
    """

    aten = "silu"

    per_element, module = 5, "SiLU"


@op("tanh")
class Tanh(Activation):
    """tanh(x).

    Ops          1 per element: an elementary function.
    """

    aten = "tanh"

    per_element, module = 1, "Tanh"


@op("gelu")
class GELU(Activation):
    """½ · x · (1 + erf(x / √2)); or ½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))).

    Ops          5 per element; with approximate='tanh' 9.
    Source       Hendrycks & Gimpel 2016, arXiv 1606.08415.
    """

    aten = "gelu"

    module = "GELU"

    approximate: str = "none"

    def check(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise OptionError(f"gelu: approximate='{self.approximate[:40]}' must be 'none' or 'tanh'")

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return (9 if self.approximate == "tanh" else 5) * y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.GELU(approximate=self.approximate)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["approximate"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls("tanh"), TensorType((2, 5))


@op("mish")
class Mish(Activation):
    """x · tanh(log(1 + exp(x))).

    Ops          5 per element.
    Source       Misra 2019, arXiv 1908.08681.
    """

    aten = "mish"

    per_element, module = 5, "Mish"


@op("softplus")
class Softplus(Activation):
    """log(1 + exp(x)).

    Ops          3 per element: exp, add, log.
    Not counted  the comparison by which implementations return large x as it is.
    """

    aten = "softplus"

    per_element, module = 3, "Softplus"


@op("elu")
class ELU(Activation):
    """x where x > 0, else alpha · (exp(x) - 1).

    Ops          4 per element: compare, exp, subtract, multiply.
    Source       Clevert et al. 2015, arXiv 1511.07289.
    """

    aten = "elu"

    per_element, module = 4, "ELU"

    alpha: float = 1.0

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(float(call["alpha"])), call["self"])  # type: ignore[no-any-return]


@op("selu")
class SELU(Activation):
    """ELU with fixed constants, times a scale.

    Ops          5 per element: ELU and the scale.
    Source       Klambauer et al. 2017, arXiv 1706.02515.
    """

    aten = "selu"

    per_element, module = 5, "SELU"


@op("celu")
class CELU(Activation):
    """x where x > 0, else alpha · (exp(x / alpha) - 1).

    Ops          5 per element: ELU and the division.
    Source       Barron 2017, arXiv 1704.07483.
    """

    aten = "celu"

    per_element, module = 5, "CELU"

    alpha: float = 1.0

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(float(call["alpha"])), call["self"])  # type: ignore[no-any-return]


# -- along an axis -----------------------------------------------------------------------------


class AxisActivation(Activation):
    """An activation in which the elements along one axis meet."""

    if TYPE_CHECKING:
        axis: Axis  # a field of each

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        x = call["self"]
        if x.type.dtype != made.dtype and x.shape == made.shape:  # softmax in another element type
            x = call.add(find_op("elementwise")("copy", made.dtype), x)
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

    aten = "softmax _softmax"

    per_element, module = 5, "Softmax"

    axis: Axis = -1


@op("log_softmax")
class LogSoftmax(AxisActivation):
    """x - max - log Σ exp(x - max) along an axis.

    Ops          5 per element: maximum, subtract, exp, add, subtract.
    Not counted  the logarithm, one for each sum.
    """

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
