"""The report as a table for a terminal."""

from __future__ import annotations

from costcalc.amounts.units import percent
from costcalc.analysis.figures import WIDE, figures_in
from costcalc.analysis.records import Report
from costcalc.backends.columns import Column, columns, preferred, shown
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.paint import Paint, bar, painted, plain
from costcalc.backends.report.summary import headline, marked, summary
from costcalc.backends.rows import Row, View, tree

PLAIN = "name group macs params output traffic kind field storage ops intensity input read write buffers source inputs"
TIMED = (
    "name group time bound macs_share time_share kind traffic macs output params intensity field storage input source"
)
"""Which columns to show, the most wanted first; other figures come after these."""
LEAST = {"name": 16, "group": 12, "kind": 9}
"""What columns that may be cut short need at least."""
BAR = 6
LEAVES = ("layer", "block")


def table(report: Report, view: View) -> str:
    """The whole table, a line a row, then the totals in full."""
    rows = tree(report, view)
    paint = painted if view.colour else plain
    lines = [f"{paint(report.name, 'bold')}  {headline(report)}"]
    if report.source:
        from textwrap import wrap

        lines += [paint(line, "dim") for line in wrap(visible(report.source), max(view.width, 40))]
    lines.append("")
    if len(rows) > 1:
        lines += [*_lines(report, rows, view, paint), ""]
    return "\n".join([*lines, *summary(report, view.width, paint, view.also), ""])


def _lines(report: Report, rows: list[Row], view: View, paint: Paint) -> list[str]:
    cells = _chosen(report, rows, view)
    if rows[-2].role == "shared" and not any(column[-2] for name, column in cells.items() if name != "name"):
        rows, cells = [*rows[:-2], rows[-1]], {name: [*c[:-2], c[-1]] for name, c in cells.items()}
    every = {**columns(), **{column.name: column for column in view.columns or ()}}
    left = {name for name in cells if every[name].left}
    ends = () if any(row.level for row in rows) else ("name",)
    lines = []
    for row, texts in zip([None, *rows], grid(cells, view.width, left, LEAST | {"name": 6}, ends), strict=True):
        line = [paint(text, _style(every[name], row)) for name, text in zip(cells, texts, strict=True)]
        lines.append(GAP.join(line).rstrip())
        rule = paint("─" * len(GAP.join(texts)), "dim")
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _chosen(report: Report, rows: list[Row], view: View) -> dict[str, list[str]]:
    """The columns asked for, or those that fit into the width; each with its cells under its title."""
    every = columns()
    parts = [_share(c, row, report) for c in every.values() if c.share for row in rows if row.role in LEAVES]
    most = max(parts, default=0.0)

    def cells(column: Column) -> list[str]:
        return [column.title, *(_cell(column, row, report, view.exact, most) for row in rows)]

    if view.columns is not None:
        return {column.name: cells(column) for column in view.columns}
    chosen: dict[str, list[str]] = {}
    widths: dict[str, int] = {}
    least = LEAST
    wanted = [column.name for column in preferred(TIMED if report.total.time else PLAIN, view.also)]
    wanted += [figure.name for figure in figures_in(WIDE) if figure.name not in f"{PLAIN} {TIMED}".split()]
    for name in wanted:
        made = cells(every[name])
        if not any(made[1:]):
            continue
        wide = widths | {name: max(map(len, made))}
        needed = sum(min(w, least.get(n, w)) for n, w in wide.items()) + len(GAP) * (len(wide) - 1)
        if needed > view.width and len(chosen) > 1:
            break
        chosen[name], widths = made, wide
        if name == "kind":
            least = {}  # what is wanted less than the kind may not shorten anything
    return {name: chosen[name] for name in every if name in chosen}


def _cell(column: Column, row: Row, report: Report, exact: bool, most: float) -> str:
    if column.name == "name":
        return "  " * row.level + row.label
    if column.name == "kind" and row.role in ("heading", "block", "total"):
        layers: int = row.figures.layers  # type: ignore[attr-defined]
        return f"{layers} layer{'s' * (layers != 1)}"
    if column.share:
        if row.role == "shared":
            return ""
        part = percent(_share(column, row, report), 1.0).rjust(6)
        return (bar(_share(column, row, report) / most, BAR) if row.role in LEAVES and most else " " * BAR) + part
    if row.role == "shared" and (not column.adds or column.value(row.figures) == 0):
        return ""
    text = shown(column, row.figures, exact)
    return marked(report, column.marks, text) if row.role == "total" else text


def _share(column: Column, row: Row, report: Report) -> float:
    part, whole = column.value(row.figures), column.value(report.total)
    return part / whole if isinstance(part, (int, float)) and isinstance(whole, (int, float)) and whole else 0.0


def _style(column: Column, row: Row | None) -> str:
    """How a cell is painted; ``row`` is None for the titles."""
    if row is None or row.role == "total":
        return "bold"
    if row.role == "heading":
        return "cyan" if column.name == "name" else "dim"
    if row.role in ("rest", "shared"):
        return "dim"
    if column.name in ("bound", "time_share"):
        return getattr(getattr(row.figures, "time", None), "bound", "")
    return "cyan" if column.share else "dim" if column.name in ("kind", "source", "inputs") else ""
