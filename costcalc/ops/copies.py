"""Copies that put the elements of axes in another order, repeat them, or set them apart by zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, maximum, minimum, prod, total
from costcalc.ir.fields import Axes, Axis, Shape, Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Regroup, Steps, Window, elementwise
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, replaced, several
from costcalc.ops.broadcasting import joint_dtype
from costcalc.ops.element_values import Elements, below_or_above
from costcalc.ops.traced_steps import converted, copied, permuted, reshaped

if TYPE_CHECKING:
    from torch import nn


@op("flip")
class Flip(Op):
    """Each of ``axes`` the other way round.

    Not counted  any arithmetic, there is none; the input is read and the output written.
    """

    keeps = "nothing"
    only_moves = True

    aten = "flip fliplr flipud rot90"

    axes: Axes

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        axis_maps = [AxisMap(axis) for axis in range(len(x.shape))]
        for axis in several(self.axes):
            (last,) = ints([x.shape[axis] - 1])
            axis_maps[axis] = AxisMap(position(axis, x), Window(-1, last, last))
        return (tuple(axis_maps),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        axes = several(self.axes)
        return functional(lambda x: x.flip(axes))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        if call.name == "rot90":
            return _turned(call, x, call["k"] % 4, *call["dims"])
        axes = call["dims"] if call.name == "flip" else [int(call.name == "fliplr")]
        if not axes:
            return copied(call, x)
        return call.add(cls(once([axis % len(x.shape) for axis in axes])), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3))
        yield cls((-1, 0)), TensorType((2, 3, 4))


def _turned(call: Call, x: Traced, quarters: int, first: int, second: int) -> Traced:
    """A plane turned by quarters: flips, and for an odd number its axes swapped."""
    axes = [axis % len(x.shape) for axis in (first, second)]
    if quarters == 2:
        return call.add(Flip(tuple(axes)), x)  # type: ignore[no-any-return]
    if not quarters:
        return copied(call, x)
    order = list(range(len(x.shape)))
    order[axes[0]], order[axes[1]] = axes[1], axes[0]
    return call.add(Flip(axes[0] if quarters == 1 else axes[1]), permuted(call, x, *order))  # type: ignore[no-any-return]


@op("tile")
class Tile(Op):
    """The input again and again: along each axis as often as ``repeats`` says, also along new axes before the others.

    Not counted  any arithmetic, there is none; the input is read and the larger output written.
    """

    keeps = "nothing"

    aten = "repeat tile"

    repeats: Shape

    def check(self) -> None:
        if any(isinstance(n, int) and n < 1 for n in self.repeats):
            raise OptionError("tile: repeats are whole numbers from 1")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        given = len(self.repeats)
        yield given >= len(x.shape), f"tile: {given} repeats for {len(x.shape)} axes"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*(n * size for n, size in zip(self.repeats, self._sizes(x), strict=True)))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        new = len(self.repeats) - len(x.shape)
        apart: list[Dim] = []
        axis_maps: list[AxisMap | None] = []
        for axis, (n, size) in enumerate(zip(self.repeats, self._sizes(x), strict=True)):
            apart += n, size
            axis_maps += None, AxisMap(axis - new) if axis >= new else None
        return (Steps(((tuple(axis_maps), tuple(apart)), (Regroup(), y.shape))),)

    def _sizes(self, x: TensorType) -> tuple[Dim, ...]:
        return (1,) * (len(self.repeats) - len(x.shape)) + x.shape

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        repeats = ints(self.repeats)
        return functional(lambda x: x.repeat(repeats))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        repeats = tuple(call.get("repeats") or call.get("dims") or ())
        repeats = (1,) * (len(x.shape) - len(repeats)) + repeats
        return call.add(cls(repeats), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((1, 3, 1)), TensorType((2, 1, 4))
        yield cls((2, 1, 2)), TensorType((2, 3))


@op("repeat_interleave")
class RepeatInterleave(Op):
    """Each place along an axis ``repeats`` times in a row.

    Not counted  any arithmetic, there is none; the input is read and the larger output written.
    """

    keeps = "nothing"

    aten = "repeat_interleave"

    roles = {"repeats": "options"}

    repeats: Size
    axis: Axis

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType:
        return replaced(x, self.axis, x.shape[self.axis] * self.repeats)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        at = position(self.axis, x)
        apart = (*x.shape[: at + 1], self.repeats, *x.shape[at + 1 :])
        axis_maps: list[AxisMap | None] = [AxisMap(axis) for axis in range(len(x.shape))]
        axis_maps.insert(at + 1, None)
        return (Steps(((tuple(axis_maps), apart), (Regroup(), y.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        (repeats,), axis = ints([self.repeats]), self.axis
        return functional(lambda x: x.repeat_interleave(repeats, axis))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        from costcalc.ops.indexing import Gather, Take

        x, repeats, axis = call.get("self"), call["repeats"], call.get("dim")
        (made,) = call.made
        if x is None:  # the numbers themselves, each as often as it says
            return call.add(Gather(made.shape), repeats)  # type: ignore[no-any-return]
        if axis is None:
            x, axis = reshaped(call, x, x.type.size), 0
        if isinstance(repeats, int):
            return call.add(cls(repeats, axis), x)  # type: ignore[no-any-return]
        if len(repeats.shape) == 0 or repeats.shape == (1,):
            return call.add(cls(made.shape[axis] // x.shape[axis], axis), x)  # type: ignore[no-any-return]
        if repeats.numbers is None:
            places = call.add(Gather(made.shape[axis : axis + 1]), repeats)
            return call.add(Gather(made.shape, axes=axis), x, places)  # type: ignore[no-any-return]
        indices = tuple(i for i, n in enumerate(repeats.numbers) for _ in range(n))
        return call.add(Take(axis, indices), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2, 1), TensorType((2, 3, 4))
        yield cls(3, -1), TensorType((2, 2))


@op("triangle")
class Triangle(Op):
    """The matrices along the last two axes with zeros above the ``diagonal``; or below it, for ``upper``.

    The diagonal is counted from the main one, to the right.

    Not counted  any arithmetic, there is none; what stays of the input is read and the output written.
    """

    keeps = "nothing"

    aten = "tril triu"
    is_bounded_only = True  # what sees most may be what becomes zeros

    leaves_zeros = True

    upper: bool = False
    diagonal: Axis = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) >= 2, f"triangle takes at least 2 axes, not {len(x.shape)}"

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        *stack, rows, columns = x.shape
        below = self.diagonal - 1 if self.upper else self.diagonal  # the last diagonal of the part on the lower left
        # Row i has i + below + 1 of its elements there, from 0 up to all of them.
        first = minimum(max(0, -below), rows)
        full = minimum(maximum(columns - below - 1, first), rows)
        lower = (full - first) * (first + full + 2 * below + 1) // 2 + (rows - full) * columns
        return (prod(stack) * (rows * columns - lower if self.upper else lower),)

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (elementwise(x, y),)

    def blank(self, x: TensorType, *, y: TensorType) -> tuple[tuple[int, ...], Callable[..., bool]]:
        last, diagonal = len(x.shape) - 1, self.diagonal
        if self.upper:
            return (last - 1, last), lambda row, column: column - row < diagonal
        return (last - 1, last), lambda row, column: column - row > diagonal

    def evaluate(self, given: tuple[Elements, ...], x: TensorType, *, y: TensorType) -> Elements:
        return below_or_above(given[0], ints(x.shape), self.diagonal, self.upper)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        cut, diagonal = torch.triu if self.upper else torch.tril, self.diagonal
        return functional(lambda x: cut(x, diagonal))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call.name == "triu", call["diagonal"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 3))
        yield cls(upper=True, diagonal=-1), TensorType((3, 4))


@op("diag_embed")
class DiagEmbed(Op):
    """The last axis as the diagonal of two new axes, ``first`` and ``second`` of the output, with zeros beside it.

    The diagonal is ``offset`` columns to the right of the main one.

    Not counted  any arithmetic, there is none; the input is read and the larger output written.
    """

    keeps = "nothing"
    rearranges = True

    aten = "diag_embed"

    leaves_zeros = True

    offset: Axis = 0
    first: Axis = -2
    second: Axis = -1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        rank = len(x.shape) + 1
        first, second = self.first % rank, self.second % rank
        held = all(-rank <= axis < rank for axis in (self.first, self.second)) and first != second
        yield held and bool(x.shape), f"diag_embed: {self.first} and {self.second} must be two of {rank} axes"

    def infer(self, x: TensorType) -> TensorType:
        shape = list(x.shape[:-1])
        for axis in sorted(self._axes(x)):
            shape.insert(axis, x.shape[-1] + abs(self.offset))
        return x.with_shape(*shape)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        rows, columns = self._axes(x)
        others = iter(range(len(x.shape) - 1))
        down, (size,) = max(-self.offset, 0), ints([x.shape[-1]])
        moved = AxisMap(len(x.shape) - 1, Window(1, -down, -down), (down, down + size - 1))
        # A column sees what its row sees, where they meet.
        entries = (
            moved if axis == rows else None if axis == columns else AxisMap(next(others))
            for axis in range(len(y.shape))
        )
        return (tuple(entries),)

    def blank(self, x: TensorType, *, y: TensorType) -> tuple[tuple[int, ...], Callable[..., bool]]:
        offset = self.offset
        return self._axes(x), lambda row, column: column - row != offset

    def _axes(self, x: TensorType) -> tuple[int, int]:
        return self.first % (len(x.shape) + 1), self.second % (len(x.shape) + 1)

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        options = self.offset, self.first, self.second
        return functional(lambda x: x.diag_embed(*options))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["offset"], call["dim1"], call["dim2"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3))
        yield cls(-1, 0, 2), TensorType((2, 3))


@op("block_diag", inputs=(1, None))
class BlockDiag(Op):
    """Matrices along the diagonal of one, with zeros beside them.

    Not counted  any arithmetic, there is none; the inputs are read and the output written.
    """

    keeps = "nothing"
    rearranges = True

    aten = "block_diag"

    leaves_zeros = True

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        for t in x:
            yield len(t.shape) == 2, f"block_diag takes matrices, not {len(t.shape)} axes"

    def infer(self, *x: TensorType) -> TensorType:
        return TensorType((total(t.shape[0] for t in x), total(t.shape[1] for t in x)), joint_dtype(*x))

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        found, starts = [], [0, 0]
        for sizes in (ints(t.shape) for t in x):
            placed = enumerate(zip(starts, sizes, strict=True))
            found.append(tuple(AxisMap(a, Window(1, -at, -at), (at, at + n - 1)) for a, (at, n) in placed))
            starts = [at + n for at, n in zip(starts, sizes, strict=True)]
        return tuple(found)

    def to_torch(self, *x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        return functional(torch.block_diag)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        tensors = (converted(call, t, made.dtype) for t in call.tensors())
        matrices = (t if len(t.shape) == 2 else reshaped(call, t, 1, t.type.size) for t in tensors)
        return call.add(cls(), *matrices)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3)), TensorType((3, 4))
        yield cls(), TensorType((1, 2))
