"""Views: the same storage under another shape. They cost nothing and move nothing.

PyTorch has to copy where strides cannot tell the new shape: to flatten a permuted tensor, or a map in channels_last.
A trace sees that, and ``copies`` says it: the input is then read and the output written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, divides, equal, prod
from costcalc.ir.fields import Axes, Axis, Shape, ints
from costcalc.ir.index_map import IndexMap, Regroup
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.storage_region import StorageRegion
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, several
from costcalc.ops.traced_steps import reshaped

if TYPE_CHECKING:
    from torch import nn


class Regrouping(Op):
    """The elements of the input, in their order, in another shape."""

    rearranges = True
    is_reshape = True
    only_moves = True

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (Regroup(),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...] | None:
        """As ``torch.Tensor.view`` has them; None where it refuses."""
        runs = StorageRegion(0, ints(x.shape), steps).runs()
        chunks = [*zip(runs.shape, runs.stride, strict=True)]  # the axes that are one, with their last step
        left, step = chunks.pop() if chunks else (1, 1)
        made: list[int] = []
        for size in reversed(ints(y.shape)):
            if left == 1 and size != 1 and chunks:
                left, step = chunks.pop()
            if left % size:
                return None
            made.append(step)
            step, left = step * size, left // size
        return tuple(reversed(made))


@op("flatten")
class Flatten(Regrouping):
    """Merge the axes from ``start`` to ``end`` into one; without options, all but the batch.

    A view, unless it ``copies``.
    """

    keeps = "nothing"

    aten = "flatten"

    start: Axis = 1
    end: Axis = -1
    copies: bool = False

    @property
    def is_view(self) -> bool:  # type: ignore[override]
        return not self.copies

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.start)
        yield from has_axes(self, x, self.end)
        first, last = position(self.start, x), position(self.end, x)
        yield first <= last, f"flatten: axis start={self.start} comes after axis end={self.end}"

    def infer(self, x: TensorType) -> TensorType:
        first, last = position(self.start, x), position(self.end, x)
        return x.with_shape(*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :])

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Flatten(self.start, self.end)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        if not call["self"].shape:
            return reshaped(call, call["self"], 1)
        return call.add(cls(call["start_dim"], call["end_dim"], call.copies), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(2), TensorType((2, 3, 4, 5))
        yield cls(0, 1), TensorType((2, 3, 4))
        yield cls(copies=True), TensorType((2, 3, 4))


@op("reshape")
class Reshape(Regrouping):
    """The elements in the same order in the given shape, the batch kept as it is.

    ``shape`` lists the axes after the batch, or with ``keep_batch=False`` all of them. One size may
    be -1: it is what the others leave. A view, unless it ``copies``.
    """

    keeps = "nothing"

    aten = "view _unsafe_view reshape unflatten view_as reshape_as ravel atleast_1d atleast_2d atleast_3d"

    shape: Shape
    keep_batch: bool = True
    copies: bool = False

    @property
    def is_view(self) -> bool:  # type: ignore[override]
        return not self.copies

    def check(self) -> None:
        if sum(isinstance(d, int) and d == -1 for d in self.shape) > 1:
            raise OptionError("reshape: only one size can be -1")
        if any(isinstance(d, int) and d == 0 for d in self.shape):
            raise OptionError("reshape: no size can be 0")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if self.keep_batch and not x.shape:
            yield False, "reshape keeps the batch, but the input is a scalar"
            return
        _, given, free = self._settings(x)
        wanted = "×".join(map(str, self.shape))
        if self._has_free:
            yield divides(given, free), f"reshape: {free} elements do not divide into {wanted}, -1 being whole"
        else:
            yield equal(given, free), f"reshape: {wanted} has {given} elements, the input {free}"

    def infer(self, x: TensorType) -> TensorType:
        kept, given, free = self._settings(x)
        return x.with_shape(*kept, *(free // given if isinstance(d, int) and d == -1 else d for d in self.shape))

    @property
    def _has_free(self) -> bool:
        return any(isinstance(d, int) and d == -1 for d in self.shape)

    def _settings(self, x: TensorType) -> tuple[tuple[Dim, ...], Dim, Dim]:
        """The axes that are kept, the elements that ``shape`` has but for a -1, the elements for it."""
        kept = x.shape[:1] if self.keep_batch else ()
        given = prod(d for d in self.shape if not (isinstance(d, int) and d == -1))
        return kept, given, prod(x.shape[len(kept) :])

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        kept, shape = ints(x.shape[:1] if self.keep_batch else ()), ints(self.shape)
        return functional(lambda x: x.reshape((*kept, *shape)))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,), x = call.made, call.tensors()[0]
        if made.dtype != x.type.dtype:  # the bits read as another element type
            return call.add(find_op("part")(made.shape, made.dtype), x)  # type: ignore[no-any-return]
        return reshaped(call, x, *ints(made.shape), copies=call.copies)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((4, -1)), TensorType((2, 8, 3))
        yield cls((-1, 4, 3), keep_batch=False), TensorType((2, 8, 3))
        yield cls((6,)), TensorType((1, 2, 3))
        yield cls((6,), copies=True), TensorType((1, 2, 3))


@op("squeeze")
class Squeeze(Regrouping):
    """Without the given axes, which have size 1."""

    aten = "squeeze"

    is_view = True

    axes: Axes

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))
        for axis in several(self.axes):
            yield equal(x.shape[axis], 1), f"squeeze: axis {axis} has size {x.shape[axis]}, not 1"

    def infer(self, x: TensorType) -> TensorType:
        gone = {position(axis, x) for axis in several(self.axes)}
        return x.with_shape(*(size for axis, size in enumerate(x.shape) if axis not in gone))

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axes = several(self.axes)
        return functional(lambda x: x.squeeze(axes))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        given = several(once(call.get("dim", tuple(range(len(x.shape))))))
        axes = tuple(axis for axis in given if x.shape and x.shape[axis] == 1)
        return call.add(cls(once(axes)), x) if axes else x  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((-1, -2)), TensorType((2, 3, 1, 1))
        yield cls(1), TensorType((2, 1, 3))


@op("unsqueeze")
class Unsqueeze(Regrouping):
    """With a new axis of size 1, which is ``axis`` of the output."""

    aten = "unsqueeze"

    is_view = True

    axis: Axis

    def requires(self, x: TensorType) -> Iterator[Condition]:
        rank = len(x.shape) + 1
        yield -rank <= self.axis < rank, f"unsqueeze: axis {self.axis} does not exist in an output of {rank} axes"

    def infer(self, x: TensorType) -> TensorType:
        at = self.axis % (len(x.shape) + 1)
        return x.with_shape(*x.shape[:at], 1, *x.shape[at:])

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axis = self.axis
        return functional(lambda x: x.unsqueeze(axis))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["dim"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3))
        yield cls(-1), TensorType((2, 3, 4))
