"""What is in a file that a stranger may have made: a regular one, within bounds, read without waiting."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

from costcalc.errors import Location, SpecError

MAX_BYTES = 8 * 2**20
SMALL = 1 << 22
"""Bytes up to which a file is read at once; a larger one is mapped, so that its weights stay where they are."""

Data: TypeAlias = "bytes | mmap.mmap"


def contents(
    path: str, shown: str = "", kind: str = "a spec", form: str = "a YAML file", most: int = MAX_BYTES
) -> bytes:
    """What is in the file at ``path``. Raises ``SpecError`` if that cannot be had, or is more than ``most`` bytes."""
    file = Location(shown or path)
    with opened(path, shown, kind, form) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise SpecError(f"the file has {size:,} bytes; {kind} has at most {most:,}", file)
        try:
            return stream.read(most)
        except OSError as error:
            raise SpecError(f"the file cannot be read: {error.strerror or error}", file) from None


def opened(path: str, shown: str = "", kind: str = "a spec", form: str = "a YAML file") -> BinaryIO:
    """The file at ``path``, open to be read. Raises ``SpecError`` if there is none, or none that is regular."""
    file = Location(shown or path)
    try:
        # Not blocking, so that a pipe that nobody writes to is refused, not waited for.
        stream = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb")
    except IsADirectoryError:
        raise SpecError(f"this is a directory; {kind} is {form}", file) from None
    except FileNotFoundError:
        raise SpecError("there is no such file", file) from None
    except OSError as error:
        raise SpecError(f"the file cannot be read: {error.strerror or error}", file) from None
    except ValueError:
        raise SpecError("no file has a name with a null character", file) from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise SpecError(f"this is not a regular file; {kind} is {form}", file)
    return stream


@contextmanager
def mapped(path: str, kind: str, form: str = "a file") -> Iterator[Data]:
    """The bytes of the file at ``path``, however many, while the context lasts. Raises ``SpecError`` as ``opened``."""
    with opened(path, kind=kind, form=form) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(SMALL + 1) if size <= SMALL else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # cut off meanwhile
            raise SpecError(
                f"the file cannot be read: {getattr(error, 'strerror', None) or error}", Location(path)
            ) from None
        if isinstance(data, bytes):
            yield data
            return
        with data:
            yield data
