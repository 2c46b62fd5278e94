"""What can be told of expressions without values: that one never falls below zero, or when it does."""

from __future__ import annotations

from math import gcd

from costcalc.ir.expr import Atom, Expr, Floor, Max, Monomial, Relation, sole_floor
from costcalc.ir.memo import Memo


def never_negative(e: int | Expr) -> bool:
    """Whether ``e`` ≥ 0 follows from every symbol ≥ 1."""
    least = _least(_paired(Expr.of(e)))
    return least is not None and least >= 0


def _least(e: Expr) -> int | None:
    """A number that ``e`` never falls below where every symbol is 1 or more; None if none is plain."""
    result = 0
    for monomial, c in e.terms.items():
        if c < 0 and monomial:
            return None
        product = c
        for atom, power in monomial:
            least = _least_of_atom(atom)
            if least is None or least < 0:
                return None
            product *= least**power
        result += product
    return result


def _least_of_atom(atom: Atom) -> int | None:
    if isinstance(atom, str):
        return 1
    if isinstance(atom, Relation):
        return 0
    if isinstance(atom, Max):
        known = [least for least in map(_least, atom.members) if least is not None]
        return max(known) if known else None
    if not isinstance(atom, Floor):
        return 0  # a rounded logarithm
    if isinstance(atom.divisor, int):
        least = _least(atom.dividend)
        return None if least is None or atom.divisor < 0 else least // atom.divisor
    return 0 if never_negative(atom.dividend) and never_negative(atom.divisor) else None


def _paired(e: Expr) -> Expr:
    """``e`` or less: what ⌊a/k⌋ - ⌊b/k⌋ is at least, ⌊least of (a - b) / k⌋, in place of each such pair."""
    terms = dict(e.terms)
    for less, c in e.terms.items():
        for more in e.terms if c < 0 else ():
            gap = _least_gap(more, less) if terms[more] >= -c else None
            if gap is not None:
                terms[more] += c
                terms[less] = 0
                terms[()] = terms.get((), 0) - c * gap
                break
    return Expr(terms)


def _least_gap(more: Monomial, less: Monomial) -> int | None:
    """What ⌊a/k⌋ - ⌊b/k⌋ never falls below; None if the two are not such floors, or nothing is known."""
    a, b = sole_floor({more: 1}), sole_floor({less: 1})
    if a is None or b is None or a.divisor != b.divisor or not isinstance(a.divisor, int) or a.divisor < 0:
        return None
    least = _least(Expr.of(a.dividend - b.dividend))
    return None if least is None else least // a.divisor


def simplest_positive(e: int | Expr) -> int | Expr:
    """An expression that is ≥ 0 just where ``e`` is: 2·⌊(h + 1)/2⌋ - 3 is where h - 3 is."""
    known, asked = Memo("where floors are large enough"), []
    while isinstance(e, Expr):
        terms = {m: c for m, c in e.terms.items() if m}
        common = gcd(*terms.values())
        floor = sole_floor({m: c // common for m, c in terms.items()})
        least = -(e.terms.get((), 0) // common)  # e ≥ 0 is Σ terms / common ≥ ⌈-constant / common⌉
        if floor is None or not isinstance(floor.divisor, int) or floor.divisor < 0:
            e = Expr.of(Expr({m: c // common for m, c in terms.items()}) - least)
            break
        # Sizes are floors of the sizes before them, as deep as a network: what was asked of those is remembered.
        asked.append((floor, least))
        found = known.get(asked[-1])
        if found is not None:
            e = found
            break
        e = floor.dividend - least * floor.divisor
    for key in asked:
        known.put(key, e)
    return e
