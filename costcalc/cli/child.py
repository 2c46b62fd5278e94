"""A command in a process of its own, on request: native code that a model calls can end the process that it runs in.

What Python can catch becomes a sentence where it happens. A fault in an extension or in torch itself cannot be caught;
from here it is seen, and said.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from costcalc.backends import escape
from costcalc.cli.output import say_error

# The search path is handed over, since Python would look into the working directory first. What a fault was doing is
# written where no terminal shows it.
_START = (
    "import json, sys; job = json.loads(sys.argv.pop(1)); sys.path[:] = job['path']; import faulthandler; "
    "faulthandler.enable(open(job['seen'], 'w')); from costcalc.cli import main; main()"
)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_ENDS = {
    "SIGSEGV": "a segmentation fault", "SIGABRT": "an abort", "SIGBUS": "a bus error", "SIGFPE": "an arithmetic fault",
    "SIGILL": "an instruction that the processor does not have", "SIGKILL": "a kill, as where memory has run out",
}  # fmt: skip


def apart(args: Sequence[str]) -> int:
    """Run the command that ``args`` ask for in a process of its own, and return its exit code.

    2, after a sentence, where something has ended the process.
    """
    with tempfile.TemporaryDirectory(prefix="costcalc-") as folder:
        seen = Path(folder, "seen")
        job = escape.json({"path": sys.path, "seen": str(seen)})
        with subprocess.Popen([sys.executable, "-I", "-c", _START, job, *args]) as process:
            try:
                code = process.wait()
            except BaseException:  # of Ctrl-C the child has heard too
                process.kill()
                raise
        if code in range(128):
            return code
        told = seen.read_text(encoding="utf-8", errors="replace") if seen.exists() else ""
    at = _place(told)
    where = f" at {at}" if at else ""
    say_error(f"the process of its own ended by {_how(code)}{where}: native code that the model calls is at fault")
    return 2


def _how(code: int) -> str:
    """By what a process ended that has not come to its end.

    >>> _how(-11), _how(3221225477)
    ('a segmentation fault', 'code 3221225477')
    """
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"code {code}"
    return _ENDS.get(name, f"signal {name}")


def _place(told: str) -> str:
    """The line of the user's that ran, in what Python wrote of all of its threads; "" if none is there."""
    import sysconfig

    own = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")})
    ours = str(Path(__file__).parent.parent)
    for file, line, name in _FRAME.findall(told):
        if not file.startswith((*own, ours, "<")):
            return f"{file}:{line} in {name}"
    return ""
