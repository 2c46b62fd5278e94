"""The effects of the causes add up to the change, exactly, whatever the two graphs are."""

from __future__ import annotations

import pytest
from diffable import graphs, residual
from hypothesis import given, settings

from costcalc.analysis.roofline import Machine
from costcalc.diff import Diff, diff
from costcalc.ir.graph import Graph

MACHINE = Machine("toy", "toy", {"float32": 1e9}, 1e8, "made up")
EXACT = ("macs", "ops", "params", "buffers", "weights", "storage", "read", "write", "traffic")


def check_sums(found: Diff) -> None:
    for figure in EXACT:
        assert sum(c.of(figure) for c in found.causes) == found.change(figure), figure
        assert sum(c.effect(figure) for c in found.layers) == found.change(figure), figure
    if found.old and found.old.total.time:
        # Times are floats, so that the total itself is rounded.
        assert float(sum(c.of("time") for c in found.causes)) == pytest.approx(float(found.change("time")), abs=1e-12)


@given(graphs(), graphs())
@settings(max_examples=100, deadline=None)
def test_causes_add_up_exactly_on_random_pairs(a: Graph, b: Graph) -> None:
    check_sums(diff(a, b, machine=MACHINE))


@pytest.mark.long
@given(graphs(), graphs())
@settings(max_examples=5000, deadline=None)
def test_causes_add_up_exactly_on_thousands_of_random_pairs(a: Graph, b: Graph) -> None:
    check_sums(diff(a, b, machine=MACHINE))


@given(graphs())
@settings(max_examples=40, deadline=None)
def test_a_graph_does_not_differ_from_itself(a: Graph) -> None:
    found = diff(a, a)
    assert found.same and not found.causes and all(c.mark == "=" for c in found.layers)


def test_a_missing_side_is_added_or_removed_whole() -> None:
    graph = residual()
    for found in (diff(None, graph), diff(graph, None)):
        check_sums(found)
        assert {c.mark for c in found.layers} == ({"+"} if found.new else {"-"})
