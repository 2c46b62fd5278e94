"""Files that libraries look for in the working directory, where a stranger may have left them, are not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from costcalc.packing import search, search_loops
from costcalc.packing.problem import problem
from costcalc.packing.records import Buffer

ROOT = Path(__file__).parent.parent.parent
# What is opened below the working directory, by relative names too, is printed.
WATCHED = """
import os, sys
here = os.getcwd() + os.sep
def seen(event, args):
    if event == "open" and isinstance(args[0], str):
        path = os.path.abspath(args[0])
        if path.startswith(here):
            print("opened", path[len(here):])
sys.addaudithook(seen)
from costcalc.cli import main
main()
"""
SPEC = "name: net\ninputs: {x: [3, 8, 8]}\nlayers: [conv(4, 3), relu]\n"
KNOWN = ("matplotlibrc", ".numba_config.yaml", "setup.cfg", "tox.ini", ".env", "pyvenv.cfg", "sitecustomize.py")


def run(folder: Path, *args: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in KNOWN:
        (tmp_path / name).write_text("# a stranger's\n")
    (tmp_path / "net.yaml").write_text(SPEC)
    return tmp_path


def test_a_picture_is_drawn_without_settings_that_lie_there(checkout: Path) -> None:
    pytest.importorskip("matplotlib")
    out = run(checkout, "plot", "treemap", "net.yaml", "--output", str(checkout / "map.svg"))
    opened = {line for line in out.splitlines() if line.startswith("opened") and "costcalc-" not in line}
    assert opened == {"opened net.yaml"}


def test_no_setting_of_matplotlib_changes_a_picture() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    from costcalc import analyze
    from costcalc.backends.plots.canvas import rendered

    report = analyze("lenet5")
    before = rendered(report.plot.treemap(), "svg")
    others: dict[Any, Any] = {"savefig.transparent": True, "font.weight": "bold", "path.sketch": (5, 100, 2)}
    with matplotlib.rc_context(others):
        assert rendered(report.plot.treemap(), "svg") == before
        assert matplotlib.rcParams["font.weight"] == "bold"


def test_a_search_is_no_machine_code_where_settings_of_numba_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numba = ModuleType("numba")

    def njit(**options: Any) -> Any:
        raise AssertionError("numba was asked")

    numba.njit = njit  # type: ignore[attr-defined]
    pytest.importorskip("numpy")
    monkeypatch.setitem(sys.modules, "numba", numba)
    monkeypatch.chdir(tmp_path)
    buffers = [Buffer("a", 0, 1, 8), Buffer("b", 1, 2, 24)]
    asked, _ = problem(buffers, [buffer.bytes for buffer in buffers])
    search.compiled.cache_clear()
    with pytest.raises(AssertionError, match="numba was asked"):
        next(search.runs(asked, 4, 0, fast=True))
    (tmp_path / ".numba_config.yaml").write_text("")
    assert next(search.runs(asked, 4, 0, fast=True)).ended == search_loops.FOUND
    search.compiled.cache_clear()
