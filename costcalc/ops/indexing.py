"""Looking up, scattering and overwriting: elements move, nothing is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, minimum
from costcalc.ir.fields import Axis, Dtype, Index, Shape, Size, ints
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.window import MIXED, Follow, Sight, mixing
from costcalc.ops.axes import has_axes, position, replaced
from costcalc.ops.broadcasting import joint_dtype
from costcalc.ops.traced import beside, converted, own, reshaped

if TYPE_CHECKING:
    from torch import nn


@op("embedding")
class Embedding(Op):
    """A row of a trained table for each index.

    MACs         none: a row is copied. Of the table a row is read for each index, as if they all differed.
    Source       PyTorch, torch.nn.Embedding.
    """

    aten = "embedding embedding_bag"

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

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        return ((*(Follow(axis) for axis in range(len(x.shape))), None),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Embedding(*ints((self.rows, self.width)))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        table, indices, made = call["weight"], call["indices"], call.made
        rows, width = table.shape
        if own(table) and table.trained:
            found = call.add(cls(rows, width, table.type.dtype), indices, weight=table)
        else:
            found = call.add(Gather((*indices.shape, width)), table, indices)
        if call.name == "embedding":
            return found
        weights = call["per_sample_weights"]
        if weights is not None:
            found = call.add(find_op("multiply")(), found, reshaped(call, weights, *weights.shape, 1))
        bags = call.add(find_op("constant")(made[0].shape, made[0].dtype))
        y = call.add(Scatter(adds=True), bags, found)
        if call["mode"] == 1:
            y = call.add(find_op("elementwise")("divide"), y)
        return beside(call, y)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(10, 4), TensorType((2, 3), "int64")


@op("gather", inputs=(1, None))
class Gather(Op):
    """Elements of the first input at places that the others name: ``x[i, j]`` in any of its forms.

    Each output is said to see all of the first input.

    Not counted  any arithmetic, there is none; inputs are read and the output written.
    """

    aten = """
    index index_select gather take take_along_dim repeat_interleave _unsafe_index masked_select nonzero
    unique_dim _unique2 unique_consecutive bucketize searchsorted one_hot combinations cartesian_prod diag multinomial
    _pack_padded_sequence
    """

    shape: Shape
    dtype: Dtype | None = None

    def infer(self, x: TensorType, *places: TensorType) -> TensorType:
        return TensorType(self.shape, self.dtype or x.dtype)

    def sights(self, x: TensorType, *places: TensorType, y: TensorType) -> tuple[Sight, ...]:
        return (MIXED,) * (1 + len(places))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x = call.tensors()[0]
        made = tuple(
            call.add(cls(t.shape, t.dtype if t.dtype != x.type.dtype else None), *call.tensors()) for t in call.made
        )
        return made if len(made) > 1 else made[0]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((3, 5)), TensorType((4, 5)), TensorType((3,), "int64")


@op("scatter", inputs=(1, None))
class Scatter(Op):
    """The first input with elements of another put into places that the others name; or added to what is there.

    Ops          adding: 1 for each element that is put in. Putting: none.
    Not counted  reading and writing less than the whole: each input is read, the output written.
    """

    aten = """
    scatter scatter_add scatter_reduce index_put _index_put_impl index_add index_copy index_fill masked_scatter
    slice_scatter select_scatter diagonal_scatter costcalc::overwrite histc bincount put
    index_reduce unfold_backward
    """

    adds: bool = False

    def infer(self, x: TensorType, *others: TensorType) -> TensorType:
        return x

    def ops(self, x: TensorType, *others: TensorType, y: TensorType) -> Dim:
        return others[-1].size if self.adds and others else 0

    def sights(self, x: TensorType, *others: TensorType, y: TensorType) -> tuple[Sight, ...]:
        return (tuple(Follow(axis) for axis in range(len(x.shape))), *(MIXED,) * len(others))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        if call.name in ("histc", "bincount", "unfold_backward"):
            (counts,) = call.made
            return call.add(cls(adds=True), call.add(find_op("constant")(counts.shape, counts.dtype)), *call.tensors())  # type: ignore[no-any-return]
        adds = call.name in ("scatter_add", "scatter_reduce", "index_add", "index_reduce") or bool(
            call.get("accumulate")
        )
        return call.add(cls(adds), *call.tensors())  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((4, 5)), TensorType((2, 5))
        yield cls(adds=True), TensorType((4, 5)), TensorType((3,), "int64"), TensorType((3, 5))


@op("select")
class Select(Op):
    """One place along an axis, which goes."""

    aten = "select"
    is_view = True

    axis: Axis
    index: Index = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def infer(self, x: TensorType) -> TensorType:
        return replaced(x, self.axis)

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        at = position(self.axis, x)
        return (tuple(Follow(axis) for axis in range(len(x.shape)) if axis != at),)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["dim"], call["index"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1, 2), TensorType((2, 3, 4))


@op("unbind")
class Unbind(Op):
    """Each place along an axis as an output of its own."""

    aten = "unbind"
    is_view = True

    axis: Axis = 0

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

        size = x.shape[self.axis]
        yield isinstance(size, int), f"as many outputs as the axis is long need a known size, not {size}"

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        (count,) = ints([x.shape[self.axis]])
        return tuple(replaced(x, self.axis) for _ in range(count))

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        at = position(self.axis, x)
        return (tuple(Follow(axis) for axis in range(len(x.shape)) if axis != at),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["dim"]), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((2, 3, 4))


@op("part")
class Part(Op):
    """The same storage seen in another way: diagonals, windows that overlap, real and imaginary parts."""

    aten = """
    as_strided diagonal unfold view_as_real view_as_complex costcalc::part _reshape_alias
    resize resize_as set
    """
    is_view = True

    shape: Shape
    dtype: Dtype | None = None

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(self.shape, self.dtype or x.dtype)

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        return (MIXED,)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,), x = call.made, call.tensors()[0]
        if made.dtype == x.type.dtype and made.size == x.type.size:
            return reshaped(call, x, *ints(made.shape))
        return call.add(cls(made.shape, made.dtype if made.dtype != x.type.dtype else None), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((3,)), TensorType((3, 3))


@op("rearrange", inputs=(1, None))
class Rearrange(Op):
    """The elements of an axis in another order, or repeated: flips, tiles, triangles; or those of several, as blocks.

    Not counted  any arithmetic, there is none; the inputs are read and the output written.
    """

    aten = "flip fliplr flipud repeat tile tril triu rot90 diag_embed block_diag"

    shape: Shape

    def infer(self, *x: TensorType) -> TensorType:
        return TensorType(self.shape, joint_dtype(*x))

    def sights(self, *x: TensorType, y: TensorType) -> tuple[Sight, ...]:
        return tuple(mixing(t, *range(len(t.shape))) if t.shape == y.shape else MIXED for t in x)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        tensors = [converted(call, t, made.dtype) for t in call.tensors()]
        return call.add(cls(made.shape), *tensors)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((2, 6)), TensorType((2, 3))
        yield cls((5, 7)), TensorType((2, 3)), TensorType((3, 4))
