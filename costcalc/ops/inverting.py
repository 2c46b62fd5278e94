"""Inverses and determinants of square matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim
from costcalc.ir.op import Example, op
from costcalc.ir.tensor import REAL, TensorType
from costcalc.ops.matrices import (
    MatrixWork,
    OfMatrices,
    eliminated,
    stack_of,
    substituted_twice,
    triangle,
)
from costcalc.ops.traced_steps import unread

if TYPE_CHECKING:
    from torch import nn


@op("inverse")
class Inverse(OfMatrices):
    """A⁻¹ of square matrices, as PyTorch solves A·X = I.

    MACs         the sum of (n − j)² by elimination, and n²(n − 1) by substitution for the n columns of I.
    Ops          n(n − 1) / 2 and n² quotients; of complex numbers 6 times as many.
    Not counted  looking for pivots, exchanging rows.
    Source       PyTorch 2.13, linalg_inv_ex; LAPACK, gesv; its counts: Working Note 41.
    """

    aten = "linalg_inv_ex"
    is_square = True

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return (eliminated(n, n) + substituted_twice(n, n)) * stack_of(a)

    def skippable(self, a: TensorType, *, y: TensorType) -> tuple[Dim, str]:
        """LAPACK's getri inverts a triangle and substitutes once, which is 2n³/3 − 3n²/2 + 5n/6 in place of n³ − n²."""
        n = a.shape[-1]
        return stack_of(a) * (n * (n - 1) * (2 * n + 5) // 6), "on zeros of the unit matrix, which getri leaves out"

    def gradient_work(self, a: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """The inverse times the gradient times the inverse."""
        n = a.shape[-1]
        return MatrixWork(2 * n * n * n, 0) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional(lambda a: linalg.inv_ex(a)[0])

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return unread(call, call.add(cls(), call["A"]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))


@op("cholesky_inverse")
class CholeskyInverse(OfMatrices):
    """A⁻¹ from Cholesky's factor of A: the triangle inverted, and its product with its transpose.

    MACs         n(n − 1)(n − 2) / 6 for the inverse, (n³ − n) / 6 for the product.
    Ops          n² quotients and products of the inverse, n(n + 1) / 2 of the product; of complex numbers 6 times as
                 many.
    Source       LAPACK, potri; its counts: Working Note 41.
    """

    aten = "cholesky_inverse"
    is_square = True
    is_half_read = True

    upper: bool = False

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        inverted, product = (
            MatrixWork(n * (n - 1) * (n - 2) // 6, n * n),
            MatrixWork((n * n * n - n) // 6, triangle(n + 1)),
        )
        return (inverted + product) * stack_of(a)

    def gradient_work(self, a: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """Three products of matrices."""
        n = a.shape[-1]
        return MatrixWork(3 * n * n * n, 0) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import cholesky_inverse

        from costcalc.ops.functional import functional

        upper = self.upper
        return functional(lambda a: cholesky_inverse(a, upper=upper))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["upper"]), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(upper=True), TensorType((3, 3))


@op("determinant")
class Determinant(OfMatrices):
    """The determinant of square matrices by elimination; with ``log`` its sign, and the logarithm of its size.

    MACs         the sum of (n − j)² a matrix.
    Ops          n(n − 1) / 2 quotients, and n for the product of the diagonal, with ``log`` 3n: sizes, logarithms and
                 their sum; of complex numbers 6 times as many.
    Not counted  looking for pivots, exchanging rows.
    Source       LAPACK, getrf; its counts: Working Note 41.
    """

    aten = "_linalg_det _linalg_slogdet"
    is_square = True

    log: bool = False

    def infer(self, a: TensorType) -> TensorType | tuple[TensorType, ...]:
        y = a.with_shape(*a.shape[:-2])
        return (y, TensorType(y.shape, REAL.get(a.dtype, a.dtype))) if self.log else y

    def work(self, a: TensorType) -> MatrixWork:
        n = a.shape[-1]
        return (eliminated(n, n) + MatrixWork(0, n * (3 if self.log else 1))) * stack_of(a)

    def gradient_work(self, a: TensorType, *, wanted: tuple[bool, ...]) -> MatrixWork:
        """The factors that were kept solve for the inverse."""
        n = a.shape[-1]
        return substituted_twice(n, n * stack_of(a))

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional((lambda a: tuple(linalg.slogdet(a))) if self.log else linalg.det)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        log = call.name == "_linalg_slogdet"
        made = call.add(cls(log), call["A"])
        return unread(call, *made) if log else unread(call, made)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 4, 4))
        yield cls(log=True), TensorType((3, 2, 4, 4))
