"""Graphs inside TFLite graphs: branches, loops, and what runs once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph
from tests.tflite.writing_tflite import File

Open = Callable[..., Graph]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def of(data: bytes, **choices: Any) -> Graph:
        path = tmp_path / "net.tflite"
        path.write_bytes(data)
        return load(str(path), **choices)

    return of


def _dense(f: File, name: str, width: int) -> tuple[File, int, int]:
    """A graph of one dense layer from 8 to 8, or of two over ``width``."""
    graph = f.inner()
    x, y = graph.tensor("x", 1, 8), graph.tensor("y", 1, 8)
    if width == 8:
        graph.operator("FULLY_CONNECTED", [x, graph.weight(f"{name}.w", 8, 8), -1], [y], {})
    else:
        a = graph.tensor("a", 1, width)
        graph.operator("FULLY_CONNECTED", [x, graph.weight(f"{name}.w", width, 8), -1], [a], {})
        graph.operator("FULLY_CONNECTED", [a, graph.weight(f"{name}.v", 8, width), -1], [y], {})
    return graph, x, y


def branches() -> bytes:
    f = File()
    c, x, y = f.tensor("c", dtype="bool"), f.tensor("x", 1, 8), f.tensor("y", 1, 8)
    for name, width in (("little", 8), ("much", 20)):
        graph, given, made = _dense(f, name, width)
        f.hold(graph, [given], [made])
    f.operator("IF", [c, x], [y], {0: ("int", 1), 1: ("int", 2)})
    return f.bytes([c, x], [y])


def turning(turns: int, known: bool = True) -> bytes:
    """x = W·x while i < ``turns``; i counts from a constant 0, or from an input."""
    f = File()
    x, y, last = f.tensor("x", 1, 8), f.tensor("y", 1, 8), f.tensor("last", dtype="int32")
    i = f.numbers(0, shape=[]) if known else f.tensor("i", dtype="int32")
    test = f.inner()
    j, _, go = test.tensor("j", dtype="int32"), test.tensor("h", 1, 8), test.tensor("go", dtype="bool")
    test.operator("LESS", [j, test.numbers(turns, shape=[])], [go], {})
    f.hold(test, [0, 1], [go])
    body, _, _ = _dense(f, "step", 8)
    k, more = body.tensor("k", dtype="int32"), body.tensor("more", dtype="int32")
    body.operator("ADD", [k, body.numbers(1, shape=[])], [more], {})
    f.hold(body, [k, 0], [more, 1])
    f.operator("WHILE", [i, x], [last, y], {0: ("int", 1), 1: ("int", 2)})
    return f.bytes([x] if known else [i, x], [y])


def test_a_loop_that_counts_turns_as_often_as_it_does(opened: Open) -> None:
    """Five products of 8 by 8, whose weights are one; what counts them is made of constants, and no work."""
    graph = opened(turning(5))
    found = report(graph)
    assert (found.total.macs, found.total.params, found.total.ops) == (5 * 64, 64, 0)
    assert found.is_complete and not graph.sizes


def test_a_loop_whose_end_values_decide_is_a_named_size(opened: Open) -> None:
    data = turning(5, known=False)
    graph = opened(data)
    assert report(graph).total.macs == 64
    assert [(s.name, s.size, s.given, s.bounds) for s in graph.sizes] == [("trips", 1, False, False)]
    seven = report(opened(data, parameters={"trips": 7}))
    # Eight comparisons and seven additions of a number that the file does not know.
    assert (seven.total.macs, seven.total.params, seven.total.ops) == (7 * 64, 64, 8 + 7)
    with pytest.raises(
        CostcalcError, match=r"no size 'trip' that values decide \(did you mean 'trips'\?\); it has trips"
    ):
        opened(data, parameters={"trip": 7})
    with pytest.raises(CostcalcError, match=r"trips of .* is a whole number from 0, not -1"):
        opened(data, parameters={"trips": -1})


def test_the_branch_with_more_macs_is_counted_and_the_other_by_name(opened: Open) -> None:
    graph = opened(branches())
    assert report(graph).total.macs == 2 * 8 * 20
    assert [(s.name, s.size, s.bounds) for s in graph.sizes] == [("branch", 0, False)]
    assert any("else branch is counted" in note for note in graph.assumed)
    assert report(opened(branches(), parameters={"branch": 1})).total.macs == 64
    with pytest.raises(CostcalcError, match="branch is 0, the else branch, or 1, the then branch, not 2"):
        opened(branches(), parameters={"branch": 2})


def test_what_runs_once_is_no_work_of_an_inference(opened: Open) -> None:
    f = File()
    x, y = f.tensor("x", 1, 8), f.tensor("y", 1, 8)
    start, _, _ = _dense(f, "start", 8)
    f.operator("CALL_ONCE", [], [], {0: ("int", f.hold(start, [], []))})
    f.operator("RELU", [x], [y])
    graph = opened(f.bytes([x], [y]))
    assert report(graph).total.macs == 0 and report(graph).is_complete
    assert any("before the first inference alone" in note for note in graph.assumed)


def test_graphs_without_end_get_a_sentence(opened: Open) -> None:
    """A branch that is itself, and a loop that counts to more than is written out."""
    f = File()
    c, x, y = f.tensor("c", dtype="bool"), f.tensor("x", 1, 8), f.tensor("y", 1, 8)
    f.operator("IF", [c, x], [y], {0: ("int", 1), 1: ("int", 1)})
    inner = f.inner()
    given, again, out = inner.tensor("x", 1, 8), inner.tensor("c", dtype="bool", data=b"\1"), inner.tensor("y", 1, 8)
    inner.operator("IF", [again, given], [out], {0: ("int", 1), 1: ("int", 1)})
    f.hold(inner, [given], [out])
    with pytest.raises(CostcalcError, match="nested more than 16 deep"):
        opened(f.bytes([c, x], [y]))
    with pytest.raises(CostcalcError, match="turns more than 20,000 times"):
        opened(turning(2_000_000))


@pytest.mark.parametrize("data", [branches(), turning(5), turning(3, known=False)])
def test_shapes_are_those_of_a_run(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("ai_edge_litert", reason="the test extra brings it on Linux")
    from costcalc.frontends.sources import Request
    from costcalc.verification import tflite_file

    (tmp_path / "net.tflite").write_bytes(data)
    for check, differ in tflite_file.witnessed(str(tmp_path / "net.tflite"), Request()):
        assert not differ and (check.compared or check.name == tflite_file.ELEMENTS), check
