"""The ends of a diff: plans of memory of a few tensors, lines of a few places, runs of a few layers, each by hand."""

from __future__ import annotations

import pytest

from costcalc.analysis.amounts import Amounts
from costcalc.classes import NamedTuple
from costcalc.difference import _shapes
from costcalc.difference.entries import Entry, common_location, own_location
from costcalc.difference.git import pick_line
from costcalc.difference.memory_causes import held_change
from costcalc.difference.structural_causes import IDLE, LayerRun, _in_kernel, _named
from costcalc.errors import Location
from costcalc.ir.tensor import TensorType


class Held(NamedTuple):
    name: str
    bytes: int
    first: int
    last: int


class Plan(NamedTuple):
    tensors: tuple[Held, ...]
    peak_step: int
    at: str = "there"
    engine: str = "toy"
    peak_bytes: int = 0


def causes(old: Plan, new: Plan, **was: str) -> dict[str, tuple[int, str]]:
    return {cause.name: (cause.effect, cause.description) for cause in held_change(old, new, was).causes}


def test_what_holds_more_or_less_at_the_peak_and_why() -> None:
    old = Plan((Held("a", 8, 0, 1), Held("b", 4, 1, 2), Held("c", 2, 0, 3), Held("d", 1, 3, 4), Held("e", 5, 2, 3)), 1)
    new = Plan((Held("a", 9, 0, 1), Held("b", 4, 1, 2), Held("c", 2, 0, 0), Held("f", 3, 1, 1), Held("e", 5, 1, 3)), 1)
    assert causes(old, new) == {
        "a": (1, "grew from 8 to 9 bytes"),
        "c": (-2, "lives 3 steps less, and no longer at the peak"),
        "f": (3, "is new"),
        "e": (5, "lives 1 step longer, and so at the peak"),
    }
    assert causes(new, old)["f"] == (-3, "is gone")
    assert causes(new, old)["a"] == (-1, "shrank from 9 to 8 bytes")


def test_a_peak_that_moves_meets_other_tensors() -> None:
    old = Plan((Held("a", 8, 0, 1), Held("b", 4, 2, 3)), 0, "first")
    new = Plan((Held("a", 8, 0, 1), Held("b", 4, 2, 3)), 2, "last")
    assert causes(old, new) == {
        "a": (-8, "does not live at the peak at last"),
        "b": (4, "lives at the peak, which is at last now"),
    }


def test_tensors_go_by_the_old_names_of_their_layers() -> None:
    def plan(size: int, *names: str) -> Plan:
        return Plan(tuple(Held(name, size + i, 0, 0) for i, name in enumerate(names)), 0)

    # A layer's own, what is made of it, one of its outputs, and two that are called the same.
    old = plan(1, "conv", "conv (padded)", "cut.0", "same", "same")
    new = plan(2, "first", "first (padded)", "parts.0", "same", "same")
    found = causes(old, new, first="conv", parts="cut")
    assert {name: effect for name, (effect, _) in found.items()} == dict.fromkeys(
        ("first", "first (padded)", "parts.0", "same", "same [2]"), 1
    )
    assert "is new" not in {said for _, said in found.values()}


def entry(location: Location | None, name: str = "x", **figures: int) -> Entry:
    amounts = Amounts({**dict.fromkeys(IDLE, 0), **figures})
    return Entry(name, "relu", (), (), (), (), amounts, frozenset(), None, location)


def test_what_asked_for_layers_is_the_innermost_line_of_all() -> None:
    call = Location("net.yaml", 9)
    deep, other = Location("net.yaml", 3, 0, call), Location("net.yaml", 4, 0, call)
    assert common_location([entry(deep), entry(other)]) == call
    assert common_location([entry(deep), entry(call)]) == call  # one of them stands less deep
    assert common_location([entry(deep), entry(deep)]) == deep
    assert common_location([entry(None), entry(deep)]) == deep
    assert common_location([entry(None)]) is None and common_location([]) is None


def test_where_a_layer_was_asked_for() -> None:
    call, line = Location("net.yaml", 9), Location("net.py", 5)
    assert own_location(Location("net.yaml", 3, 0, call)) == call
    assert own_location(call) == call and own_location(line) == line
    assert own_location(Location("net.py", 7, 0, line)) == Location("net.py", 7, 0, line)
    assert own_location(None) is None


@pytest.mark.parametrize("words, line", [(["kernel", "5"], 2), (["width", "64"], 4), (["nothing"], 3), (["kernel"], 2)])
def test_the_edited_line_with_most_of_the_words_is_picked(words: list[str], line: int) -> None:
    text = "a: 1\nkernel: 5\nb: 2\nwidth: 64\n"
    assert pick_line(Location("net.yaml", 3), {2, 3, 4}, text, words) == Location("net.yaml", line)


def test_shapes_are_told_without_their_batch() -> None:
    assert _shapes((TensorType((1,)), TensorType((1, 3, 4)))) == "scalar, 3×4"


def test_layers_that_came_are_counted_and_named() -> None:
    some = [entry(None, "a"), entry(None, "b.c", macs=1), entry(None, "b.d"), entry(None, "e")]
    sizes = {"b": 2, "e": 1}
    two, one = _named("added", some, 1, 3, sizes), _named("removed", some, 3, 4, sizes)
    assert (two.description, two.layers, two.moves_data) == ("+2 layers: b", 2, False)
    assert (one.description, one.layers, one.moves_data) == ("-1 layer: e", 1, True)


def test_a_layer_in_one_kernel_with_one_that_came_goes_with_it() -> None:
    came, went = LayerRun("added", "", None, 1), LayerRun("removed", "", None, 1)
    a, b = entry(None, "a")._replace(kernel=("x", "y")), entry(None, "b")._replace(kernel=("u", "v"))
    assert _in_kernel(a, b, {"y": went}, {"v": came}) is came
    assert _in_kernel(a, b, {"y": went}, {}) is went
    assert _in_kernel(a, b, {"v": went}, {"y": came}) is None
