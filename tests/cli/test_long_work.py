"""Ctrl-C while a command is at its long work: it ends with 130, not a word, within 1.5 seconds of work, and nothing is
half written.

What is measured is CPU time after the signal, which no other program on the machine makes longer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from terminal import ROOT, clean

SECONDS = 1.5
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a process's time as Linux tells it")

LONG = "inputs: {image: [8, 64, 64]}\nlayers:\n- for i in range(80000):\n  - conv(8+i%5, 3, padding=1)\n"
OTHER = LONG.replace("i%5", "i%7")
CONFIG = "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: 1}}\n"
TENSORS = "name,first,last,bytes\n" + "".join(f"{i},{i * 37 % 900},{i * 37 % 900 + i % 90},{7919 * i % 1013 + 1}\n"
                                              for i in range(2000))  # fmt: skip
NET = "from torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
NET += "        super().__init__(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4000)))\n"

COMMANDS = {
    "analyze": ["analyze", "net.yaml"],
    "analyze, a page": ["analyze", "net.yaml", "--format", "html", "--output", "made.html"],
    "analyze, for programs": ["analyze", "net.yaml", "--format", "json", "--output", "made.json"],
    "analyze, fused": ["analyze", "net.yaml", "--apply", "fuse", "--machine", "a100"],
    "explain": ["explain", "net.yaml"],
    "formula": ["formula", "net.yaml", "--symbols", "height,width"],
    "memory": ["memory", "net.yaml", "--engine", "mcu"],
    "fits": ["fits", "net.yaml", "--ram", "64KiB"],
    "compare": ["compare", "net.yaml", "other.yaml"],
    "diff": ["diff", "net.yaml", "other.yaml"],
    "diff of revisions": ["diff", "HEAD~1..HEAD"],
    "check": ["check"],
    "check against a revision": ["check", "--base", "HEAD~1"],
    "lock": ["lock"],
    "init": ["init", "--config", "made.yaml"],
    "history": ["history", "net.yaml"],
    "show": ["show", "net.yaml", "--expand", "--output", "made.yaml"],
    "pack": ["pack", "tensors.csv", "--seconds", "60"],
}
WITH_TORCH = {
    "trace": ["trace", "net.py:Net", "--input", "3x64x64", "--output", "made.yaml"],
    "verify": ["verify", "small.yaml"],
}
QUICK = ("analyze", "check", "diff of revisions", "pack")
MOMENTS = (1.0, 2.5)
"""Seconds of CPU after which the signal comes, where a command takes so long."""


def made(folder: Path) -> None:
    """A repository with two commits, whose models take long."""

    def git(*args: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet")
    small = LONG.replace("80000", "8")
    for name, text in (("net.yaml", OTHER), ("other.yaml", OTHER), ("costcalc.yaml", CONFIG), ("tensors.csv", TENSORS),
                       ("net.py", NET), ("small.yaml", small)):  # fmt: skip
        (folder / name).write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--message", "one")
    (folder / "net.yaml").write_text(LONG)
    git("commit", "--quiet", "--all", "--message", "two")


def cpu(process: int) -> float:
    """Seconds of CPU that a process and its children that ended have used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def interrupted(command: list[str], after: float, folder: Path) -> tuple[int, bytes, float] | None:
    """Exit code, messages, seconds of CPU after Ctrl-C, which comes ``after`` so many; None if it was done."""
    line = [sys.executable, "-m", "costcalc", *command]
    environment = clean({"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    with subprocess.Popen(
        line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while running.poll() is None and cpu(running.pid) < after:
            time.sleep(0.02)
        if running.poll() is not None:
            return None
        before = cpu(running.pid)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        said = running.stderr.read()  # until the process ends
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        return running.returncode, said, used.ru_utime + used.ru_stime - before


def held(command: list[str], folder: Path) -> None:
    """Interrupt a command at each of ``MOMENTS`` that it reaches, the first at least."""
    made(folder)
    there = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for number, after in enumerate(MOMENTS):
        found = interrupted(command, after, folder)
        if found is None:
            assert number, "it took no time at all"
            break
        code, said, took = found
        assert (code, said) == (130, b"")
        assert took < SECONDS
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == there


@pytest.mark.parametrize("command", QUICK)
def test_long_work_is_interrupted(command: str, tmp_path: Path) -> None:
    held(COMMANDS[command], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_long_work_of_every_command_is_interrupted(command: str, tmp_path: Path) -> None:
    held(COMMANDS[command], tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not find_spec("torch"), reason="needs torch")
@pytest.mark.parametrize("command", WITH_TORCH)
def test_long_work_with_pytorch_is_interrupted(command: str, tmp_path: Path) -> None:
    held(WITH_TORCH[command], tmp_path)
