"""Views that look at the input's own storage in other steps: one place, diagonals, windows that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import at_least, minimum, total
from costcalc.ir.fields import Axis, Count, Dtype, Index, Places, Shape, Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Window, unknown
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.storage_region import StorageRegion, in_a_row, within
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, replaced
from costcalc.ops.traced_steps import permuted, reshaped

MOST_OUTPUTS = 65_536
"""Of one layer: each is a value of the graph."""

if TYPE_CHECKING:
    from torch import nn


@op("select")
class Select(Op):
    """One place along an axis, which goes."""

    aten = "select"
    is_view = True
    only_moves = True

    axis: Axis
    index: Index = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        size, index = x.shape[self.axis], self.index
        wanted = f"select({self.axis}, {index}): axis {self.axis} has size {size}"
        yield at_least(size - 1, index), wanted
        yield at_least(index, -size), wanted

    def infer(self, x: TensorType) -> TensorType:
        return replaced(x, self.axis)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (_at(x, self.axis, *ints([self.index])),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        at = position(self.axis, x)
        return steps[:at] + steps[at + 1 :]

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axis, (index,) = self.axis, ints([self.index])
        return functional(lambda x: x.select(axis, index))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["dim"], call["index"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1, 2), TensorType((2, 3, 4))
        yield cls(-1, -1), TensorType((2, 3))


@op("unbind")
class Unbind(Op):
    """Each place along an axis as an output of its own."""

    aten = "unbind"
    is_view = True
    only_moves = True

    axis: Axis = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

        size = x.shape[self.axis]
        yield isinstance(size, int), f"as many outputs as the axis is long need a known size, not {size}"
        if isinstance(size, int):
            yield (
                size <= MOST_OUTPUTS,
                f"an axis of size {size:,} gives more than the {MOST_OUTPUTS:,} outputs that unbind makes",
            )

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        (count,) = ints([x.shape[self.axis]])
        return tuple(replaced(x, self.axis) for _ in range(count))

    def index_maps_of(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        """Each output sees its own place."""
        return (_at(x, self.axis, index),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        at = position(self.axis, x)
        return steps[:at] + steps[at + 1 :]

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axis = self.axis
        return functional(lambda x: x.unbind(axis))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["dim"]), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))


def _at(x: TensorType, axis: int, index: int) -> IndexMap:
    """All places at ``index`` of one axis, which goes."""
    at, (size,) = position(axis, x), ints([x.shape[axis]])
    at_index = index % size
    others = (AxisMap(a) for a in range(len(x.shape)) if a != at)
    return (*others, AxisMap(at, Window(0, at_index, at_index)))


@op("windows")
class Windows(Op):
    """Windows of ``size`` places along an axis, one every ``step`` places; each lies along a new last axis.

    They are the input's own storage, also where they overlap.

    Source       PyTorch, torch.Tensor.unfold.
    """

    aten = "unfold"
    is_view = True
    only_moves = True

    roles = {"size": "kernel", "step": "stride"}

    axis: Axis
    size: Size
    step: Size = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        room = x.shape[self.axis]
        yield at_least(room, self.size), f"windows of {self.size} do not fit on axis {self.axis} of size {room}"

    def infer(self, x: TensorType) -> TensorType:
        whole = replaced(x, self.axis, (x.shape[self.axis] - self.size) // self.step + 1)
        return x.with_shape(*whole.shape, self.size)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        at, (step,) = position(self.axis, x), ints([self.step])
        axes = (AxisMap(a, Window(step) if a == at else Window()) for a in range(len(x.shape)))
        return ((*axes, AxisMap(at)),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axis, (size, step) = self.axis, ints((self.size, self.step))
        return functional(lambda x: x.unfold(axis, size, step))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        if not x.shape:
            return reshaped(call, x, 1)
        return call.add(cls(call["dimension"], call["size"], call["step"]), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2, 3), TensorType((1, 2, 5))
        yield cls(-2, 2, step=3), TensorType((2, 9, 3))


@op("diagonal")
class Diagonal(Op):
    """The diagonal of two axes, which go, as a new last axis; ``offset`` columns to the right of the main one."""

    aten = "diagonal diag"
    is_view = True
    only_moves = True

    offset: Axis = 0
    first: Axis = 0
    second: Axis = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.first, self.second)
        yield at_least(self._ends(x), 1), f"diagonal: offset={self.offset} is beyond the {x} input"

    def infer(self, x: TensorType) -> TensorType:
        gone = self._axes(x)
        kept = (size for axis, size in enumerate(x.shape) if axis not in gone)
        return x.with_shape(*kept, self._ends(x))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        rows, columns = self._axes(x)
        down, right = max(-self.offset, 0), max(self.offset, 0)
        kept = (AxisMap(axis) for axis in range(len(x.shape)) if axis not in (rows, columns))
        along = AxisMap(rows, Window(1, down, down)), AxisMap(columns, Window(1, right, right), along=len(y.shape) - 1)
        return ((*kept, *along),)

    def _axes(self, x: TensorType) -> tuple[int, int]:
        return position(self.first, x), position(self.second, x)

    def _ends(self, x: TensorType) -> Any:
        """How many places the diagonal has."""
        rows, columns = (x.shape[axis] for axis in self._axes(x))
        return minimum(rows + min(self.offset, 0), columns - max(self.offset, 0))

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        options = self.offset, self.first, self.second
        return functional(lambda x: x.diagonal(*options))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, offset = call["self"], call.get("offset", call.get("diagonal"))
        if len(x.shape) == 1:  # which `diag` makes a matrix of
            return call.add(find_op("diag_embed")(offset), x)  # type: ignore[no-any-return]
        first, second = (call.get(f"dim{i}", i - 1) % len(x.shape) for i in (1, 2))
        return call.add(cls(offset, first, second), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((3, 4))
        yield cls(-1, 2, 1), TensorType((2, 3, 4, 2))
        yield cls(2, -2, -1), TensorType((2, 3, 4))


@op("as_strided")
class AsStrided(Op):
    """The element ``offset`` + Σ stride·index of the input, whose elements are counted in a row.

    It is the input's own storage, also where places overlap; a stride of 0 repeats.

    Source       PyTorch, torch.as_strided.
    """

    aten = "as_strided costcalc::part _reshape_alias resize resize_as set"
    is_view = True

    roles = {"offset": "options"}

    shape: Shape
    strides: Places
    offset: Count = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes, steps = len(self.shape), len(self.strides)
        if axes != steps:
            yield False, f"as_strided: {steps} strides for {axes} axes"
            return
        last = self.offset + total(s * (n - 1) for s, n in zip(self.strides, self.shape, strict=True))
        yield at_least(x.size - 1, last), f"as_strided: element {last} of an input of {x.size}"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*self.shape)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        shape, made = ints(x.shape), ints(self.shape)
        (offset,) = ints([self.offset])
        found = within(StorageRegion(0, shape, in_a_row(shape)), StorageRegion(offset, made, ints(self.strides)))
        if found is None:
            return (unknown(x),)
        starts, steps = found
        moving = (AxisMap(axis, Window(step)) if axis is not None else None for axis, step in steps)
        fixed = (AxisMap(axis, Window(0, start, start)) for axis, start in enumerate(starts))
        return ((*moving, *fixed),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        shape, strides, (offset,) = ints(self.shape), ints(self.strides), ints([self.offset])
        return functional(lambda x: x.contiguous().as_strided(shape, strides, offset))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,), x = call.made, call.tensors()[0]
        if made.dtype == x.type.dtype and call.get("held"):
            return seen_as(call, x, call["held"], call["wanted"])
        return Part.from_aten(call)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((2, 3, 2), (12, 4, 1)), TensorType((2, 3, 4))
        yield cls((2, 3, 4), (1, 5, 5), offset=5), TensorType((7, 5))


@op("part")
class Part(Op):
    """The same storage read in another way: real and imaginary parts, the bits as another element type."""

    aten = "view_as_real view_as_complex"
    is_view = True

    shape: Shape
    dtype: Dtype | None = None

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(self.shape, self.dtype or x.dtype)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        shared = tuple(map(AxisMap, range(min(len(x.shape), len(y.shape)))))
        if y.shape[:-1] == x.shape:
            return ((*shared, None),)
        return (shared,) if x.shape[:-1] == y.shape else (unknown(x),)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        pairs = {(*self.shape, 2): torch.view_as_complex, self.shape[:-1]: torch.view_as_real}
        apart = x.dtype.startswith("complex") != (self.dtype or x.dtype).startswith("complex")
        function = pairs.get(x.shape) if apart else None
        return functional(function) if function else super().to_torch(x)  # which says that there is none

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,), x = call.made, call.tensors()[0]
        return call.add(cls(made.shape, made.dtype if made.dtype != x.type.dtype else None), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((3,)), TensorType((3, 3))
        yield cls((3, 4, 2), "float32"), TensorType((3, 4), "complex64")
        yield cls((3, 4), "complex64"), TensorType((3, 4, 2))


def seen_as(call: Call, x: Traced, held: StorageRegion, wanted: StorageRegion) -> Traced:
    """``x``, which holds some elements of a storage, seen as the elements ``wanted``."""
    if held.runs() == wanted.runs():
        return reshaped(call, x, *wanted.shape)
    found = within(held, wanted)
    if found is None and x.shape != held.runs().shape:
        held = held.runs()
        found = within(held, wanted)
        if found is not None:
            x = reshaped(call, x, *held.shape)
    if found is None:
        return call.add(Part(wanted.shape), x)  # type: ignore[no-any-return]
    starts, taken = found
    followed = [axis for axis, _ in taken if axis is not None]
    spread = any(axis is None and n > 1 for (axis, _), n in zip(taken, wanted.shape, strict=True))
    if spread or len(set(followed)) < len(followed):
        rows = in_a_row(x.shape)
        strides = tuple(0 if axis is None else rows[axis] * step for axis, step in taken)
        offset = sum(row * start for row, start in zip(rows, starts, strict=True))
        return call.add(AsStrided(wanted.shape, strides, offset), x)  # type: ignore[no-any-return]
    steps = {axis: (n, step) for (axis, step), n in zip(taken, wanted.shape, strict=True)}
    for axis, start in enumerate(starts):
        n, step = steps.get(axis, (x.shape[axis], 1))
        if n < x.shape[axis]:
            stop = start + (n - 1) * step + 1
            x = call.add(find_op("slice")(axis, start, None if stop == x.shape[axis] else stop, step), x)
    kept = [*range(len(starts))]
    for axis in kept[::-1]:
        if axis not in steps and x.shape[axis] > 1:
            x = call.add(Select(axis, starts[axis]), x)
            kept.remove(axis)
    left = [axis for axis in kept if axis not in steps]
    return reshaped(call, permuted(call, x, *map(kept.index, (*left, *followed))), *wanted.shape)
