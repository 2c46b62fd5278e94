"""Putting tensors together and taking them apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, at_least, ceil_div, divides, equal, total
from costcalc.ir.fields import Axis, Index, Parts, Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Window, part
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, replaced
from costcalc.ops.broadcasting import joint_dtype
from costcalc.ops.traced_steps import converted

if TYPE_CHECKING:
    from torch import nn

MOST_PARTS = 4096  # a spec may ask for any number; each is a value of the graph


@op("concat", inputs=(1, None))
class Concat(Op):
    """The inputs one after the other along an axis: the channels, unless another is named.

    Not counted  any arithmetic, there is none; each input is read and the output written, which an
                 implementation avoids where each input is made in its place of the output.
    """

    keeps = "nothing"
    rearranges = True

    aten = "cat concat concatenate stack"

    axis: Axis = 1

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        first = x[0]
        yield from has_axes(self, first, self.axis)
        at = position(self.axis, first)
        for other in dict.fromkeys(x[1:]):
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

    def joins(self, *x: TensorType) -> int:
        return position(self.axis, x[0])

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        at = position(self.axis, y)
        along = [AxisMap(axis) for axis in range(len(y.shape))]
        before, after = along[:at], along[at + 1 :]
        sizes = ints(t.shape[at] for t in x)
        starts = accumulate(sizes[:-1], initial=0)
        moved = (AxisMap(at, Window(1, -i, -i), (i, i + n - 1)) for i, n in zip(starts, sizes, strict=True))
        return tuple([(*before, axis_map, *after) for axis_map in moved])

    def to_torch(self, *x: TensorType) -> nn.Module:
        from torch import cat

        from costcalc.ops.functional import functional

        axis = self.axis
        return functional(lambda *inputs: cat(inputs, axis))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        axis, tensors = call["dim"], call["tensors"]
        dtype = call.made[0].dtype
        if joint_dtype(*(t.type for t in tensors)) != dtype:
            tensors = [converted(call, t, dtype) for t in tensors]
        if call.name == "stack":
            for t in tensors:
                if axis not in t.apart:  # what is stacked again is seen so already
                    t.apart[axis] = call.add(find_op("unsqueeze")(axis), t)
            return call.add(cls(axis), *(t.apart[axis] for t in tensors))  # type: ignore[no-any-return]
        # PyTorch lets a vector without elements stand among tensors of any shape.
        filled = [t for t in tensors if (shape := t.type.shape) != (0,) and shape[axis]]
        return call.add(cls(axis), *filled)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4)), TensorType((2, 1, 4))
        yield cls(-1), TensorType((2, 3)), TensorType((2, 4)), TensorType((2, 1))
        yield cls(2), TensorType((1, 2, 3, 2)), TensorType((1, 2, 2, 2))


@op("split")
class Split(Op):
    """Cut an axis into pieces: a number of equal ones, or one of each given size."""

    aten = "split split_with_sizes chunk unsafe_chunk unsafe_split unsafe_split_with_sizes tensor_split"

    is_view = True
    only_moves = True

    parts: Parts
    axis: Axis = 1

    def check(self) -> None:
        number = len(self.parts) if isinstance(self.parts, tuple) else self.parts
        if number > MOST_PARTS:
            raise OptionError(f"split: {number} parts are more than the {MOST_PARTS} that it can make")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        size, parts = x.shape[self.axis], self.parts
        if isinstance(parts, tuple):
            whole = total(parts)
            yield equal(whole, size), f"split: the parts are {whole} together, axis {self.axis} has size {size}"
        else:
            yield divides(parts, size), f"split: {parts} parts do not divide axis {self.axis} of size {size}"

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        return tuple(replaced(x, self.axis, size) for size in self._sizes(x))

    def index_maps_of(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        """Each piece sees its own part of the axis."""
        (start,) = ints([total(self._sizes(x)[:index])])
        return (part(x, self.axis, start),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        return steps

    def _sizes(self, x: TensorType) -> tuple[Dim, ...]:
        return self.parts if isinstance(self.parts, tuple) else (x.shape[self.axis] // self.parts,) * self.parts

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import split

        from costcalc.ops.functional import functional

        sizes, axis = list(ints(piece.shape[self.axis] for piece in self.infer(x))), self.axis
        return functional(lambda x: split(x, sizes, axis))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if len(call.made) == 1:
            return call["self"]
        axis = call.get("dim", 0)
        sizes = ints(made.shape[axis] for made in call.made)
        if 0 in sizes:  # such as the tokens of an expert that gets none
            return _with_nothing(call, sizes, axis)
        return call.add(cls(sizes if len(set(sizes)) > 1 else len(sizes), axis), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 6, 3))
        yield cls((1, 3), axis=-1), TensorType((2, 3, 4))


def _with_nothing(call: Call, sizes: tuple[int, ...], axis: int) -> tuple[Traced, ...]:
    """Pieces of which some are empty, which are no part of the axis."""
    some = tuple(size for size in sizes if size)
    cut = call.add(Split(some, axis), call["self"]) if len(some) > 1 else (call["self"],)
    pieces = iter(cut)
    made = zip(sizes, call.made, strict=True)
    return tuple(next(pieces) if size else call.add(find_op("constant")(t.shape, t.dtype)) for size, t in made)


@op("slice")
class Slice(Op):
    """Part of an axis: from ``start`` up to but not including ``stop``, every ``step``-th."""

    aten = "slice narrow narrow_copy slice_copy"

    is_view = True
    only_moves = True

    roles = {"step": "stride"}

    axis: Axis
    start: Index = 0
    stop: Index | None = None
    step: Size = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        size, (start, stop) = x.shape[self.axis], self._bounds(x)
        wanted = f"slice({self.axis}, {self.start}, {self.stop})"
        yield at_least(start, 0), f"{wanted} starts before axis {self.axis} of size {size}"
        yield at_least(size, stop), f"{wanted} ends after axis {self.axis} of size {size}"
        yield at_least(stop, start + 1), f"{wanted} takes nothing of axis {self.axis} of size {size}"

    def infer(self, x: TensorType) -> TensorType:
        start, stop = self._bounds(x)
        return replaced(x, self.axis, ceil_div(stop - start, self.step))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (part(x, self.axis, *ints((self._bounds(x)[0], self.step))),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        at, (step,) = position(self.axis, x), ints([self.step])
        return (*steps[:at], steps[at] * step, *steps[at + 1 :])

    def _bounds(self, x: TensorType) -> tuple[Dim, Dim]:
        """Start and stop, counted from the beginning."""
        size = x.shape[self.axis]
        return _from_start(self.start, size), size if self.stop is None else _from_start(self.stop, size)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        start, stop, step = ints((*self._bounds(x), self.step))
        place = (slice(None),) * position(self.axis, x) + (slice(start, stop, step),)
        return functional(lambda x: x[place])

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, axis, (made,) = call["self"], call["dim"], call.made
        size = x.shape[axis]
        start = call["start"] or 0
        start = min(max(start + size if start < 0 else start, 0), size)
        if made.shape == x.shape:
            return x  # type: ignore[no-any-return]
        step = call.get("step", 1)
        stop = min(start + (made.shape[axis] - 1) * step + 1, size)
        return call.add(cls(axis, start, None if stop == size else stop, step), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1, 1), TensorType((2, 4, 3))
        yield cls(-1, 1, -1), TensorType((2, 2, 5))
        yield cls(2, step=2), TensorType((1, 2, 7))
        yield cls(1, 0, 1), TensorType((2, 5, 3))


def _from_start(index: Dim, size: Dim) -> Dim:
    # The sign of what a spec writes; a symbol counts from the start.
    return size + index if isinstance(index, int) and index < 0 else index
