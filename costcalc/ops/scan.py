"""Functions along an axis that stays: running sums and extrema, sorting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError, listing
from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, log2_ceil, maximum
from costcalc.ir.fields import Axis, Dtype, Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Window, mixing
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import NOTHING, Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.axes import has_axes, position, replaced
from costcalc.ops.traced_steps import reshaped

if TYPE_CHECKING:
    from torch import Tensor, nn


EXCLUSIVE = {"cumsum": 0, "cumprod": 1}
"""What can be exclusive, and what an element has before which nothing stands."""


@op("scan")
class Scan(Op):
    """Running sum, product or extremum along an axis; with ``indices`` where the extremum was, too.

    ``reverse`` runs from the end, ``exclusive`` leaves each element out of its own result, as in ONNX and TensorFlow.

    Ops          1 per element.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "cumsum cumprod logcumsumexp cummax cummin"

    choices = {"function": ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")}

    axis: Axis
    dtype: Dtype | None = None
    indices: bool = False
    function: str = "cumsum"
    reverse: bool = False
    exclusive: bool = False

    def check(self) -> None:
        if self.indices != (self.function in ("cummax", "cummin")):
            raise OptionError("scan: cummax and cummin have indices, and nothing else")
        if self.exclusive and self.function not in EXCLUSIVE:
            raise OptionError(f"scan: {listing(EXCLUSIVE)} can be exclusive")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = TensorType(x.shape, self.dtype or x.dtype)
        return (y, TensorType(x.shape, "int64")) if self.indices else y

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves:
        """Of a sum nothing; where extrema were, or the result, beside the input."""
        if self.function == "cumsum":
            return NOTHING
        if self.reverse:  # all of it is turned round before and after
            return Saves(maps=(x, TensorType(y.shape, "int64") if self.indices else y))
        return Saves((0,), (1 if self.indices else 0,))

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """A sum runs backwards between two turns; of a product that is so where no element is 0."""
        if self.function == "cumsum":
            return (Moment((y, y)),)
        if self.function == "cumprod":
            return (Moment((TensorType(x.shape, "bool"), y, y, y, y), ()),)
        return (Moment((*(y,) * 8, y.with_shape()), ()),) if self.function == "logcumsumexp" else ()

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        return (x.size - x.size // x.shape[self.axis] * self.exclusive,)  # but for the end, which is in no result

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        along, size = position(self.axis, x), x.shape[self.axis]
        if not self.exclusive or not isinstance(size, int) or size < 2:
            return (mixing(x, self.axis),)
        lo, hi, is_reversed = int(self.reverse), size - 2 + self.reverse, self.reverse  # no place sees all of the axis

        def sees(output: int) -> tuple[int, int] | None:
            first, last = (output + 1, hi) if is_reversed else (lo, output - 1)
            return (first, last) if first <= last else None

        before = AxisMap(along, Window(0, lo, hi), bound=True, sees=sees)
        return (tuple(before if a == along else AxisMap(a) for a in range(len(x.shape))),)

    def kind(self, x: TensorType) -> str:
        return self.function

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        function, axis = getattr(torch, self.function), self.axis
        dtype = {"dtype": getattr(torch, self.dtype)} if self.dtype else {}
        reverse, neutral = self.reverse, EXCLUSIVE[self.function] if self.exclusive else None

        def run(x: Tensor) -> Any:
            made = function(x.flip(axis) if reverse else x, axis, **dtype)
            if neutral is not None:  # each has what the one before has
                first = torch.full_like(made.narrow(axis, 0, 1), neutral)
                made = torch.cat([first, made.narrow(axis, 0, made.shape[axis] - 1)], axis)
            if not reverse:
                return made
            if isinstance(made, torch.Tensor):
                return made.flip(axis)
            values, places = made
            return values.flip(axis), x.shape[axis] - 1 - places.flip(axis)

        return functional(run)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, made = call["self"], call.made
        dtype = None if made[0].dtype == x.type.dtype else made[0].dtype
        op = cls(call["dim"], dtype, len(made) > 1, call.name)
        if not x.shape:  # which has an axis for PyTorch
            scanned = call.add(op, reshaped(call, x, 1))
            return tuple(reshaped(call, t) for t in scanned) if len(made) > 1 else reshaped(call, scanned)
        return call.add(op, x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))
        yield cls(-1, indices=True, function="cummax"), TensorType((2, 5))
        yield cls(0, function="cumprod"), TensorType((3, 2))
        yield cls(-1, function="logcumsumexp"), TensorType((2, 5))
        yield cls(1, reverse=True, exclusive=True), TensorType((2, 4))
        yield cls(0, indices=True, function="cummin", reverse=True), TensorType((3, 2))


@op("sort")
class Sort(Op):
    """Order an axis from the least up, or take its ``largest`` elements; values and where they were.

    ``reverse`` orders from the largest down, or takes as many of the least.

    Ops          comparisons of a merge: n·⌈log₂ n⌉ for each row of n; of the largest k n·⌈log₂ k⌉ and at least n.
    """

    aten = "sort topk argsort msort"

    roles = {"largest": "options"}

    axis: Axis = -1
    largest: Size | None = None
    indices_only: bool = False
    reverse: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = x if self.largest is None else replaced(x, self.axis, self.largest)
        places = TensorType(y.shape, "int64")
        return places if self.indices_only else (y, places)

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        """The places of one row, and the elements in order where only their places are wanted; none of the largest."""
        if self.largest is not None:
            return (TensorType(y.shape, x.dtype),) if self.indices_only else ()
        row = TensorType((x.shape[self.axis],), "int64")
        return (x, row) if self.indices_only else (row,)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """Where each element came from."""
        return NOTHING if self.indices_only else Saves(outputs=(1,))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        size = x.shape[self.axis] if self.largest is None else self.largest
        return x.size * maximum(log2_ceil(size), 1)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, self.axis),)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        axis, reverse, indices_only = self.axis, self.reverse, self.indices_only
        (k,) = ints((self.largest or 0,))

        def order(x: Tensor) -> Any:
            made = torch.topk(x, k, axis, not reverse) if k else torch.sort(x, axis, reverse)
            return made[1] if indices_only else tuple(made)

        return functional(order)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x = call["self"]
        if not x.shape:
            return NotImplemented
        largest = call.get("k")
        reverse = bool(call.get("descending", False)) if largest is None else not call.get("largest", True)
        axis = 0 if call.name == "msort" else call.get("dim", -1)
        return call.add(cls(axis, largest, call.name == "argsort", reverse), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 8))
        yield cls(1, 3), TensorType((2, 9))
        yield cls(1, 3, reverse=True), TensorType((2, 9))
        yield cls(0, indices_only=True), TensorType((5, 2))
