"""The report as CSV, a line a row, and its cells for data frames and Parquet. All numbers exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from costcalc.analysis.figures import BITS, JOULES, SECONDS, Figure
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.sizes import sizes
from costcalc.backends import escape
from costcalc.backends.columns import Column, is_there, usual
from costcalc.backends.report.summary import after, not_counted
from costcalc.backends.rows import Row, TableOptions, flat
from costcalc.classes import NamedTuple


class Cell(NamedTuple):
    """A column of bare values: its head, what a row has there, and the attribute of layers that this follows from."""

    head: str
    value: Callable[[Row], Any]
    of: str = ""


def csv(report: Report, options: TableOptions) -> str:
    """A line for each row as RFC 4180 has it, the total in the last. Storage in bits and in bytes, time in seconds.

    ``row`` tells layers from folded blocks, from what is summed or shared, and from the total. Shapes have their
    batch, options are JSON. The total's ``kind`` says which transforms were applied, and if it is a bound or less,
    since some layers have no rule or some sizes are not set.
    """
    chosen = _cells(report, options)
    rows = flat(report, options)
    said = [after(report.settings.apply)] if report.settings.apply else []
    said += [not_counted(report)] if report.uncounted else []
    said += sizes(report) if report.unset else []
    lines = [",".join(map(escape.cell, ["row", *(cell.head for cell in chosen)]))]
    written = _Lines(chosen)
    for row in rows:
        if row.role == "total" and said:
            values = ["; ".join(said) if cell.head == "kind" else cell.value(row) for cell in chosen]
            lines.append(",".join(map(escape.cell, [row.role, *values])))
        else:
            lines.append(written.of(row))
    return "\r\n".join(lines) + "\r\n"


def cells(report: Report, options: TableOptions) -> dict[str, list[Any]]:
    """Head of a column of the CSV → what each row has there, as it is; without the total."""
    rows = [row for row in flat(report, options) if row.role != "total"]
    return {cell.head: [cell.value(row) for row in rows] for cell in _cells(report, options)}


def _cells(report: Report, options: TableOptions) -> list[Cell]:
    chosen = options.columns or [c for c in usual(options.also) if not c.share and is_there(c, report)]
    return [cell for column in chosen for cell in _of_column(column)]


def _of_column(column: Column) -> Iterator[Cell]:
    if column.name == "name":
        yield Cell(column.name, lambda row: row.name)
        return
    read = column.bare or column.value
    head = HEADS.get(column.unit, "")
    yield Cell(column.name + head, lambda row: read(row.figures), column.of)
    if column.unit == BITS:
        yield Cell(f"{column.name}_bytes", lambda row: in_bytes(read(row.figures)), column.of)


HEADS = {BITS: "_bits", SECONDS: "_seconds", JOULES: "_joules"}
"""What the head of a column says after its name, since its numbers are bare."""


def in_bytes(bits: Any) -> Any:
    """``bits`` as bytes: whole where they are, else with a fraction.

    >>> in_bytes(80), in_bytes(12), in_bytes(None)
    (10, 1.5, None)
    """
    if bits is None:
        return None
    if not isinstance(bits, int):
        return f"({bits})/8"
    return bits // 8 if bits % 8 == 0 else bits / 8


def figure_heads(figure: Figure) -> list[str]:
    """The heads of a figure's columns in a CSV: storage has one in bits and one in bytes."""
    return [figure.head, f"{figure.name}_bytes"] if figure.unit == BITS else [figure.head]


def figure_cells(figure: Figure, value: Any) -> list[Any]:
    """What stands below ``figure_heads``."""
    return [value, in_bytes(value)] if figure.unit == BITS else [value]


class _Lines:
    """The line of a row. Cells side by side that follow from one thing are written once for all layers that have it."""

    def __init__(self, chosen: list[Cell]) -> None:
        groups: list[tuple[str, list[Cell]]] = []
        for cell in chosen:
            if groups and groups[-1][0] == cell.of:
                groups[-1][1].append(cell)
            else:
                groups.append((cell.of, [cell]))
        self._groups: list[tuple[str, list[Cell], dict[int, str]]] = [(of, some, {}) for of, some in groups]

    def of(self, row: Row) -> str:
        """The line of ``row``."""
        line, figures, written = row.role, row.figures, escape.cell
        is_layer = isinstance(figures, Layer)
        for of, some, known in self._groups:
            if not (of and is_layer):
                for cell in some:
                    line += f",{written(cell.value(row))}"
                continue
            same = id(getattr(figures, of))
            text = known.get(same)
            if text is None:
                text = known[same] = "".join([f",{written(cell.value(row))}" for cell in some])
            line += text
        return line
