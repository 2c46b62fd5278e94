"""Windows along one axis form a monoid."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from costcalc.ir.index_map import IDENTITY, Window

windows = st.builds(
    lambda s, lo, size: Window(s, lo, lo + size), st.integers(1, 4), st.integers(-5, 5), st.integers(0, 6)
)


def inputs(window: Window, o: int) -> set[int]:
    """The inputs that output ``o`` sees, listed."""
    return set(range(int(window.stride * o + window.lo), int(window.stride * o + window.hi) + 1))


@given(windows, windows, windows)
def test_composition_is_associative(a: Window, b: Window, c: Window) -> None:
    assert a.after(b).after(c) == a.after(b.after(c))


@given(windows)
def test_the_identity_changes_nothing(w: Window) -> None:
    assert w.after(IDENTITY) == w == IDENTITY.after(w)


@given(windows, windows, st.integers(-5, 5))
def test_composition_bounds_what_is_seen_through_both(late: Window, early: Window, o: int) -> None:
    seen = set().union(*(inputs(early, i) for i in inputs(late, o)))
    both = late.after(early)
    assert (min(seen), max(seen)) == (both.stride * o + both.lo, both.stride * o + both.hi)


def test_three_3x3_convolutions_see_7x7() -> None:
    conv = Window(1, -1, 1)
    assert conv.after(conv).after(conv).size == 7  # facts, section 1


def test_a_conv_after_doubling_sees_two_of_three() -> None:
    nearest = Window(Fraction(1, 2), Fraction(-1, 2), 0)
    assert Window(1, -1, 1).after(nearest).size == 2
