"""Where text goes: to a terminal, into a pipe, or into a file, whole or not at all."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys

from costcalc.backends.escape import console, harmless
from costcalc.backends.terminal import colour
from costcalc.cli import progress
from costcalc.errors import CostcalcError
from costcalc.writing import write_whole

ASCII = {
    "×": "x", "·": "*", "–": "-", "—": "-", "…": "...", "≥": ">=", "≤": "<=", "≈": "~", "→": "->", "⌊": "floor(",
    "⌋": ")", "⌈": "ceil(", "⌉": ")", "µ": "u", "²": "^2", "³": "^3", "±": "+-", "⚠": "!", "−": "-", "─": "-", "│": "|",
    "█": "#", **dict.fromkeys("▉▊▋▌▄▅", "="),
    **dict.fromkeys("▍▎▏", "-"), **dict.fromkeys("▆▇", "#"),
    **dict.fromkeys("▁▂▃", "."), **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯", "+"), "\u200b": "",
}  # fmt: skip
"""What to write instead where the encoding of a terminal or pipe lacks a character; `?` for others."""


def prepare_streams() -> None:
    """Let a closed pipe end the process quietly, as it does other programs, and no character stop it."""
    import signal

    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    codecs.register_error("costcalc", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="costcalc")


def emit(text: str, file: str | None = None, *, commands: bool = False, exact: bool = False) -> None:
    """Write ``text`` to ``file``, whole or not at all, or to standard output.

    Unless ``commands`` says that some are meant, no line of it commands a CI server, which may show a file as well.
    A file that is read by costcalc again is written ``exact``.
    """
    progress.end()
    if file is not None:
        write_whole(file, text if exact else harmless(text) if commands else console(text, colours=True))
        return
    if sys.stdout is None:
        raise CostcalcError("standard output is closed")
    colours = colour(sys.stdout)
    sys.stdout.write(harmless(text, colours=colours) if commands else console(text, colours=colours))
    sys.stdout.flush()


MOST_SAID = 2000
"""Characters of a message; names and values in it are shortened where they are put in, and this is for what is left."""


def say_error(sentence: str) -> None:
    """``costcalc: error: sentence`` on standard error, cut to ``MOST_SAID`` characters."""
    _say("costcalc: error:", 31, sentence)


def say_note(sentence: str) -> None:
    """``costcalc: note: sentence`` on standard error: what a reader of a file must know that is not in it."""
    _say("costcalc: note:", 33, sentence)


def _say(head: str, paint: int, sentence: str) -> None:
    progress.end()
    if sys.stderr is None:
        return
    if len(sentence) > MOST_SAID:
        half = MOST_SAID // 2
        sentence = f"{sentence[:half]} … {len(sentence) - 2 * half:,} characters left out … {sentence[-half:]}"
    with contextlib.suppress(OSError):  # then nobody is there to be told
        print(
            f"\x1b[{paint}m{head}\x1b[0m" if colour(sys.stderr) else head,
            console(sentence),
            file=sys.stderr,
            flush=True,
        )


def abandon_output() -> None:
    """Give up standard output after an error on it, lest Python tries again at exit and complains."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ASCII.get(c, "?") for c in error.object[error.start : error.end]), error.end
