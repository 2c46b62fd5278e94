"""Ctrl-C at any moment: the process ends with exit code 130 and not a word, and nothing half written stays.

While a command runs, Ctrl-C is an exception, so that what was made beside the output is taken away. Before and after
there is nothing to take away; an exception would only be shown where nobody can catch it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

INTERRUPTED = 130


def begin() -> None:
    """Take charge of Ctrl-C for the whole process: first, so that what is done at its end is done last."""
    # When Python has ended all else it takes its handlers away, and Ctrl-C would kill by the signal again.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    end_at_once()


def end_at_once() -> None:
    """From here on Ctrl-C ends the process without a further step."""
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))


def interruptible(command: Callable[[], int]) -> int:
    """What ``command`` returns, or 130 where Ctrl-C ends it; after that the process ends."""
    sys.unraisablehook = _raised_again
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = command()
        end_at_once()
    except KeyboardInterrupt:
        end_at_once()
        return INTERRUPTED
    return code


def _raised_again(lost: Any) -> None:
    """Where Python drops an exception, as in a finalizer, let Ctrl-C come once more a little later."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    from threading import Timer, main_thread

    if hasattr(signal, "pthread_kill"):  # which also ends a wait of the main thread
        Timer(0.02, signal.pthread_kill, [main_thread().ident, signal.SIGINT]).start()
    else:
        Timer(0.02, signal.raise_signal, [signal.SIGINT]).start()
