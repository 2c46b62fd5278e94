"""Symbolic integers: polynomials with integer coefficients whose atoms are symbols,
floor divisions, maxima and truth values of relations.

An ``Expr`` is kept in one normal form, so that equal formulas print equally. Two laws do the
work that makes chains of strided layers readable:

    (k·a + b) // k        =  a + b // k
    (a // j + c) // k     =  (a + j·c) // (j·k)        j, k > 0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Monomial: TypeAlias = "tuple[tuple[Atom, int], ...]"
Atom: TypeAlias = "str | Floor | Max | Relation"


class Expr:
    """A sum of ``coefficient · atom · atom …``; see the module docstring.

    >>> n, h = Expr.symbol("n"), Expr.symbol("h")
    >>> print(n * 3 + n * h * 2 - n)
    2·h·n + 2·n
    >>> print(((h + 1) // 2 + 1) // 2)
    ⌊(h + 3)/4⌋
    """

    __slots__ = ("_text", "terms")
    _text: str
    __array_ufunc__ = None  # NumPy must not take the operators over

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms = {m: c for m, c in terms.items() if c}

    # -- making ------------------------------------------------------------------------------

    @staticmethod
    def symbol(name: str) -> Expr:
        """The unknown ``name``, a positive integer."""
        return Expr({((name, 1),): 1})

    @staticmethod
    def of(value: int | Expr) -> Expr:
        """``value`` as an expression, constant if it is an int."""
        return value if isinstance(value, Expr) else Expr({(): int(value)})

    @staticmethod
    def atom(atom: Atom) -> Expr:
        """The expression that consists of ``atom``."""
        return Expr({((atom, 1),): 1})

    # -- arithmetic --------------------------------------------------------------------------

    def __add__(self, other: int | Expr) -> int | Expr:
        terms = dict(self.terms)
        for m, c in Expr.of(other).terms.items():
            terms[m] = terms.get(m, 0) + c
        return lowered(Expr(terms))

    def __mul__(self, other: int | Expr) -> int | Expr:
        terms: dict[Monomial, int] = {}
        for m1, c1 in self.terms.items():
            for m2, c2 in Expr.of(other).terms.items():
                powers = dict(m1)
                for atom, p in m2:
                    powers[atom] = powers.get(atom, 0) + p
                m = tuple(sorted(powers.items(), key=str))
                terms[m] = terms.get(m, 0) + c1 * c2
        return lowered(Expr(terms))

    def __floordiv__(self, k: int | Expr) -> int | Expr:
        if not isinstance(k, int):
            whole = _exact_quotient(self, k)
            return whole if whole is not None else Expr.atom(Floor(self, k))
        if k <= 0:
            if k == 0:
                raise ZeroDivisionError(f"({self}) // 0")
            return -self // -k
        if k == 1:
            return self
        whole_part = Expr({m: c // k for m, c in self.terms.items() if m and c % k == 0})
        rest = {m: c for m, c in self.terms.items() if m and c % k}
        quotient, constant = divmod(self.terms.get((), 0), k)
        if not rest:
            return whole_part + quotient
        floor = sole_floor(rest)
        if floor is not None and isinstance(floor.divisor, int):
            inner = floor.dividend + floor.divisor * (constant + k * quotient)
            return whole_part + inner // (floor.divisor * k)
        inside = Expr.of(Expr(rest) + constant)
        return whole_part + quotient + Expr.atom(Floor(inside, k))

    def __mod__(self, k: int | Expr) -> int | Expr:
        return self - k * (self // k)

    def __neg__(self) -> int | Expr:
        return self * -1

    def __sub__(self, other: int | Expr) -> int | Expr:
        return self + Expr.of(other) * -1

    def __rsub__(self, other: int | Expr) -> int | Expr:
        return -self + other

    def __rfloordiv__(self, other: int | Expr) -> int | Expr:
        return Expr.of(other) // self

    def __rmod__(self, other: int | Expr) -> int | Expr:
        return Expr.of(other) % self

    __radd__ = __add__
    __rmul__ = __mul__

    # -- using -------------------------------------------------------------------------------

    @property
    def symbols(self) -> set[str]:
        """The names of the symbols in it."""
        found: set[str] = set()
        for monomial in self.terms:
            for atom, _ in monomial:
                found |= {atom} if isinstance(atom, str) else atom.symbols
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, Expr)) and self.terms == Expr.of(other).terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __bool__(self) -> bool:
        raise TypeError(f"the truth of '{self}' depends on its symbols; write where(...) instead of if")

    def __str__(self) -> str:
        try:
            return self._text
        except AttributeError:
            self._text = self._spell()
            return self._text

    def _spell(self) -> str:
        def term(m: Monomial, c: int) -> str:
            atoms = [f"{a}^{p}" if p > 1 else f"{a}" for a, p in m]
            head = [str(abs(c))] if abs(c) != 1 or not m else []
            return "·".join(head + atoms)

        ordered = sorted(self.terms.items(), key=lambda t: (-sum(p for _, p in t[0]), str(t[0])))
        text = " ".join(("-" if c < 0 else "+") + " " + term(m, c) for m, c in ordered)
        return text.removeprefix("+ ") or "0"

    __repr__ = __str__


def symbols_of(value: int | Expr) -> set[str]:
    """The symbols that ``value`` depends on; none for an int."""
    return value.symbols if isinstance(value, Expr) else set()


def lowered(e: Expr) -> int | Expr:
    """``e``, as an int if it has no symbols."""
    return e.terms.get((), 0) if not e.terms.keys() - {()} else e


def sole_floor(terms: Mapping[Monomial, int]) -> Floor | None:
    """The one floor division that ``terms`` consist of, if that is all there is."""
    if len(terms) == 1:
        ((monomial, c),) = terms.items()
        if c == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            if isinstance(atom, Floor):
                return atom
    return None


def _exact_quotient(a: Expr, b: Expr) -> int | Expr | None:
    """``a / b`` if ``b`` is a single term that divides each term of ``a``, else None."""
    if len(b.terms) != 1:
        return 1 if a == b else None
    ((mb, cb),) = b.terms.items()
    out: dict[Monomial, int] = {}
    for ma, ca in a.terms.items():
        powers = dict(ma)
        for atom, p in mb:
            if powers.get(atom, 0) < p:
                return None
            powers[atom] -= p
        if ca % cb:
            return None
        out[tuple(i for i in sorted(powers.items(), key=str) if i[1])] = ca // cb
    return lowered(Expr(out))


class OtherAtom:
    """Something inside a monomial that is not a symbol: compared and hashed by what it prints."""

    __slots__ = ("_text", "symbols")

    _text: str
    symbols: frozenset[str]
    """The names of the symbols in it."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


class Floor(OtherAtom):
    """⌊dividend / divisor⌋."""

    __slots__ = ("dividend", "divisor")

    def __init__(self, dividend: Expr, divisor: int | Expr) -> None:
        self.dividend, self.divisor = dividend, divisor
        below = f"({divisor})" if isinstance(divisor, Expr) and len(divisor.terms) > 1 else f"{divisor}"
        above = f"({dividend})" if len(dividend.terms) > 1 else f"{dividend}"
        self._text = f"⌊{above}/{below}⌋"
        self.symbols = frozenset(dividend.symbols | symbols_of(divisor))


class Max(OtherAtom):
    """The largest of ``members``, none of which is known to be below another."""

    __slots__ = ("members",)

    def __init__(self, members: tuple[Expr, ...]) -> None:
        self.members = members
        self._text = f"max({', '.join(map(str, members))})"
        self.symbols = frozenset().union(*(m.symbols for m in members))


class Relation(OtherAtom):
    """A statement about dimensions whose truth depends on symbols."""

    __slots__ = ("a", "b", "sign")

    def __init__(self, sign: str, a: Expr, b: Expr) -> None:
        self.sign, self.a, self.b = sign, a, b
        self._text = f"[{a} {sign} {b}]"
        self.symbols = frozenset(a.symbols | b.symbols)

    def indicator(self) -> Expr:
        """1 where it holds, else 0."""
        return Expr.atom(self)

    def __bool__(self) -> bool:
        raise TypeError(f"whether {self} holds depends on its symbols")
