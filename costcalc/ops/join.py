"""Putting tensors together and taking them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.dims import equal, total
from costcalc.ir.fields import Axis, ints
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import IDENTITY, Follow, Sight, Window
from costcalc.ops.axes import has_axes, position, replaced
from costcalc.ops.broadcasting import joint_dtype

if TYPE_CHECKING:
    from torch import nn


@op("concat", inputs=(1, None))
class Concat(Op):
    """The inputs one after the other along an axis: the channels, unless another is named.

    Not counted  any arithmetic, there is none; each input is read and the output written, which an
                 implementation avoids where each input is made in its place of the output.
    """

    axis: Axis = 1

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        first = x[0]
        yield from has_axes(self, first, self.axis)
        at = position(self.axis, first)
        for other in x[1:]:
            yield len(other.shape) == len(first.shape), "concat: the inputs differ in their number of axes"
            for axis, (a, b) in enumerate(zip(first.shape, other.shape, strict=False)):
                if axis != at:
                    yield (
                        equal(a, b),
                        f"concat along axis {at}: axis {axis} is {a} and {b}; it must agree",
                    )

    def infer(self, *x: TensorType) -> TensorType:
        whole = replaced(x[0], self.axis, total(t.shape[self.axis] for t in x))
        return TensorType(whole.shape, joint_dtype(*x))

    def sights(self, *x: TensorType, y: TensorType) -> tuple[Sight, ...]:
        at = position(self.axis, y)
        found = []
        start = 0
        for (size,) in (ints([t.shape[at]]) for t in x):
            moved = Follow(at, Window(1, -start, -start))
            found.append(tuple(moved if axis == at else Follow(axis, IDENTITY) for axis in range(len(y.shape))))
            start += size
        return tuple(found)

    def to_torch(self, *x: TensorType) -> nn.Module:
        from torch import cat

        from costcalc.backends.functional import functional

        axis = self.axis
        return functional(lambda *inputs: cat(inputs, axis))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4)), TensorType((2, 1, 4))
        yield cls(-1), TensorType((2, 3)), TensorType((2, 4)), TensorType((2, 1))
        yield cls(2), TensorType((1, 2, 3, 2)), TensorType((1, 2, 2, 2))
