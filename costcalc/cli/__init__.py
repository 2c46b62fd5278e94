"""The command line: ``frame`` finds and runs a command, each command is a file of its own."""

from __future__ import annotations


def main() -> None:
    """Run the command that the process was started with, and exit."""
    try:
        from costcalc.cli.frame import run

        run()
    except KeyboardInterrupt:  # before the command began, or after it ended
        raise SystemExit(130) from None
