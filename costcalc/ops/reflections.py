"""A matrix as an orthogonal and a triangular one, by Householder's reflections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, at_least, equal, minimum
from costcalc.ir.op import Condition, Example, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.matrices import MatrixWork, OfMatrices, below, generated, reflected, stack_of, turned
from costcalc.ops.traced_steps import unknown

if TYPE_CHECKING:
    from torch import nn


@op("qr")
class QR(OfMatrices):
    """A = Q·R of m×n matrices, k = min(m, n): Q m×k and R k×n; ``complete`` Q m×m and R m×n; with ``r`` R alone.

    MACs         the reflections: the sum over k steps of (m − j) + 2(m − j + 1)(n − j). Then Q of them, from the last
                 one: the sum of 2(m − j + 1)(w − j), for the w columns that it has.
    Ops          (m − j) + (n − j) products a step, and as many for each of Q; of complex numbers 6 times as many.
    Not counted  the root and the other scalars of each reflection.
    Source       LAPACK, geqrf and orgqr; their counts: Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "linalg_qr"
    choices = {"mode": ("reduced", "complete", "r")}

    mode: str = "reduced"

    def infer(self, a: TensorType) -> TensorType | tuple[TensorType, ...]:
        (m, n), stack = a.shape[-2:], a.shape[:-2]
        kept = m if self.mode == "complete" else minimum(m, n)
        r = a.with_shape(*stack, kept, n)
        return r if self.mode == "r" else (a.with_shape(*stack, m, kept), r)

    def work(self, a: TensorType) -> MatrixWork:
        m, n = a.shape[-2:]
        steps = minimum(m, n)
        work = reflected(m, n, steps)
        if self.mode != "r":
            work = work + generated(m, m if self.mode == "complete" else steps, steps)
        return work * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        mode = self.mode
        return functional(lambda a: linalg.qr(a, mode)[1] if mode == "r" else tuple(linalg.qr(a, mode)))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        made = call.add(cls(call["mode"]), call["A"])
        return (unknown(call, call.made[0]), made) if call["mode"] == "r" else made

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 6, 4))
        yield cls(), TensorType((3, 5))
        yield cls("complete"), TensorType((6, 4))
        yield cls("r"), TensorType((2, 4, 4))


@op("householder_qr")
class HouseholderQR(OfMatrices):
    """The reflections that make a matrix triangular, below the triangle that they make, and a factor for each.

    MACs         the sum over min(m, n) steps of (m − j) + 2(m − j + 1)(n − j).
    Ops          (m − j) + (n − j) products a step; of complex numbers 6 times as many.
    Not counted  the root and the other scalars of each reflection.
    Source       LAPACK, geqrf; its counts: Working Note 41.
    """

    is_bounded_only = True  # of a triangle, earlier places see less
    aten = "geqrf"

    def infer(self, a: TensorType) -> tuple[TensorType, ...]:
        return a, a.with_shape(*a.shape[:-2], minimum(a.shape[-2], a.shape[-1]))

    def work(self, a: TensorType) -> MatrixWork:
        m, n = a.shape[-2:]
        return reflected(m, n, minimum(m, n)) * stack_of(a)

    def to_torch(self, a: TensorType) -> nn.Module:
        from torch import geqrf

        from costcalc.ops.functional import functional

        return functional(lambda a: tuple(geqrf(a)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((6, 4))
        yield cls(), TensorType((2, 3, 5))


class _OfReflections(OfMatrices):
    """What has the reflections of ``householder_qr`` as its first two inputs."""

    is_bounded_only = True  # of a triangle, earlier places see less

    def requires(self, a: TensorType, factors: TensorType, *more: TensorType) -> Iterator[Condition]:
        yield from super().requires(a)
        fits = len(factors.shape) == len(a.shape) - 1
        yield fits, f"{self.name} takes a factor for each reflection of {a}, not {factors}"
        if fits:
            steps = factors.shape[-1]
            yield at_least(a.shape[-1], steps), f"{a.shape[-1]} columns hold no {steps} reflections"

    def matrix_reads(self, a: TensorType, *more: TensorType) -> Dim:
        """What stands below the diagonal, under the first of which each reflection has a 1."""
        return below(a.shape[-2], more[0].shape[-1])


@op("householder_product", inputs=(2, 2))
class HouseholderProduct(_OfReflections):
    """The first columns of the product of reflections, as many as hold them: Q of ``householder_qr``.

    MACs         of m×n from k reflections the sum of 2(m − j + 1)(n − j).
    Ops          (m − j) + (n − j) products a step; of complex numbers 6 times as many.
    Source       LAPACK, orgqr; its counts: Working Note 41.
    """

    aten = "linalg_householder_product"

    def requires(self, a: TensorType, factors: TensorType, *more: TensorType) -> Iterator[Condition]:
        yield from super().requires(a, factors)
        m, n = a.shape[-2:]
        yield at_least(m, n), f"householder_product makes no {n} columns of {m} rows"

    def work(self, a: TensorType, factors: TensorType) -> MatrixWork:
        return generated(a.shape[-2], a.shape[-1], factors.shape[-1]) * stack_of(a)

    def to_torch(self, a: TensorType, factors: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        return functional(linalg.householder_product)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 6, 4)), TensorType((2, 3))
        yield cls(), TensorType((5, 5)), TensorType((5,))


@op("householder_multiply", inputs=(3, 3))
class HouseholderMultiply(_OfReflections):
    """The product of reflections times a matrix, from its left or its right, never made as a matrix itself.

    MACs         of k reflections of length m and c columns, or rows from the right: k·c·(2m − k + 1).
    Ops          k·c products; of complex numbers 6 times as many.
    Source       LAPACK, ormqr; its counts: Working Note 41.
    """

    aten = "ormqr"

    left: bool = True
    transposed: bool = False

    def requires(self, a: TensorType, factors: TensorType, other: TensorType) -> Iterator[Condition]:  # type: ignore[override]
        yield from super().requires(a, factors)
        fits = len(other.shape) == len(a.shape)
        yield fits, f"householder_multiply takes a matrix as {a} is one, not {other}"
        if fits:
            side = other.shape[-2 if self.left else -1]
            yield equal(side, a.shape[-2]), f"reflections of {a.shape[-2]} rows meet {side}"

    def infer(self, a: TensorType, factors: TensorType, other: TensorType) -> TensorType:
        return other

    def work(self, a: TensorType, factors: TensorType, other: TensorType) -> MatrixWork:
        columns: Dim = other.shape[-1 if self.left else -2]
        return turned(a.shape[-2], columns, factors.shape[-1]) * stack_of(a)

    def to_torch(self, a: TensorType, factors: TensorType, other: TensorType) -> nn.Module:
        from torch import ormqr

        from costcalc.ops.functional import functional

        options = self.left, self.transposed
        return functional(lambda a, factors, other: ormqr(a, factors, other, *options))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(call["left"], call["transpose"]), *call.tensors())

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 6, 4)), TensorType((2, 4)), TensorType((2, 6, 3))
        yield cls(left=False, transposed=True), TensorType((6, 4)), TensorType((4,)), TensorType((3, 6))
