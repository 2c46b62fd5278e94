"""Report → text. ``FORMATS`` names what there is; each is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.collector import uncollected

if TYPE_CHECKING:
    from costcalc.analysis.records import Report
    from costcalc.backends.rows import TableView

FORMATS = {
    "table": "costcalc.backends.report.table",
    "json": "costcalc.backends.report.records",
    "csv": "costcalc.backends.report.records",
    "markdown": "costcalc.backends.report.markdown",
    "latex": "costcalc.backends.report.latex",
    "html": "costcalc.backends.report.html",
}
"""Format → the module that has a function of that name, from a report and a view to text."""


@uncollected()
def render(format: str, report: Report, view: TableView) -> str:
    """``report`` in one of ``FORMATS``; an ``UnknownName`` if the view has columns that need a machine.

    Raises ``OptionError`` for bars in what is no table.
    """
    from importlib import import_module

    from costcalc.backends.columns import needs_more

    if view.bars is not None and format != "table":
        raise OptionError(f"bars are drawn in the table, not in {format}; leave one of the two out")
    asked = [*(view.columns or ()), *(column for column in (view.sort, view.bars) if column)]
    needs_more(asked, report)
    text: str = getattr(import_module(FORMATS[format]), format)(report, view)
    return text
