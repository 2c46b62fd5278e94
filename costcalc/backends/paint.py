"""Colour and bars for terminals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Paint: TypeAlias = "Callable[[str, str], str]"

STYLES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36",
    "compute": "32", "memory": "33", "nothing": "2",
}  # fmt: skip
EIGHTHS = " ▏▎▍▌▋▊▉█"


def painted(text: str, style: str) -> str:
    """``text`` between the terminal's codes for ``style``."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and text.strip() else text


def plain(text: str, style: str) -> str:
    """``text`` as it is."""
    return text


def bar(part: float, width: int) -> str:
    """A bar of ``width`` characters filled to ``part`` of 1, in eighths of a character.

    >>> bar(0.5, 3), bar(1.0, 2), bar(0.001, 2)
    ('█▌ ', '██', '▏ ')
    """
    eighths = max(round(part * width * 8), 1 if part else 0)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width)
