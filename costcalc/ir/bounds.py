"""What can be told of expressions without values: that one never falls below zero, or when it does; and so what the
larger of two is, and whether they are equal."""

from __future__ import annotations

from math import gcd

from costcalc.ir.expr import Atom, Expr, Floor, Max, Monomial, Relation, lowered, sole_floor
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


def largest(a: int | Expr, b: int | Expr) -> int | Expr:
    """The larger; members that another never falls below are dropped."""
    members: list[Expr] = []
    for new in (*_members(Expr.of(a)), *_members(Expr.of(b))):
        if not any(never_negative(old - new) for old in members):
            members = [old for old in members if not never_negative(new - old)] + [new]
    if len(members) == 1:
        return lowered(members[0])
    return Expr.atom(Max(tuple(sorted(members, key=str))))


def _members(e: Expr) -> tuple[Expr, ...]:
    """The members of ``e`` if it is a maximum and nothing else, else ``e``."""
    if len(e.terms) == 1:
        ((monomial, c),) = e.terms.items()
        if c == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            if isinstance(atom, Max):
                return atom.members
    return (e,)


def relation(sign: str, a: int | Expr, b: int | Expr) -> bool | Relation:
    """``a sign b``, decided if it can be; ``sign`` is ``=``, ``≥`` or ``|`` (a divides b)."""
    if sign == "|":
        rest = Expr.of(b) % a
        return rest == 0 if isinstance(rest, int) else Relation(sign, Expr.of(a), Expr.of(b))
    gap = Expr.of(a) - b
    if sign == "≥":
        gap = simplest_positive(gap)
    if isinstance(gap, int):
        return gap == 0 if sign == "=" else gap >= 0
    if sign == "=":
        return Relation(sign, Expr.of(a), Expr.of(b))
    if never_negative(gap):
        return True
    if never_negative(-gap - 1):
        return False
    more = Expr({m: c for m, c in gap.terms.items() if c > 0 and m})
    less = Expr({m: -c for m, c in gap.terms.items() if c < 0 or not m})
    return Relation(sign, more, less)
