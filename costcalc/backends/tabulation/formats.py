r"""A table of models as text, LaTeX with ``booktabs`` and ``siunitx``, Markdown, CSV, JSON; every text escaped."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from costcalc.amounts.scaled import scaled
from costcalc.analysis.figures import BITS, FIGURES, named
from costcalc.backends import escape
from costcalc.backends.markdown import table as markdown_table
from costcalc.backends.paint import painted, plain
from costcalc.backends.report.latex import MARKS, Head, aligned, number, tabular
from costcalc.classes import NamedTuple

if TYPE_CHECKING:
    from costcalc.tabulation import Table, TableColumn

BEST = "*"
NONE = "–"


class Cells(NamedTuple):
    """A column in one unit: its head, the text of each cell, "" where there is none, and the signs before them."""

    head: str
    texts: list[str]
    marks: list[str]


def _cells(column: TableColumn) -> Cells:
    if column.texts:
        return Cells(column.title, [*column.texts], [""] * len(column.texts))
    numbers = scaled(column.values or (), column.unit, column.scale)
    head = f"{column.title} ({numbers.unit})" if numbers.unit else column.title
    return Cells(head, numbers.texts, [*column.marks] or [""] * len(numbers.texts))


def table(found: Table, *, width: int = 80, colour: bool = False) -> str:
    """For a terminal: one line a model, however long."""
    paint = painted if colour else plain
    columns = [["", *map(escape.visible, found.names)]]
    sides = "<"
    for column in found.columns:
        cells = _cells(column)
        texts = [f"{mark} {text}".strip() or NONE for mark, text in zip(cells.marks, cells.texts, strict=True)]
        stars = [f"{text} {BEST}" if i in column.best else f"{text}  " for i, text in enumerate(texts)]
        shown = (texts if column.values is None else stars) if column.best or column.values is None else texts
        columns.append([escape.visible(cells.head) + "  " * bool(column.best), *map(escape.visible, shown)])
        sides += "<" if column.values is None else ">"
    wide = [max(map(len, column)) for column in columns]
    lines = []
    for i in range(len(found.names) + 1):
        row = [
            column[i].ljust(w) if side == "<" else column[i].rjust(w)
            for column, w, side in zip(columns, wide, sides, strict=True)
        ]
        lines.append(paint("  ".join(row).rstrip(), "" if i else "bold"))
    notes = [escape.visible(note.replace("Best in bold", f"{BEST} best")) for note in found.notes]
    folded = [line for note in notes for line in wrap(note, max(width, 40))]
    return "\n".join([*lines, "", *(paint(line, "dim") for line in folded), ""])


def latex(found: Table) -> str:
    """To paste into a paper: numbers aligned at the point, the best in bold, how it was counted below."""
    heads, columns = [Head("", "l")], [[escape.latex(name) for name in found.names]]
    for column in found.columns:
        cells = _cells(column)
        title = escape.latex(cells.head)
        if column.values is None:
            heads.append(Head(title, "l"))
            columns.append([escape.latex(text) or "--" for text in cells.texts])
            continue
        texts = []
        for i, (mark, text) in enumerate(zip(cells.marks, cells.texts, strict=True)):
            shown = number(text) or "{--}"
            if mark and text:
                shown = f"{{{MARKS[mark]}{shown.strip('{}')}}}"
            texts.append(f"\\bfseries {shown}" if i in column.best else shown)
        head = aligned(title, [text.removeprefix("\\bfseries ") for text in texts])
        bold = ", detect-weight, mode=text" if column.best else ""
        heads.append(head._replace(align=f"{head.align[:-1]}{bold}]"))
        columns.append(texts)
    return tabular(heads, [*zip(*columns, strict=True)], description=[escape.latex(note) for note in found.notes])


def markdown(found: Table) -> str:
    """In GitHub's Markdown."""
    head, sides, columns = ["model"], "<", [[*found.names]]
    for column in found.columns:
        cells = _cells(column)
        head.append(escape.markdown(cells.head))
        sides += "<" if column.values is None else ">"
        columns.append([f"{m} {t}".strip() or NONE for m, t in zip(cells.marks, cells.texts, strict=True)])
    lines = markdown_table(head, sides, [*zip(*columns, strict=True)])
    for i, line in enumerate(lines[2:]):
        parts = line.split(" | ")
        bold = [i in column.best for column in found.columns]
        for at, is_best in enumerate(bold, start=1):
            if is_best:
                cell = parts[at].removesuffix(" |")
                parts[at] = parts[at].replace(cell, f"**{cell}**", 1)
        lines[i + 2] = " | ".join(parts)
    return "\n".join([*lines, "", *(escape.markdown(note) + "  " for note in found.notes)]) + "\n"


def csv(found: Table) -> str:
    """A line a model: exact numbers, in the units that the heads say; numbers of a file as it has them."""
    lines: list[list[Any]] = [["model", *map(_head, found.columns)]]
    for i, name in enumerate(found.names):
        lines.append([name, *(c.texts[i] if c.texts else c.number(i) for c in found.columns)])
    return escape.csv(lines)


def _head(column: TableColumn) -> str:
    """``storage_bits``, ``gflops``: what bare numbers are of."""
    known = named(column.name) if not column.texts else None
    return FIGURES[known.figure.name].head if known and known.figure.unit == BITS else column.name


def json(found: Table) -> str:
    """The record as JSON; whole numbers are exact."""
    return escape.json(found.to_dict(), indent=1) + "\n"
