"""What the decompositions of matrices have in common: stacks of matrices go in, and each is worked on by itself.

The counts are those of LAPACK's unblocked routines, loop by loop, which is what LAPACK publishes as its standard counts
(Blackford & Dongarra 1999, LAPACK Working Note 41, appendix C): their additions are the MACs here, since each takes a
product into a sum, and what products and quotients are left are ops. Of each reflection the scalars that do not grow
with the matrix are left out: two additions and six products in those tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, Truth, equal, maximum, minimum, prod, where
from costcalc.ir.index_map import IndexMap
from costcalc.ir.op import Condition, Op
from costcalc.ir.tensor import REAL, TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.broadcasting import leading


class MatrixWork(NamedTuple):
    """What matrices take: MACs, and the products and quotients beside them.

    >>> MatrixWork(3, 1) + MatrixWork(2, 2) * 2
    MatrixWork(macs=7, quotients=5)
    """

    macs: Dim = 0
    quotients: Dim = 0

    def __add__(self, other: MatrixWork) -> MatrixWork:  # type: ignore[override]
        return MatrixWork(self.macs + other.macs, self.quotients + other.quotients)

    def __mul__(self, times: Dim) -> MatrixWork:  # type: ignore[override]
        return MatrixWork(self.macs * times, self.quotients * times)

    def where(self, condition: Truth, other: MatrixWork) -> MatrixWork:
        """This where ``condition`` holds, else ``other``."""
        return MatrixWork(where(condition, self.macs, other.macs), where(condition, self.quotients, other.quotients))


class OfMatrices(Op):
    """An op on stacks of matrices, which stand in the last two axes of its first input.

    An op says in ``work`` what all of the stack takes, with what stands beside it.

    is_square      it takes square matrices alone
    is_half_read   of a matrix it reads one triangle, with its diagonal
    """

    under_autocast = UnderAutocast(is_known=False)

    is_square = False
    is_half_read = False

    def requires(self, a: Any, *more: Any, **_: Any) -> Iterator[Condition]:
        matrix = len(a.shape) >= 2
        yield matrix, f"{self.name} takes matrices, not {a}"
        if matrix and self.is_square:
            yield equal(a.shape[-2], a.shape[-1]), f"{self.name} takes square matrices, not {a}"

    def work(self, *x: Any) -> MatrixWork:
        """What all of the stack takes."""
        raise NotImplementedError

    def gradient_work(self, *x: Any, **_: Any) -> MatrixWork | None:
        """What PyTorch takes for the gradients that are ``wanted``; None where there is no rule.

        Each decomposition has a formula of its own, and of most it depends on which of their results are used.
        """
        return None

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        if not any(wanted):
            return 0
        work = self.gradient_work(*x, wanted=wanted)
        return None if work is None else work.macs

    def macs(self, *x: TensorType, y: TensorType) -> Dim:
        return self.work(*x).macs

    def nests(self, *x: TensorType, y: TensorType) -> None:
        """None: each step works on what is left of the matrix."""
        return

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return self.work(*x).quotients * real_operations(x[0])

    def reads(self, a: TensorType, *more: TensorType, y: TensorType) -> tuple[Dim, ...]:
        return (self.matrix_reads(a, *more) * stack_of(a), *(t.size for t in more))

    def matrix_reads(self, a: Any, *more: Any) -> Dim:
        """Elements of one matrix of the first input that are read."""
        m, n = a.shape[-2:]
        return triangle(n + 1) if self.is_half_read else m * n

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return each_matrix(*x, y=y)


def each_matrix(*x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
    """The stacks of ``x`` follow that of ``y``; of a matrix every place sees all."""
    stack = y.shape[: max(len(t.shape) for t in x) - 2]
    rest = (None,) * (len(y.shape) - len(stack))
    return tuple((*leading(t.shape[: len(stack)][: max(len(t.shape) - 2, 0)], stack), *rest) for t in x)


def real_operations(t: TensorType) -> int:
    """Real operations of a product or a quotient: of complex numbers 4 products and 2 sums."""
    return 6 if t.dtype in REAL else 1


def stack_of(a: TensorType) -> Dim:
    """How many matrices ``a`` has."""
    return prod(a.shape[:-2])


def triangle(n: Dim) -> Dim:
    """Elements below the diagonal of a square matrix: n(n − 1) / 2."""
    return n * (n - 1) // 2


def below(m: Dim, steps: Dim) -> Dim:
    """What stands below the diagonal in the first ``steps`` columns of ``m`` rows: the sum of m − j."""
    return steps * m - steps * (steps + 1) // 2


def outer(m: Dim, n: Dim, steps: Dim) -> Dim:
    """The sum of (m − j)(n − j) for j from 1 to ``steps``: what is left of an m×n matrix after each."""
    return steps * m * n - (m + n) * (steps * (steps + 1) // 2) + steps * (steps + 1) * (2 * steps + 1) // 6


def eliminated(m: Dim, n: Dim) -> MatrixWork:
    """Gauss's elimination of m×n, column by column: what is left loses an outer product; its pivot divides a column."""
    steps = minimum(m, n)
    return MatrixWork(outer(m, n, steps), below(m, steps))


def substituted(n: Dim, columns: Dim, *, divides: bool = True) -> MatrixWork:
    """Substitution in a triangle of ``n`` rows for so many right sides."""
    return MatrixWork(columns * triangle(n), columns * n if divides else 0)


def substituted_twice(n: Dim, columns: Dim) -> MatrixWork:
    """Substitution in two triangles for so many right sides, with one quotient for each unknown of both together."""
    return substituted(n, columns) + substituted(n, columns, divides=False)


def reflected(m: Dim, n: Dim, steps: Dim) -> MatrixWork:
    """Householder reflections of m×n: each is the length of a column, its scaling, and two products with the rest."""
    return MatrixWork(below(m, steps)) + generated(m, n, steps)


def generated(m: Dim, n: Dim, steps: Dim) -> MatrixWork:
    """The first ``n`` columns of the product of so many reflections, from the last one to the first."""
    return MatrixWork(2 * (outer(m, n, steps) + below(n, steps)), below(m, steps) + below(n, steps))


def turned(rows: Dim, columns: Dim, steps: Dim) -> MatrixWork:
    """So many reflections of a matrix, which is not made of them: two products with each column."""
    return MatrixWork(columns * steps * (2 * rows - steps + 1), columns * steps)


def bidiagonalised(m: Dim, n: Dim) -> MatrixWork:
    """Reflections from the left and the right by turns, of a matrix that is no wider than it is high."""
    left = reflected(m, n, n)
    right = MatrixWork(triangle(n - 1) + 2 * outer(m, n, n - 1), triangle(n - 1) + below(m, n - 1))
    return left + right


def tridiagonalised(n: Dim) -> MatrixWork:
    """Reflections of a symmetric matrix from both sides at once, of which half is worked on."""
    squares = (n - 1) * n * (2 * n - 1) // 6
    return MatrixWork(2 * squares + 2 * n * (n - 1) - (n - 1), (n - 1) * (n - 1))


def longer(a: TensorType) -> tuple[Dim, Dim]:
    """The longer side of a matrix and the shorter one."""
    m, n = a.shape[-2:]
    return maximum(m, n), minimum(m, n)
