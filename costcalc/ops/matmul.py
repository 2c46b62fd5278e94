"""Product of two tensors, neither of them a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, equal, prod
from costcalc.ir.fields import ints
from costcalc.ir.index_map import ALL_TO_ALL, AxisMap, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import broadcast, is_one, joint_dtype, leading, stretches
from costcalc.ops.traced_steps import linear_combination, reshaped, swapped

if TYPE_CHECKING:
    from torch import nn


@op("matmul", inputs=(2, 2))
class MatMul(Op):
    """Matrix product over the last two axes of each input; the axes before them stretch to meet.

    A vector on the left is a row, on the right a column, and the axis that it lacks is missing in
    the output too.

    MACs         outputs × the size that is summed over.
    Source       PyTorch, torch.matmul.
    """

    weighs = True

    aten = """
    matmul linalg_matmul mm bmm mv dot vdot inner addmm baddbmm addbmm addmv _int_mm addr affine_grid_generator
    """

    def requires(self, a: TensorType, b: TensorType) -> Iterator[Condition]:
        if not a.shape or not b.shape:
            yield False, "matmul takes vectors, matrices or stacks of matrices, not scalars"
            return
        inner, outer = a.shape[-1], b.shape[-2:][0]
        yield equal(inner, outer), f"the last axis of the left input is {inner}, the axis that it meets is {outer}"
        yield from stretches(a.shape[:-2], b.shape[:-2], what="the stacks")

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        rows, columns = a.shape[-2:-1], b.shape[-1:] if len(b.shape) > 1 else ()
        stack = broadcast(a.shape[:-2], b.shape[:-2])
        return TensorType((*stack, *rows, *columns), joint_dtype(a, b))

    def macs(self, a: TensorType, b: TensorType, *, y: TensorType) -> Dim:
        return y.size * a.shape[-1]

    def nests(self, a: TensorType, b: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        """The stack as groups; as rows where one matrix on the right is for all of it."""
        rows, columns = prod(a.shape[-2:-1]), prod(b.shape[-1:] if len(b.shape) > 1 else ())
        stack = prod(broadcast(a.shape[:-2], b.shape[:-2]))
        if all(map(is_one, b.shape[:-2])):
            return (Nest(stack * rows, columns, a.shape[-1], reads=(0, 1)),)
        return (Nest(rows, columns, a.shape[-1], stack, reads=(0, 1)),)

    def saves(
        self, a: TensorType, b: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> Saves | None:
        """Each factor for the gradient of the other; a copy where its stack is stretched along some axes and not along
        others, or cannot be seen as rows. One matrix for a whole stack is seen so without.
        """
        if len(a.shape) == len(b.shape) == 3 and a.shape[0] != b.shape[0]:
            a, b = (  # PyTorch takes one for all as a matrix, where its gradient is wanted
                t.with_shape(*t.shape[1:]) if is_one(t.shape[0]) and needed else t
                for t, needed in zip((a, b), wanted, strict=True)
            )
        inputs, maps = [], []
        stack = prod(broadcast(a.shape[:-2], b.shape[:-2]))
        stacked = len(a.shape) > 2 and len(b.shape) > 2
        for i, (t, other) in enumerate(((a, b), (b, a))):
            if not wanted[1 - i]:
                continue
            own = t.shape[:-2]
            if stacked and prod(own) != stack and not all(map(is_one, own)):
                maps.append(t.with_shape(stack, *t.shape[-2:]))
            elif i == 1 and len(other.shape) < 3 <= len(t.shape) and not any(map(is_one, (prod(own), *t.shape[-2:]))):
                maps.append(t)  # its transposes stand one above another
            else:
                inputs.append(i)
        apart = 2 if stacked else 1
        stacks = tuple((i, apart) for i in inputs if len((a, b)[i].shape) > 2)
        return Saves(tuple(inputs), maps=tuple(maps), stacks=stacks)

    def beside_gradients(
        self, a: TensorType, b: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """What the gradient of a factor whose stack is stretched takes more before it is summed."""
        if len(a.shape) < 3 or len(b.shape) < 3:
            return ()
        stack = prod(broadcast(a.shape[:-2], b.shape[:-2]))
        more = tuple(
            t.with_shape((stack - prod(t.shape[:-2])) * prod(t.shape[-2:]))
            for t, needed in zip((a, b), wanted, strict=True)
            if needed and not all(map(is_one, t.shape[:-2]))
        )
        return (Moment(more),) if more else ()

    def reuse(self, a: TensorType, b: TensorType) -> Dim:
        return 1

    def index_maps(self, a: TensorType, b: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        rows, columns = a.shape[-2:-1], b.shape[-1:] if len(b.shape) > 1 else ()
        stack = y.shape[: len(y.shape) - len(rows) - len(columns)]
        row, column = len(a.shape) - 2, len(b.shape) - 1
        through_a = (*leading(a.shape[:-2], stack), *([AxisMap(row)] if rows else []), *(None for _ in columns))
        through_b = (*leading(b.shape[:-2], stack), *(None for _ in rows), *([AxisMap(column)] if columns else []))
        return through_a, through_b

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import matmul

        from costcalc.ops.functional import functional

        return functional(matmul)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        if call.name == "affine_grid_generator":  # places (y, x, 1) of the output times the transform of each image
            theta = call["theta"]
            places = call.add(find_op("constant")((prod(made.shape[1:-1]), theta.shape[2]), made.dtype))
            return reshaped(call, call.add(cls(), places, swapped(call, theta)), *made.shape)
        *added, a, b = call.tensors()
        if call.name == "inner":  # rows with rows
            a, b = (reshaped(call, t, *ints([prod(t.shape[:-1])]), t.shape[-1]) for t in (a, b))
            return reshaped(call, call.add(cls(), a, swapped(call, b)), *made.shape)
        if call.name == "addr":
            y = call.add(find_op("multiply")(), reshaped(call, a, *a.shape, 1), b)
        else:
            y = call.add(cls(), a, b)
        if call.name == "addbmm":
            y = call.add(find_op("sum")(0), y)
        if not added:  # whole numbers of eight bits make one of 32
            return y if y.type.dtype == made.dtype else call.add(find_op("elementwise")("copy", made.dtype), y)  # type: ignore[no-any-return]
        # addmm and its kin: beta · input + alpha · product
        return linear_combination(call, added[0], y)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((3, 4)), TensorType((4, 5))
        yield cls(), TensorType((2, 3, 4)), TensorType((4, 5))
        yield cls(), TensorType((3, 4)), TensorType((2, 4, 5))
        yield cls(), TensorType((5, 1, 2, 3)), TensorType((4, 3, 2))
        yield cls(), TensorType((4,)), TensorType((2, 4, 3))
        yield cls(), TensorType((2, 3, 4)), TensorType((4,))
        yield cls(), TensorType((4,)), TensorType((4,))


@op("grouped_matmul", inputs=(3, 3))
class GroupedMatMul(Op):
    """Products of groups of rows with a matrix each, as in a mixture of experts; the third input says where each ends.

    The groups are of rows of the left input where the right one is a stack of matrices; of columns of the right
    where the left one is; of the size that is summed over where neither is, and then each group has a product.

    MACs         rows × size that is summed over × columns, whatever the groups are: together they are all there is.
    Source       PyTorch, torch.nn.functional.grouped_mm.
    """

    aten = "_grouped_mm"

    def requires(self, a: TensorType, b: TensorType, ends: TensorType) -> Iterator[Condition]:
        matrices = len(ends.shape) == 1 and (len(a.shape), len(b.shape)) in ((2, 3), (3, 2), (2, 2))
        yield matrices, "grouped_matmul takes two matrices or a matrix and a stack of them, and the ends of groups"
        if not matrices:
            return
        yield equal(a.shape[-1], b.shape[-2]), f"{a.shape[-1]} columns on the left meet {b.shape[-2]} rows on the right"
        for stack in (t for t in (a, b) if len(t.shape) == 3):
            yield equal(stack.shape[0], ends.shape[0]), f"{stack.shape[0]} matrices and {ends.shape[0]} groups"

    def infer(self, a: TensorType, b: TensorType, ends: TensorType) -> TensorType:
        stack = ends.shape if len(a.shape) == len(b.shape) else ()
        return TensorType((*stack, a.shape[-2], b.shape[-1]), joint_dtype(a, b))

    def macs(self, a: TensorType, b: TensorType, ends: TensorType, *, y: TensorType) -> Dim:
        return a.shape[-2] * a.shape[-1] * b.shape[-1]

    def index_maps(self, a: TensorType, b: TensorType, ends: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ALL_TO_ALL, ALL_TO_ALL, ALL_TO_ALL

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        a, b, ends = call["self"], call["mat2"], call["offs"]
        if ends is None or call["bias"] is not None:
            return call.add(MatMul(), a, b) if ends is None else NotImplemented
        return call.add(cls(), a, b, ends)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        ends = TensorType((3,), "int32")
        yield cls(), TensorType((6, 4)), TensorType((3, 4, 5)), ends
        yield cls(), TensorType((3, 6, 4)), TensorType((4, 5)), ends
        yield cls(), TensorType((6, 4)), TensorType((4, 5)), ends
