"""Where output goes when it is not a plain file, and what is said when it cannot go there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from costcalc.cli import dispatch

ROOT = Path(__file__).resolve().parents[2]


def test_the_output_may_be_the_standard_output_of_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "costcalc", "analyze", "lenet5", "--format", "csv", "--output", "/dev/stdout"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"row,name,")


def test_links_in_a_circle_are_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert dispatch.outcome(["analyze", "lenet5", "--output", str(loop)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_output_without_a_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.outcome(["analyze", "lenet5", "--output", ""]) == 2
    assert "the output has no file name" in capsys.readouterr().err


def test_a_mistake_on_the_command_line_has_no_empty_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.outcome(["check", "nope", "--max", "macs=1"]) == 2
    assert capsys.readouterr().err.startswith("costcalc: error: no model called 'nope'")


@pytest.mark.parametrize(
    "args",
    [
        ["analyze", "nope"],
        ["analyze", "lenet5", "--columns", "nope"],
        ["compare", "lenet5", "nope"],
        ["diff", "lenet5", "nope"],
        ["check", "nope", "--max", "macs=1"],
        ["verify", "nope"],
        ["trace", "nope:Net"],
        ["show", "nope"],
        ["list", "--task", "nope"],
    ],
)
def test_the_output_of_a_command_that_fails_is_as_it_was(tmp_path: Path, args: list[str]) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine", encoding="utf-8")
    assert dispatch.outcome([*args, "--output", str(kept)]) == 2
    assert kept.read_text(encoding="utf-8") == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
