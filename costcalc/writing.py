"""Files that are written whole or not at all, whoever else writes them at the same time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, Location


class Version(NamedTuple):
    """What tells a file as it lies there from one that is put in its place, or written, later."""

    device: int
    number: int
    size: int
    changed: int


def version_of(file: str) -> Version | None:
    """The version of ``file`` that lies there now; None if there is none."""
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return None
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def write_whole(file: str, text: str | bytes) -> None:
    """Replace ``file`` by one with ``text`` (in UTF-8, or bytes as they are); if that fails, ``file`` is as it was.

    Devices and pipes are written to. A link that the user names stays one, to the new text.
    """
    if not file:
        raise CostcalcError("the output has no file name")
    with _said(file):
        path = Path(file)
        if path.exists() and not path.is_file():
            path.write_bytes(_encoded(text))
        else:
            _replace(path.resolve(), text)


def update(file: str, text: str, seen: Version | None) -> None:
    """Write ``text`` to ``file`` in place of the version ``seen``, or of none; a ``CostcalcError`` if another is there.

    A link is followed only to a file below the folder that it lies in: who left it there may have pointed it at any.
    """
    with _said(file):
        path = Path(file)
        folder = path.parent.resolve()
        target = path.resolve()
        if path.is_symlink() and (seen is None or not target.is_relative_to(folder)):
            raise CostcalcError("this is a link, and is not written to; make it a file", Location(file))
        with _alone(folder):
            check_seen(file, seen)
            _replace(target, text)


def check_seen(file: str, seen: Version | None) -> None:
    """Raise ``CostcalcError`` if what lies at ``file`` is no longer the version ``seen``, or none."""
    if version_of(file) != seen:
        how = "changed" if seen else "came to be"
        raise CostcalcError(f"the file {how} meanwhile, and is left as it is; run the command again", Location(file))


@contextlib.contextmanager
def _said(file: str) -> Iterator[None]:
    """What goes wrong when ``file`` is written, in a sentence."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # the last, of links in a circle, until Python 3.13
        raise CostcalcError(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _encoded(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


def _replace(target: Path, text: str | bytes) -> None:
    """Put a new file with ``text`` where ``target`` is, in one step; it has the same permissions."""
    beside = target.with_name(f".costcalc-{os.urandom(12).hex()}")  # a name that nobody else makes
    try:
        with beside.open("xb") as stream:
            stream.write(_encoded(text))
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        beside.replace(target)
    except FileExistsError:
        raise
    except BaseException:  # Ctrl-C among them
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time that updates a file in ``folder``, where the system can hold the others off."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # of a file system that has no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
