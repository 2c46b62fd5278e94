"""Runs commands: in this process, where only what they say matters, or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from costcalc.cli.dispatch import outcome

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "costcalc"]
QUIET = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "COSTCALC_TRACEBACK")
"""Variables of whoever runs the tests that would change what is printed."""


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *args: str) -> Said:
    """``costcalc args`` in this process."""
    capsys.readouterr()
    code = outcome(list(args))
    return Said(code, *capsys.readouterr())


def process(*args: str, **environment: str) -> Said:
    """``costcalc args`` in a process of its own, without a terminal."""
    done = subprocess.run(
        [*COMMAND, *args], cwd=ROOT, env=clean(environment), capture_output=True, stdin=subprocess.DEVNULL, timeout=60
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def clean(more: dict[str, str]) -> dict[str, str]:
    """The environment without what would change the output, and with ``more``."""
    kept = {name: value for name, value in os.environ.items() if name not in QUIET}
    return kept | {"PYTHONDONTWRITEBYTECODE": ""} | more
