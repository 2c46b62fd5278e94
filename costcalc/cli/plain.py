"""Command lines that are plain and right, read without Typer; all others are left to it, with their help and errors."""

from __future__ import annotations

from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costcalc.cli.parameters import Command, CommandParameter


def values(command: Command, args: list[str]) -> dict[str, Any] | None:
    """What ``args`` give to the parameters of ``command``; None where anything in them is not plain and right."""
    options = {name: p for p in command.parameters.values() for name in p.declared.names}
    arguments = [p for p in command.parameters.values() if not p.declared.names]
    given: dict[str, Any] = {}
    places: list[str] = []
    rest = iter(args)
    for text in rest:
        if not text:
            return None
        if not text.startswith("-"):
            places.append(text)
            continue
        name, equals, value = text.partition("=")
        option = options.get(name)
        if option is None or (equals and not name.startswith("--")):
            return None
        if option.kind is bool:
            if equals:
                return None
            given[option.name] = True
            continue
        if not equals:
            value = next(rest, "")
            if value.startswith("-"):
                return None
        if not value or not _take(option, value, given):
            return None
    if any(p.required and p.name not in given for p in options.values()):
        return None
    return given if _placed(arguments, places, given) else None


def _placed(arguments: list[CommandParameter], places: list[str], given: dict[str, Any]) -> bool:
    """Whether the arguments could be given what stands at their places."""
    for argument in arguments:
        if argument.several:
            taken, places = places, []
        else:
            taken, places = places[:1], places[1:]
        if not taken and argument.required:
            return False
        if not all(_take(argument, text, given) for text in taken):
            return False
    return not places


def _take(parameter: CommandParameter, text: str, given: dict[str, Any]) -> bool:
    """Whether ``text`` is a value that ``parameter`` takes and did not have; it is put into ``given``."""
    value = _value(parameter, text)
    if value is None or (not parameter.several and parameter.name in given):
        return False
    if parameter.several:
        given.setdefault(parameter.name, []).append(value)
    else:
        given[parameter.name] = value
    return True


def _value(parameter: CommandParameter, text: str) -> Any:
    kind, declared = parameter.kind, parameter.declared
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, Enum):
        within = (declared.min is None or value >= declared.min) and (declared.max is None or value <= declared.max)
        return value if within and isfinite(value) else None
    return value
