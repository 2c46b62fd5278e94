"""What a terminal is told while a command works: a line on standard error, taken away before anything is written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest
from terminal import ROOT, clean

from costcalc.cli import progress
from costcalc.cli.commands import COMMANDS, find_command
from costcalc.progress import doing, each, listening

SLOW = """
import sys, time
from costcalc.cli import progress
from costcalc.cli.commands import find_command
from costcalc.cli.output import emit
from costcalc.progress import doing

progress.AFTER, progress.EVERY = 0.05, 0.05
command, _ = find_command(sys.argv[1])

def works(*args, **kwargs):
    doing("work on \\x1b[2J" + "\u6f22" * 300)
    time.sleep(0.3)
    emit("done\\n")

command._function = works
command(**{name: "x" for name, parameter in command.parameters.items() if parameter.required})
"""
"""A command whose work takes a while, on something with a name that would clear the screen and fill it."""


def on_a_terminal(code: str, *args: str) -> tuple[bytes, bytes]:
    """Standard output, through a pipe, and what a terminal on standard error is sent by ``code``."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code, *args]
    environment = clean({"PYTHONPATH": str(ROOT), "COLUMNS": "60"})
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as running:
        os.close(theirs)
        out, _ = running.communicate(timeout=60)
    told = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # nobody has it open any more
            break
        if not piece:
            break
        told += piece
    os.close(ours)
    return out, told


def seen(told: bytes) -> list[str]:
    """The lines that stood one after another where the cursor was, as a terminal draws them."""
    return [line for line in told.decode().split("\r") if line]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_a_terminal_what_it_does(name: str) -> None:
    out, told = on_a_terminal(SLOW, name)
    assert out == b"done\n"
    lines = seen(told)
    assert any(line.startswith("work on [2J漢") for line in lines), told
    assert "\x1b" not in told.decode()
    assert lines[-1].strip() == "" and told.endswith(b"\r")  # taken away
    assert all(progress._cells(line) < 60 for line in lines)


def test_what_takes_less_than_a_second_says_nothing() -> None:
    code = "from costcalc.cli.dispatch import outcome; outcome(['schema', '--of', 'lock'])"
    assert on_a_terminal(code)[1] == b""


def test_nothing_is_said_through_a_pipe(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER", 0.0)
    with progress.shown("waiting"):
        doing("working")
        time.sleep(0.05)
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_an_error_is_said_on_a_line_that_is_empty_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.cli.output import say_error

    stream = Terminal()
    monkeypatch.setattr(progress, "AFTER", 0.01)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    with progress.shown("costcalc check"):
        time.sleep(0.1)
        say_error("it is wrong")
    before, _, after = stream.getvalue().partition("costcalc: error")
    assert "costcalc check … 0 s" in before and before.endswith("\r") and before.rstrip("\r").endswith(" ")
    assert after == ": it is wrong\n"


def test_each_says_which_of_how_many() -> None:
    said: list[str] = []
    with listening(said.append):
        assert list(each("measuring", ["a", "b"])) == ["a", "b"]
        assert list(each("reading", {1: "x"}, lambda n: f"n{n}")) == [1]
    assert said == ["measuring a, 1 of 2", "measuring b, 2 of 2", "reading n1"]
    doing("nobody listens")


def test_every_command_is_one_that_tells() -> None:
    """Also one that is added: what tells is in ``Command``, which each is."""
    from costcalc.cli.parameters import Command

    assert all(isinstance(find_command(name)[0], Command) for name in COMMANDS)
