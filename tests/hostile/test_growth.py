"""Small files that ask for much: each command is done within bounds, or has refused in a sentence.

``CASES`` grows each kind of input as far as a file of 100 kB goes, one way each. Those in ``QUICK`` run every time,
all of them with ``pytest -m long``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS, GIGABYTES = 10, 1
"""Of CPU and of memory. What is promised is 5 seconds; a slow machine is given twice that."""
DENSE = """\
- c0: conv(8, 1)
- for i in range(1, {n}):
  - j$i: {{{join}: [{{for j in range(i): c$j}}]}}
  - c$i: conv(8, 1)
"""
BESIDE = (
    "- c0: conv(8, 1)\n- for i in range(1, 600):\n  - j$i: {'concat(axis=2)': [{for j in range(i): c$j}]}\n"
    "  - c$i: {conv(8, 1): [c0]}\n"
)
Case = tuple[dict[str, str], list[str]]


def spec(layers: str, image: str = "[8, 64, 64]") -> str:
    """A model of these layers."""
    return f"inputs: {{image: {image}}}\nlayers:\n{layers}"


def config(models: str) -> str:
    """A config of these models."""
    return f"version: 1\nmodels:\n{models}"


def one(layers: str, *command: str, image: str = "[8, 64, 64]") -> Case:
    """A command on one model."""
    return {"net.yaml": spec(layers, image)}, [*(command or ("analyze",)), "net.yaml"]


CASES: dict[str, Case] = {
    "joins of all before": one(DENSE.format(n=800, join="concat"), image="[4, 32, 32]"),
    "joins along a moving axis": one(BESIDE, image="[4, 32, 32]"),
    "joins, as JSON": one(DENSE.format(n=700, join="concat"), "analyze", "--format", "json"),
    "joins, written out": one(DENSE.format(n=500, join="concat"), "show", "--expand"),
    "joins, explained": one(DENSE.format(n=700, join="concat"), "explain"),
    "joins, fused": one(DENSE.format(n=500, join="concat"), "analyze", "--apply", "fuse"),
    "one kernel, timed": one(
        "- conv(8, 1)\n- for i in range(20000):\n  - relu\n", "analyze", "--apply", "fuse", "--machine", "a100"
    ),
    "sums with one map": one(
        "- s: relu\n- for i in range(5000):\n  - c$i: conv(8, 1)\n  - add: [c$i, s]\n",
        "analyze", "--apply", "fuse:openvino",
    ),
    "many kernels that one takes in": one(
        "- s: conv(8, 1)\n- for i in range(12000):\n  - r$i: {relu: s}\n- add: [{for i in range(12000): r$i}]\n",
        "analyze", "--apply", "fuse:inductor",
    ),
    "one kernel of much that is read later": one(
        "- s: relu\n- for i in range(12000):\n  - r$i: {relu: s}\n- concat: [{for i in range(12000): r$i}]\n",
        "analyze", "--apply", "fuse:inductor",
    ),
    "joins, in closed form": one(DENSE.format(n=150, join="concat"), "formula", "--symbols", "height,width"),
    **{
        f"resizings, {mode}": one(f"- for i in range(2000):\n  - upsample(size=[9999-i, 9998-i], mode='{mode}')\n")
        for mode in ("bilinear", "bicubic", "nearest", "nearest-exact")
    },
    "resizings, antialiased": one(
        "- for i in range(2000):\n  - upsample(size=[2000-i%1500, 1999], mode='bilinear', antialias=true)\n"
    ),
    "resizings up to the bound": one("- for i in range(49):\n  - upsample(size=[9999-i, 9000-i], mode='bicubic')\n"),
    "adaptive pools": one("- for i in range(3000):\n  - adaptive_avg_pool(9999-i)\n", image="[1, 9999, 9999]"),
    "splits": one(
        "- for i in range(200):\n  - s$i: split(64, axis=1)\n  - concat: [{for j in range(64): s$i.$j}]\n",
        image="[64, 8, 8]",
    ),
    "dilations": one("- for i in range(9000):\n  - conv(8, 3, dilation=i+1, padding=i+1)\n"),
    "kernels": one("- for i in range(3000):\n  - conv(8, [2*i+1, 3], padding=[i, 1])\n", image="[8, 9999, 9]"),
    "shuffles": one("- for i in range(9000):\n  - pixel_shuffle(2)\n  - pixel_unshuffle(2)\n", image="[64, 8, 8]"),
    "differences": (
        {
            "net.yaml": spec("- for i in range(5000):\n  - a$i: conv(8+i%7, 1)\n"),
            "other.yaml": spec("- for i in range(5000):\n  - b$i: conv(8+i%5, 3, padding=1)\n"),
        },
        ["diff", "net.yaml", "other.yaml"],
    ),
    "patterns of layers": (
        {
            "net.yaml": spec("- for i in range(20000):\n  - conv(8, 1)\n"),
            "costcalc.yaml": config(
                "- model: net.yaml\n  layers:\n" + "".join(f"    'conv*{i}*': {{macs: 1}}\n" for i in range(3000))
            ),
        },
        ["check"],
    ),
    "models of a config": (
        {
            "net.yaml": spec("- relu\n"),
            "costcalc.yaml": config(
                "".join(f"- {{name: n{i}, model: net.yaml, budgets: {{macs: 1}}}}\n" for i in range(1800))
            ),
        },
        ["check"],
    ),
    "rates of a machine": (
        {
            "net.yaml": spec("- relu\n"),
            "mine.yaml": "title: x\nbandwidth: 1e9\nsource: x\n"
            + f"macs: {{{', '.join(f'a{i}: 1e9' for i in range(7000))}}}\n",
        },
        ["analyze", "net.yaml", "--machine", "mine.yaml"],
    ),
    "brackets": ({"net.yaml": "a: " + "[" * 40_000}, ["analyze", "net.yaml"]),
    "parameters": (
        {
            "net.yaml": "parameters: {p0: 1, " + ", ".join(f"p{i}: p{i - 1} + 1" for i in range(1, 5000)) + "}\n"
            + spec("- relu\n")
        },
        ["analyze", "net.yaml"],
    ),
    "a baseline of brackets": (
        {
            "net.yaml": spec("- relu\n"),
            "costcalc.yaml": config("- {model: net.yaml, budgets: {macs: {max_increase: 1%}}}\n"),
            "report.json": "[" * 90_000,
        },
        ["check", "--compare-to", "report.json"],
    ),
}  # fmt: skip
QUICK = (
    "joins of all before", "resizings, bilinear", "resizings, antialiased", "one kernel, timed", "patterns of layers",
    "brackets",
)  # fmt: skip


def held(case: str, folder: Path) -> None:
    """Run a case within the bounds."""
    resource = pytest.importorskip("resource")
    files, command = CASES[case]
    for name, text in files.items():
        assert len(text) <= 100_000
        (folder / name).write_text(text, encoding="utf-8")

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    line = [sys.executable, "-m", "costcalc", *command]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=bounded)
    assert done.returncode in (0, 1, 2), (done.returncode, done.stderr[-300:])
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("case", QUICK)
def test_what_grows_is_done_or_refused(case: str, tmp_path: Path) -> None:
    held(case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_every_kind_that_grows_is_done_or_refused(case: str, tmp_path: Path) -> None:
    held(case, tmp_path)
