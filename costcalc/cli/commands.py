"""The table of commands."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costcalc.cli.parameters import Command

COMMANDS = {
    "analyze": "Costs",
    "explain": "Costs",
    "report": "Costs",
    "formula": "Costs",
    "memory": "Costs",
    "fits": "Costs",
    "pack": "Costs",
    "traffic": "Costs",
    "field": "Costs",
    "calibrate": "Costs",
    "table": "Costs",
    "export": "Costs",
    "plot": "Costs",
    "compare": "Changes",
    "diff": "Changes",
    "check": "Changes",
    "lock": "Changes",
    "init": "Changes",
    "history": "Changes",
    "verify": "Proof",
    "list": "Models",
    "show": "Models",
    "trace": "Models",
    "weights": "Models",
    "schema": "Models",
}
"""Command → the panel of the help that it stands in.

``cli/NAME.py`` holds the command: a function of that name, whose docstring is its help, and ``EXAMPLES``, whole
command lines with what they show. (A name that Python has already is written with an underscore: ``list_``.)
"""

EXAMPLES = {
    "costcalc analyze resnet50": "every layer's cost, and the totals",
    "costcalc analyze --help": "what a command can do",
}


def find_command(name: str) -> tuple[Command, dict[str, str]]:
    """The command called ``name``, which ``COMMANDS`` has, and its examples."""
    module = import_module(f"costcalc.cli.{name}")
    return getattr(module, name, None) or getattr(module, f"{name}_"), module.EXAMPLES
