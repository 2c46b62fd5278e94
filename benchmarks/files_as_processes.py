"""CPU time of ``costcalc analyze FILE`` as a process, against ``analyze resnet50`` from YAML, in one run.

python benchmarks/files_as_processes.py [FILE ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from cpu_time import of_command  # noqa: E402

from tests.tflite.twins import resnet50  # noqa: E402

TIMES = 15


def seconds(model: str) -> float:
    """The least CPU time of a process of some."""
    return min(of_command("analyze", model) for _ in range(TIMES))


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder, "resnet50.tflite")
        twin.write_bytes(resnet50())
        base = seconds("resnet50")
        for model in [str(twin), *sys.argv[1:]]:
            print(f"{Path(model).name:30} {seconds(model) / base:.2f} of resnet50 from YAML")


if __name__ == "__main__":
    main()
