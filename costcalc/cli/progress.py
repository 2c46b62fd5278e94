"""A line on the terminal that says what a command is doing, once that has taken a second; gone when it has been done.

It stands on standard error, and only where that is a terminal. All commands have it (``parameters.Command``), and all
that is written goes through ``output``, which takes it away first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TextIO

from costcalc.backends.escape import visible
from costcalc.progress import listening

AFTER, EVERY = 1.0, 0.5
"""Seconds until the line is shown, and from one look at what it says to the next."""

_SHOWN: list[Line] = []


class Line:
    """The line on ``stream``, a terminal ``columns`` wide, until ``end``. A thread of its own writes it."""

    def __init__(self, stream: TextIO, what: str, columns: int) -> None:
        from threading import Event, Thread

        self._stream, self._what, self._columns = stream, what, columns
        self._begun, self._length = monotonic(), 0
        self._ended = Event()
        self._writer = Thread(target=self._write, daemon=True)
        self._writer.start()

    def says(self, what: str) -> None:
        """From now on the line says ``what``."""
        self._what = what

    def end(self) -> None:
        """Take the line away; it does not come again."""
        try:
            self._ended.set()
            self._writer.join()
        finally:
            self._show("")

    def _write(self) -> None:
        wait = AFTER
        while not self._ended.wait(wait):
            self._show(f"{visible(self._what)} … {monotonic() - self._begun:.0f} s")
            wait = EVERY

    def _show(self, text: str) -> None:
        while _cells(text) >= self._columns:  # a line that the terminal breaks could not be taken back
            text = text[:-1]
        if text or self._length:
            with suppress(OSError, ValueError):  # nobody looks any more
                self._stream.write(f"\r{text}{' ' * (self._length - _cells(text))}" + ("" if text else "\r"))
                self._stream.flush()
        self._length = _cells(text)


def _cells(text: str) -> int:
    """How wide ``text`` is on a terminal."""
    from unicodedata import east_asian_width

    return sum(1 + (east_asian_width(c) in "WF") for c in text)


@contextmanager
def shown(what: str) -> Iterator[None]:
    """While open, the line says ``what``, or what is being done in more detail, where there is a terminal for it."""
    from costcalc.backends.terminal import width

    if _SHOWN or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    line = Line(sys.stderr, what, width())
    _SHOWN.append(line)
    try:
        with listening(line.says):
            yield
    finally:
        end()


def end() -> None:
    """Take the line away, if there is one: something is about to be written."""
    while _SHOWN:
        _SHOWN.pop().end()
