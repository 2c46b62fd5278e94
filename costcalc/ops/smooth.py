"""Smooth activation functions: each element by itself, counted as ``activation`` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.op import Example, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.activation import Activation

if TYPE_CHECKING:
    from torch import nn


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
