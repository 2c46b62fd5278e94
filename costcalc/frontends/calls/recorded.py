"""One call as it was seen or read: the operator's name, its arguments by name, what it made, and in which module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import Location
from costcalc.ir.call import Traced


class Scope:
    """One call of a module: its dotted name in the model."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Recorded(NamedTuple):
    """One call of an operator.

    copies   it could have made a view, but what it made is in memory of its own
    line     the user's line that asked for it
    """

    name: str
    arguments: Mapping[str, Any]
    made: tuple[Traced, ...]
    scope: Scope
    copies: bool = False
    line: Location | None = None

    @property
    def location(self) -> str:
        """Where it was made, before what is said of it."""
        return f"{self.scope.path}: " if self.scope.path else ""
