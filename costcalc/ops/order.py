"""Views that reorder axes or stretch them; like those of ``shape`` they cost nothing and move nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import equal
from costcalc.ir.fields import Axes, Axis, Shape, ints
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import has_axes, position, several
from costcalc.ops.broadcasting import is_one
from costcalc.ops.traced_steps import expanded, permuted

if TYPE_CHECKING:
    from torch import nn


@op("permute")
class Permute(Op):
    """The axes in the given order, the batch among them: (0, 2, 3, 1) puts channels last."""

    rearranges = True

    aten = "permute movedim moveaxis numpy_T"

    is_view = True
    only_moves = True

    axes: Axes

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes = several(self.axes)
        yield from has_axes(self, x, *axes)
        yield len(axes) == len(x.shape), f"permute lists {len(axes)} axes, the input has {len(x.shape)}"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*(x.shape[axis] for axis in several(self.axes)))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (tuple(AxisMap(position(axis, x)) for axis in several(self.axes)),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        return tuple(steps[axis] for axis in several(self.axes))

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        # PyTorch's older exporter writes an axis that is counted from the end into ONNX as it stands.
        axes = tuple(position(axis, x) for axis in several(self.axes))
        return functional(lambda x: x.permute(axes))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        rank = len(x.shape)
        if call.name == "permute":
            return permuted(call, x, *(axis % rank for axis in call["dims"]))
        if call.name == "numpy_T":
            return permuted(call, x, *reversed(range(rank)))
        taken = [axis % rank for axis in several(once(call["source"]))]
        rest = iter(axis for axis in range(rank) if axis not in taken)
        places = dict(zip((axis % rank for axis in several(once(call["destination"]))), taken, strict=True))
        return permuted(call, x, *(places[axis] if axis in places else next(rest) for axis in range(rank)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((0, 2, 3, 1)), TensorType((2, 3, 4, 5))
        yield cls((1, -1, 0)), TensorType((2, 3, 4))


@op("transpose")
class Transpose(Op):
    """Two axes swapped: by default the last two, which transposes a matrix."""

    rearranges = True

    aten = "transpose t swapaxes swapdims mT adjoint"

    is_view = True
    only_moves = True

    first: Axis = -2
    second: Axis = -1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.first)
        yield from has_axes(self, x, self.second)

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*(x.shape[axis] for axis in self._order(x)))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (tuple(AxisMap(axis) for axis in self._order(x)),)

    def view_steps(self, steps: tuple[int, ...], x: TensorType, *, y: TensorType) -> tuple[int, ...]:
        return tuple(steps[axis] for axis in self._order(x))

    def _order(self, x: TensorType) -> list[int]:
        order = list(range(len(x.shape)))
        order[self.first], order[self.second] = order[self.second], order[self.first]
        return order

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        first, second = self.first, self.second
        return functional(lambda x: x.transpose(first, second))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x = call["self"]
        if len(x.shape) < 2:
            return x  # type: ignore[no-any-return]
        first, second = (call.get(f"dim{i}", call.get(f"axis{i}", i - 2)) for i in (0, 1))
        same = (first - second) % len(x.shape) == 0
        return x if same else call.add(cls(first, second), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(1, 2), TensorType((2, 3, 4, 5))


@op("expand")
class Expand(Op):
    """Axes of size 1 stretched to the given sizes, without a copy; -1 keeps a size.

    ``shape`` may start with axes that the input does not have.
    """

    aten = "expand expand_as broadcast_to"

    is_view = True
    only_moves = True

    shape: Shape

    def check(self) -> None:
        if any(isinstance(d, int) and d == 0 for d in self.shape):
            raise OptionError("expand: no size can be 0")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if len(self.shape) < len(x.shape):
            yield False, f"expand lists {len(self.shape)} axes, the input has {len(x.shape)}"
            return
        new = self.shape[: len(self.shape) - len(x.shape)]
        yield not any(isinstance(d, int) and d == -1 for d in new), "expand: -1 keeps a size, and a new axis has none"
        for axis, (size, wanted) in enumerate(zip(x.shape, self.infer(x).shape[len(new) :], strict=True)):
            if not is_one(size):
                yield equal(size, wanted), f"expand: axis {axis} has size {size} and cannot become {wanted}; only 1 can"

    def infer(self, x: TensorType) -> TensorType:
        sizes = (1,) * (len(self.shape) - len(x.shape)) + x.shape
        return x.with_shape(
            *(s if isinstance(d, int) and d == -1 else d for d, s in zip(self.shape, sizes, strict=True))
        )

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        shape = ints(self.shape)
        return functional(lambda x: x.expand(shape))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        return expanded(call, call["self"], *ints(made.shape))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((4, -1, 5)), TensorType((1, 3, 1))
        yield cls((2, 3, -1)), TensorType((4,))
