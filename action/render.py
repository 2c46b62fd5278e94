"""Makes the comment anew from the JSON of a check, which may be a stranger's: ``render.py RECORD PAGE [REPORT]``.

REPORT is the address of the page that the run has left, as GitHub says it; "" for none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from costcalc.backends.budget.comment import comment
from costcalc.backends.budget.json import read_record
from costcalc.cli.output import say_error
from costcalc.errors import CostcalcError


def main(record: str, page: str, report: str = "") -> int:
    """0, or 1 for a record that is none."""
    try:
        Path(page).write_text(comment(read_record(record), report), encoding="utf-8")
    except CostcalcError as error:
        say_error(str(error))
        return 1
    return 0


sys.exit(main(*sys.argv[1:]))
