"""The values of expressions and relations where their symbols are known: ints, arrays, or other expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, TypeAlias

from costcalc.ir.dims import Dim, Truth, at_least, divides, equal, log2_ceil, maximum, scaled, where
from costcalc.ir.expr import Atom, Expr, Floor, Max, Relation
from costcalc.ir.rounded import Log2, Scaled

Known: TypeAlias = "dict[Atom, Any]"
RULES = {"=": equal, "≥": at_least, "|": divides}


def value_at(e: Dim, values: Mapping[str, Any], known: Known | None = None) -> Dim:
    """The value of ``e`` when each named symbol takes the given value (an int, an array or an Expr).

    known   what atoms are at these values, and where what is found is put: sizes are nested as deep as a network

    >>> h = Expr.symbol("h")
    >>> value_at((h + 1) // 2 * h, {"h": 7}), print(value_at(h * 3, {"h": h + 1}))
    3·h + 3
    (28, None)
    """
    if not isinstance(e, Expr):
        return e
    known = {} if known is None else known
    result: Dim = 0
    for monomial, c in e.terms.items():
        term: Dim = c
        for atom, power in monomial:
            if isinstance(atom, str):
                v = values[atom] if atom in values else Expr.symbol(atom)
            else:
                v = known.get(atom)
                if v is None:
                    v = known[atom] = _atom_at(atom, values, known)
            for _ in range(power):
                term = term * v
        result = result + term
    return result


def holds(relation: Truth, values: Mapping[str, Any], known: Known | None = None) -> Truth:
    """Whether ``relation`` holds at ``values``; ``known`` as ``value_at`` has it."""
    if isinstance(relation, Relation):
        return RULES[relation.sign](value_at(relation.a, values, known), value_at(relation.b, values, known))
    return relation


def _atom_at(atom: Any, values: Mapping[str, Any], known: Known) -> Dim:
    if isinstance(atom, Floor):
        return value_at(atom.dividend, values, known) // value_at(atom.divisor, values, known)
    if isinstance(atom, Max):
        return reduce(maximum, (value_at(member, values, known) for member in atom.members))
    if isinstance(atom, Relation):
        return where(holds(atom, values, known), 1, 0)
    if isinstance(atom, Log2):
        return log2_ceil(value_at(atom.of, values, known))
    assert isinstance(atom, Scaled)
    return scaled(value_at(atom.of, values, known), atom.factor)
