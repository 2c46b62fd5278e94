"""The things that a model which is code may depend on, each as it is now: what a trace notes, and a check asks again.

Nothing here imports a model's library, or runs code of a repository.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import costcalc
from costcalc import __version__

OURS = str(Path(costcalc.__file__).parent) + os.sep
SUFFIXES = (".py", ".pyc", ".so", ".pyd")
"""Of what can be imported."""


def unchanged(record: Mapping[str, Any], root: str, known: dict[str, Any] | None = None) -> bool:
    """Whether all that ``record`` has noted of the repository at ``root`` and of this machine is as it was.

    ``known`` keeps what was asked of libraries, for other records of the same command. Raises nothing for a record
    that is none: then something changed.
    """
    try:
        return all(_unchanged(record, root, {} if known is None else known))
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return False


def _unchanged(record: Mapping[str, Any], root: str, known: dict[str, Any]) -> Iterator[bool]:
    def once(ask: Callable[[str], Any], name: str) -> Any:
        key = f"{ask.__name__} {name}"
        if key not in known:
            known[key] = ask(name)
        return known[key]

    yield record["costcalc"] == __version__
    yield record["python"] == platform.python_version() and record["machine"] == machine()
    yield all(variable(name) == value for name, value in record["environment"].items())
    yield all(content(_there(root, file)) == value for file, value in record["files"].items())
    yield all(kind(_there(root, path)) == value for path, value in record["asked"].items())
    yield all({*stems(_there(root, folder))} <= {*value} for folder, value in record["modules"].items())
    yield all(listing(_there(root, folder)) == value for folder, value in record["folders"].items())
    yield all(once(version_of, name) == value for name, value in record["libraries"].items())
    yield not any(once(is_there, name) for name in record["absent"])


def _there(root: str, path: str) -> str:
    """Where ``path`` of a record lies; ``ValueError`` for one that leads out of the repository."""
    full = os.path.normpath(Path(root, path))
    if not below(root, full):
        raise ValueError(path)
    return full


def below(root: str, path: str) -> bool:
    """Whether ``path`` is ``root`` or lies in it; both are whole."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def machine() -> str:
    """What kind of machine this is."""
    return f"{sys.platform} {platform.machine()}"


def content(file: str) -> str:
    """A digest of a file that is a plain one; "" if there is none. Links are the files that they lead to."""
    try:
        with Path(file).open("rb") as stream:
            digest = sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


def kind(path: str) -> str:
    """``folder``, a digest of a file, or "" where there is nothing."""
    return "folder" if Path(path).is_dir() else content(path)


def stems(folder: str) -> list[str]:
    """What could be imported from ``folder``, by name."""
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stem = entry.name.partition(".")[0]
                module = entry.name.endswith(SUFFIXES) or (stem == entry.name and entry.is_dir())
                if module and stem.isidentifier() and stem != "__pycache__":
                    found.add(stem)
    except OSError:
        return []
    return sorted(found)


def listing(folder: str) -> str:
    """A digest of all names in ``folder``; "" if there is none."""
    try:
        names = sorted(name for name in _names(folder) if name != "__pycache__")
    except OSError:
        return ""
    return sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()


def _names(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries)


def whole(path: str) -> str:
    """``path`` from the root of the file system, links not followed."""
    return os.path.normpath(Path(path).absolute())


def variable(name: str) -> str | None:
    """A digest of a variable of the environment; None if it is not set."""
    return of_value(name, os.environ.get(name))


def of_value(name: str, value: str | None) -> str | None:
    """A digest of what a variable has; None for None."""
    return None if value is None else sha256(f"{name}={value}".encode(errors="surrogateescape")).hexdigest()[:16]


def version_of(distribution: str) -> str | None:
    """The installed version; None where it is not."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_there(package: str) -> bool:
    """Whether a package could be imported, or a distribution is installed, by that name."""
    return importlib.util.find_spec(package.partition(".")[0]) is not None if package.isidentifier() else (
        version_of(package.removeprefix("dist:")) is not None
    )  # fmt: skip
