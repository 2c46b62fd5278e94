"""What a command takes, declared once: the reader of plain command lines and Typer both go by it.

Nothing of Typer is imported here. To import it takes as long as all else that ``costcalc analyze`` does.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin

from costcalc.classes import NamedTuple
from costcalc.cli.progress import shown
from costcalc.errors import OptionError


class Declared(NamedTuple):
    """An option by its ``names``, or an argument, which has none.

    help            what it is for, in its help; a function where that is looked up when it is asked for
    panel           the part of the help that it stands in
    shows_default   whether the help says its default
    min, max        bounds of a number
    completes       the values that begin with what a user has typed
    """

    names: tuple[str, ...]
    help: str | Callable[[], str]
    metavar: str | None = None
    panel: str | None = None
    shows_default: bool = False
    min: int | float | None = None
    max: int | float | None = None
    completes: Callable[[str], list[str]] | None = None


def option(*names: str, help: str, **more: Any) -> Any:
    """An option; a number is an N unless ``metavar`` says otherwise."""
    if "min" in more:
        more.setdefault("metavar", "N")
    return Declared(names, help, **more)


def argument(*, metavar: str, help: str | Callable[[], str], **more: Any) -> Any:
    """An argument by its place."""
    return Declared((), help, metavar, **more)


SUFFIXES = {
    ".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex", ".html": "html", ".htm": "html",
    ".sarif": "sarif", ".xml": "junit",
}  # fmt: skip
"""How a file's name ends → the format that it is written in, unless ``--format`` says another."""

REQUIRED: Any = object()
"""The default of what must be given."""


_SHEET = "a spreadsheet opens x.csv"
_PICTURE = "`costcalc plot` draws, and `costcalc report` writes a page"
NO_TEXT = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".png", ".svg", ".jpg", ".jpeg", ".pdf", ".eps"), _PICTURE),
    **dict.fromkeys((".docx", ".doc", ".odt", ".pptx"), "a page is x.html, a table for a paper x.tex"),
}
"""Suffix of what is no text → what to write instead."""


class CommandParameter(NamedTuple):
    """One parameter of a command; ``annotation`` is the type of its value, or a list of it, perhaps or None."""

    name: str
    annotation: Any
    declared: Declared
    default: Any = REQUIRED

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @property
    def several(self) -> bool:
        """Whether it takes a list of values."""
        return get_origin(_without_none(self.annotation)) is list

    @property
    def kind(self) -> type:
        """The type of one value."""
        found = _without_none(self.annotation)
        one: type = get_args(found)[0] if get_origin(found) is list else found
        return one


class Command:
    """A function with what it takes: a parameter that is a ``NamedTuple`` of options is spread into those options."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__doc__ = function.__doc__
        self._function = function
        self._groups: dict[str, Any] = {}
        self.parameters: dict[str, CommandParameter] = {}
        for name, kind in _meant(function).items():
            if not (isinstance(kind, type) and issubclass(kind, tuple)):
                self._add(name, kind, _defaults(function).get(name, REQUIRED))
                continue
            self._groups[name] = kind
            defaults: dict[str, Any] = kind._field_defaults  # type: ignore[attr-defined]
            for field, annotation in _meant(kind).items():
                self._add(field, annotation, defaults.get(field, REQUIRED))

    def _add(self, name: str, annotated: Any, default: Any) -> None:
        annotation, declared = get_args(annotated)
        self.parameters[name] = CommandParameter(name, annotation, declared, default)

    def __call__(self, **given: Any) -> Any:
        """Run it, what is not given as its default says; a terminal is told what is being done once that takes long."""
        values = {name: given.get(name, p.default) for name, p in self.parameters.items()}
        if values.get("output") and "format" in values:
            values["format"] = self._format_of(values["output"], values["format"])
        groups = {name: kind(*(values.pop(field) for field in kind._fields)) for name, kind in self._groups.items()}
        with shown(f"costcalc {self._function.__name__.rstrip('_')}"):
            return self._function(**groups, **values)

    def _format_of(self, file: str, given: Any) -> Any:
        """The format that the name of ``file`` asks for, where none is ``given`` and it asks for one that there is."""
        parameter = self.parameters["format"]
        suffix = file[file.rfind(".") :].lower() if "." in file else ""
        if suffix in NO_TEXT and given is parameter.default:
            raise OptionError(f"--output {file[:60]}: {suffix} is not a text file; {NO_TEXT[suffix]}")
        wanted = SUFFIXES.get(suffix)
        if wanted is None or given is not parameter.default or not issubclass(parameter.kind, Enum):
            return given
        found = next((one for one in parameter.kind if one.value == wanted), None)
        if found is None:
            there = ", ".join(str(one.value) for one in parameter.kind)
            name = self._function.__name__.strip("_")
            raise OptionError(f"--output {file[:60]}: {name} writes {there}, no {wanted}; name the file otherwise")
        return found


def command(function: Callable[..., Any]) -> Command:
    """``function`` as a command."""
    return Command(function)


def _meant(annotated: Callable[..., Any]) -> dict[str, Any]:
    """What the annotations of a function's parameters, or of a tuple's fields, say.

    Read as they are written: ``typing`` takes what is in ``Annotated`` away, ``inspect`` takes long to import.
    """
    names = vars(sys.modules[annotated.__module__])
    said: Mapping[str, str] = annotated.__annotations__
    return {name: eval(kind, names) for name, kind in said.items() if name != "return"}


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What the parameters of ``function`` are where nothing is given, of those that need not be."""
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return dict(zip(names, values, strict=True)) | (function.__kwdefaults__ or {})


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (a for a in get_args(annotation) if a is not type(None))
    return annotation
