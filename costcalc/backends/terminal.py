"""What shows the text: a terminal of some width, height and colour, or none."""

from __future__ import annotations

import os
import sys
from typing import TextIO

UNBOUNDED = 9_999


def colour(stream: TextIO) -> bool:
    """Whether to colour what goes to ``stream``: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream and stream.isatty()) and os.environ.get("TERM") != "dumb"


def coloured(file: str | None) -> bool:
    """Whether to colour what goes to ``file``, or to standard output where there is none."""
    return file is None and colour(sys.stdout)


def width() -> int:
    """Characters in a line: COLUMNS, else the terminal's, else 80."""
    given = _columns()
    if given:
        return given
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            continue
        if columns > 0:
            return columns
    return 80


def lines_of_screen(file: str | None) -> int | None:
    """Lines of the terminal that shows what goes to standard output; None if it goes to a ``file`` or a pipe."""
    if file is not None or sys.stdout is None or not sys.stdout.isatty():
        return None
    given = os.environ.get("LINES", "")
    if given.isdecimal() and int(given[:6]) > 0:
        return int(given[:6])
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or None
    except (OSError, ValueError, AttributeError):
        return None


def is_bounded(file: str | None) -> bool:
    """Whether lines must end at ``width``: those of a terminal, or where COLUMNS says so."""
    return bool(_columns()) or (file is None and sys.stdout is not None and sys.stdout.isatty())


def _columns() -> int:
    """``COLUMNS``, or 0 where it is not a width."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and len(given) <= len(str(UNBOUNDED)) else 0


def width_of_lists(file: str | None) -> int:
    """As ``width``, and without bounds where no terminal shows the lines: in a ``file``, in a pipe."""
    return width() if is_bounded(file) else UNBOUNDED
