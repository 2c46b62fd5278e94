"""The command line: ``dispatch`` finds and runs a command, each command is a file of its own."""


def main() -> None:
    """Run the command that the process was started with, and exit."""
    import gc

    try:
        from costcalc.cli.interrupts import begin

        begin()
        from costcalc.cli.dispatch import run

        run()
    except KeyboardInterrupt:  # before it was to end the process at once
        raise SystemExit(130) from None
    finally:
        gc.freeze()  # All goes with the process: to look for circles in it first would be a sixth of a short run.
