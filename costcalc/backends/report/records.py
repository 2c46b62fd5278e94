"""The report for programs: JSON with everything, CSV with a line a row. All numbers exact."""

from __future__ import annotations

from typing import Any

from costcalc.analysis.figures import BITS, JOULES, SECONDS
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.sizes import sizes
from costcalc.backends import escape
from costcalc.backends.columns import Column, usual
from costcalc.backends.json import written
from costcalc.backends.report.summary import after, not_counted
from costcalc.backends.rows import Row, View, flat

BARE = {BITS: "_bits", SECONDS: "_seconds", JOULES: "_joules"}
"""What the head of a CSV column says after its name, since its numbers are bare."""


def json(report: Report, view: View) -> str:
    """The contract of ``docs/json.md``, whatever the view: every layer, every figure; a layer a line."""
    return written(report.to_dict(rows=iter, also=view.also))


def csv(report: Report, view: View) -> str:
    """A line for each row as RFC 4180 has it, the total in the last. Storage in bits, time in seconds.

    ``row`` tells layers from folded blocks, from what is summed or shared, and from the total. The total's
    ``kind`` says which transforms were applied, and if it is a bound or less, since some layers have no rule or some
    sizes are not set.
    """
    chosen = view.columns or [c for c in usual(view.also) if not c.share and (report.total.time or not c.timed)]
    rows = flat(report, view)
    said = [after(report.settings.apply)] if report.settings.apply else []
    said += [not_counted(report)] if report.uncounted else []
    said += sizes(report) if report.unset else []
    head = ["row", *(column.name + BARE.get(column.unit, "") for column in chosen)]
    lines = [",".join(map(escape.cell, head))]
    cells = _Cells(chosen)
    for row in rows:
        if row.role == "total" and said:
            values = [_value(column, row) for column in chosen]
            for at, column in enumerate(chosen):
                if column.name == "kind":
                    values[at] = "; ".join(said)
            lines.append(",".join(map(escape.cell, [row.role, *values])))
        else:
            lines.append(cells.of(row))
    return "\r\n".join(lines) + "\r\n"


def cells(report: Report, view: View) -> dict[str, list[Any]]:
    """Head of a column of the CSV → what each row has there, as it is; without the total."""
    chosen = view.columns or [c for c in usual(view.also) if not c.share and (report.total.time or not c.timed)]
    rows = [row for row in flat(report, view) if row.role != "total"]
    return {c.name + BARE.get(c.unit, ""): [_value(c, row) for row in rows] for c in chosen}


class _Cells:
    """The line of a row. Cells side by side that follow from one thing are written once for all layers that have it."""

    def __init__(self, chosen: list[Column]) -> None:
        groups: list[tuple[str, list[Column]]] = []
        for column in chosen:
            if groups and column.of and groups[-1][0] == column.of:
                groups[-1][1].append(column)
            else:
                groups.append((column.of, [column]))
        self._groups: list[tuple[str, list[Column], dict[int, str]]] = [(of, some, {}) for of, some in groups]

    def of(self, row: Row) -> str:
        """The line of ``row``."""
        line = [row.role]
        layer = vars(row.figures) if isinstance(row.figures, Layer) else {}
        for of, some, known in self._groups:
            if not (of and layer):
                line += [escape.cell(_value(column, row)) for column in some]
                continue
            text = known.get(id(layer[of]))
            if text is None:
                text = known[id(layer[of])] = ",".join([escape.cell(_value(column, row)) for column in some])
            line.append(text)
        return ",".join(line)


def _value(column: Column, row: Row) -> Any:
    """What a column has in ``row``."""
    return row.name if column.name == "name" else column.value(row.figures)
