"""One expression, three kinds of dimension, one answer; SymPy as a third opinion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costcalc.ir.dims import at_least, ceil_div, divides, equal, maximum, minimum, prod, total, where
from costcalc.ir.expr import Expr, Relation
from costcalc.ir.values import holds, value_at

NAMES = ("n", "h", "w")
Tree = tuple[Any, ...]

leaves = st.one_of(st.sampled_from(NAMES).map(lambda s: ("symbol", s)), st.integers(-9, 9).map(lambda i: ("int", i)))
conditions = st.sampled_from(["=", "≥", "|"])
trees = st.recursive(
    leaves,
    lambda t: st.one_of(
        st.tuples(st.sampled_from("+-*"), t, t),
        st.tuples(st.sampled_from(["//", "%", "ceil"]), t, st.integers(1, 9).map(lambda i: ("int", i))),
        st.tuples(st.sampled_from(["max", "min"]), t, t),
        st.tuples(conditions.map(lambda c: "where" + c), t, t, t, t),
    ),
    max_leaves=12,
)
COMPARE = {"=": equal, "≥": at_least, "|": lambda a, b: divides(2, a - b)}


def evaluate(tree: Tree, values: dict[str, Any]) -> Any:
    """The tree over whatever ``values`` are made of, by the functions that formulas use."""
    kind, *rest = tree
    if kind == "symbol":
        return values[rest[0]]
    if kind == "int":
        return rest[0]
    a, *more = (evaluate(t, values) for t in rest)
    if kind.startswith("where"):
        b, c, d = more
        return where(COMPARE[kind[5:]](a, b), c, d)
    rules = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "//": lambda a, b: a // b,
        "%": lambda a, b: a % b,
        "ceil": ceil_div,
        "max": maximum,
        "min": minimum,
    }
    return rules[kind](a, *more)


@settings(max_examples=300)
@given(trees, st.lists(st.tuples(*[st.integers(1, 40)] * 3), min_size=1, max_size=4))
def test_ints_symbols_and_arrays_agree(tree: Tree, points: list[tuple[int, int, int]]) -> None:
    symbolic = Expr.of(evaluate(tree, {s: Expr.symbol(s) for s in NAMES}))
    arrays = evaluate(tree, {s: np.array(column) for s, column in zip(NAMES, zip(*points, strict=True), strict=True)})
    for i, point in enumerate(points):
        values = dict(zip(NAMES, point, strict=True))
        expected = evaluate(tree, values)
        assert value_at(symbolic, values) == expected
        assert int(np.broadcast_to(arrays, len(points))[i]) == expected


@pytest.mark.long
@settings(max_examples=20_000)
@given(trees, st.tuples(*[st.integers(1, 1000)] * 3))
def test_ints_and_symbols_agree_on_many_trees(tree: Tree, point: tuple[int, int, int]) -> None:
    values = dict(zip(NAMES, point, strict=True))
    assert value_at(evaluate(tree, {s: Expr.symbol(s) for s in NAMES}), values) == evaluate(tree, values)


@settings(max_examples=60)
@given(trees.filter(lambda t: "where" not in str(t)), st.tuples(*[st.integers(1, 40)] * 3))
def test_sympy_agrees(tree: Tree, point: tuple[int, int, int]) -> None:
    import sympy

    def build(t: Tree) -> Any:
        kind, *rest = t
        if kind == "symbol":
            return sympy.Symbol(rest[0], integer=True, positive=True)
        if kind == "int":
            return sympy.Integer(rest[0])
        a, b = (build(r) for r in rest)
        rules = {
            "+": lambda: a + b,
            "-": lambda: a - b,
            "*": lambda: a * b,
            "//": lambda: sympy.floor(a / b),
            "%": lambda: sympy.Mod(a, b),
            "ceil": lambda: sympy.ceiling(a / b),
            "max": lambda: sympy.Max(a, b),
            "min": lambda: sympy.Min(a, b),
        }
        return rules[kind]()

    values = dict(zip(NAMES, point, strict=True))
    ours = value_at(evaluate(tree, {s: Expr.symbol(s) for s in NAMES}), values)
    theirs = build(tree).subs({sympy.Symbol(s, integer=True, positive=True): v for s, v in values.items()})
    assert ours == int(theirs)


def test_the_laws_of_floor_make_strided_chains_readable() -> None:
    h = Expr.symbol("h")
    for _ in range(5):  # five convs of kernel 3, stride 2, padding 1: ResNet's chain
        h = Expr.of((h + 2 - 3) // 2 + 1)
    assert str(h) == "⌊(h + 31)/32⌋"


def test_equal_formulas_print_equally() -> None:
    n, h = Expr.symbol("n"), Expr.symbol("h")
    assert str((h + n) * (h - n)) == str(h * h - n * n)
    assert h * n == n * h
    assert hash(h * n) == hash(n * h)


def test_a_maximum_drops_members_that_another_never_falls_below() -> None:
    h = Expr.symbol("h")
    assert maximum(h + 3, maximum(h, h * 2 + 5)) == h * 2 + 5


def test_division_by_a_symbol_stays_exact() -> None:
    n, h = Expr.symbol("n"), Expr.symbol("h")
    assert (6 * n * h) // (3 * n) == 2 * h
    assert value_at((n * h + 1) // h, {"n": 3, "h": 5}) == 3


def test_numbers_divided_by_symbols() -> None:
    n, h = Expr.symbol("n"), Expr.symbol("h")
    assert (n + h) // (n + h) == 1
    assert value_at((n + h) // (n - h), {"n": 5, "h": 3}) == 4
    assert value_at(12 // n, {"n": 5}) == 2
    assert value_at(12 % n, {"n": 5}) == 2
    with pytest.raises(ZeroDivisionError, match=r"\(h\) // 0"):
        h // 0


def test_the_symbols_in_it_are_those_of_all_its_parts() -> None:
    n, h, w, b = (Expr.symbol(name) for name in "nhwb")
    assert Expr.of(b * where(at_least(n, h // w), 1, 0)).symbols == {"n", "h", "w", "b"}
    assert Expr.of(maximum(n, h // w)).symbols == {"n", "h", "w"}


def test_an_expression_is_no_word() -> None:
    assert Expr.symbol("h") != "h"


def test_maxima_of_maxima_are_one_but_a_multiple_of_one_is_itself() -> None:
    n, h, w = Expr.symbol("n"), Expr.symbol("h"), Expr.symbol("w")
    assert str(maximum(maximum(n, h), w)) == str(maximum(n, maximum(h, w))) == "max(h, n, w)"
    twice, square = Expr.of(maximum(2 * maximum(n, h), w)), Expr.of(maximum(maximum(n, h) * maximum(n, h), w))
    for values in ({"n": 3, "h": 5, "w": 7}, {"n": 3, "h": 5, "w": 30}):
        assert value_at(twice, values) == max(10, values["w"])
        assert value_at(square, values) == max(25, values["w"])


def test_a_symbol_has_no_truth() -> None:
    with pytest.raises(TypeError, match=r"write where\(\.\.\.\) instead of if"):
        bool(Expr.symbol("h"))
    with pytest.raises(TypeError, match="depends on its symbols"):
        bool(at_least(Expr.symbol("h"), 7))


def test_relations_are_decided_where_every_positive_size_agrees() -> None:
    h = Expr.symbol("h")
    assert at_least(h, 1) is True
    assert at_least(h + 6, 7) is True
    assert at_least(2 * h, 2) is True
    assert divides(4, 8 * h) is True
    assert equal(h, h) is True
    assert isinstance(at_least(h, 2), Relation)
    assert isinstance(divides(2, h), Relation)


def test_relations_hold_or_not_at_values() -> None:
    h = Expr.symbol("h")
    condition = at_least(h, 7)
    assert isinstance(condition, Relation)
    assert holds(condition, {"h": 7}) is True
    assert holds(condition, {"h": 6}) is False


def test_numbers_beyond_64_bits_stay_exact() -> None:
    h = Expr.symbol("h")
    assert value_at(h * 2**80 + 1, {"h": 3}) == 3 * 2**80 + 1


def test_prod_and_total_of_nothing() -> None:
    assert (prod([]), total([])) == (1, 0)
