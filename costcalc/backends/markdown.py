"""Tables of GitHub's Markdown: the one writer of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costcalc.backends.escape import markdown as escaped


def table(head: Sequence[str], sides: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of Markdown, its heads and cells escaped."""
    return [*header(head, sides), *(row([escaped(cell) for cell in cells]) for cells in rows)]


def figures_table(facts: Iterable[Sequence[str]]) -> list[str]:
    """Figures by name, each with its value and what it counts."""
    return table(["figure", "", ""], "<><", facts)


def header(titles: Sequence[str], sides: str) -> list[str]:
    """The first two lines of a table, escaped; ``sides``: ``<`` for a column of words, ``>`` for one of numbers.

    >>> header(["layer", "MACs"], "<>")
    ['| layer | MACs |', '| --- | --: |']
    """
    return [row(map(escaped, titles)), row(["---" if side == "<" else "--:" for side in sides])]


def row(cells: Iterable[str]) -> str:
    """A line of ``cells``, which are escaped already."""
    return f"| {' | '.join(cells)} |"
