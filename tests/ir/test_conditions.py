"""Conditions on symbols stand in their simplest form, and what another member dominates leaves a maximum."""

from __future__ import annotations

import pytest

from costcalc.ir.dims import Truth, at_least, ceil_div, maximum, minimum
from costcalc.ir.expr import Expr, Relation
from costcalc.ir.values import holds

h, w = Expr.symbol("h"), Expr.symbol("w")

SIMPLEST = {
    "what every symbol from 1 fulfils": (at_least((h + 1) // 2 + 2, 3), True),
    "what none does": (at_least(-h, 0), False),
    "a floor is what it needs": (at_least((h + 3) // 4, 2), "h ≥ 5"),
    "a multiple of one too": (at_least(2 * ((h + 4) // 16), 17), "h ≥ 140"),
    "a square is at least 1, not 2": (at_least(h * h, 2), "h^2 ≥ 2"),
    "common factors go": (at_least(4 * h, 10), "h ≥ 3"),
    "nested floors": (at_least(((h - 3) // 2 + 1) // 2, 3), "h ≥ 13"),
    "what is less stands right": (at_least(h // 2, 2 * w + 3), "⌊h/2⌋ ≥ 2·w + 3"),
}


@pytest.mark.parametrize("condition, expected", SIMPLEST.values(), ids=SIMPLEST)
def test_a_condition_takes_its_simplest_form(condition: Truth, expected: bool | str) -> None:
    if isinstance(expected, bool):
        assert condition is expected
        return
    assert isinstance(condition, Relation)
    assert str(condition) == f"[{expected}]"


@pytest.mark.parametrize("bound", range(-5, 12))
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("c", [1, 2, 3])
def test_the_simplest_form_holds_where_the_condition_does(bound: int, k: int, c: int) -> None:
    condition = at_least(c * ((h + 2) // k), bound)
    for value in range(1, 40):
        held = holds(condition, {"h": value})
        assert held is (c * ((value + 2) // k) >= bound)


def test_of_two_floors_the_one_that_never_falls_below_stays() -> None:
    assert maximum((h + 3) // 4, (h + 1) // 4) == (h + 3) // 4
    assert maximum((h + 1) // 4 + 1, (h + 3) // 4) == (h + 1) // 4 + 1
    assert minimum(ceil_div(h - 3, 2) + 1, ceil_div(h, 2)) == h // 2
    assert str(maximum(h // 2, w // 2)) == "max(⌊h/2⌋, ⌊w/2⌋)"
    assert isinstance(maximum(h // 2, h // 3), Expr)
