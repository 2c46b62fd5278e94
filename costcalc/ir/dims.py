"""Arithmetic on dimensions, whatever they are made of.

A dimension (``Dim``) is one of three kinds:

* ``int``      one design point, exact at any size;
* ``Expr``     a polynomial in named symbols, for closed forms;
* ``ndarray``  many design points at once, for sweeps; to the type checker it passes as an int.

All three understand ``+ - * // %``. What they do not share is spelled here once, so that a
formula made of these functions holds for all three. A formula never says ``if`` about a
dimension; it says ``where``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

from costcalc.errors import OptionError
from costcalc.ir.bounds import largest, relation
from costcalc.ir.expr import Expr, Relation
from costcalc.ir.rounded import Log2, Scaled

Dim: TypeAlias = "int | Expr"
Truth: TypeAlias = "bool | Relation"


def prod(dims: Iterable[Dim]) -> Dim:
    """Product of ``dims``; 1 for none.

    >>> prod([2, 3, 4])
    24
    """
    result: Dim | None = None
    for d in dims:
        result = d if result is None else result * d
    return 1 if result is None else result


def total(dims: Iterable[Dim]) -> Dim:
    """Sum of ``dims``; 0 for none. Unlike ``sum`` it says that symbols are welcome.

    >>> total([2, 3, 4])
    9
    """
    result: Dim = 0
    for d in dims:
        result = result + d
    return result


def ceil_div(a: Dim, b: Dim) -> Dim:
    """⌈a / b⌉ for b > 0.

    >>> ceil_div(7, 2)
    4
    """
    return (a + b - 1) // b if _symbolic(a, b) else -(-a // b)  # a floor of a sum is what Expr simplifies


def log2_ceil(n: Dim) -> Dim:
    """⌈log₂ n⌉ for n ≥ 1.

    >>> print(log2_ceil(8), log2_ceil(9), log2_ceil(Expr.symbol("n")))
    3 4 ⌈log₂(n)⌉
    """
    if isinstance(n, int):
        return (n - 1).bit_length()
    if isinstance(n, Expr):
        return Expr.atom(Log2(n))  # type: ignore[arg-type]
    # Exact for every int64, where a logarithm of floats is not.
    return total((n > 2**power).astype("int64") for power in range(63))


def scaled(size: Dim, factor: float) -> Dim:
    """⌊size · factor⌋ in double precision, as PyTorch works out the size that a factor makes.

    >>> scaled(90, 0.7), scaled(10, 0.3), scaled(5, 2)  # 90 times the double next to 0.7 is below 63
    (62, 3, 10)
    >>> print(scaled(Expr.symbol("h"), 1.5), scaled(Expr.symbol("h"), 0.7))
    ⌊3·h/2⌋ ⌊0.7·h⌋
    """
    if isinstance(factor, int):
        return size * factor
    up, down = factor.as_integer_ratio()
    if down <= EXACT or (isinstance(size, int) and size > 2**53):
        return size * up // down
    if isinstance(size, Expr):
        return Expr.atom(Scaled(size, factor))  # type: ignore[arg-type]
    if not isinstance(size, int):
        return (size * factor).astype("int64")  # type: ignore[no-any-return,unused-ignore]
    made = int(size * factor)
    if type(size) is int:
        return made
    from costcalc.ir.traced_int import TracedInt

    return TracedInt.scaled(size, factor, made)


EXACT = 2**20
"""A factor that is a fraction of a power of two up to this one multiplies every size without rounding."""


def gcd(a: Dim, b: Dim) -> Dim:
    """The greatest common divisor; of a symbol only with a known ``b``.

    As φ(d) over the divisors d of ``b`` adds up to ``b``, over those that also divide ``a`` it adds
    up to gcd(a, b): a sum that symbols can carry.

    >>> print(gcd(12, 18), gcd(Expr.symbol("h"), 6))
    6 [2 | h] + 2·[3 | h] + 2·[6 | h] + 1
    """
    if isinstance(a, int) and isinstance(b, int):
        return math.gcd(a, b)
    if isinstance(a, Expr) and isinstance(b, int):
        return total(where(divides(d, a), count, 0) for d, count in sorted(divisors(b).items()))
    if _symbolic(a, b):
        raise TypeError(f"gcd({a}, {b}) has no closed form here: {b} must be known")
    return _numpy().gcd(a, b)  # type: ignore[no-any-return]


MOST_DIVISORS = 500
MOST_TRIED = 20_000


def divisors(n: int) -> dict[int, int]:
    """Each divisor of ``n`` with how many of the numbers up to it have none in common with it.

    Raises ``OptionError`` for a number that has too many, or that is not factored by trying.
    """
    found, prime = {1: 1}, 2
    while n > 1:
        if prime * prime > n:
            prime = n  # nothing smaller divides it
        power, count, more = 1, prime - 1, dict(found)
        while n % prime == 0:
            n //= prime
            power *= prime
            more |= {d * power: phi * count for d, phi in found.items()}
            count *= prime
        found, prime = more, prime + 1
        if len(found) > MOST_DIVISORS or (prime > MOST_TRIED and prime * prime <= n):
            raise OptionError("a symbol and so large a number have no closed form of their greatest common divisor")
    return found


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger of ``a`` and ``b``."""
    if isinstance(a, int) and isinstance(b, int):
        return a if a >= b else b
    if _symbolic(a, b):
        return largest(a, b)
    return _numpy().maximum(a, b)  # type: ignore[no-any-return]


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of ``a`` and ``b``."""
    if isinstance(a, int) and isinstance(b, int):
        return a if a <= b else b
    if _symbolic(a, b):
        return a + b - largest(a, b)
    return _numpy().minimum(a, b)  # type: ignore[no-any-return]


def where(condition: Truth, a: Dim, b: Dim) -> Dim:
    """``a`` where ``condition`` holds, else ``b``."""
    if isinstance(condition, bool):
        return a if condition else b
    if isinstance(condition, Relation):
        return b + (a - b) * condition.indicator()
    return _numpy().where(condition, a, b)


def equal(a: Dim, b: Dim) -> Truth:
    """a = b."""
    return relation("=", a, b) if _symbolic(a, b) else a == b


def at_least(a: Dim, b: Dim) -> Truth:
    """a ≥ b."""
    return relation("≥", a, b) if _symbolic(a, b) else a >= b  # type: ignore[operator]


def divides(a: Dim, b: Dim) -> Truth:
    """a | b: ``b`` is a multiple of ``a``."""
    return relation("|", a, b) if _symbolic(a, b) else b % a == 0


def _symbolic(a: Dim, b: Dim) -> bool:
    return isinstance(a, Expr) or isinstance(b, Expr)


def _numpy() -> Any:
    # Only a sweep brings arrays, and then numpy is loaded already.
    import numpy

    return numpy
