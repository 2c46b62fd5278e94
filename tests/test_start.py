"""A YAML file costs no heavy import and little memory, and the probe that says so would notice one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "torch",
    "numpy",
    "sympy",
    "fvcore",
    "onnx",
    "timm",
    "torchvision",
    "pydantic",
    "rich",
    "matplotlib",
    "asyncio",
)
PROBE = """
import sys
from costcalc.cli.dispatch import outcome
{before}
code = outcome({args!r})
loaded = [name for name in {heavy!r} if name in sys.modules]
# On Linux, ru_maxrss of a child begins at what its parent had.
try:
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
except (OSError, StopIteration):
    peak = 0
print(code, ",".join(loaded), peak, file=sys.stderr)
"""


def probe(*args: str, before: str = "") -> tuple[str, set[str], int]:
    """Exit code, heavy modules loaded and peak megabytes of a command in a fresh process."""
    code = PROBE.format(args=list(args), heavy=HEAVY, before=before)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    exit_code, loaded, peak = run.stderr.splitlines()[-1].split(" ")
    return exit_code, set(loaded.split(",")) - {""}, int(peak)


@pytest.mark.parametrize(
    "args",
    [
        ["analyze", "configs/mobilenet.yaml"],
        ["analyze", "resnet50", "--batch", "8", "--bits", "16", "--machine", "a100", "--fps", "30", "--format", "json"],
        ["explain", "mobilenet", "features.1.depthwise.conv"],
        ["formula", "resnet18"],
        ["list"],
        ["memory", "mobilenet_v2", "--engine", "tflm", "--bits", "8"],
    ],
    ids=lambda args: args[0],
)
def test_a_shipped_model_loads_nothing_heavy_and_needs_less_than_60_megabytes(args: list[str]) -> None:
    code, loaded, peak = probe(*args)
    assert (code, loaded) == ("0", set())
    assert peak < 60


def test_the_probe_would_notice() -> None:
    _, loaded, _ = probe("analyze", "configs/mobilenet.yaml", before="import numpy, asyncio")
    assert {"numpy", "asyncio"} <= loaded


def test_importing_the_library_imports_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import costcalc; print(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {name for name in run.stdout.split() if name.split(".")[0] == "costcalc"}
    others = set(run.stdout.split()) - ours
    assert ours == {"costcalc"}
    assert not others & {*HEAVY, "typer", "yaml"}
