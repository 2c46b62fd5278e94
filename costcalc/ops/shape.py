"""Views: the same storage under another shape. They cost nothing and move nothing.

A library may have to copy to make one (PyTorch does, to flatten a permuted tensor); a compiler need
not, and the copy is no work of the model's, so it is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.dims import prod
from costcalc.ir.fields import Axis
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import Regroup, Sight
from costcalc.ops.axes import has_axes, position

if TYPE_CHECKING:
    from torch import nn


@op("identity")
class Identity(Op):
    """The input."""

    is_view = True

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Identity()

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))


@op("dropout")
class Dropout(Op):
    """Zero elements at random in training; at inference, the input.

    Source       Srivastava et al. 2014.
    """

    is_view = True

    p: float = 0.5

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.p)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(0.1), TensorType((2, 3, 4))


@op("stochastic_depth")
class StochasticDepth(Op):
    """Drop a residual branch at random in training; at inference, the input.

    Source       Huang et al. 2016, arXiv 1603.09382.
    """

    is_view = True

    p: float = 0.1

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Identity()  # as it is at inference

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(0.1), TensorType((2, 3, 4))


@op("flatten")
class Flatten(Op):
    """Merge the axes from ``start`` to ``end`` into one; without options, all but the batch."""

    is_view = True

    start: Axis = 1
    end: Axis = -1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.start)
        yield from has_axes(self, x, self.end)
        first, last = position(self.start, x), position(self.end, x)
        yield first <= last, f"flatten: axis start={self.start} comes after axis end={self.end}"

    def infer(self, x: TensorType) -> TensorType:
        first, last = position(self.start, x), position(self.end, x)
        return x.with_shape(*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :])

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        return (Regroup(),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Flatten(self.start, self.end)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(2), TensorType((2, 3, 4, 5))
        yield cls(0, 1), TensorType((2, 3, 4))
