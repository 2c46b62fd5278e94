"""Ctrl-C at any moment of a command: exit code 130, not a word, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminal import ROOT, clean

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
MAIN = "from costcalc.cli import main; main()"


def interrupted(before: str, *args: str, after: float = 0.0, cwd: Path = ROOT) -> tuple[int, bytes]:
    """Exit code and messages of a command that is sent Ctrl-C once ``before`` has printed a line."""
    running = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{MAIN}", *args],
        cwd=cwd,
        env=clean({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"now\n"
    time.sleep(after)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    return running.returncode, err


# Many short sleeps stand for a long one: a signal between Python's last look and the system's sleep would not end that.
SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            print("now", flush=True)
            [time.sleep(0.01) for _ in range(2000)]
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize(
    "module", ["costcalc.cli.dispatch", "costcalc.errors", "costcalc.api", "yaml", "costcalc.backends"]
)
def test_while_modules_are_imported(module: str) -> None:
    assert interrupted(SLOW_IMPORT.format(module=module), "analyze", "lenet5") == (130, b"")


def test_when_all_is_done_and_the_process_ends() -> None:
    late = """
import atexit, time, costcalc.cli.dispatch as dispatch
run = dispatch.run
def later():
    atexit.register(lambda: (print("now", flush=True), [time.sleep(0.01) for _ in range(2000)]))
    run()
dispatch.run = later
"""
    assert interrupted(late, "analyze", "lenet5", "--output", os.devnull) == (130, b"")


def test_where_python_drops_exceptions() -> None:
    finalizer = """
import time, costcalc.api as api
class Last:
    def __del__(self):
        print("now", flush=True)
        time.sleep(0.5)
def report(*args, **kwargs):
    Last()
    [time.sleep(0.01) for _ in range(2000)]
api.report = report
"""
    assert interrupted(finalizer, "analyze", "lenet5") == (130, b"")


def test_a_file_that_is_being_written_is_taken_away(tmp_path: Path) -> None:
    slow = "import os, time; os.fsync = lambda _: (print('now', flush=True), [time.sleep(0.01) for _ in range(2000)])"
    file = tmp_path / "cost.json"
    file.write_text("old")
    code = interrupted(slow, "analyze", "lenet5", "--output", str(file))
    assert code == (130, b"")
    assert [f.name for f in tmp_path.iterdir()] == ["cost.json"] and file.read_text() == "old"


@pytest.mark.parametrize("after", [0.01, 0.03, 0.06, 0.1])
def test_at_other_moments(after: float) -> None:
    begun = "import costcalc.cli.interrupts; print('now', flush=True)"
    assert interrupted(begun, "analyze", "resnet152", after=after) in ((130, b""), (0, b""))
