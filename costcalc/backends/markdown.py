"""Tables of GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.backends.escape import markdown as escaped


def table(head: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown, its cells escaped."""
    rule = ["---" if side == "<" else "--:" for side in sides]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *([escaped(c) for c in row] for row in rows))]
