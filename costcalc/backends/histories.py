"""Histories of models: a table with a chart for a terminal, CSV, JSON, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from costcalc.amounts.formatting import percent, show
from costcalc.analysis.figures import Figure, Value
from costcalc.backends import escape
from costcalc.backends.chart import chart
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.markdown import header, row
from costcalc.backends.paint import painted, plain

if TYPE_CHECKING:
    from costcalc.budget.history import History, HistoryPoint

SCHEMA = 1
"""The version of the JSON."""


def text(histories: Sequence[History], *, width: int, colour: bool = False) -> str:
    """For each history a line for each commit, then a chart of each figure."""
    paint = painted if colour else plain
    lines: list[str] = []
    for history in histories:
        lines += [paint(_title(history), "bold"), ""]
        if not history.points:
            lines += ["no commit has it", ""]
            continue
        rows = [[*cells, visible(point.commit.subject)] for point, cells in _cells(history)]
        heads = ["commit", "date", *(h for figure in history.figures for h in (figure.title, "")), "subject"]
        columns = {str(i): [head, *(row[i] for row in rows)] for i, head in enumerate(heads)}
        last = str(len(heads) - 1)
        laid = grid(columns, width, left=["0", "1", last], least={last: 8})
        lines += [paint(GAP.join(laid[0]).rstrip(), "dim"), *(GAP.join(row).rstrip() for row in laid[1:])]
        lines += map(visible, _remarks(history))
        for figure in history.figures:
            lines += charted(history, figure, width)
        lines.append("")
    return "\n".join(lines)


def _title(history: History) -> str:
    count = len(history.points)
    return visible(f"{history.title}: {count} commit{'s' * (count != 1)} that touched it, from {history.source}")


def _cells(history: History) -> list[tuple[HistoryPoint, list[str]]]:
    """For each commit its cells but the subject: each figure with its change since the commit before."""
    found: list[tuple[HistoryPoint, list[str]]] = []
    before: dict[str, Value] = {}
    for point in history.points:
        cells = [point.commit.short, point.commit.day]
        for figure in history.figures:
            value, was = point.figures.get(figure.name), before.get(figure.name)
            if value is None:
                cells += ["–", ""]
                continue
            moved = "" if was is None else "=" if was == value else percent(value - was, was)
            cells += [f"{point.marks.get(figure.name, '')} {show(figure, value)}".lstrip(), moved]
            before[figure.name] = value
        found.append((point, cells))
    return found


def _remarks(history: History) -> list[str]:
    """How many commits were not looked at, and why others have no figures: each reason once, with its commits."""
    lines = [f"{history.left_out} older commits are left out"] if history.left_out else []
    found: dict[str, list[str]] = {}
    for point in history.points:
        if point.reason:
            found.setdefault(point.reason, []).append(point.commit.short)
    return lines + [f"{', '.join(commits[:4])}{' …' * (len(commits) > 4)}: {why}" for why, commits in found.items()]


def charted(history: History, figure: Figure, width: int) -> list[str]:
    """A column for each commit; where there are more than fit, the last of some together.

    Nothing is drawn of fewer than two values.
    """
    values = [point.figures.get(figure.name) for point in history.points]
    numbers = [value for value in values if value is not None]
    if len(numbers) < 2 or not max(numbers):
        return []
    return ["", *chart(values, f"{figure.title} {show(figure, max(numbers))}", width)]


def rows(histories: Sequence[History]) -> list[dict[str, Any]]:
    """One object for each commit of each history, with exact values."""
    return [
        {
            "model": h.name, "at": h.setup, "source": h.source, "commit": p.commit.sha, "date": p.commit.day,
            "subject": p.commit.subject,
            "figures": {figure.key: _number(p.figures.get(figure.name)) for figure in h.figures},
            "marks": {figure.key: p.marks[figure.name] for figure in h.figures if figure.name in p.marks},
            "reason": p.reason,
        }
        for h in histories
        for p in h.points
    ]  # fmt: skip


def _number(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float)) else str(value)


def json(histories: Sequence[History]) -> str:
    """``schema``, and ``commits``: one object for each, the oldest first."""
    return escape.json({"schema": SCHEMA, "commits": rows(histories)}, indent=1) + "\n"


def csv(histories: Sequence[History]) -> str:
    """A line for each commit; numbers in the units that the heads say; ``marks`` where any is no more than a bound."""
    figures = histories[0].figures if histories else ()
    marked = any(p.marks for h in histories for p in h.points)
    heads = ["model", "at", "commit", "date", *(figure.head for figure in figures), *["marks"] * marked]
    lines: list[list[Any]] = [[*heads, "subject", "reason"]]
    for h in histories:
        for p in h.points:
            values = ["" if (v := _number(p.figures.get(f.name))) is None else v for f in figures]
            marks = [", ".join(f"{mark} {name}" for name, mark in p.marks.items())] if marked else []
            lines.append([h.name, h.setup, p.commit.sha, p.commit.day, *values, *marks, p.commit.subject, p.reason])
    return escape.csv(lines)


def markdown(histories: Sequence[History]) -> str:
    """A table for each history."""
    lines: list[str] = []
    for h in histories:
        heads = ["commit", "date", *(figure.title for figure in h.figures), "subject"]
        lines += [f"**{escape.markdown(h.title)}**", "", *header(heads, "<<" + ">" * len(h.figures) + "<")]
        for point, cells in _cells(h):
            pairs = zip(cells[2::2], cells[3::2], strict=True)
            told = [
                escape.markdown(f"{value} ({moved})" if moved not in ("", "=") else value) for value, moved in pairs
            ]
            said = escape.markdown(point.commit.subject)
            lines.append(row([f"`{point.commit.short}`", point.commit.day, *told, said]))
        lines.append("")
        lines += [text for remark in _remarks(h) for text in (escape.markdown(remark), "")]
    return "\n".join(lines)
