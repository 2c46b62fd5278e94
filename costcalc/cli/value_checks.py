"""The checks of option values, without what Typer would import for them.

Recent releases of Typer check each value with pydantic, even that of an option that was not given; to import it
takes as long as all else that ``costcalc analyze`` does. The kinds of values that our commands take need none of it.
A kind that is not known here goes Typer's way. So does everything in a release of Typer without this hook.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand


class CheckingCommand(TyperCommand):
    """A command whose parameters check their values here."""

    def get_params(self, ctx: Any) -> list[Any]:
        return checking(super().get_params(ctx))


def checking(parameters: list[Any]) -> list[Any]:
    """``parameters``, set up to check their values here."""
    for parameter in parameters:
        if hasattr(parameter, "type_descriptor") and "get_runtime_param" not in vars(parameter):
            checks = ValueChecks(parameter.get_runtime_param)
            parameter.get_runtime_param = lambda checks=checks: checks
        if getattr(parameter, "is_flag", False) or parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None  # a flag has no value, and an argument is named already
    return parameters


class ValueChecks:
    """What Typer asks to turn the text of an option into its value."""

    def __init__(self, otherwise: Callable[[], Any]) -> None:
        self._otherwise = otherwise

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """``value`` as the annotation wants it; ``typer.BadParameter`` says what would be accepted."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        kind = param.type_descriptor.annotation
        info = param.type_descriptor.parameter_info
        if info.parser is None:
            if several and get_origin(kind) is list and get_args(kind) == (str,):
                return list(value)
            if kind is str:
                return value
            if kind in (int, float):
                return _number(value, kind, info, param, ctx)
            if isinstance(kind, type) and issubclass(kind, Enum):
                return _choice(value, kind, param, ctx)
        return self._otherwise().coerce(value, param=param, ctx=ctx)


def _number(value: Any, kind: type[int] | type[float], info: Any, param: Any, ctx: Any) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if info.min is not None:
        wanted += f" from {info.min:g}" + (f" to {info.max:g}" if info.max is not None else "")
    try:
        number = kind(value)
        good = (info.min is None or number >= info.min) and (info.max is None or number <= info.max)
    except ValueError:
        good = False
    if not good or number in (float("inf"), float("-inf")):
        from costcalc.ir.tensor import bits_meant

        meant = bits_meant(str(value)) if param.name == "bits" else None
        hint = f"; {str(value)[:40]} has {meant} bits: --bits {meant}" if meant else ""
        raise typer.BadParameter(f"'{str(value)[:40]}' must be {wanted}{hint}", ctx=ctx, param=param)
    return number


def _choice(value: Any, kind: type[Enum], param: Any, ctx: Any) -> Enum:
    if isinstance(value, kind):
        return value
    for member in kind:
        if member.value == value:
            return member
    from costcalc.errors import near

    known = [str(member.value) for member in kind]
    hint = f"{near(value, known)}; there are {', '.join(known)}"
    raise typer.BadParameter(f"there is no '{value[:40]}'{hint}", ctx=ctx, param=param)
