"""Amounts are read exactly, whatever prefix they have; what is none is said in a sentence."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costcalc.amounts.formatting import exact, show, told_apart
from costcalc.amounts.parsing import amount, step
from costcalc.analysis.figures import FIGURES
from costcalc.budget.init import little_above
from costcalc.budget.ratchet import rounded_up
from costcalc.errors import CostcalcError

READ = [
    ("4.2 G", "macs", 4_200_000_000),
    ("4.2G", "macs", 4_200_000_000),
    ("26 M", "params", 26_000_000),
    ("4200000000", "macs", 4_200_000_000),
    ("4.2e9", "macs", 4_200_000_000),
    ("4_200_000", "macs", 4_200_000),
    (".5k", "params", 500),
    ("0", "uncounted", 0),
    ("2 Ki", "params", 2048),
    ("100 MiB", "storage", 100 * 2**20 * 8),
    ("100 MB", "storage", 100 * 10**6 * 8),
    ("0.5 B", "weights", 4),
    ("12 kbit", "traffic", 12_000),
    ("12 ms", "time", Fraction(12, 1000)),
    ("0.1 µs", "time", Fraction(1, 10**7)),
    ("224", "receptive_field", 224),
    ("0.1", "intensity", Fraction(1, 10)),
]


@pytest.mark.parametrize(("text", "figure", "value"), READ)
def test_an_amount_is_exactly_what_is_written(text: str, figure: str, value: Fraction) -> None:
    assert amount(text, FIGURES[figure]) == value


@given(st.integers(0, 10**30))
def test_any_number_of_digits_is_kept(n: int) -> None:
    assert amount(str(n), FIGURES["macs"]) == n


REFUSED = [
    ("4.2 GFLOPs", "macs", "'4.2 GFLOPs' is not an amount of macs (one multiply-accumulate is two FLOPs)"),
    ("4.2 Q", "macs", "'4.2 Q' is not an amount of macs; write a number with k, M, G, T, P or E"),
    ("100", "storage", "'100' is not an amount of storage; write bytes with their unit"),
    ("100 Mib", "storage", "did you mean 'MiB'?"),
    ("12", "time", "write a time in s, ms, µs or ns, such as 12 ms"),
    ("", "macs", "'' is not an amount"),
    ("-3 M", "macs", "is below zero"),
    ("1e999999", "macs", "is not an amount"),
    ("nan", "macs", "is not an amount"),
    ("²", "macs", "is not an amount"),
]


@pytest.mark.parametrize(("text", "figure", "says"), REFUSED)
def test_what_is_no_amount_is_said(text: str, figure: str, says: str) -> None:
    with pytest.raises(CostcalcError) as error:
        amount(text, FIGURES[figure])
    assert says in str(error.value)


@given(st.text(max_size=20))
def test_no_text_is_anything_but_an_amount_or_an_error(text: str) -> None:
    for name in ("macs", "storage", "time"):
        with suppress(CostcalcError):
            assert amount(text, FIGURES[name]) >= 0


@pytest.mark.parametrize(
    ("text", "up", "base", "allowed"),
    [("2%", True, 1000, 20), ("2 %", False, 1000, 20), ("1.05x", True, 200, 10), ("0.9x", False, 200, 20),
     ("100 M", True, 1, 100_000_000), ("0%", True, 7, 0), ("0.1%", True, 1, Fraction(1, 1000))],
)  # fmt: skip
def test_a_change_is_an_amount_a_percentage_or_a_ratio(text: str, up: bool, base: int, allowed: Fraction) -> None:
    assert step(text, FIGURES["macs"], up=up).allowed(base) == allowed


@pytest.mark.parametrize(("text", "up"), [("0.9x", True), ("1.1x", False), ("x", True), ("% 2", True), ("-2%", True)])
def test_a_change_the_wrong_way_is_refused(text: str, up: bool) -> None:
    with pytest.raises(CostcalcError):
        step(text, FIGURES["macs"], up=up)


def test_numbers_that_look_the_same_are_shown_with_all_their_digits() -> None:
    macs = FIGURES["macs"]
    assert told_apart(macs, 4_200_000_000, 4_100_000_000) == ("4.20 G", "4.10 G")
    assert told_apart(macs, 4_200_000_001, 4_200_000_000) == ("4,200,000,001", "4,200,000,000")
    assert told_apart(FIGURES["storage"], 8 * 2**20, 8 * 2**20 + 4) == ("1,048,576 B", "1,048,576.5 B")


@given(st.integers(1, 10**15), st.sampled_from(["4.2 G", "26M", "7", "1.5 k", "3 T"]))
def test_a_lowered_budget_still_holds_what_is_reached(value: int, like: str) -> None:
    text = rounded_up(Fraction(value), like, FIGURES["macs"])
    above = amount(text, FIGURES["macs"]) - value
    # Above by less than one of its third digit.
    assert 0 <= above < Fraction(10) ** (len(str(value)) - 3) or above == 0


@given(st.integers(1, 10**14), st.sampled_from(["macs", "storage", "layers"]))
def test_a_first_budget_is_a_twentieth_above_in_two_digits(value: int, name: str) -> None:
    figure = FIGURES[name]
    text = little_above(value, figure)
    least, one = Fraction(value) * Fraction(21, 20), 8 if name == "storage" else 1
    assert least <= amount(text, figure) < max(least * Fraction(11, 10), least + one)
    assert len(text.split()[0].replace(".", "").strip("0")) <= 2


def test_a_figure_is_shown_in_its_own_unit() -> None:
    assert show(FIGURES["receptive_field"], 1688) == "1688"
    assert show(FIGURES["time"], 0.0005) == "500 µs"
    assert exact(FIGURES["time"], 0.0005) == "0.5 ms"
