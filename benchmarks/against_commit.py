"""How fast this working tree is beside another commit: ratios of CPU time, measured in one run, the two sides in turns.

    python benchmarks/against_commit.py addf89a

The commit is checked out into a temporary work tree, which is taken away again.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent

POOLS = "inputs: {image: [1, 4099, 4099]}\nlayers:\n- for i in range(160):\n  - adaptive_avg_pool(4098 - 7*i)\n"
DENSE = """
inputs: {image: [4, 32, 32]}
layers:
- c0: conv(8, 1)
- for i in range(1, 800):
  - j$i: {concat: [{for j in range(i): c$j}]}
  - c$i: conv(8, 1)
"""
CONVS = "inputs: {image: [8, 8, 8]}\nlayers:\n- for i in range(100000):\n  - conv(8, 1)\n"

TIMED = """
import sys, time, resource
sys.path.insert(0, sys.argv[1])
import costcalc
try:
    from costcalc.backends.report import render
except ImportError:  # of a commit before it moved
    from costcalc.backends import render
from costcalc.backends import rows
TableOptions = next(getattr(rows, name) for name in ("TableOptions", "TableView", "View") if hasattr(rows, name))
text, what = sys.argv[2], sys.argv[3]
{before}
start = time.process_time()
{timed}
spent = time.process_time() - start
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
ALL_BEFORE = """
import torch, warnings; warnings.filterwarnings("ignore")
class AllBefore(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.first = torch.nn.Conv2d(4, 8, 1)
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(8 * i, 8, 1) for i in range(1, layers))
    def forward(self, x):
        made = [self.first(x)]
        for conv in self.convs:
            made.append(conv(torch.cat(made, 1)))
        return made[-1]
with torch.device("meta"):
    costcalc.trace(AllBefore(20), (1, 4, 32, 32)); model = AllBefore(800)
"""
SPEC = "import tempfile, pathlib; file = pathlib.Path(tempfile.mkdtemp(), 'net.yaml'); file.write_text(text)"
SHIPPED = "the models that both sides ship"
ANALYSED = "costcalc.analyze(str(file)).layers[-1].receptive_field"
REPORTED = f"{SPEC}; report = costcalc.analyze(str(file)); report.layers[-1].receptive_field"
# Receptive fields are read wherever they are part of what is timed, and before where they are not: an earlier commit
# works them out in ``analyze``, this one when they are asked for. Of ``costcalc.analyze`` the first mention imports it.
CASES = {
    "all shipped models, with fields": (
        SHIPPED,
        "costcalc.analyze",
        "for model in text.split(): costcalc.analyze(model).layers[-1].receptive_field",
        0.6,
    ),
    "all shipped models, totals alone": (
        SHIPPED,
        "costcalc.analyze",
        "for model in text.split(): costcalc.analyze(model)",
        0.6,
    ),
    "160 adaptive pools": (POOLS, SPEC, ANALYSED, 0.2),
    "800 layers that read all before them": (DENSE, SPEC, ANALYSED, 0.2),
    "800 such layers, traced": ("", ALL_BEFORE, "costcalc.trace(model, (1, 4, 32, 32))", 0.2),
    "100,000 convs, analysed": (CONVS, SPEC, ANALYSED, 0.5),
    "100,000 convs as JSON": (CONVS, REPORTED, "render('json', report, TableOptions())", 0.33),
    "100,000 convs as CSV": (CONVS, REPORTED, "render('csv', report, TableOptions())", 0.33),
}
"""What is timed → a spec, what is done before, what is timed, and the ratio that it should be at most."""

MODELS = "import sys; sys.path.insert(0, sys.argv[1]); from costcalc import zoo; print(*zoo.models())"
COMMAND = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "costcalc", "analyze", "configs/mobilenet.yaml"], cwd=sys.argv[1],
               stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


@contextmanager
def checked_out(commit: str) -> Iterator[str]:
    """The folder of a temporary work tree at ``commit``."""
    with tempfile.TemporaryDirectory() as folder:
        there = str(Path(folder, "tree"))
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", there, commit], check=True)
        try:
            yield there
        finally:
            subprocess.run([*git, "remove", "--force", there], check=True)


def run(code: str, *args: str) -> tuple[float, float]:
    """CPU seconds and peak megabytes that ``code`` tells."""
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=args[0], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def shipped(sides: tuple[str, str]) -> str:
    """The names of the models that both sides ship, in one line."""
    told = [
        subprocess.run(
            [sys.executable, "-c", MODELS, side], cwd=side, capture_output=True, text=True, check=True
        ).stdout
        for side in sides
    ]
    known = {*told[0].split()}
    return " ".join(name for name in told[1].split() if name in known)


def row(what: str, code: str, sides: tuple[str, str], text: str, rounds: int, wanted: float) -> None:
    """One line of the table: the best of ``rounds`` runs of each side, in turns."""
    best = {side: (float("inf"), 0.0) for side in sides}
    for _ in range(rounds):
        for side in sides:
            best[side] = min(best[side], run(code, side, text, what))
    (before, _), (now, megabytes) = (best[side] for side in sides)
    print(
        f"{what:<42}{before:>8.2f}{now:>8.2f}{now / before:>8.2f}   at most {wanted:<5}{megabytes:>6.0f} MB", flush=True
    )


def main() -> None:
    """Print the table for the commit that is the first argument."""
    with checked_out(sys.argv[1] if len(sys.argv) > 1 else "addf89a") as base:
        sides = base, str(ROOT)
        for side in sides:
            # As it is where it is installed; else whoever has PYTHONDONTWRITEBYTECODE set times Python's compiler.
            compileall.compile_dir(Path(side, "costcalc"), quiet=1)
        print(f"{'CPU seconds':<42}{'then':>8}{'now':>8}{'ratio':>8}")
        row("analyze configs/mobilenet.yaml, a process", COMMAND, sides, "", 9, 0.75)
        models = shipped(sides)
        for what, (text, before, timed, wanted) in CASES.items():
            given = models if text is SHIPPED else text
            row(what, TIMED.format(before=before, timed=timed), sides, given, 3, wanted)


if __name__ == "__main__":
    main()
