"""Singular values, eigenvalues and functions of matrices, which iterate: how long depends on the values.

Counted is what does not: bringing a matrix to few diagonals, and turning the vectors back. That is what LAPACK takes as
the standard count of its drivers (LAPACK Users' Guide, third edition, table 3.13). The figures are approximate, which
reports say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, at_least, equal
from costcalc.ir.fields import Count
from costcalc.ir.op import Condition, Example, op
from costcalc.ir.tensor import COMPLEX, REAL, TensorType
from costcalc.ops.matrices import (
    MatrixWork,
    OfMatrices,
    bidiagonalised,
    generated,
    longer,
    reflected,
    stack_of,
    tridiagonalised,
    turned,
)
from costcalc.ops.traced_steps import unknown

if TYPE_CHECKING:
    from torch import nn


@op("svd")
class SVD(OfMatrices):
    """A = U·S·Vᴴ: U, the singular values, largest first, and Vᴴ; the values alone unless ``vectors``.

    Of an m×n matrix with p = max(m, n) and q = min(m, n) there are q vectors on either side, with ``full`` as many as
    it has rows and columns.

    MACs         the matrix is made bidiagonal by reflections from both sides, and these turn the vectors of the
                 bidiagonal one. From p = ⌊11q/6⌋ on it is first made triangular, and its Q multiplies the vectors last.
                 Of a square one that is about 4/3 n³ for the values and 10/3 n³ with vectors.
    Ops          the products of the reflections that are not MACs; of complex numbers 6 times as many.
    Not counted  the work on the bidiagonal matrix, which depends on the values: about n² for the values, up to
                 4/3 n³ MACs more with vectors. Figures are approximate.
    Source       LAPACK, gesdd; the counts of gebrd, orgqr and ormbr: Working Note 41.
    """

    aten = "_linalg_svd linalg_svdvals"
    is_approximate = True

    full: bool = False
    vectors: bool = True

    def infer(self, a: TensorType) -> TensorType | tuple[TensorType, ...]:
        (m, n), stack = a.shape[-2:], a.shape[:-2]
        _, q = longer(a)
        values = TensorType((*stack, q), REAL.get(a.dtype, a.dtype))
        if not self.vectors:
            return values
        left, right = (m, n) if self.full else (q, q)
        return a.with_shape(*stack, m, left), values, a.with_shape(*stack, right, n)

    def work(self, a: TensorType) -> MatrixWork:
        p, q = longer(a)
        first, at_once = reflected(p, q, q) + bidiagonalised(q, q), bidiagonalised(p, q)
        if self.vectors:
            short = turned(q, q, q) + turned(q - 1, q, q - 1)
            first = first + generated(p, p if self.full else q, q) + short + MatrixWork(p * q * q)
            at_once = at_once + turned(p, p if self.full else q, q) + turned(q - 1, q, q - 1)
        return first.where(at_least(p, 11 * q // 6), at_once) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        full = self.full
        return functional((lambda a: tuple(linalg.svd(a, full))) if self.vectors else linalg.svdvals)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name == "linalg_svdvals":
            return call.add(cls(vectors=False), call["A"])
        vectors = call["compute_uv"]
        made = call.add(cls(call["full_matrices"] and vectors, vectors), call["A"])
        return made if vectors else (unknown(call, call.made[0]), made, unknown(call, call.made[2]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 5, 4))
        yield cls(full=True), TensorType((9, 4))
        yield cls(), TensorType((3, 8))
        yield cls(vectors=False), TensorType((2, 3, 3))


@op("eigh")
class Eigh(OfMatrices):
    """Eigenvalues of symmetric or Hermitian matrices, least first, and the eigenvectors unless these are left out.

    MACs         the matrix is made tridiagonal by reflections, of which half of it is worked on, and these turn the
                 vectors of the tridiagonal one: about 2/3 n³ for the values and 5/3 n³ with vectors.
    Ops          the products of the reflections that are not MACs; of complex numbers 6 times as many.
    Not counted  the work on the tridiagonal matrix, which depends on the values: about n² for the values, up to
                 2/3 n³ MACs more with vectors. Figures are approximate.
    Source       LAPACK, syevd; the counts of sytrd and ormtr: Working Note 41.
    """

    aten = "_linalg_eigh linalg_eigvalsh"
    is_square = True
    is_half_read = True
    is_approximate = True

    vectors: bool = True
    upper: bool = False

    def infer(self, a: TensorType) -> TensorType | tuple[TensorType, ...]:
        values = TensorType(a.shape[:-1], REAL.get(a.dtype, a.dtype))
        return (values, a) if self.vectors else values

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        work = tridiagonalised(n)
        return (work + turned(n - 1, n, n - 1) if self.vectors else work) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        half = "U" if self.upper else "L"
        both = self.vectors
        return functional(lambda a: tuple(linalg.eigh(a, half)) if both else linalg.eigvalsh(a, half))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        upper = call["UPLO"].upper() == "U"
        if call.name == "linalg_eigvalsh":
            return call.add(cls(False, upper), call["self"])
        vectors = call["compute_v"]
        made = call.add(cls(vectors, upper), call["A"])
        return made if vectors else (made, unknown(call, call.made[1]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(vectors=False, upper=True), TensorType((5, 5))


@op("eig")
class Eig(OfMatrices):
    """Eigenvalues of square matrices, which are complex, and the eigenvectors unless these are left out.

    MACs         5n³ a matrix, with vectors ⌊79n³ / 6⌋: the matrix made Hessenberg, and iterations by QR.
    Not counted  what more iterations take; figures are approximate.
    Source       LAPACK, geev; LAPACK Users' Guide, third edition, table 3.13: 10.00 and 26.33 n³ flops.
    """

    aten = "linalg_eig linalg_eigvals _linalg_eigvals"
    is_square = True
    is_approximate = True

    vectors: bool = True

    def infer(self, a: TensorType) -> TensorType | tuple[TensorType, ...]:
        dtype = COMPLEX.get(a.dtype, a.dtype)
        values = TensorType(a.shape[:-1], dtype)
        return (values, TensorType(a.shape, dtype)) if self.vectors else values

    def work(self, a: TensorType) -> MatrixWork:
        cube: Dim = a.shape[-1] * a.shape[-1] * a.shape[-1]
        return MatrixWork(79 * cube // 6 if self.vectors else 5 * cube) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional((lambda a: tuple(linalg.eig(a))) if self.vectors else linalg.eigvals)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(len(call.made) > 1), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4), "float64")
        yield cls(vectors=False), TensorType((3, 3), "float64")


@op("pseudo_inverse")
class PseudoInverse(OfMatrices):
    """The pseudo-inverse of m×n matrices from their singular values; of ``hermitian`` ones from their eigenvalues.

    MACs         those of ``svd`` without ``full``, or of ``eigh``, and m·n·min(m, n) for the product of the vectors.
    Ops          those of the same, and n·min(m, n) products of the vectors with the inverse values, 3 for each value.
    Not counted  what ``svd`` and ``eigh`` do not; figures are approximate.
    Source       PyTorch 2.13, linalg_pinv.
    """

    aten = "linalg_pinv"
    is_approximate = True

    hermitian: bool = False

    def requires(self, a: TensorType, *more: TensorType) -> Iterator[Condition]:
        yield from super().requires(a)
        if self.hermitian and len(a.shape) >= 2:
            yield equal(a.shape[-2], a.shape[-1]), f"pseudo_inverse: {a} is not Hermitian"

    def infer(self, a: TensorType) -> TensorType:
        return a.with_shape(*a.shape[:-2], a.shape[-1], a.shape[-2])

    def work(self, a: TensorType) -> MatrixWork:
        (m, n), (_, q) = a.shape[-2:], longer(a)
        parts = Eigh().work(a) if self.hermitian else SVD().work(a)
        return parts + MatrixWork(m * n * q, n * q + 3 * q) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        hermitian = self.hermitian
        return functional(lambda a: linalg.pinv(a, hermitian=hermitian))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["hermitian"]), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 5, 4))
        yield cls(hermitian=True), TensorType((3, 3))


@op("matrix_exp")
class MatrixExp(OfMatrices):
    """The exponential of square matrices: Taylor's polynomial of degree 18, of which each of ``squarings`` is squared.

    MACs         5 products of n×n matrices, and one for each squaring.
    Ops          48 an element, sums and products of the polynomial with coefficients; of complex numbers 6 times as
                 many.
    Not counted  the norm, by which PyTorch chooses the degree and the squarings: small matrices take 0 to 4 products,
                 those of a norm above 1 more squarings. Figures are approximate.
    Source       Bader, Blanes & Casas 2019, Mathematics 7 (12) 1174; PyTorch 2.13, linalg_matrix_exp.
    """

    aten = "linalg_matrix_exp"
    is_square = True
    is_approximate = True
    roles = {"squarings": "depth"}

    squarings: Count = 0

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return MatrixWork((5 + self.squarings) * n * n * n, 48 * n * n) * stack_of(a)

    def gradient_work(self, a: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """The exponential of matrices of twice the size, of which the gradient is a block."""
        return self.work(a.with_shape(*a.shape[:-2], 2 * a.shape[-2], 2 * a.shape[-1]))

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional(linalg.matrix_exp)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(squarings=2), TensorType((3, 3))
