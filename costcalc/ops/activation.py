"""Activation functions: each element by itself.

Every operation counts as the formula is written: an addition, subtraction, multiplication,
division, comparison or maximum is 1, an elementary function (exp, log, tanh, erf) is 1. Of a
function with two branches, both are counted. Constants such as √(2/π) cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.fields import finite
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Moment
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.traced_steps import converted, own, reshaped

if TYPE_CHECKING:
    from torch import nn


class Activation(Op):
    """What activations share: shape in is shape out, and a fixed number of ops per element."""

    keeps = "input"

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
    def from_aten(cls, call: Call) -> Any:
        """Of whole numbers PyTorch makes floating-point ones first, where their function is none."""
        return call.add(cls(), converted(call, call.tensors()[0], call.made[0].dtype))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))


@op("relu")
class ReLU(Activation):
    """max(x, 0).

    Ops          1 per element.
    Source       Nair & Hinton 2010.
    """

    keeps = "output"

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

    aten = "leaky_relu rrelu_with_noise"

    per_element, module = 2, "LeakyReLU"

    slope: float = 0.01

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name == "rrelu_with_noise":  # when it does not train, with the mean of the slopes
            y = call.add(cls((call["lower"] + call["upper"]) / 2), call["self"])
            if call.training and call["training"]:  # with one that is drawn for each element
                y = call.add(
                    find_op("multiply")(), y, call.add(find_op("constant")(y.shape, y.type.dtype, random=True))
                )
            return y, call["noise"]
        return call.add(cls(float(call["negative_slope"])), call["self"])


@op("prelu")
class PReLU(Activation):
    """Leaky ReLU with a trained slope, one for all or one a channel.

    Ops          2 per element: compare, multiply.
    Source       He et al. 2015, arXiv 1502.01852.
    """

    under_autocast = UnderAutocast(rereads_weight=True)

    aten = "prelu _prelu_kernel"

    per_element, module = 2, "PReLU"

    per_channel: bool = False
    channels_last: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if self.per_channel:
            yield len(x.shape) > 1, "prelu takes (batch, channels, …) to have a slope for each channel"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return {"weight": parameter(x.channels if self.per_channel else 1, dtype=x.dtype)}

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The gradient of the slopes, before it is summed."""
        return (Moment((y,)),) if trained else ()

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.PReLU(x.channels.__index__() if self.per_channel else 1)  # type: ignore[union-attr]

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, weight = call["self"], call["weight"]
        if not own(weight, like=x) or len(weight.shape) != 1:  # slopes that the network computes, or a constant
            slopes = reshaped(call, weight, *weight.shape, *(1,) * (len(x.shape) - 2))
            below = call.add(find_op("multiply")(), x, slopes)
            choose = find_op("elementwise")
            return call.add(choose("where"), call.add(choose("gt"), x), x, below)
        return call.add(cls(per_channel=weight.shape[0] > 1), x, weight=weight)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(per_channel=True), TensorType((2, 3, 4, 2))
        yield cls(per_channel=True, channels_last=True), TensorType((2, 4, 2, 3))


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
        low, high = finite(call["min_val"]), finite(call["max_val"])
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


@op("sigmoid")
class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    Ops          4 per element: negate, exp, add, divide.
    """

    keeps = "output"

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

    keeps = "output"

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

    choices = {"approximate": ("none", "tanh")}

    approximate: str = "none"

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
    """log(1 + exp(beta · x)) / beta, and x itself where beta · x is above the ``threshold``.

    Ops          3 per element: exp, add, log.
    Not counted  the comparison by which implementations return large x as it is, nor beta, which is 1 in papers.
    """

    aten = "softplus"

    per_element, module = 3, "Softplus"

    beta: float = 1.0
    threshold: float = 20.0

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = converted(call, call["self"], call.made[0].dtype)
        return call.add(cls(float(call["beta"]), float(call["threshold"])), x)  # type: ignore[no-any-return]


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
