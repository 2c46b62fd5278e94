"""The page of all commands, made from their help.

python -m costcalc.cli.reference > docs/cli.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from costcalc.cli.frame import COMMANDS, application

HEAD = """# The command line

Made from the commands' own help by `python -m costcalc.cli.reference`; a test keeps it so.

    costcalc COMMAND MODEL [OPTIONS]

| | exit code |
| --- | --- |
| 0 | fine |
| 1 | a budget is exceeded |
| 2 | bad input: the command line, a file, a model |
| 4 | with `--strict`: something has no rule and is not counted |
| 5 | `verify` disagrees |
| 70 | a mistake in costcalc; `COSTCALC_TRACEBACK=1` shows where |
| 130 | interrupted |

A mistake is said in one sentence on standard error. Colour goes to terminals; `NO_COLOR` and `FORCE_COLOR` overrule
that. Tables fit the terminal, or `COLUMNS` characters; numbers are never cut. `costcalc --install-completion` teaches
your shell the commands, the options and the names of models.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _command(name))])


def _command(name: str) -> Iterator[str]:
    application_ = application()
    command = application_.get_command(None, name)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([f"costcalc {name}", *(_placeholder(p) for p in arguments), "[OPTIONS]"])
    yield f"## {name}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    yield f"    {usage}"
    yield ""
    if arguments or options:
        yield "| | |"
        yield "| --- | --- |"
        for p in [*arguments, *options]:
            yield f"| {_name(p)} | {_says(p)} |"
        yield ""
    yield "```"
    examples: dict[str, str] = import_module(f"costcalc.cli.{name}").EXAMPLES
    wide = max(map(len, examples))
    for line, says in examples.items():
        yield f"{line.ljust(wide)}  # {says}"
    yield "```"
    yield ""


def _placeholder(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_placeholder(parameter)}`"
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    return names if parameter.is_flag else f"{names} {_value(parameter)}"


def _value(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if option.metavar:
        return str(option.metavar).replace("|", r"\|")
    choices = getattr(kind, "__members__", None)
    return r"\|".join(member.value for member in choices.values()) if choices else "N"


def _says(parameter: Any) -> str:
    default = getattr(parameter.default, "value", parameter.default)
    shown = parameter.show_default and default not in (None, False, ()) and parameter.param_type_name == "option"
    return (parameter.help or "").replace("|", r"\|").replace("\n", " ") + (
        f" By default `{default}`." if shown else ""
    )


if __name__ == "__main__":
    print(page(), end="")
