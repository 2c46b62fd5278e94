"""What budgets, locks and records of traces make of amounts, worked out by hand."""

from __future__ import annotations

import platform
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from throwaway import Repository

from costcalc import __version__
from costcalc.analysis.figures import FIGURES
from costcalc.budget.dependencies import content, kind, listing, machine, stems, unchanged, variable, version_of
from costcalc.budget.lock import graph_hash
from costcalc.budget.ratchet import rounded_up
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


@pytest.mark.parametrize(
    ("reached", "like", "written"),
    [
        (45, "100", "45"),
        (123_456, "200000", "124000"),
        (999, "1000", "999"),
        (1001, "2000", "1010"),
        (1_500, "2k", "1.5k"),
    ],
)
def test_a_limit_is_lowered_to_three_digits_not_below_what_is_reached(reached: int, like: str, written: str) -> None:
    assert rounded_up(Fraction(reached), like, FIGURES["layers"]) == written


def test_a_figure_may_be_held_to_one_value(repository: Repository) -> None:
    repository.write(
        "costcalc.yaml", "version: 1\nmodels: [{model: lenet5, budgets: {macs: {min: 416520, max: 416520}}}]\n"
    )
    code, printed = repository.run("check")
    assert (code, "416,520 MACs" in printed or "all 2 budgets met" in printed) == (0, True), printed


def test_what_a_graph_returns_is_part_of_what_it_computes() -> None:
    def graph(*outputs: str) -> Any:
        builder = GraphBuilder("net", {"x": TensorType((1, 4))})
        builder.add("a", find_op("relu")(), ["x"])
        builder.add("b", find_op("sigmoid")(), ["x"])
        return builder.build([*outputs])

    assert len({graph_hash(graph(*outputs)) for outputs in (("a", "b"), ("b", "a"), ("b",))}) == 3
    assert graph_hash(graph("a", "b")) == graph_hash(graph("a", "b"))


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    """What the trace of a model in ``tmp_path`` might have noted."""
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.py").write_text("x = 1\n", encoding="utf-8")
    at = str(tmp_path / "nets" / "net.py")
    return {
        "costcalc": __version__, "python": platform.python_version(), "machine": machine(),
        "environment": {"HOME_OF_NETS": variable("HOME_OF_NETS")}, "files": {"nets/net.py": content(at)},
        "asked": {"nets/net.py": kind(at)}, "modules": {"nets": [*stems(str(tmp_path / "nets"))]},
        "folders": {"nets": listing(str(tmp_path / "nets"))}, "libraries": {"pytest": version_of("pytest")},
        "absent": ["no_such_library_here"],
    }  # fmt: skip


def test_a_record_of_a_trace_holds_while_all_of_it_does(record: dict[str, Any], tmp_path: Path) -> None:
    assert unchanged(record, str(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("costcalc", "0.0.1"), ("python", "2.7"), ("machine", "another"), ("environment", {"HOME_OF_NETS": "set then"}),
        ("files", {"nets/net.py": "other"}), ("asked", {"nets/net.py": "folder"}), ("modules", {"nets": []}),
        ("folders", {"nets": "other"}), ("libraries", {"pytest": "0"}), ("absent", ["pytest"]),
    ],
)  # fmt: skip
def test_anything_in_it_that_is_otherwise_is_a_change(
    record: dict[str, Any], tmp_path: Path, key: str, value: Any
) -> None:
    assert not unchanged(record | {key: value}, str(tmp_path))


@pytest.mark.parametrize("key", ["environment", "files", "asked", "modules", "folders", "libraries", "absent"])
def test_each_thing_in_a_record_must_hold_not_one_of_them(record: dict[str, Any], tmp_path: Path, key: str) -> None:
    more = {"environment": {"PATH": "x"}, "files": {"gone.py": "x"}, "asked": {"gone.py": "file"},
            "modules": {".": []}, "folders": {".": "x"}, "libraries": {"hypothesis": "0"}}  # fmt: skip
    both = [*record[key], "hypothesis"] if key == "absent" else record[key] | more[key]
    assert not unchanged(record | {key: both}, str(tmp_path))
