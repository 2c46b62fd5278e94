"""What a page costs beside the table: CPU time of whole processes, the least of several, and the bytes of the page.

    python benchmarks/page.py

Read the ratios: both sides run in turn. Bytecode is written first, and Python's own start is in both.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from cpu_time import of_command

TIMES = 7


def main() -> None:
    """A line a model: the page's time, its ratio to that of ``analyze``, its size."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "x.html"
        for model in ("resnet50", "convnext_t", "resnet1202"):
            for machine in ((), ("--machine", "a100")):
                lines = ("report", model, *machine, "--output", str(page)), ("analyze", model, *machine)
                least = [min(of_command(*line) for _ in range(TIMES)) for line in lines]
                says = f"{least[0]:6.3f} s  {least[0] / least[1]:5.2f}×  {page.stat().st_size / 1000:6.0f} kB"
                print(f"{model:12}{' '.join(machine):16}{says}")


if __name__ == "__main__":
    main()
