"""What is being done just now, told to whoever waits for it: the command line shows it on a terminal.

Work that can take more than a second says so in a few words, ``doing("tracing net.py:Net")``, and knows nothing of who
listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_LISTENERS: list[Callable[[str], None]] = []


class Counted(Sized, Iterable[T_co], Protocol[T_co]):
    """What has a length and can be gone through."""


def doing(what: str) -> None:
    """Tell who listens, if anybody does, that ``what`` is being done."""
    if _LISTENERS:
        _LISTENERS[-1](what)


def each(what: str, things: Counted[T], name: Callable[[T], str] = str) -> Iterator[T]:
    """``things`` one by one, and who listens is told which: ``measuring backbone, 3 of 40``."""
    for number, thing in enumerate(things, 1):
        if _LISTENERS:
            which = f", {number:,} of {len(things):,}" if len(things) > 1 else ""
            doing(f"{what} {name(thing)}{which}")
        yield thing


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """While open, ``listener`` is told what is being done."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)
