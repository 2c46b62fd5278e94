"""Decompositions of matrices: our counts against the algorithms written out, and against what LAPACK publishes.

The algorithms run on numbers that count what is done with them, and their results are those of PyTorch.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from costcalc.ir.op import Op  # noqa: E402
from costcalc.ir.tensor import TensorType  # noqa: E402
from costcalc.ops.factors import LDL, LU, Cholesky  # noqa: E402
from costcalc.ops.inverting import CholeskyInverse, Inverse  # noqa: E402
from costcalc.ops.matrices import (  # noqa: E402
    bidiagonalised,
    eliminated,
    generated,
    reflected,
    tridiagonalised,
    turned,
)
from costcalc.ops.reflections import QR  # noqa: E402
from costcalc.ops.solving import (  # noqa: E402
    CholeskySolve,
    LeastSquares,
    Solve,
    SolveTriangular,
)
from costcalc.ops.spectral import SVD, Eig, Eigh  # noqa: E402

SIZES = [(1, 1), (2, 2), (5, 5), (6, 4), (4, 6), (9, 3), (2, 7), (8, 1), (1, 4)]
Rows = list[list[float]]


class Counted:
    """Counts the products that go into a sum, and the other products, quotients and roots."""

    def __init__(self) -> None:
        self.macs = self.quotients = 0

    def add(self, total: float, a: float, b: float) -> float:
        """``total`` plus a product: one MAC."""
        self.macs += 1
        return total + a * b

    def other(self, value: float) -> float:
        """``value``, which one product, quotient or root has made."""
        self.quotients += 1
        return value


def rows_of(t: Any) -> Rows:
    return t.tolist()  # type: ignore[no-any-return]


def eliminate(count: Counted, a: Rows) -> None:
    m, n = len(a), len(a[0])
    for j in range(min(m, n)):
        pivot = max(range(j, m), key=lambda i: abs(a[i][j]))
        a[j], a[pivot] = a[pivot], a[j]
        for i in range(j + 1, m):
            a[i][j] = count.other(a[i][j] / a[j][j])
            for k in range(j + 1, n):
                a[i][k] = count.add(a[i][k], -a[i][j], a[j][k])


def substitute(count: Counted, lower: Rows, b: Rows, *, unit: bool = False) -> None:
    """L·X = B, X in place of B."""
    for column in range(len(b[0])):
        for i in range(len(lower)):
            for j in range(i):
                b[i][column] = count.add(b[i][column], -lower[i][j], b[j][column])
            if not unit:
                b[i][column] = count.other(b[i][column] / lower[i][i])


def cholesky(count: Counted, a: Rows) -> Rows:
    n = len(a)
    for j in range(n):
        for i in range(j, n):
            for k in range(j):
                a[i][j] = count.add(a[i][j], -a[i][k], a[j][k])
            a[i][j] = count.other(a[i][j] ** 0.5 if i == j else a[i][j] / a[j][j])
    return [[a[i][j] if j <= i else 0.0 for j in range(n)] for i in range(n)]


def reflect(count: Counted, v: list[float], factor: float, columns: list[list[float]]) -> None:
    """Each column loses v · (factor · its product with v); the first of v is 1, and multiplied like the others."""
    for column in columns:
        dot = 0.0
        for x, y in zip(v, column, strict=True):
            dot = count.add(dot, x, y)
        dot = count.other(dot * factor)
        for i, x in enumerate(v):
            column[i] = count.add(column[i], -dot, x)


def reflections(count: Counted, a: Rows) -> tuple[Rows, list[list[float]], list[float]]:
    """R, and of each reflection its vector and factor."""
    m, n = len(a), len(a[0])
    columns = [list(c) for c in zip(*a, strict=True)]
    vectors, factors = [], []
    for j in range(min(m, n)):
        x = columns[j][j:]
        length = 0.0
        for value in x[1:]:
            length = count.add(length, value, value)
        norm = (length + x[0] ** 2) ** 0.5
        beta = -norm if x[0] > 0 else norm
        factor = (beta - x[0]) / beta if length else 0.0
        v = [1.0, *(count.other(value / (x[0] - beta) if length else 0.0) for value in x[1:])]
        columns[j][j:] = [beta if length else x[0], *(0.0 for _ in x[1:])]
        rest = [c[j:] for c in columns[j + 1 :]]
        reflect(count, v, factor, rest)
        for c, changed in zip(columns[j + 1 :], rest, strict=True):
            c[j:] = changed
        vectors.append(v)
        factors.append(factor)
    return [list(r) for r in zip(*columns, strict=True)], vectors, factors


def orthogonal(count: Counted, m: int, width: int, vectors: list[list[float]], factors: list[float]) -> Rows:
    """The first columns of the product of reflections, from the last one, each of which makes one column more."""
    columns = [[float(i == j) for i in range(m)] for j in range(width)]
    for j in reversed(range(len(vectors))):
        v, factor = vectors[j], factors[j]
        rest = [c[j:] for c in columns[j + 1 :]]
        reflect(count, v, factor, rest)
        for c, changed in zip(columns[j + 1 :], rest, strict=True):
            c[j:] = changed
        columns[j] = [0.0] * j + [1 - factor, *(count.other(-factor * x) for x in v[1:])]
    return [list(r) for r in zip(*columns, strict=True)]


def agrees(op: Op, count: Counted, *shapes: tuple[int, ...]) -> None:
    types = [TensorType(shape) for shape in shapes]
    made: Any = op.infer(*types)
    y = made if isinstance(made, TensorType) else made[0]
    assert (op.macs(*types, y=y), op.ops(*types, y=y)) == (count.macs, count.quotients)


def drawn(*shape: int) -> Any:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def definite(n: int) -> Any:
    a = drawn(n, n)
    return a @ a.mT + n * torch.eye(n, dtype=torch.float64)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_elimination(m: int, n: int) -> None:
    count, a = Counted(), drawn(m, n)
    rows = rows_of(a)
    eliminate(count, rows)

    agrees(LU(), count, (m, n))
    assert torch.allclose(torch.tensor(rows, dtype=torch.float64), torch.linalg.lu_factor(a)[0])


@pytest.mark.parametrize(("m", "n"), SIZES)
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_reflections(m: int, n: int, mode: str) -> None:
    count, a = Counted(), drawn(m, n)
    r, vectors, factors = reflections(count, rows_of(a))
    if mode != "r":
        q = orthogonal(count, m, m if mode == "complete" else min(m, n), vectors, factors)
        theirs = torch.linalg.qr(a, mode)
        assert torch.allclose(torch.tensor(q, dtype=torch.float64), theirs[0])
    assert torch.allclose(torch.tensor(r, dtype=torch.float64)[: min(m, n)], torch.linalg.qr(a)[1])

    agrees(QR(mode), count, (m, n))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_cholesky_and_what_is_solved_by_it(n: int) -> None:
    count, a, b = Counted(), definite(n), drawn(n, 3)
    lower = cholesky(count, rows_of(a))
    agrees(Cholesky(), count, (n, n))
    assert torch.allclose(torch.tensor(lower, dtype=torch.float64), torch.linalg.cholesky(a))

    count, rows = Counted(), rows_of(b)
    substitute(count, lower, rows)
    agrees(SolveTriangular(upper=False), count, (n, n), (n, 3))
    backwards = [[lower[n - 1 - j][n - 1 - i] for j in range(n)] for i in range(n)]
    rows.reverse()
    substitute(count, backwards, rows)
    agrees(CholeskySolve(), count, (n, n), (n, 3))
    assert torch.allclose(torch.tensor(rows[::-1], dtype=torch.float64), torch.linalg.solve(a, b))


@pytest.mark.parametrize(("n", "sides"), [(1, 1), (4, 1), (5, 3), (5, 5)])
def test_systems(n: int, sides: int) -> None:
    count, a = Counted(), definite(n)  # which exchanges no rows
    b = torch.eye(n, dtype=torch.float64) if sides == n else drawn(n, sides)
    rows, x = rows_of(a), rows_of(b)
    eliminate(count, rows)
    substitute(count, rows, x, unit=True)
    backwards = [[rows[n - 1 - i][n - 1 - j] for j in range(n)] for i in range(n)]
    x.reverse()
    substitute(count, backwards, x)

    agrees(Solve(), count, (n, n), (n, sides))
    assert torch.allclose(torch.tensor(x[::-1], dtype=torch.float64), torch.linalg.solve(a, b))
    if sides == n:
        agrees(Inverse(), count, (n, n))


LAWN = {
    "getrf": (lambda m, n: eliminated(m, n).macs,
              lambda m, n: _of(m, n, lambda p, q: p * q * q / 2 - q**3 / 6 - p * q / 2 + q / 6), 0),
    "geqrf": (lambda m, n: reflected(m, n, min(m, n)).macs,
              lambda m, n: m * n * n - n**3 / 3 + n * n / 2 + 5 * n / 6 if m >= n
              else n * m * m - m**3 / 3 + n * m - m * m / 2 + 5 * m / 6, 2),
    "orgqr": (lambda m, n: generated(m, min(m, n), min(m, n)).macs,
              lambda m, n: _generated(m, min(m, n), min(m, n)), 1),
    "ormqr": (lambda m, n: turned(m, n, min(m, n)).macs,
              lambda m, n: 2 * n * m * min(m, n) - n * min(m, n) ** 2 + n * min(m, n), 0),
    "gebrd": (lambda m, n: bidiagonalised(max(m, n), min(m, n)).macs,
              lambda m, n: _of(m, n, lambda p, q: 2 * p * q * q - 2 * q**3 / 3 + q * q - p * q + 5 * q / 3), 4),
}  # fmt: skip
"""Routine → our MACs, the additions that are published, and how many of each step are of its scalars alone."""


def _of(m: Fraction, n: Fraction, formula: Callable[[Fraction, Fraction], Fraction]) -> Fraction:
    return formula(max(m, n), min(m, n))


def _generated(m: Fraction, n: Fraction, k: Fraction) -> Fraction:
    return 2 * m * n * k - (m + n) * k * k + 2 * k**3 / 3 + n * k - m * k + k / 3


@pytest.mark.parametrize("routine", LAWN)
def test_the_counts_that_lapack_publishes(routine: str) -> None:
    """LAPACK Working Note 41, appendix C: additions."""
    ours, theirs, scalars = LAWN[routine]
    draw = random.Random(15)
    for m, n in (*SIZES, *((draw.randint(1, 300), draw.randint(1, 300)) for _ in range(200))):
        beyond = theirs(Fraction(m), Fraction(n)) - ours(m, n)
        last = routine == "gebrd"  # of whose last column one reflection is none
        assert scalars * min(m, n) - last == beyond, (m, n)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_other_published_counts(n: int) -> None:
    """Working Note 41 has potrf, trtri, potri, getri and sytrd of n×n."""
    a, y = TensorType((n, n)), TensorType((n, n))
    third, sixth = Fraction(1, 3), Fraction(1, 6)
    potri = third * n**3 - Fraction(n * n, 2) + sixth * n
    getri = 2 * third * n**3 - Fraction(3 * n * n, 2) + 5 * sixth * n
    getrf = third * n**3 - Fraction(n * n, 2) + sixth * n

    assert Cholesky().macs(a, y=y) == sixth * n**3 - sixth * n == LDL().macs(a, y=y)
    assert CholeskyInverse().macs(a, y=y) == potri
    assert Inverse().needed_macs(a, y=y) == getrf + getri
    assert 2 * third * n**3 + n * n - 8 * third * n - tridiagonalised(n).macs == -1


def test_the_standard_counts_of_drivers() -> None:
    """LAPACK Users' Guide, table 3.13, in flops of n³: gesdd 2.67 and 6.67, geev 10.00 and 26.33, gesv 0.67."""
    n = 3000
    a, cube = TensorType((n, n)), n**3

    def flops(op: Op, *more: TensorType) -> float:
        return round(2 * op.macs(a, *more, y=a) / cube, 2)  # type: ignore[arg-type, operator]

    assert (flops(SVD(vectors=False)), flops(SVD()), flops(SVD(full=True))) == (2.67, 6.67, 6.67)
    assert (flops(Eig(vectors=False)), flops(Eig())) == (10.0, 26.33)
    assert (flops(Eigh(vectors=False)), flops(Eigh())) == (1.33, 3.33)
    assert flops(Solve(), TensorType((n, 1))) == 0.67


def test_stacks_complex_numbers_and_wide_systems() -> None:
    a, b = TensorType((3, 2, 5, 5)), TensorType((2, 5, 4))
    one, side = TensorType((5, 5)), TensorType((5, 4))

    assert Cholesky().macs(a, y=a) == 6 * Cholesky().macs(one, y=one)
    assert Solve().infer(a, b).shape == (3, 2, 5, 4)
    assert Solve().macs(a, b, y=b) == 6 * Solve().macs(one, side, y=side)
    shared = Solve().macs(one, TensorType((6, 5, 4)), y=b)  # one matrix, factored once
    assert shared == 6 * Solve().macs(one, side, y=side) - 5 * LU().macs(one, y=one)

    c = TensorType((5, 5), "complex64")
    assert QR().macs(c, y=c) == QR().macs(one, y=one)
    assert QR().ops(c, y=c) == 6 * QR().ops(one, y=one)

    wide, tall = LeastSquares("gels"), TensorType((7, 4))
    assert wide.macs(TensorType((4, 7)), TensorType((4, 2)), y=a) == wide.macs(tall, TensorType((7, 2)), y=a)


HALVES: dict[str, tuple[Op, Callable[[Any], Any]]] = {
    "cholesky": (Cholesky(), lambda a: torch.linalg.cholesky(a)),
    "eigh": (Eigh(vectors=False), lambda a: torch.linalg.eigvalsh(a)),
    "cholesky_inverse": (CholeskyInverse(), lambda a: torch.cholesky_inverse(a)),
    "cholesky_solve": (CholeskySolve(), lambda a: torch.cholesky_solve(torch.ones(5, 1).double(), a)),
    "solve_triangular": (
        SolveTriangular(upper=False), lambda a: torch.linalg.solve_triangular(a, torch.ones(5, 1).double(), upper=False)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HALVES)
def test_of_symmetric_and_triangular_matrices_one_half_is_read(name: str) -> None:
    op, run = HALVES[name]
    a = definite(5)
    other = a + torch.triu(torch.full((5, 5), 7.0, dtype=torch.float64), 1)
    types = [TensorType((5, 5)), TensorType((5, 1))][: 2 if "solve" in name else 1]

    assert torch.equal(run(a), run(other))
    assert op.reads(*types, y=types[0])[0] == 15
