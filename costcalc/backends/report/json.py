"""The report as JSON, with everything. All numbers exact."""

from __future__ import annotations

from costcalc.analysis.records import Report
from costcalc.backends.json import written
from costcalc.backends.rows import TableOptions


def json(report: Report, options: TableOptions) -> str:
    """The contract of ``docs/json.md``, whatever the options: every layer, every figure; a layer a line."""
    return written(report.to_dict(rows=iter, also=options.also))
