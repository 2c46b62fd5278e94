"""What all commands share: the table of them, their help, and what happens when something goes wrong.

Exit codes: 0 fine · 1 a budget is exceeded · 2 bad input · 4 incomplete with ``--strict`` ·
5 verification disagrees · 70 a mistake of ours · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from costcalc import __version__
from costcalc.cli.interrupts import INTERRUPTED, interruptible
from costcalc.cli.light import LightCommand, lightened
from costcalc.cli.output import abandon_output, prepare_streams, say_error
from costcalc.errors import CostcalcError, UnknownName, listing, near

COMMANDS = {
    "analyze": "Costs",
    "explain": "Costs",
    "formula": "Costs",
    "compare": "Changes",
    "diff": "Changes",
    "check": "Changes",
    "lock": "Changes",
    "init": "Changes",
    "verify": "Proof",
    "list": "Models",
    "show": "Models",
    "trace": "Models",
    "schema": "Models",
}
"""Command → the panel of the help that it stands in.

``cli/NAME.py`` holds the command: a function of that name, whose docstring is its help, and ``EXAMPLES``, whole
command lines with what they show. (A name that Python has already is written with an underscore: ``list_``.)
"""

MOST_DIGITS = 20_000
"""Of a figure: the sizes that make it have at most 300, and a tensor 16 of them; Python's own limit is lower."""
CONTEXT = {"help_option_names": ["-h", "--help"]}
UsageError: Any = typer.BadParameter.__mro__[1]  # Typer's own, or Click's in older releases; neither is exported


class Command(LightCommand):
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
        return lightened(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:
                return None
            hint = f"{near(cmd_name, COMMANDS)}; there are {listing(COMMANDS)}"
            raise UnknownName(f"no command called '{cmd_name[:40]}'{hint}")
        module = import_module(f"costcalc.cli.{cmd_name}")
        function = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)
        alone.command(
            cmd_name,
            cls=Command,
            help=_prose(function.__doc__),
            epilog=_shown(module.EXAMPLES),
            rich_help_panel=COMMANDS[cmd_name],
        )(function)
        return typer.main.get_command(alone)


def application() -> Any:
    """The whole command line, as Typer wants it."""
    app = typer.Typer(cls=Commands, rich_markup_mode="rich", context_settings=CONTEXT, invoke_without_command=True)
    app.callback(help=_prose(costcalc.__doc__), epilog=_shown(EXAMPLES))(costcalc)
    return typer.main.get_command(app)


EXAMPLES = {
    "costcalc analyze resnet50": "every layer's cost, and the totals",
    "costcalc analyze --help": "what a command can do",
}


def costcalc(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """What a neural network costs, layer by layer and exactly.

    MACs, parameters, storage, memory traffic, receptive field, and the time that a machine needs at best.
    """
    if version:
        print(f"costcalc {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
        raise typer.Exit(2)


def _shown(examples: dict[str, str]) -> str:
    lines = [f"# {says}\n{line}" for line, says in examples.items()]
    return "\n".join(["Examples:", *lines]).replace("[", r"\[")


def _prose(docstring: str | None) -> str:
    """The docstring as paragraphs that the terminal breaks into lines."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (docstring or "").split("\n\n"))


def run(args: list[str] | None = None) -> NoReturn:
    """Run the command that ``args`` (by default the process's) ask for, and exit."""
    prepare_streams()
    sys.exit(interruptible(lambda: outcome(args)))


def outcome(args: list[str] | None) -> int:
    """Run a command and return its exit code; whatever goes wrong is said in a sentence."""
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(MOST_DIGITS)
    try:
        code = application().main(args, prog_name="costcalc", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CostcalcError as error:
        say_error(str(error))
        return error.exit_code
    except UsageError as error:
        say_error(_usage(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except OSError as error:
        abandon_output()
        what = error.strerror or str(error)
        if error.filename:
            say_error(f"{error.filename}: {what}")
        elif isinstance(error, FileNotFoundError):  # asked for the current folder
            say_error("the folder in which costcalc was started is gone")
        else:
            say_error(f"the output cannot be written: {what}")
        return 2
    except OverflowError:
        say_error("the model is so large that a ratio of its figures is beyond floating-point numbers")
        return 2
    except MemoryError:
        say_error("the model is too large for the memory of this machine")
        return 2
    except Exception as error:
        if os.environ.get("COSTCALC_TRACEBACK"):
            raise
        say_error(
            f"a mistake in costcalc {__version__}, not in your input: {type(error).__name__}: {error}\n"
            "please report it, with what the same command prints when COSTCALC_TRACEBACK=1 is set"
        )
        return 70


def _usage(error: Any) -> str:
    """A mistake on the command line in our words: one sentence, and where the help is."""
    message = error.format_message().strip().rstrip(".")
    command = error.ctx.command_path if error.ctx else "costcalc"
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"
