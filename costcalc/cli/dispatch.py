"""How a command is run, and what happens when something goes wrong.

Exit codes: 0 fine · 1 a budget is exceeded, or a model does not fit · 2 bad input · 4 incomplete with ``--strict`` ·
5 verification disagrees · 70 a mistake of ours · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from costcalc import __version__
from costcalc.cli.commands import COMMANDS, find_command
from costcalc.cli.interrupts import INTERRUPTED, interruptible
from costcalc.cli.output import abandon_output, prepare_streams, say_error
from costcalc.errors import CostcalcError

CHILD = "--child"
"""The option by which a command runs in a process of its own: it begins anew, so that it is looked for first."""

MOST_DIGITS = 20_000
"""Of a figure: the sizes that make it have at most 300, and a tensor 16 of them; Python's own limit is lower."""


def run(args: list[str] | None = None) -> NoReturn:
    """Run the command that ``args`` (by default the process's) ask for, and exit."""
    prepare_streams()
    sys.exit(interruptible(lambda: outcome(args)))


def outcome(args: list[str] | None) -> int:
    """Run a command and return its exit code; whatever goes wrong is said in a sentence."""
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(MOST_DIGITS)
    try:
        code = _ran(sys.argv[1:] if args is None else args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CostcalcError as error:
        say_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
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


def _ran(args: list[str]) -> object:
    """What the command returns that ``args`` ask for: read here if they are plain, else by Typer, which says more."""
    completing = "_COSTCALC_COMPLETE" in os.environ
    if args and args[0] in COMMANDS and not completing:
        from costcalc.cli.plain import values

        command, _ = find_command(args[0])
        if CHILD in args and "child" in command.parameters:
            from costcalc.cli.child import apart

            return apart([word for word in args if word != CHILD])
        given = values(command, args[1:])
        if given is not None:
            return command(**given)
    from costcalc.cli.typer_commands import main

    return main(args)
