"""Which of several intervals elements lie in, how many lie in each, and the parts of a floating-point number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal, log2_ceil
from costcalc.ir.fields import Dtype, Number, Size, ints, number
from costcalc.ir.index_map import ALL_TO_ALL, AxisMap, IndexMap, elementwise
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.indexing import Gather

if TYPE_CHECKING:
    from torch import nn


@op("bucketize", inputs=(2, 2))
class Bucketize(Op):
    """The interval that each element of the first input lies in, of those between the bounds that the second lists.

    The bounds are in order along their last axis; axes before it are those of the first input. An element that is a
    bound lies before it, with ``right`` after it.

    Ops          comparisons of a search that halves: ⌈log₂ (n + 1)⌉ for each element, of n bounds.
    """

    keeps = "nothing"

    aten = "bucketize searchsorted"

    right: bool = False
    dtype: Dtype = "int64"

    def requires(self, x: TensorType, bounds: TensorType) -> Iterator[Condition]:
        yield bool(bounds.shape), "bucketize: bounds have an axis"
        beside = bounds.shape[:-1]
        if beside:
            fits = len(x.shape) == len(bounds.shape)
            yield fits, f"bucketize: bounds of {bounds} for elements of {x}, which take one row or as many axes"
            if fits:
                for axis, (mine, other) in enumerate(zip(x.shape, beside, strict=False)):
                    yield equal(mine, other), f"bucketize: axis {axis} has {mine} rows and {other} rows of bounds"

    def infer(self, x: TensorType, bounds: TensorType) -> TensorType:
        return TensorType(x.shape, self.dtype)

    def ops(self, x: TensorType, bounds: TensorType, *, y: TensorType) -> Dim:
        return x.size * log2_ceil(bounds.shape[-1] + 1)

    def index_maps(self, x: TensorType, bounds: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        rows = len(bounds.shape) - 1
        beside: IndexMap = (*map(AxisMap, range(rows)), None) if rows else ALL_TO_ALL
        return (elementwise(x, y), beside)

    def to_torch(self, x: TensorType, bounds: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        right, is_short = self.right, self.dtype == "int32"
        return functional(lambda x, bounds: torch.searchsorted(bounds, x.contiguous(), right=right, out_int32=is_short))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        tensors, (made,) = call.tensors(), call.made
        bounds = call.get("boundaries", call.get("sorted_sequence"))
        if len(tensors) != 2 or not made.shape:  # in an order that a third gives, or of a number
            return call.add(Gather(made.shape, made.dtype), *tensors)
        x = tensors[1] if tensors[0] is bounds else tensors[0]
        right = bool(call.get("right")) or call.get("side") == "right"
        return call.add(cls(right, made.dtype), x, bounds)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4)), TensorType((5,))
        yield cls(True, "int32"), TensorType((2, 3)), TensorType((2, 7))


@op("histogram")
class Histogram(Op):
    """How many elements lie in each of so many equal ``bins`` from ``low`` to ``high``; others are left out.

    Where these are equal it is from the least element to the largest.

    Ops          1 per element, which is added up.
    Not counted  finding the bin of an element.
    """

    keeps = "nothing"

    aten = "histc"

    roles = {"bins": "width"}

    bins: Size = 100
    low: Number = 0
    high: Number = 0

    def check(self) -> None:
        if number(self.low) > number(self.high):
            raise OptionError(f"histogram: low={self.low} is above high={self.high}")

    def infer(self, x: TensorType) -> TensorType:
        return TensorType((self.bins,), x.dtype)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        (bins,), low, high = ints((self.bins,)), number(self.low), number(self.high)
        return functional(lambda x: torch.histc(x, bins, low, high))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call.get("bins", 100), call.get("min", 0), call.get("max", 0)), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(4), TensorType((2, 3, 5))
        yield cls(3, -1, 0.5), TensorType((7,))


@op("frexp")
class Frexp(Op):
    """The two factors of each number, from ½ to 1 and a power of 2: the first, and the exponent of the second.

    Ops          1 per element.
    """

    aten = "frexp"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        return x, TensorType(x.shape, "int32")

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        return functional(lambda x: tuple(torch.frexp(x)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(), TensorType((5,))
