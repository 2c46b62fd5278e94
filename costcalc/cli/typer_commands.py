"""The commands as Typer has them: for help, for completion, and for the sentence that says what is wrong."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from costcalc import __version__
from costcalc.cli.commands import COMMANDS, EXAMPLES, find_command
from costcalc.cli.parameters import Command, CommandParameter
from costcalc.cli.value_checks import CheckingCommand, checking
from costcalc.errors import CostcalcError, UnknownName

CONTEXT = {"help_option_names": ["-h", "--help"]}
FEW = 3
"""Values that a help names in place of what stands for one."""
UsageError: Any = typer.BadParameter.__mro__[1]  # Typer's own, or Click's in older releases; neither is exported


class TypedCommand(CheckingCommand):
    """A command whose help names its arguments as the reference does."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*(placeholder(p) for p in self.params if p.param_type_name == "argument"), "[OPTIONS]"]


def placeholder(argument: Any) -> str:
    """How a usage line names ``argument``, in brackets if it may be left out."""
    name: str = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


class Commands(TyperGroup):
    """The commands, each imported only when it is run or described."""

    def get_params(self, ctx: Any) -> list[Any]:
        return checking(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        command, examples = find_command(cmd_name)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)
        alone.command(
            cmd_name,
            cls=TypedCommand,
            help=_prose(command.__doc__),
            epilog=_shown(examples),
            rich_help_panel=COMMANDS[cmd_name],
        )(_typed(command))
        return typer.main.get_command(alone)


def application() -> Any:
    """The whole command line, as Typer wants it."""
    app = typer.Typer(cls=Commands, rich_markup_mode="rich", context_settings=CONTEXT, invoke_without_command=True)
    app.callback(help=_prose(costcalc.__doc__), epilog=_shown(EXAMPLES))(costcalc)
    return typer.main.get_command(app)


def main(args: list[str] | None) -> Any:
    """Run what ``args`` ask for; what the command returns. A ``CostcalcError`` says what is wrong with them."""
    args = sys.argv[1:] if args is None else args
    if args and args[0] not in COMMANDS and not args[0].startswith("-") and "_COSTCALC_COMPLETE" not in os.environ:
        from costcalc.cli.suggestions import no_command

        raise UnknownName(no_command(args, list(COMMANDS)))
    try:
        return application().main(args, prog_name="costcalc", standalone_mode=False)
    except UsageError as error:
        raise CostcalcError(_usage(error, args)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None


def _typed(command: Command) -> Any:
    """``command`` as a function with the annotations that Typer reads."""

    def run(**given: Any) -> Any:
        return command(**given)

    signature = [
        inspect.Parameter(
            p.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if p.required else p.default,
            annotation=_annotation(p),
        )
        for p in command.parameters.values()
    ]
    run.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in signature}
    return run


def _annotation(parameter: CommandParameter) -> Any:
    d = parameter.declared
    help, metavar = d.help if isinstance(d.help, str) else d.help(), d.metavar
    if issubclass(parameter.kind, Enum) and len(parameter.kind) > FEW:  # the list would be broken within words
        metavar = d.names[0].strip("-").upper() if d.names else d.metavar
        help = f"{help} One of {', '.join(str(one.value) for one in parameter.kind)}."
    common: dict[str, Any] = {
        "help": _plain(help), "metavar": metavar,
        "show_default": d.shows_default, "rich_help_panel": d.panel,
        "min": d.min, "max": d.max, "autocompletion": d.completes,
    }  # fmt: skip
    return Annotated[parameter.annotation, typer.Option(*d.names, **common) if d.names else typer.Argument(**common)]


def costcalc(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """What a neural network costs, layer by layer and exactly.

    MACs, parameters, storage, memory traffic, receptive field, and an estimate of the time on a machine.
    """
    if version:
        print(f"costcalc {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
        raise typer.Exit(2)


def _shown(examples: dict[str, str]) -> str:
    lines = [f"# {help}\n{line}" for line, help in examples.items()]
    return _plain("\n".join(["Examples:", *lines]))


def _prose(docstring: str | None) -> str:
    """The docstring as paragraphs that the terminal breaks into lines."""
    return _plain("\n\n".join(" ".join(paragraph.split()) for paragraph in (docstring or "").split("\n\n")))


def _plain(text: str) -> str:
    """``text`` so that what is in brackets stays, which rich would take for a style."""
    return text.replace("[", r"\[")


def _usage(error: Any, args: Sequence[str]) -> str:
    """A mistake on the command line in our words: one sentence, with what to write instead or where the help is."""
    message = error.format_message().strip().rstrip(".")
    command = error.ctx.command_path if error.ctx else "costcalc"
    name = getattr(error, "option_name", None)
    if name:
        from costcalc.cli.suggestions import no_option

        known = find_command(args[0])[0] if args[0] in COMMANDS else None
        instead = no_option(name, args, known)
        if instead:
            return f"no such option: {name[:40]}{instead}"
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"
