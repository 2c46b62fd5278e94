"""Looking elements up at places that are known or computed: they are copied, nothing is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, at_least, minimum
from costcalc.ir.fields import Axes, Axis, Dtype, Shape, Size, ints
from costcalc.ir.index_map import Anywhere, AxisMap, IndexMap, elementwise, envelope, unknown
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ops.axes import distinct, has_axes, position, replaced, several
from costcalc.ops.traced_steps import beside, expanded, own, reshaped

if TYPE_CHECKING:
    from torch import nn


@op("embedding")
class Embedding(Op):
    """A row of a trained table for each index.

    MACs         none: a row is copied. Of the table a row is read for each index, as if they all differed.
    Source       PyTorch, torch.nn.Embedding.
    """

    keeps = "input"

    aten = "embedding embedding_bag"

    roles = {"rows": "options"}

    rows: Size
    width: Size
    dtype: Dtype = "float32"

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield x.dtype.startswith("int"), f"embedding takes whole numbers, not {x.dtype}"

    def infer(self, x: TensorType) -> TensorType:
        return TensorType((*x.shape, self.width), self.dtype)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        table = parameter(self.rows, self.width, dtype=self.dtype)
        return {"weight": table._replace(read=minimum(self.rows, x.size) * self.width)}

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ((*(AxisMap(axis) for axis in range(len(x.shape))), None),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Embedding(*ints((self.rows, self.width)))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        table, indices, made = call["weight"], call["indices"], call.made
        rows, width = table.shape
        if own(table):
            found = call.add(cls(rows, width, table.type.dtype), indices, weight=table)
        else:
            found = call.add(Gather((*indices.shape, width)), table, indices)
        if call.name == "embedding":
            return found
        weights = call["per_sample_weights"]
        if weights is not None:
            found = call.add(find_op("multiply")(), found, reshaped(call, weights, *weights.shape, 1))
        bags = call.add(find_op("constant")(made[0].shape, made[0].dtype))
        y = call.add(find_op("scatter")(adds=True), bags, found)
        if call["mode"] == 1:
            y = call.add(find_op("elementwise")("divide"), y)
        return beside(call, y)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(10, 4), TensorType((2, 3), "int64")


@op("take")
class Take(Op):
    """The places ``indices`` along an axis, in that order; they are known beforehand, and may come several times.

    ``until`` in their place means all that are before it, as a model takes the first positions of a table.

    Not counted  any arithmetic, there is none; of the input those places are read, and the output is written.
    """

    aten = "index_select"
    only_moves = True

    roles = {"until": "options"}

    axis: Axis
    indices: Axes = ()
    until: Size | None = None

    def check(self) -> None:
        if (self.until is None) == (several(self.indices) == ()):
            raise OptionError("take: it has either indices, of which there is one, or until")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)
        size, indices = x.shape[self.axis], several(self.indices)
        if self.until is not None:
            yield at_least(size, self.until), f"take: the first {self.until} of an axis of size {size}"
            return
        for index in (min(indices), max(indices)):
            wanted = f"take: index {index} along axis {self.axis} of size {size}"
            yield at_least(size - 1, index), wanted
            yield at_least(index, -size), wanted

    def infer(self, x: TensorType) -> TensorType:
        return replaced(x, self.axis, self._many)

    @classmethod
    def of(cls, axis: int, indices: tuple[int, ...]) -> Take:
        """The op for these places, of which it says as few as it can."""
        in_order = len(indices) > 1 and indices == tuple(range(len(indices)))
        return cls(axis, until=len(indices)) if in_order else cls(axis, indices)

    @property
    def _many(self) -> Dim:
        return len(several(self.indices)) if self.until is None else self.until

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The indices, as a tensor."""
        return Saves(maps=(TensorType((self._many,), "int64"),))

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        size = x.shape[self.axis]
        taken = distinct(several(self.indices), size) if self.until is None else self.until
        return (x.size // size * taken,)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        at = position(self.axis, x)
        if self.until is not None:
            return (tuple(AxisMap(axis) for axis in range(len(x.shape))),)
        (size,) = ints([x.shape[self.axis]])
        places = [index % size for index in several(self.indices)]
        window = envelope(places)
        taken = AxisMap(at, window, bound=window.lo != window.hi, sees=lambda output: (places[output],) * 2)
        return (tuple(taken if axis == at else AxisMap(axis) for axis in range(len(x.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        axis, (size,) = self.axis, ints([x.shape[self.axis]])
        if self.until is not None:
            (many,) = ints([self.until])
            return functional(lambda x: x.index_select(axis, torch.arange(many, device=x.device)))
        indices = [index % size for index in several(self.indices)]
        return functional(lambda x: x.index_select(axis, torch.tensor(indices, device=x.device)))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return taken(call, call["self"], call["dim"] % max(len(call["self"].shape), 1), call["index"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1, (2, 1, 0)), TensorType((2, 3, 4))
        yield cls(-1, (0, 3, 3, -4)), TensorType((2, 4))
        yield cls(1, until=2), TensorType((2, 3, 4))


MOST_INDICES = 4096
"""Indices that a spec can list; of more the shape alone is kept."""


def taken(call: Call, x: Traced, axis: int, index: Traced) -> Traced:
    """``x`` at the places of ``index``, a row of numbers, along an axis."""
    (made,) = call.made
    numbers = index.numbers
    if numbers is None or not x.shape or not 0 < len(numbers) <= MOST_INDICES:
        return call.add(Gather(made.shape, axes=axis), x, index)  # type: ignore[no-any-return]
    picked = call.add(Take.of(axis, numbers), x)
    return reshaped(call, picked, *made.shape)


@op("gather", inputs=(1, None))
class Gather(Op):
    """Elements of the first input at places that the others name: ``x[i, j]`` in any of its forms.

    ``axes`` are those of the first input that are indexed; the axes of the places stand where they did, or before all
    others if they lay apart. With ``along``, for one axis, the places have all the axes of the output, and each says
    where along that axis to look, the other axes being its own. Without ``axes`` elements come from anywhere.

    Not counted  any arithmetic, there is none; inputs are read and the output written.
    """

    aten = """
    index gather take take_along_dim _unsafe_index masked_select nonzero unique_dim _unique2 unique_consecutive
    one_hot combinations cartesian_prod multinomial _pack_padded_sequence
    _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
    """

    shape: Shape
    dtype: Dtype | None = None
    axes: Axes | None = None
    along: bool = False

    def check(self) -> None:
        if self.along and (self.axes is None or len(several(self.axes)) != 1):
            raise OptionError("gather: along=True takes one axis")

    def requires(self, x: TensorType, *places: TensorType) -> Iterator[Condition]:
        if self.axes is not None:
            yield from has_axes(self, x, *several(self.axes))
            kept = len(x.shape) - len(several(self.axes))
            yield len(self.shape) >= kept, f"gather: {len(self.shape)} axes cannot hold the {kept} that are not indexed"

    def infer(self, x: TensorType, *places: TensorType) -> TensorType:
        return TensorType(self.shape, self.dtype or x.dtype)

    def saves(
        self, x: TensorType, *places: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> Saves | None:
        """The places, where it is known that they are numbers along axes."""
        numbers = self.axes is not None and all(t.dtype.startswith("int") for t in places)
        if self.along:
            return Saves((0, 1))
        return Saves(tuple(range(1, 1 + len(places)))) if numbers else None

    def reads(self, x: TensorType, *places: TensorType, y: TensorType) -> tuple[Dim, ...]:
        # An element for each output, as if they all differed; what has no axes may look through all.
        picked = x.size if self.axes is None else minimum(x.size, y.size)
        return (picked, *(t.size for t in places))

    def index_maps(self, x: TensorType, *places: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        if self.axes is None:
            same = (t if t.shape != y.shape else None for t in places)
            return (unknown(x), *(unknown(t) if t else elementwise(y, y) for t in same))
        axes = [position(axis, x) for axis in several(self.axes)]
        if self.along:
            (at,) = axes
            found = tuple(Anywhere(a) if a == at else AxisMap(a) for a in range(len(x.shape)))
            return (found, *(elementwise(t, y) for t in places))
        first, new = self._new_axes(x)
        kept = iter(a for a in range(len(x.shape)) if a not in axes)
        inside = range(first, first + new)
        axis_maps = (None if out in inside else AxisMap(next(kept)) for out in range(len(y.shape)))
        whole = TensorType(y.shape[first : first + new])
        return (
            (*axis_maps, *map(Anywhere, axes)),
            *(((None,) * first + elementwise(t, whole)) if len(t.shape) <= new else unknown(t) for t in places),
        )

    def _new_axes(self, x: TensorType) -> tuple[int, int]:
        """The first axis of the output that comes of the places, and how many do."""
        axes = sorted(position(axis, x) for axis in several(self.axes))  # type: ignore[arg-type]
        together = axes[-1] - axes[0] == len(axes) - 1
        return axes[0] if together else 0, len(self.shape) - len(x.shape) + len(axes)

    def to_torch(self, x: TensorType, *places: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        if self.axes is None or self.dtype or not all(t.dtype.startswith("int") for t in places):
            return super().to_torch(x)  # which says that there is none
        axes = [position(axis, x) for axis in several(self.axes)]
        if self.along:
            return functional(lambda x, index: x.gather(axes[0], index))
        if len(places) != len(axes):
            return super().to_torch(x)  # which says that there is none
        named = {axis: i for i, axis in enumerate(axes)}
        return functional(
            lambda x, *places: x[tuple(places[named[a]] if a in named else slice(None) for a in range(x.ndim))]
        )

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x, made = call.tensors()[0], call.made
        if call.name in ("index", "_unsafe_index"):
            return _indexed(call, x, call["indices"])
        if call.name in ("gather", "take_along_dim"):
            index, axis = call.get("index", call.get("indices")), call["dim"]
            if axis is not None and x.shape:
                return _gathered(call, x, axis % len(x.shape), index)
        types = ((t.shape, t.dtype if t.dtype != x.type.dtype else None) for t in made)
        results = tuple(call.add(cls(*each), *call.tensors()) for each in types)
        return results if len(results) > 1 else results[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((3, 5)), TensorType((4, 5)), TensorType((3,), "int64")
        yield cls((2, 4, 3), axes=1), TensorType((2, 5, 3)), TensorType((4,), "int64")
        yield (
            cls((6, 2, 3), axes=(0, 2)),
            TensorType((4, 2, 5, 3)),
            TensorType((6,), "int64"),
            TensorType((1,), "int64"),
        )
        yield cls((2, 4), axes=-1, along=True), TensorType((2, 3)), TensorType((2, 4), "int64")


def _gathered(call: Call, x: Traced, axis: int, index: Traced) -> Traced:
    """``gather`` and ``take_along_dim``."""
    (made,) = call.made
    shape: tuple[int, ...] = ints(made.shape)
    if call.name == "take_along_dim" and index.numbers is not None and index.type.size == index.shape[axis]:
        picked = call.add(Take.of(axis, index.numbers), x)  # the same along all other axes
        return expanded(call, picked, *shape)
    numbers = _same_beside(index, axis)
    if numbers is not None and call.name == "gather":
        for a, n in enumerate(shape):
            if a != axis and n < x.shape[a]:
                x = call.add(find_op("slice")(a, 0, n), x)
        return call.add(Take.of(axis, numbers), x)  # type: ignore[no-any-return]
    if call.name == "take_along_dim":  # each stretches to the other, but for the axis
        x = expanded(call, x, *(x.shape[a] if a == axis else n for a, n in enumerate(shape)))
        index = expanded(call, index, *shape)
    for a, n in enumerate(shape):
        if a != axis and n < x.shape[a]:
            x = call.add(find_op("slice")(a, 0, n), x)
    return call.add(Gather(shape, axes=axis, along=True), x, index)  # type: ignore[no-any-return]


def _same_beside(index: Traced, axis: int) -> tuple[int, ...] | None:
    """The places along ``axis`` that ``index`` names, if they are known and the same wherever one looks beside it."""
    numbers, shape = index.numbers, ints(index.shape)
    if not numbers or not shape:
        return None
    inner = prod(shape[axis + 1 :])
    row = numbers[: shape[axis] * inner : inner]
    same = all(number == row[i // inner % len(row)] for i, number in enumerate(numbers))
    return row if same else None


def _indexed(call: Call, x: Traced, indices: Sequence[Traced | None]) -> Traced:
    """``x[…]`` with tensors among the indices: whole numbers, or a mask, which stands for the axes that it covers."""
    (made,) = call.made
    axes: list[int] = []
    at = 0
    for index in indices:
        covers = len(index.shape) if index is not None and index.type.dtype in ("bool", "uint8") else 1
        if index is not None:
            axes += range(at, at + covers)
        at += covers
    given = [index for index in indices if index is not None]
    if len(axes) == 1:
        return taken(call, x, axes[0], located(given[0]))
    return call.add(Gather(made.shape, axes=tuple(axes)), x, *given)  # type: ignore[no-any-return]


def located(index: Traced) -> Traced:
    """The places that a mask along one axis selects, if its values are known; other indices as they are."""
    if index.type.dtype not in ("bool", "uint8") or index.numbers is None:
        return index
    found = Traced(TensorType((sum(map(bool, index.numbers)),), "int64"))
    found.numbers = tuple(place for place, chosen in enumerate(index.numbers) if chosen)
    return found
