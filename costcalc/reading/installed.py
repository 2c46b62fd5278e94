"""What is installed and not the user's own, told by where it lies."""

from __future__ import annotations

import os
import sysconfig
from functools import lru_cache
from pathlib import Path

_PACKAGES = frozenset(("site-packages", "dist-packages"))


def is_installed(path: str) -> bool:
    """Whether ``path`` is of Python or of an installed library, though perhaps in a folder of the repository."""
    return f"{path}{os.sep}".startswith(_library_folders()) or not _PACKAGES.isdisjoint(Path(path).parts)


@lru_cache(1)
def _library_folders() -> tuple[str, ...]:
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(path + os.sep for path in filter(None, found))
