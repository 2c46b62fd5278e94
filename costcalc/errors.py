"""What goes wrong by the user's hand, each said in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from costcalc.classes import NamedTuple


class Location(NamedTuple):
    """Where in a user's file something stands; line and column count from 1.

    ``within`` is the call that it was written out for, where it stands in a block.
    """

    file: str
    line: int = 0
    column: int = 0
    within: Location | None = None

    def __str__(self) -> str:
        """``file:line:column``, without what is not known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)

    def inside(self, call: Location | None) -> Location:
        """This location, reached through ``call``."""
        return Location(self.file, self.line, self.column, call) if call else self

    @property
    def chain(self) -> list[Location]:
        """This location and the calls that led to it, the outermost last."""
        return [self, *(self.within.chain if self.within else [])]

    @property
    def short(self) -> str:
        """``file:line``, as reports name it."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Choice(NamedTuple):
    """What a sentence says to give: on the command line as ``option``, in a config as ``key``."""

    option: str
    key: str


class CostcalcError(Exception):
    """A mistake that the user can mend: one sentence, and where it was made.

    The command line prints it without a traceback and exits with ``exit_code``.

    choices   options that the message names, for whom a config asks
    """

    exit_code = 2

    def __init__(self, message: str, location: Location | None = None, choices: Iterable[Choice] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.choices = tuple(choices)

    def in_config(self) -> CostcalcError:
        """This error, with the keys of a config where it named options of the command line."""
        for option, key in self.choices:
            self.message = self.message.replace(option, key)
        return self

    def at(self, location: Location | None) -> CostcalcError:
        """This error, placed at ``location`` unless it already knows where it was made."""
        if self.location is None:
            self.location = location
        return self

    def __str__(self) -> str:
        where = str(self.location or "")
        return f"{where}: {self.message}" if where else self.message


class SpecError(CostcalcError):
    """A spec that cannot be read."""


class OptionError(CostcalcError):
    """An op's option that is unknown, missing, or has a value it cannot have."""


class ShapeError(CostcalcError):
    """An op whose inputs do not fit it."""


class UnknownName(CostcalcError):
    """A name that is in no table: of an op, a model, a machine, a column."""


class CodeRefused(CostcalcError):
    """A model that is Python code, named by what may come from a stranger: a file, or another revision."""


def near(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'relu'?)`` for the known name most like ``name``, or nothing.

    >>> near("rellu", ["relu", "conv"]), near("A100", ["h100", "a100"])
    (" (did you mean 'relu'?)", " (did you mean 'a100'?)")
    """
    import difflib

    small = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name[:80].lower(), list(small), n=1, cutoff=0.6)
    return f" (did you mean '{small[found[0]]}'?)" if found else ""


def article(word: str) -> str:
    """``a`` machine, ``an`` engine, ``an`` energy."""
    return "an" if word[:1] in tuple("aeiou") else "a"


def listing(names: Iterable[str], most: int = 40) -> str:
    """``names``, sorted and joined for a sentence, with the number left out past ``most``."""
    ordered = sorted(names)
    rest = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {rest} more" if rest > 0 else "")
