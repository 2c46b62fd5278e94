"""Places under windows, and the ends of what they see: by walking over all of them."""

from __future__ import annotations

from itertools import product

import pytest

from costcalc.analysis.axis_factors import Factor, PlaceTable
from costcalc.analysis.place_tables import _inputs, _last, _seen_through, beside_line
from costcalc.analysis.roofline import Machine
from costcalc.analysis.sliding import _meets, misses
from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.index_map import AxisMap, Window
from costcalc.machines import load_machine


def walked(window: Window, gap: int, output: int) -> list[int]:
    """The places under the taps of an output."""
    stride, lo, hi = window
    return list(range(int(stride) * output + int(lo), int(stride) * output + int(hi) + 1, gap))


def test_the_last_place_of_a_window_is_under_its_last_tap() -> None:
    for first, length, gap in product(range(-3, 4), range(9), range(1, 5)):
        assert _last((first, first + length), gap) == max(range(first, first + length + 1, gap))


def test_a_window_meets_an_axis_where_a_tap_does() -> None:
    for first, length, gap, size in product(range(-6, 6), range(-1, 8), range(1, 5), range(1, 5)):
        met = any(0 <= place < size for place in range(first, first + length + 1, gap))
        assert _meets(first, first + length, gap, size) == met, (first, length, gap, size)


def test_an_axis_is_missed_where_no_tap_of_any_output_is_on_it() -> None:
    found = set()
    for stride, lo, length, gap, size, made in product(
        (1, 2, 3, 5), range(-5, 6), range(5), (1, 2, 3), (1, 2, 4), (1, 2, 3)
    ):
        if length % gap:
            continue
        window = Window(stride, lo, lo + length)
        met = any(0 <= place < size for output in range(made) for place in walked(window, gap, output))
        assert misses(AxisMap(0, window, gap=gap), size, made) == (not met), (window, gap, size, made)
        found.add(met)
    assert found == {True, False}


@pytest.mark.parametrize("step, lo, hi, gap", [(2, -1, 1, 1), (1, 0, 4, 2), (3, -2, 2, 2), (1, 1, 0, 1)])
def test_what_is_seen_through_a_window_is_what_its_places_see(step: int, lo: int, hi: int, gap: int) -> None:
    window = Window(step, lo, hi)
    line = Factor(0, 4, 40)
    assert _inputs(window, 3) == [(step * o + lo, step * o + hi) for o in range(3)]
    for output, seen in enumerate(_seen_through(line, _inputs(window, 3), gap)):
        places = [4 * place for place in walked(window, gap, output)]
        assert seen == ((min(places), max(places)) if places else None)


def test_how_far_a_table_reaches_beside_its_line() -> None:
    """Places 0, 1, 2 with a step of 3 see 1 to 2, 2 to 7 and 6 to 6: from 0, 3 and 6 that is −1 at least, 4 at most."""
    p = Factor(0, 3, 3, table=PlaceTable(((1, 2), (2, 7), (6, 6))))
    assert beside_line(p) == (-1, 4)


def test_a_time_needs_numbers_on_both_sides() -> None:
    machine: Machine = load_machine("a100")
    n = Expr.symbol("n")
    assert machine.time_of(1, 8, 32).seconds > 0
    for macs, bits in ((n, 8), (1, n), (n, n)):
        with pytest.raises(CostcalcError, match="numbers, not symbols"):
            machine.time_of(macs, bits, 32)
