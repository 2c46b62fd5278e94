"""Sums and means along axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim
from costcalc.ir.fields import Axes
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, reduced_axes, several

if TYPE_CHECKING:
    from torch import nn


class Reduction(Op):
    """What reductions share: the given axes go, or stay with size 1."""

    if TYPE_CHECKING:
        axes: Axes  # fields of each
        keepdim: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))

    def infer(self, x: TensorType) -> TensorType:
        gone = self._gone(x)
        if self.keepdim:
            return x.with_shape(*(1 if axis in gone else size for axis, size in enumerate(x.shape)))
        return x.with_shape(*(size for axis, size in enumerate(x.shape) if axis not in gone))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        gone = self._gone(x)
        axis_maps = (None if axis in gone else AxisMap(axis) for axis in range(len(x.shape)))
        return (tuple(f for f in axis_maps if f is not None or self.keepdim),)

    def _gone(self, x: TensorType) -> set[int]:
        return {position(axis, x) for axis in several(self.axes)}

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        reduce, axes, keepdim = getattr(torch, self.name), several(self.axes), self.keepdim
        return functional(lambda x: reduce(x, axes, keepdim))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        from costcalc.ops.reduction import reduced

        x, (made,) = call["self"], call.made
        if made.dtype != x.type.dtype:
            return reduced(call, call.name)
        return call.add(cls(reduced_axes(call), call.get("keepdim", False)), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))
        yield cls((2, -1), keepdim=True), TensorType((2, 3, 4, 5))


@op("sum")
class Sum(Reduction):
    """Sum along axes.

    Ops          1 per addition: the input's elements less the output's.
    """

    aten = "sum"

    axes: Axes
    keepdim: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size - y.size


@op("mean")
class Mean(Reduction):
    """Mean along axes.

    Ops          1 per input element: the additions, and one division for each output.
    """

    aten = "mean"

    axes: Axes
    keepdim: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size
