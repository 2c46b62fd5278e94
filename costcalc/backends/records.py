"""The report for programs: JSON with everything, CSV with a line a row. All numbers exact."""

from __future__ import annotations

from typing import Any

from costcalc.analysis.records import Report
from costcalc.backends import escape, units
from costcalc.backends.columns import COLUMNS
from costcalc.backends.rows import View, flat
from costcalc.backends.summary import not_counted

UNITS = {units.size: "_bits", units.seconds: "_seconds"}
"""What the head of a CSV column says after its name, since its numbers are bare."""


def json(report: Report, view: View) -> str:
    """The contract of ``docs/json.md``, whatever the view: every layer, every figure; a layer a line."""
    return written(report.to_dict())


def written(record: dict[str, Any]) -> str:
    """``record`` as JSON, a key a line; of lists of records a record a line."""
    parts = []
    for key, value in record.items():
        lines = isinstance(value, list) and value and isinstance(value[0], dict)
        shown = "[\n  " + ",\n  ".join(map(escape.json, value)) + "\n ]" if lines else escape.json(value)
        parts.append(f" {escape.json(key)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def csv(report: Report, view: View) -> str:
    """A line for each row as RFC 4180 has it, the total in the last. Storage in bits, time in seconds.

    ``row`` tells layers from folded blocks, from what is summed or shared, and from the total. The total's
    ``kind`` says so if it is a lower bound, since some layers have no rule.
    """
    columns = view.columns or [c for c in COLUMNS.values() if not c.share and (report.total.time or not c.timed)]
    lines: list[list[Any]] = [["row", *(column.name + UNITS.get(column.shows, "") for column in columns)]]
    for row in flat(report, view):
        cells = [row.name if c.name == "name" else c.value(row.figures) for c in columns]
        if row.role == "total" and report.uncounted:
            cells = [not_counted(report) if c.name == "kind" else cell for c, cell in zip(columns, cells, strict=True)]
        lines.append([row.role, *cells])
    return escape.csv(lines)
