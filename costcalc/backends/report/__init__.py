"""Report → text. ``FORMATS`` names what there is; each is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.collector import uncollected

if TYPE_CHECKING:
    from costcalc.analysis.records import Report
    from costcalc.backends.rows import TableOptions

FORMATS = {
    "table": "costcalc.backends.report.table",
    "json": "costcalc.backends.report.json",
    "csv": "costcalc.backends.report.csv",
    "markdown": "costcalc.backends.report.markdown",
    "latex": "costcalc.backends.report.latex",
    "html": "costcalc.backends.report.html",
}
"""Format → the module that has a function of that name, from a report and options to text."""


@uncollected()
def render(format: str, report: Report, options: TableOptions) -> str:
    """``report`` in one of ``FORMATS``; an ``UnknownName`` if they ask for columns that need a machine.

    Raises ``OptionError`` for bars in what is no table.
    """
    from importlib import import_module

    from costcalc.backends.columns import needs_more

    if options.bars is not None and format != "table":
        raise OptionError(f"bars are drawn in the table, not in {format}; leave one of the two out")
    asked = [*(options.columns or ()), *(column for column in (options.sort, options.bars) if column)]
    needs_more(asked, report)
    text: str = getattr(import_module(FORMATS[format]), format)(report, options)
    return text
