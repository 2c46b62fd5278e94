"""A comparison of models: for terminals, as JSON, as CSV, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.amounts.shown import show
from costcalc.amounts.units import percent
from costcalc.analysis.figures import FIGURES, SPENT, field_at_end, figures_in
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.markdown import table as markdown_table
from costcalc.backends.paint import bar, painted, plain
from costcalc.backends.report.summary import marked
from costcalc.comparison import last_seen

if TYPE_CHECKING:
    from costcalc.analysis.records import Report
    from costcalc.comparison import Comparison, Line

BEST = "*"
IN_LAYER = "  in layer"
BAR = 24
LEAST = 14
"""Characters of a model's column at the least."""


def table(found: Comparison, *, width: int = 80, colour: bool = False) -> str:
    """Figures by model, as many models side by side as fit; then where each spends its MACs and its traffic."""
    paint = painted if colour else plain
    titles = [visible(name) for name in found.names]
    rows = _rows(found)
    first = max(len(row[0]) for row in rows) + 2
    figures = [row for row in rows if row[0] != IN_LAYER]
    wide = max(LEAST, *(len(cell) + 2 for row in figures for cell in row[1:]), *(min(len(t), 28) + 2 for t in titles))
    fits = max((width - first) // wide, 1)
    lines = []
    for start in range(0, len(titles), fits):
        some = range(start, min(start + fits, len(titles)))
        lines.append(" " * first + "".join(paint(_cut(titles[i], wide - 2).rjust(wide), "bold") for i in some))
        for name, *cells in rows:
            cells = [_cut(cell, wide - 2) for cell in cells]
            shown = (paint(cells[i].rjust(wide), "green" if cells[i].endswith(BEST) else "") for i in some)
            lines.append((name.ljust(first) + "".join(shown)).rstrip())
        lines.append("")
    lines.append(paint(f"{BEST} best; × of {titles[0]}", "dim"))
    for by, heading in (("kind", "op"), ("stage", "stage")):
        for figure in (figure.name for figure in figures_in(SPENT)):
            lines += ["", paint(f"{FIGURES[figure].title} by {heading}", "bold")]
            for i, title in enumerate(titles):
                lines += [paint(title, "cyan"), *_bars(found, i, figure, by, width)]
    return "\n".join([*lines, ""])


def _rows(found: Comparison) -> list[list[str]]:
    """A title and a cell per model: the input, the transforms applied, each figure with its ratio, where two are."""
    rows = [["input", *(_input(report) for report in found.reports)]]
    if any(report.settings.apply for report in found.reports):
        rows.append(["after", *(", ".join(report.settings.apply) or "–" for report in found.reports)])
    for line in found.lines:
        rows.append([line.figure.title, *(_cell(line, i, found.reports[i]) for i in range(len(found.names)))])
        if line.figure.name == "receptive_field":
            rows.append([IN_LAYER, *(visible(last_seen(r)[0]) or "–" for r in found.reports)])
        if line.figure.name == "peak":
            rows.append([IN_LAYER, *(visible(r.total.peak_at) or "–" for r in found.reports)])
    return rows


def _input(report: Report) -> str:
    """The shapes without the batch; a batch of more than one is told."""
    shapes = report.inputs.values()
    batch = next((f" batch {shape[0]}" for shape in shapes if shape and shape[0] != 1), "")
    return ", ".join("×".join(map(str, shape[1:])) for shape in shapes) + batch


def _cell(line: Line, i: int, report: Report) -> str:
    value, ratio = line.values[i], line.ratios[i]
    field = line.figure.name == "receptive_field"
    text = last_seen(report)[1] if field and field_at_end(report)[1] is not None else show(line.figure, value)
    if value is not None and not field:
        text = marked(report, line.figure.name, text)
    if i and ratio is not None and line.figure.name not in ("layers", "uncounted"):
        text += f" {ratio:,.{0 if ratio >= 1000 else 2}f}×"
    return text + (f" {BEST}" if i in line.best else "  ")


def _bars(found: Comparison, i: int, figure: str, by: str, width: int) -> list[str]:
    parts = found.parts(i, figure, by)
    most = max((p.share for p in parts), default=0.0)
    name = max((len(visible(p.name)) for p in parts), default=0)
    name = min(name, max(width - BAR - 24, 12))
    return [
        f"  {_cut(visible(p.name), name).ljust(name)}  {bar(p.share / most, BAR)}  {percent(p.share, 1).rjust(6)}"
        f"  {show(FIGURES[figure], p.amount)}"
        for p in parts
    ]


def json(found: Comparison) -> str:
    """The record as JSON; all numbers exact."""
    return escape.json(found.to_dict(), indent=1) + "\n"


def csv(found: Comparison) -> str:
    """A line per model: exact numbers, in the units that the heads say; lower bounds where ``uncounted`` is not 0,
    and no more than bounds where ``unset`` is not. ``apply`` has the transforms, where any model had one."""
    open_sizes = any(report.unset for report in found.reports)
    applied = any(report.settings.apply for report in found.reports)
    head = ["model", "input", *["apply"] * applied, *(line.figure.head for line in found.lines)]
    lines: list[list[Any]] = [[*head, "unset"] if open_sizes else head]
    for i, (name, report) in enumerate(zip(found.names, found.reports, strict=True)):
        row = [
            name,
            _input(report),
            *[",".join(report.settings.apply)] * applied,
            *(line.values[i] for line in found.lines),
        ]
        lines.append([*row, len(report.unset)] if open_sizes else row)
    return escape.csv(lines)


def markdown(found: Comparison) -> str:
    """Two kinds of tables: the figures, and where each model spends its MACs."""
    rows = [[cell.strip() for cell in row] for row in _rows(found)]
    lines = markdown_table(["", *found.names], "<" + ">" * len(found.names), rows)
    lines += ["", f"{BEST} best; × of the first", ""]
    for by in ("kind", "stage"):
        for i, name in enumerate(found.names):
            parts = [[p.name, show(FIGURES["macs"], p.amount), percent(p.share, 1)] for p in found.parts(i, "macs", by)]
            lines += [*markdown_table([f"{name}: MACs by {by}", "", ""], "<>>", parts), ""]
    return "\n".join(lines)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]
