"""A matrix as a product of triangular ones: Cholesky's factor, and Gauss's elimination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import equal, minimum
from costcalc.ir.index_map import IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.matrices import MatrixWork, OfMatrices, each_matrix, eliminated, stack_of, substituted, triangle
from costcalc.ops.traced_steps import unknown, unread

if TYPE_CHECKING:
    from torch import nn


@op("cholesky")
class Cholesky(OfMatrices):
    """A = L·Lᴴ of positive definite matrices: the lower triangle L, or with ``upper`` its transpose.

    MACs         (n³ − n) / 6 a matrix: each element below the diagonal loses a product for each column before it.
    Ops          n quotients or roots a column and below: n(n + 1) / 2; of complex numbers 6 times as many.
    Source       LAPACK, potrf; its counts: Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "linalg_cholesky_ex cholesky"
    is_square = True
    is_half_read = True

    upper: bool = False

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return MatrixWork((n * n * n - n) // 6, triangle(n) + n) * stack_of(a)

    def gradient_work(self, a: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """A product with the factor, and its inverse from either side."""
        n = a.shape[-1]
        columns = n * stack_of(a)
        return MatrixWork(n * n * columns, 0) + substituted(n, columns) + substituted(n, columns)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        upper = self.upper
        return functional(lambda a: linalg.cholesky_ex(a, upper=upper)[0])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return unread(call, call.add(cls(call["upper"]), call["self"]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(upper=True), TensorType((3, 3))


@op("lu")
class LU(OfMatrices):
    """P·A = L·U by elimination: both triangles in one matrix, and with which row each step exchanged its own.

    MACs         with k = min(m, n) steps, the sum of (m − j)(n − j): the rest of the matrix loses an outer product.
    Ops          m − j quotients a step; of complex numbers 6 times as many.
    Not counted  looking for pivots, exchanging rows.
    Source       LAPACK, getrf; its counts: Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "linalg_lu_factor_ex linalg_lu"

    pivot: bool = True

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        return a, TensorType((*a.shape[:-2], minimum(a.shape[-2], a.shape[-1])), "int32")

    def work(self, a: TensorType) -> MatrixWork:
        return eliminated(a.shape[-2], a.shape[-1]) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        pivot = self.pivot
        if not pivot:
            raise NotImplementedError("lu without pivots has no PyTorch counterpart on CPUs")
        return functional(lambda a: linalg.lu_factor_ex(a)[:2])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        factors, places = call.add(cls(call["pivot"]), call["A"])
        if call.name == "linalg_lu":
            parts = call.add(LUUnpack(call["pivot"]), factors, places)
            return parts if call["pivot"] else (unknown(call, call.made[0]), *parts)
        return unread(call, factors, places)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(), TensorType((5, 3))
        yield cls(pivot=False), TensorType((3, 5))


@op("lu_unpack", inputs=(2, 2))
class LUUnpack(Op):
    """What ``lu`` packs: the permutation P, unless ``permutation`` is off, the lower triangle L, the upper one U."""

    under_autocast = UnderAutocast(is_known=False)

    aten = "lu_unpack"
    is_bounded_only = True

    permutation: bool = True

    def requires(self, a: TensorType, places: TensorType) -> Iterator[Condition]:
        fits = len(a.shape) >= 2 and len(places.shape) == len(a.shape) - 1
        yield fits, f"lu_unpack takes what lu makes, not {a} and {places}"
        if fits:
            steps = minimum(a.shape[-2], a.shape[-1])
            yield equal(places.shape[-1], steps), f"{steps} steps and {places.shape[-1]} exchanges of rows"

    def infer(self, a: TensorType, places: TensorType) -> tuple[TensorType, ...]:
        (m, n), stack = a.shape[-2:], a.shape[:-2]
        steps = minimum(m, n)
        triangles = a.with_shape(*stack, m, steps), a.with_shape(*stack, steps, n)
        return (a.with_shape(*stack, m, m), *triangles) if self.permutation else triangles

    def index_maps(self, a: TensorType, places: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return each_matrix(a, places, y=y)

    def to_torch(self, a: TensorType, places: TensorType) -> nn.Module:
        from torch import lu_unpack

        from costcalc.ops.functional import functional

        wanted = self.permutation
        first = 0 if wanted else 1
        return functional(lambda a, places: lu_unpack(a, places.clamp(min=1), unpack_pivots=wanted)[first:])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if not call["unpack_data"]:
            return NotImplemented
        wanted = call["unpack_pivots"]
        parts = call.add(cls(wanted), call["LU_data"], call["LU_pivots"])
        return parts if wanted else (unknown(call, call.made[0]), *parts)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((5, 3)), TensorType((3,), "int32")
        yield cls(permutation=False), TensorType((2, 3, 5)), TensorType((2, 3), "int32")


@op("ldl")
class LDL(OfMatrices):
    """A = L·D·Lᵀ of symmetric matrices, D of blocks of one and two: both in one matrix, and the rows exchanged.

    MACs         (n³ − n) / 6 a matrix, with blocks of one.
    Ops          n(n − 1) / 2 quotients; of complex numbers 6 times as many.
    Not counted  looking for pivots, exchanging rows, what a block of two takes more.
    Source       LAPACK, sytrf; its counts: Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "linalg_ldl_factor_ex"
    is_square = True
    is_half_read = True

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        return a, TensorType(a.shape[:-1], "int32")

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return MatrixWork((n * n * n - n) // 6, triangle(n)) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional(lambda a: linalg.ldl_factor_ex(a)[:2])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return unread(call, *call.add(cls(), call["self"]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
