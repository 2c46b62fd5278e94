"""How fast and how small: ratios of whole processes, measured in one run.

    python benchmarks/core.py

Each row is the best of several runs, the two sides taken in turns: machines are noisy, only ratios say something.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable

IMPORTS = [PYTHON, "-c", "import typer, rich.table, yaml"]
ANALYZE = [PYTHON, "-m", "costcalc", "analyze", "configs/mobilenet.yaml"]
TORCH = [PYTHON, "-c", "import torch"]
TORCH_AND_US = [PYTHON, "-c", "import torch, costcalc"]
# The shortest script that counts the same model: MobileNet-v1 of the paper, built with torch and counted by fvcore.
FVCORE = [PYTHON, str(Path(__file__).with_name("mobilenet_with_fvcore.py"))]


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run of ``command``."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def best(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """The best of ``rounds`` runs of each command, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    return {name: min(runs) for name, runs in times.items()}


def peak_megabytes(command: Sequence[str]) -> float:
    """The most memory that one run of ``command`` had resident."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = subprocess.run([PYTHON, "-c", code, *command], cwd=ROOT, check=True, capture_output=True, text=True)
    return int(run.stdout) / 1024


def in_process(name: str, rounds: int = 5) -> tuple[float, int]:
    """Seconds to load and analyse a zoo model in this process, best of several, and its layers."""
    import costcalc

    runs = []
    layers = 0
    for _ in range(rounds):
        start = time.perf_counter()
        layers = costcalc.analyze(costcalc.load(name)).total.layers
        runs.append(time.perf_counter() - start)
    return min(runs), layers


def row(what: str, value: str, note: str = "") -> None:
    """One line of the table."""
    print(f"{what:<72}{value:>8}   {note}")


def main() -> None:
    """Print the table of ratios."""
    sys.path.insert(0, str(ROOT))
    compileall.compile_dir(ROOT / "costcalc", quiet=1)  # as an installed package is
    times = best({"imports": IMPORTS, "analyze": ANALYZE}, rounds=15)
    row("analyze mobilenet / importing typer, rich.table, yaml", f"{times['analyze'] / times['imports']:.2f}", "≤ 1.8")
    slow = best({"analyze": ANALYZE, "fvcore": FVCORE}, rounds=3)
    row("the same model counted with fvcore / analyze", f"{slow['fvcore'] / slow['analyze']:.1f}", "≥ 8")
    heavy = best({"torch": TORCH, "both": TORCH_AND_US}, rounds=7)
    row("import torch, costcalc / import torch", f"{heavy['both'] / heavy['torch']:.3f}", "< 1.05")
    row("peak memory of analyze, MB", f"{peak_megabytes(ANALYZE):.0f}", "< 60")
    resnet50, _ = in_process("resnet50")
    row("resnet50 loaded and analysed in this process, ms", f"{resnet50 * 1e3:.0f}", "< 50")
    per_layer = {}
    for name in ("resnet20", "resnet110", "resnet1202"):
        spent, layers = in_process(name, rounds=3)
        per_layer[name] = spent / layers
        row(f"{name}, {layers} layers, s", f"{spent:.2f}", f"{per_layer[name] * 1e6:.0f} µs a layer")
    row("cost a layer, resnet1202 / resnet110", f"{per_layer['resnet1202'] / per_layer['resnet110']:.2f}", "flat")


if __name__ == "__main__":
    main()
