"""What a run of the command line takes of the processor; the benchmarks of whole processes share it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def of_command(*arguments: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> float:
    """Seconds of CPU that ``costcalc`` with ``arguments`` takes, of this working tree, with its bytecode kept.

    environment   variables beside those of whoever runs the benchmark
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "costcalc", *arguments]
    variables = {**kept, "PYTHONPATH": str(ROOT), **(environment or {})}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
