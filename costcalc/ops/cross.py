"""The cross product of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal
from costcalc.ir.fields import Axis
from costcalc.ir.index_map import IndexMap, elementwise
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes
from costcalc.ops.broadcasting import before_sums, broadcast, joint_dtype, stretches

if TYPE_CHECKING:
    from torch import nn


@op("cross", inputs=(2, 2))
class Cross(Op):
    """The cross product of vectors of 3 along an axis, which meet there; other sizes of 1 stretch.

    Ops          3 for each output: two products and their difference; of complex numbers 14.
    """

    aten = "linalg_cross"

    axis: Axis = -1

    def requires(self, a: TensorType, b: TensorType) -> Iterator[Condition]:
        yield len(a.shape) == len(b.shape), f"cross takes inputs with equally many axes, not {a} and {b}"
        for x in (a, b):
            yield from has_axes(self, x, self.axis)
            size = x.shape[self.axis]
            yield equal(size, 3), f"cross takes vectors of 3, but axis {self.axis} of {x} has {size}"
        yield from stretches(a.shape, b.shape)

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return TensorType(broadcast(a.shape, b.shape), joint_dtype(a, b))

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return (14 if y.dtype.startswith("complex") else 3) * y.size

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves:
        """Each vector that meets one whose gradient is wanted."""
        return Saves(tuple(at for at in (0, 1) if wanted[1 - at]))

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        return before_sums(x, y, wanted, (True, True))

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        met = self.axis % len(y.shape)
        return tuple((*own[:met], None, *own[met + 1 :]) for own in (elementwise(t, y) for t in x))

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        axis = self.axis
        return functional(lambda a, b: linalg.cross(a, b, dim=axis))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["dim"]), *call.tensors())

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 3)), TensorType((2, 1, 3))
        yield cls(1), TensorType((2, 3, 4)), TensorType((2, 3, 4))
