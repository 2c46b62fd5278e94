"""The report for programs: JSON with everything, CSV with a line a row. All numbers exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from costcalc.analysis.figures import BITS, JOULES, SECONDS
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.sizes import sizes
from costcalc.backends import escape
from costcalc.backends.columns import Column, columns
from costcalc.backends.rows import Row, View, flat
from costcalc.backends.summary import after, not_counted

BARE = {BITS: "_bits", SECONDS: "_seconds", JOULES: "_joules"}
"""What the head of a CSV column says after its name, since its numbers are bare."""


def json(report: Report, view: View) -> str:
    """The contract of ``docs/json.md``, whatever the view: every layer, every figure; a layer a line."""
    return written(report.to_dict(rows=iter))


def written(record: dict[str, Any]) -> str:
    """``record`` as JSON, a key a line; of lists of records a record a line."""
    parts = []
    for key, value in record.items():
        rows = isinstance(value, Iterator) or (isinstance(value, list) and value and isinstance(value[0], dict))
        lines = [*_lines(value)] if rows else []
        shown = "[\n  " + ",\n  ".join(lines) + "\n ]" if lines else "[]" if rows else escape.json(value)
        parts.append(f" {escape.json(key)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each of ``records`` as JSON. What several of them have, as an object, is written out once."""
    heads: dict[str, str] = {}
    known: dict[int, tuple[str, Any]] = {}
    for record in records:
        parts = []
        for key, value in record.items():
            head = heads.get(key)
            if head is None:
                head = heads[key] = f"{escape.json(key)}: "
            if type(value) is int:
                parts.append(f"{head}{value}")
            elif type(value) is str:
                parts.append(head + escape.json(value))
            else:
                text = known.get(id(value))
                if text is None:  # the value is kept, lest another gets its number
                    text = known[id(value)] = escape.json(value), value
                parts.append(head + text[0])
        yield "{" + ", ".join(parts) + "}"


def csv(report: Report, view: View) -> str:
    """A line for each row as RFC 4180 has it, the total in the last. Storage in bits, time in seconds.

    ``row`` tells layers from folded blocks, from what is summed or shared, and from the total. The total's
    ``kind`` says which transforms were applied, and if it is a bound or less, since some layers have no rule or some
    sizes are not set.
    """
    chosen = view.columns or [c for c in columns().values() if not c.share and (report.total.time or not c.timed)]
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
