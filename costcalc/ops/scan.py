"""Functions along an axis that stays: running sums and extrema, sorting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, log2_ceil, maximum
from costcalc.ir.fields import Axis, Dtype, Size
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import NOTHING, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, replaced
from costcalc.ops.traced_steps import reshaped


@op("scan")
class Scan(Op):
    """Running sum, product or extremum along an axis; with ``indices`` where the extremum was, too.

    Ops          1 per element.
    """

    aten = "cumsum cumprod logcumsumexp cummax cummin"

    axis: Axis
    dtype: Dtype | None = None
    indices: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = TensorType(x.shape, self.dtype or x.dtype)
        return (y, TensorType(x.shape, "int64")) if self.indices else y

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, made = call["self"], call.made
        dtype = None if made[0].dtype == x.type.dtype else made[0].dtype
        if not x.shape:  # which has an axis for PyTorch
            scanned = call.add(cls(call["dim"], dtype, len(made) > 1), reshaped(call, x, 1))
            return tuple(reshaped(call, t) for t in scanned) if len(made) > 1 else reshaped(call, scanned)
        return call.add(cls(call["dim"], dtype, len(made) > 1), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))
        yield cls(-1, indices=True), TensorType((2, 5))


@op("sort")
class Sort(Op):
    """Order an axis, or take its ``largest`` elements; values and where they were.

    Ops          comparisons of a merge: n·⌈log₂ n⌉ for each row of n; of the largest k n·⌈log₂ k⌉ and at least n.
    """

    aten = "sort topk argsort msort"

    roles = {"largest": "options"}

    axis: Axis = -1
    largest: Size | None = None
    indices_only: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = x if self.largest is None else replaced(x, self.axis, self.largest)
        places = TensorType(y.shape, "int64")
        return places if self.indices_only else (y, places)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """Where each element came from."""
        return NOTHING if self.indices_only else Saves(outputs=(1,))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        size = x.shape[self.axis] if self.largest is None else self.largest
        return x.size * maximum(log2_ceil(size), 1)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x = call["self"]
        if not x.shape:
            return NotImplemented
        largest = call.get("k")
        return call.add(cls(call.get("dim", -1), largest, call.name == "argsort"), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 8))
        yield cls(1, 3), TensorType((2, 9))
        yield cls(0, indices_only=True), TensorType((5, 2))
