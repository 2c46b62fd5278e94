"""``--child``: a command in a process of its own, whose death is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import ROOT, process, run

pytest.importorskip("torch.nn")

NET = """
import os, signal
from torch import nn

class Fine(nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

class Ends(nn.Module):
    def forward(self, x):
        os.kill(os.getpid(), getattr(signal, "SIG" + os.environ["ENDS_BY"]))
        return x
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(NET, encoding="utf-8")
    return str(path)


def test_a_command_says_the_same_in_a_process_of_its_own(net: str) -> None:
    line = ("analyze", f"{net}:Fine", "--input", "3", "--format", "csv")
    assert process(*line, "--child") == process(*line) != ("", "", 0)
    refused = process("analyze", f"{net}:Missing", "--child")
    assert refused.code == 2 and "Missing" in refused.err


@pytest.mark.parametrize(
    ("signal", "said"),
    [("SEGV", "a segmentation fault"), ("ABRT", "an abort"), ("KILL", "a kill, as where memory has run out")],
)
def test_what_ends_the_process_is_said_with_the_line(net: str, tmp_path: Path, signal: str, said: str) -> None:
    written = tmp_path / "cost.csv"
    written.write_text("as before", encoding="utf-8")
    line = ("analyze", f"{net}:Ends", "--input", "3", "--output", str(written), "--child")
    found = process(*line, ENDS_BY=signal)

    assert (found.code, found.out) == (2, "") and found.err.count("\n") == 1
    assert f"ended by {said}" in found.err and written.read_text(encoding="utf-8") == "as before"
    assert signal == "KILL" or f"{net}:11 in forward" in found.err


def test_what_lies_in_the_working_directory_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("costcalc.py", "faulthandler.py"):
        (tmp_path / name).write_text("print('strange')", encoding="utf-8")
    monkeypatch.setattr("terminal.ROOT", tmp_path)
    monkeypatch.setattr("terminal.COMMAND", [*_command()])
    assert "strange" not in "".join(map(str, process("analyze", "lenet5", "--child")))


def _command() -> list[str]:
    import sys

    return [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from costcalc.cli import main; main()",
    ]


def test_commands_without_a_model_do_not_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list", "--child").code == 2
