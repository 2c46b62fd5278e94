"""A comparison of models: for terminals, as JSON, as CSV, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from costcalc.amounts.formatting import show
from costcalc.amounts.units import percent
from costcalc.analysis.figures import FIGURES, SPENT, Figure, Value, figures_in
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.markdown import table as markdown_table
from costcalc.backends.paint import Paint, bar, painted, plain
from costcalc.backends.report.csv import figure_cells, figure_heads
from costcalc.backends.report.summary import marked
from costcalc.comparison import MOST_PARTS, last_seen

if TYPE_CHECKING:
    from costcalc.analysis.records import Report
    from costcalc.comparison import ComparedFigure, Comparison, CostPart

BEST = "*"
IN_LAYER = "  in layer"
BAR = 24
FEWEST_PARTS = 2
"""Parts of a model that are told at the least, where any are."""
LEAST = 14
"""Characters of a model's column at the least."""


def table(found: Comparison, *, width: int = 80, colour: bool = False, lines: int | None = None) -> str:
    """Figures by model, as many models side by side as fit; then where each spends its MACs and its traffic.

    lines   of a screen that all of it should fit: then fewer parts are told, the rest as one, or none; and that is said
    """
    paint = painted if colour else plain
    titles = [visible(name) for name in found.names]
    rows = comparison_rows(found)
    first = max(len(row[0]) for row in rows) + 2
    figures = [row for row in rows if row[0] != IN_LAYER]
    least = max(LEAST, *(len(cell) + 2 for row in figures for cell in row[1:]), *(min(len(t), 28) + 2 for t in titles))
    fits = max((width - first) // least, 1)
    text = []
    for start in range(0, len(titles), fits):
        some = range(start, min(start + fits, len(titles)))
        # Names have the room that is left.
        longest = max(len(text) + 2 for i in some for text in (titles[i], *(row[1 + i] for row in rows)))
        wide = max(least, min(longest, (width - first) // len(some)))
        text.append(" " * first + "".join(paint(_cut(titles[i], wide - 2).rjust(wide), "bold") for i in some))
        for name, *cells in rows:
            cells = [_cut(cell, wide - 2) for cell in cells]
            shown = (paint(cells[i].rjust(wide), "green" if cells[i].endswith(BEST) else "") for i in some)
            text.append((name.ljust(first) + "".join(shown)).rstrip())
        text.append("")
    text += [paint(line, "dim") for one in legend(found) for line in wrap(visible(one), max(width, 40))]
    text += _spent(found, width, paint, None if lines is None else lines - len(text) - 1)
    return "\n".join([*text, ""])


def _spent(found: Comparison, width: int, paint: Paint, room: int | None) -> list[str]:
    """Where each model spends its MACs and its traffic, in at most ``room`` lines: the costliest parts of each, as many
    as there is room for, and what was left out."""
    sections = [
        (by, f"{figure.title} by {heading}", figure)
        for by, heading in (("kind", "op"), ("stage", "stage"))
        for figure in figures_in(SPENT)
    ]
    whole = [line for section in sections for line in _section(found, *section, MOST_PARTS, width, paint)]
    if room is None or len(whole) <= room:
        return whole
    for several in range(len(sections), 0, -1):
        for most in range(MOST_PARTS - 1, FEWEST_PARTS - 1, -1):
            shown = [line for one in sections[:several] for line in _section(found, *one, most, width, paint)]
            said = _left_out([title for _, title, _ in sections[several:]], width)
            if len(shown) + len(said) <= room:
                return [*shown, *(paint(line, "dim") for line in said)]
    return [paint(line, "dim") for line in _left_out([title for _, title, _ in sections], width)]


def _left_out(titles: Sequence[str], width: int) -> list[str]:
    what = f"every part, and {', '.join(titles)}" if titles else "every part"
    return ["", *wrap(f"folded to fit the screen: --all shows {what}", max(width, 40))]


def _section(found: Comparison, by: str, title: str, figure: Figure, most: int, width: int, paint: Paint) -> list[str]:
    """The ``most`` costliest parts of every model by ``figure``, below a title, with bars of one scale."""
    every = [found.parts(i, figure.name, by, most) for i in range(len(found.names))]
    largest = max((p.amount for parts in every for p in parts if not p.is_rest), default=0)
    longest = max((len(visible(p.name)) for parts in every for p in parts), default=0)
    lines = ["", paint(title, "bold")]
    for name, parts in zip(found.names, every, strict=True):
        lines += [paint(visible(name), "cyan"), *_bars(parts, largest, figure, longest, width)]
    return lines


def legend(found: Comparison) -> list[str]:
    """What the signs mean, and what the row of receptive fields says, where there is one."""
    says = [f"{BEST} best; × of {found.names[0]}"]
    for line in found.lines:
        if line.figure.name == "receptive_field":
            seen = "all: the whole image, in brackets the window that hangs over it"
            of = "receptive field, the pixels that one place of the layer below it depends on"
            says.append(f"{line.figure.title}: {of}; {seen}")
    for name, report in zip(found.names, found.reports, strict=True):
        if report.total.energy and report.total.energy.unknown:
            says.append(f"the energy of {name} is unknown: {report.total.energy.unknown}")
    return says


def comparison_rows(found: Comparison) -> list[list[str]]:
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


def _cell(line: ComparedFigure, i: int, report: Report) -> str:
    value, ratio = line.values[i], line.ratios[i]
    field = line.figure.name == "receptive_field"
    text = last_seen(report)[1] if field else show(line.figure, value)
    if value is not None and not field:
        text = marked(report, line.figure.name, text)
    if i and ratio is not None and line.figure.name not in ("layers", "uncounted"):
        text += f" {ratio:,.{0 if ratio >= 1000 else 2}f}×"
    return text + (f" {BEST}" if i in line.best else "  ")


def _bars(parts: Sequence[CostPart], most: Value, figure: Figure, name: int, width: int) -> list[str]:
    """A line for each part, its bar as long as the part is of ``most``; what is left over together has none.

    name   characters of the longest name
    """
    name = min(name, max(width - BAR - 24, 12))
    long = min(max(width - name - 24, BAR), 2 * BAR)
    return [
        f"  {_cut(visible(p.name), name).ljust(name)}  {'' if p.is_rest else bar(p.amount / most, long):{long}}"
        f"  {percent(p.share, 1).rjust(6)}  {show(figure, p.amount)}"
        for p in parts
    ]


def json(found: Comparison) -> str:
    """The record as JSON; all numbers exact."""
    return escape.json(found.to_dict(), indent=1) + "\n"


def csv(found: Comparison) -> str:
    """A line per model: exact numbers, in the units that the heads say, storage in bits and in bytes; lower bounds
    where ``uncounted`` is not 0, and no more than bounds where ``unset`` is not. Shapes have their batch. ``apply`` has
    the transforms, where any model had one."""
    open_sizes = any(report.unset for report in found.reports)
    applied = any(report.settings.apply for report in found.reports)
    heads = [head for line in found.lines for head in figure_heads(line.figure)]
    lines: list[list[Any]] = [["model", "input", *["apply"] * applied, *heads, *["unset"] * open_sizes]]
    for i, (name, report) in enumerate(zip(found.names, found.reports, strict=True)):
        row = [name, "; ".join("x".join(map(str, shape)) for shape in report.inputs.values())]
        row += [",".join(report.settings.apply)] * applied
        values = [value for line in found.lines for value in figure_cells(line.figure, line.values[i])]
        lines.append([*row, *values, *[len(report.unset)] * open_sizes])
    return escape.csv(lines)


def markdown(found: Comparison) -> str:
    """Two kinds of tables: the figures, and where each model spends its MACs."""
    rows = [[cell.strip() for cell in row] for row in comparison_rows(found)]
    lines = markdown_table(["", *found.names], "<" + ">" * len(found.names), rows)
    lines += ["", *(part for one in legend(found) for part in (escape.markdown(one), ""))]
    for by in ("kind", "stage"):
        for i, name in enumerate(found.names):
            parts = [[p.name, show(FIGURES["macs"], p.amount), percent(p.share, 1)] for p in found.parts(i, "macs", by)]
            lines += [*markdown_table([f"{name}: MACs by {by}", "", ""], "<>>", parts), ""]
    return "\n".join(lines)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]
