"""Settings that libraries look for in the working directory, where a stranger's may lie, and that nobody has named.

matplotlib evaluates some of what its file says when it is imported. numba's says from where code that was compiled
before is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MATPLOTLIB, NUMBA = "matplotlibrc", ".numba_config.yaml"


def lie_here(file: str) -> bool:
    """Whether a ``file`` of settings lies in the working directory."""
    return os.path.lexists(file)


@contextmanager
def passed_by(file: str) -> Iterator[None]:
    """While open, a library that looks for ``file`` in the working directory does not see the one that lies there.

    The working directory is that of the whole process, so that it stays what it is where no such file lies.
    """
    if not lie_here(file):
        yield
        return
    here = Path.cwd()
    os.chdir(Path(__file__).parent)
    try:
        yield
    finally:
        os.chdir(here)
