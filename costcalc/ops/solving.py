"""Systems of linear equations: triangles, factors that are there, and matrices that are factored first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, at_least, equal, maximum, prod
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import broadcast, stretches
from costcalc.ops.matrices import (
    MatrixWork,
    OfMatrices,
    bidiagonalised,
    eliminated,
    longer,
    reflected,
    stack_of,
    substituted,
    substituted_twice,
    triangle,
    turned,
)
from costcalc.ops.traced_steps import reshaped, unread

if TYPE_CHECKING:
    from torch import nn


class _Solves(OfMatrices):
    """What takes a square matrix, or its factors, and right sides: its columns, or its rows where it is on the left."""

    is_square = True

    if TYPE_CHECKING:
        left: bool  # a field of some

    def requires(self, a: TensorType, *more: TensorType) -> Iterator[Condition]:
        b = more[-1]
        yield from super().requires(a)
        yield len(b.shape) >= 2, f"{self.name} takes right sides as a matrix, not {b}"
        if len(a.shape) >= 2 and len(b.shape) >= 2:
            n, side = a.shape[-1], b.shape[-2 if self.left else -1]
            yield equal(n, side), f"{n} unknowns meet {side} equations"
            yield from stretches(a.shape[:-2], b.shape[:-2], what="the stacks")

    def infer(self, a: TensorType, *more: TensorType) -> TensorType:
        b = more[-1]
        return b.with_shape(*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])

    def columns(self, a: TensorType, b: TensorType) -> Dim:
        """Right sides, of all of the stack."""
        return prod(broadcast(a.shape[:-2], b.shape[:-2])) * b.shape[-1 if self.left else -2]


@op("solve_triangular", inputs=(2, 2))
class SolveTriangular(_Solves):
    """A·X = B of triangular A by substitution; X·A = B unless ``left``. ``unit`` says that its diagonal is ones.

    MACs         n(n − 1) / 2 for each right side: each unknown loses a product with those before it.
    Ops          n quotients for each, unless ``unit``; of complex numbers 6 times as many.
    Source       BLAS, trsm; its counts: LAPACK Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "linalg_solve_triangular triangular_solve"

    upper: bool
    left: bool = True
    unit: bool = False

    def matrix_reads(self, a: TensorType, *more: TensorType) -> Dim:
        """One triangle, of which ``unit`` leaves the diagonal unread."""
        return triangle(a.shape[-1] if self.unit else a.shape[-1] + 1)

    def work(self, a: TensorType, b: TensorType) -> MatrixWork:
        return substituted(a.shape[-1], self.columns(a, b), divides=not self.unit)

    def gradient_work(self, a: TensorType, b: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """As much for that of the right sides; of the matrix it is that times the solution."""
        n, columns = a.shape[-1], self.columns(a, b)
        return self.work(a, b) + MatrixWork(n * n * columns * wanted[0], 0)

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        options = {"upper": self.upper, "left": self.left, "unitriangular": self.unit}
        return functional(lambda a, b: linalg.solve_triangular(a, b, **options))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name == "triangular_solve":
            upper = call["upper"] != call["transpose"]
            return unread(call, call.add(cls(upper, True, call["unitriangular"]), call["A"], call["self"]))
        return call.add(cls(call["upper"], call["left"], call["unitriangular"]), call["self"], call["B"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(upper=True), TensorType((2, 4, 4)), TensorType((2, 4, 3))
        yield cls(upper=False, left=False, unit=True), TensorType((4, 4)), TensorType((5, 3, 4))


@op("lu_solve", inputs=(3, 3))
class LUSolve(_Solves):
    """A·X = B from what ``lu`` made of A: substitution in both of its triangles; X·A = B unless ``left``.

    MACs         n(n − 1) for each right side.
    Ops          n quotients for each: the lower triangle has ones on its diagonal. Of complex numbers 6 times as many.
    Source       LAPACK, getrs; its counts: Working Note 41.
    """

    aten = "linalg_lu_solve"

    left: bool = True
    adjoint: bool = False

    def work(self, a: TensorType, places: TensorType, b: TensorType) -> MatrixWork:
        return substituted_twice(a.shape[-1], self.columns(a, b))

    def to_torch(self, a: TensorType, places: TensorType, b: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        options = {"left": self.left, "adjoint": self.adjoint}
        return functional(lambda a, places, b: linalg.lu_solve(a, places.clamp(min=1), b, **options))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["left"], call["adjoint"]), call["LU"], call["pivots"], call["B"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4)), TensorType((2, 4), "int32"), TensorType((2, 4, 3))
        yield cls(left=False, adjoint=True), TensorType((4, 4)), TensorType((4,), "int32"), TensorType((3, 4))


@op("cholesky_solve", inputs=(2, 2))
class CholeskySolve(_Solves):
    """A·X = B from Cholesky's factor of A: substitution in the triangle and in its transpose.

    MACs         n(n − 1) for each right side.
    Ops          2n quotients for each; of complex numbers 6 times as many.
    Source       LAPACK, potrs; its counts: Working Note 41.
    """

    aten = "cholesky_solve"
    is_half_read = True
    left = True

    upper: bool = False

    def work(self, a: TensorType, b: TensorType) -> MatrixWork:
        return substituted(a.shape[-1], self.columns(a, b)) * 2

    def gradient_work(self, a: TensorType, b: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """As much for that of the right sides; of the factor it is that times the solution, and times the factor."""
        n, columns = a.shape[-1], self.columns(a, b)
        return self.work(a, b) + MatrixWork((n * n * columns + n * n * n * stack_of(a)) * wanted[0], 0)

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import cholesky_solve

        from costcalc.ops.functional import functional

        upper = self.upper
        return functional(lambda a, b: cholesky_solve(b, a, upper=upper))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["upper"]), call["input2"], call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4)), TensorType((2, 4, 3))
        yield cls(upper=True), TensorType((4, 4)), TensorType((5, 4, 1))


@op("ldl_solve", inputs=(3, 3))
class LDLSolve(_Solves):
    """A·X = B from what ``ldl`` made of A: substitution in the triangle and in its transpose, the blocks between.

    MACs         n(n − 1) for each right side.
    Ops          n quotients for each; of complex numbers 6 times as many.
    Source       LAPACK, sytrs; its counts: Working Note 41.
    """

    aten = "linalg_ldl_solve"
    left = True

    def work(self, a: TensorType, places: TensorType, b: TensorType) -> MatrixWork:
        return substituted_twice(a.shape[-1], self.columns(a, b))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4)), TensorType((2, 4), "int32"), TensorType((2, 4, 3))


@op("solve", inputs=(2, 2))
class Solve(_Solves):
    """A·X = B of square A: elimination, then substitution in both triangles; X·A = B unless ``left``.

    MACs         the sum of (n − j)² for each matrix, and n(n − 1) for each right side.
    Ops          n(n − 1) / 2 quotients for each matrix, n for each right side; of complex numbers 6 times as many.
    Not counted  looking for pivots, exchanging rows.
    Source       LAPACK, gesv; its counts: Working Note 41.
    """

    aten = "_linalg_solve_ex"

    left: bool = True

    def work(self, a: TensorType, b: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return eliminated(n, n) * stack_of(a) + substituted_twice(n, self.columns(a, b))

    def gradient_work(self, a: TensorType, b: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """The factors that were kept solve for that of the right sides; of the matrix it is that times the solution."""
        n, columns = a.shape[-1], self.columns(a, b)
        solved = substituted_twice(n, columns)
        return solved + MatrixWork(n * n * columns * wanted[0], 0)

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        left = self.left
        return functional(lambda a, b: linalg.solve_ex(a, b, left=left)[0])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        a, b = call["A"], call["B"]
        vectors = len(b.shape) == 1 or (len(b.shape) == len(a.shape) - 1 and b.shape == a.shape[:-1])
        return _solved(call, cls(call["left"]), a, b, vectors)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4)), TensorType((2, 4, 3))
        yield cls(left=False), TensorType((4, 4)), TensorType((5, 3, 4))


@op("least_squares", inputs=(2, 2))
class LeastSquares(OfMatrices):
    """X that brings A·X nearest to B, of matrices of full rank, by the routine of LAPACK that ``driver`` names.

    gelsy    (PyTorch's choice) reflections with columns exchanged; of wide A more of them, which make it square
    gels     reflections of A, or of its transpose where that is higher
    gelsd    singular values, without vectors (gelss likewise)

    MACs         the reflections of A, those applied to each right side, and n(n − 1) / 2 of substitution for each.
                 By singular values A is made bidiagonal, and the right sides are turned from both sides.
    Ops          the products and quotients of the same steps; of complex numbers 6 times as many.
    Not counted  choosing columns, the rank; of singular values the work on the bidiagonal matrix, which depends on
                 the values: its figures are approximate.
    Source       LAPACK; the counts of geqrf, ormqr, gebrd and trsm: Working Note 41.
    """

    aten = "linalg_lstsq"
    choices = {"driver": ("gelsy", "gels", "gelsd", "gelss")}

    driver: str = "gelsy"

    @property
    def is_approximate(self) -> bool:  # type: ignore[override]
        """Whether it iterates."""
        return self.driver in ("gelsd", "gelss")

    def requires(self, a: TensorType, b: TensorType) -> Iterator[Condition]:
        yield from super().requires(a)
        yield len(b.shape) == len(a.shape), f"least_squares takes right sides as a matrix, not {b}"
        if len(a.shape) == len(b.shape) >= 2:
            yield equal(a.shape[-2], b.shape[-2]), f"{a.shape[-2]} equations meet {b.shape[-2]} right sides"
            yield from stretches(a.shape[:-2], b.shape[:-2], what="the stacks")

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return b.with_shape(*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-1], b.shape[-1])

    def work(self, a: TensorType, b: TensorType) -> MatrixWork:
        (m, n), k = a.shape[-2:], b.shape[-1]
        long, rank = longer(a)
        if self.is_approximate:
            work = bidiagonalised(long, rank) + turned(m, k, rank) + turned(n, k, rank)
        elif self.driver == "gels":
            work = reflected(long, rank, rank) + turned(long, k, rank) + substituted(rank, k)
        else:
            more = maximum(n - m, 0)  # columns beyond the square part, which reflections from the right clear
            from_right = MatrixWork(rank * more + triangle(rank) * (2 * more + 1), rank * more + triangle(rank))
            beyond = from_right + MatrixWork(k * rank * (2 * more + 1), k * rank)
            work = reflected(m, n, rank) + turned(m, k, rank) + substituted(rank, k)
            work = work + beyond.where(at_least(n, m + 1), MatrixWork())
        return work * prod(broadcast(a.shape[:-2], b.shape[:-2]))

    def to_torch(self, a: TensorType, b: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        driver = self.driver
        return functional(lambda a, b: linalg.lstsq(a, b, driver=driver)[0])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        a, b = call["self"], call["b"]
        return _solved(call, cls(call["driver"] or "gelsy"), a, b, len(b.shape) == len(a.shape) - 1)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 6, 4)), TensorType((2, 6, 3))
        yield cls(), TensorType((3, 5)), TensorType((3, 2))
        yield cls("gels"), TensorType((6, 4)), TensorType((6, 1))
        yield cls("gelsd"), TensorType((6, 4)), TensorType((6, 2))


def _solved(call: Call, op: Op, a: Traced, b: Traced, vectors: bool) -> tuple[Traced, ...]:
    """What ``op`` makes of ``a`` and ``b``, whose ``vectors`` are right sides of one column each."""
    if not vectors:
        return unread(call, call.add(op, a, b))
    columns: Traced = call.add(op, a, reshaped(call, b, *b.shape, 1))
    return unread(call, reshaped(call, columns, *call.made[0].shape))
