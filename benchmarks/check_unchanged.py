"""``costcalc check`` of 20 PyTorch models that did not change since the lock, beside tracing them: CPU time of whole
processes, in turns, in one run. Asked for: at most a tenth, and no import of torch.

    python benchmarks/check_unchanged.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from cpu_time import of_command

MODELS, ROUNDS = 20, 3
NET = """
from torch import nn
from blocks import Block

class Net(nn.Module):
    def __init__(self, width={width}, depth=8):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))
"""
BLOCKS = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()
"""


def spent(folder: Path, *args: str) -> float:
    """Seconds of CPU of a command."""
    return of_command(
        *args, folder=folder / "team", environment={"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        team = folder / "team"
        team.mkdir()
        subprocess.run(["git", "init", "--quiet"], cwd=team, check=True)
        (team / "blocks.py").write_text(BLOCKS)
        config = "version: 1\nmodels:\n"
        for i in range(MODELS):
            (team / f"net{i}.py").write_text(NET.format(width=16 + i))
            config += (
                f"  - {{name: net{i}, model: 'net{i}.py:Net', at: [{{input: 3x64x64}}], budgets: {{macs: 1 G}}}}\n"
            )
        (team / "costcalc.yaml").write_text(config)
        spent(folder, "lock", "--allow-code")
        kept, traced = [], []
        for _ in range(ROUNDS):
            kept.append(spent(folder, "check", "--allow-code"))
            lock = (team / "costcalc.lock").rename(folder / "costcalc.lock")
            traced.append(spent(folder, "check", "--allow-code"))
            lock.rename(team / "costcalc.lock")
        a, b = min(kept), min(traced)
        print(f"{MODELS} models unchanged {a:.2f} s, traced {b:.2f} s of CPU: {a / b:.3f}×")


main()
