"""Sparse matrices: the elements that are stored, the places where they stand, and products of those alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim
from costcalc.ir.fields import Shape, Size, ints
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import joint_dtype

if TYPE_CHECKING:
    from torch import nn


@op("sparse_matmul", inputs=(3, 4))
class SparseMatMul(Op):
    """Product of a sparse matrix and a dense one, the sparse one on the left, or without ``left`` on the right.

    The inputs are the stored elements, where they stand, and the dense matrix or vector. Where they stand is one tensor
    of coordinates (a row for each axis); of compressed rows or columns it is two, where each begins and the others.
    ``size`` is that of the axis of the result that the sparse matrix brings.

    MACs         stored elements × columns of the dense matrix (rows, if that is on the left).
    Source       PyTorch, torch.sparse.mm.
    """

    aten = "costcalc::sparse_matmul"
    weighs = True
    is_bounded_only = True

    roles = {"size": "width"}

    size: Size
    left: bool = True

    def requires(self, values: TensorType, *more: TensorType) -> Iterator[Condition]:
        dense = more[-1]
        yield bool(dense.shape), "sparse_matmul takes a matrix or a vector, not a scalar"
        if len(more) == 2:
            fits = len(more[0].shape) == 2
            yield fits, f"sparse_matmul takes coordinates as a row for each axis, not {more[0]}"
            if fits:
                stored = values.shape[0] == more[0].shape[1]
                yield stored, f"{values.shape[0]} stored elements and {more[0].shape[1]} places"

    def infer(self, values: TensorType, *more: TensorType) -> TensorType:
        dense = more[-1]
        dtype = joint_dtype(values, dense)
        if len(dense.shape) == 1:
            return TensorType((self.size,), dtype)
        *stack, rows, columns = dense.shape
        return TensorType((*stack, self.size, columns) if self.left else (*stack, rows, self.size), dtype)

    def macs(self, values: TensorType, *more: TensorType, y: TensorType) -> Dim:
        dense = more[-1]
        if len(dense.shape) == 1:
            return values.size
        return values.size * dense.shape[-1 if self.left else -2]

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """As many for the dense matrix; for the stored elements, of which each is a product of two vectors, too."""
        return self.macs(*x, y=y) * (wanted[0] + wanted[-1])

    def nests(self, *x: TensorType, y: TensorType) -> None:
        """None: which elements meet, values say."""
        return

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * len(x)

    def to_torch(self, *x: TensorType) -> nn.Module:
        if len(x) > 3 or len(x[-1].shape) != 2:
            raise NotImplementedError("sparse_matmul has a PyTorch counterpart of coordinates and matrices alone")
        import torch

        from costcalc.ops.functional import functional

        size, left = ints((self.size,))[0], self.left

        def product(values: Any, places: Any, dense: Any) -> Any:
            shape = (size, dense.shape[0]) if left else (dense.shape[1], size)
            sparse = torch.sparse_coo_tensor(places, values, shape, check_invariants=False)
            return torch.sparse.mm(sparse, dense) if left else torch.sparse.mm(sparse.t(), dense.t()).t()

        return functional(product)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["size"], call["left"]), call["values"], *call["places"], call["dense"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        places = TensorType((2, 7), "int64")
        yield cls(5), TensorType((7,)), places, TensorType((6, 3))
        yield cls(5, left=False), TensorType((7,)), places, TensorType((3, 6))
        yield cls(5), TensorType((7,)), TensorType((6,), "int64"), TensorType((7,), "int64"), TensorType((4,))


@op("sparse_to_dense", inputs=(2, 3))
class SparseToDense(Op):
    """A sparse tensor with its zeros: the stored elements are put where they stand."""

    aten = "costcalc::sparse_to_dense"
    is_bounded_only = True
    leaves_zeros = True

    shape: Shape

    def infer(self, values: TensorType, *places: TensorType) -> TensorType:
        return values.with_shape(*self.shape)

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * len(x)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call.made[0].shape), call["values"], *call["places"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((5, 6)), TensorType((7,)), TensorType((2, 7), "int64")
