"""Columns of text set side by side within a width.

Rich's own tables take a millisecond a row, half a start-up for a network of a hundred layers; this lays out plain
strings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

GAP = "  "


def grid(
    columns: Mapping[str, Sequence[str]],
    width: int,
    left: Collection[str] = (),
    least: Mapping[str, int] | None = None,
    ends: Collection[str] = (),
) -> list[list[str]]:
    """The rows of ``columns``, every cell padded to its column's width; ``GAP`` goes between them.

    left    columns that are flush left; the others, of numbers, are flush right
    least   columns that may be cut short to stay within ``width``, the last first, and to how many characters
    ends    of them, those whose end says more than their beginning

    Numbers are never cut: if they do not fit, rows are longer than ``width``.

    >>> columns = {"name": ["conv1.depthwise", "fc"], "n": ["1", "22"]}
    >>> [GAP.join(row) for row in grid(columns, 12, ["name"], {"name": 4})]
    ['conv1.d…   1', 'fc        22']
    """
    widths = {name: max(map(len, cells), default=0) for name, cells in columns.items()}
    over = sum(widths.values()) + len(GAP) * (len(widths) - 1) - width
    for name, kept in reversed(list((least or {}).items())):
        if name in widths and over > 0:
            narrower = min(over, max(widths[name] - kept, 0))
            widths[name] -= narrower
            over -= narrower
    padded = []
    for name, cells in columns.items():
        size = widths[name]
        cut = cut_front if name in ends else cut_short
        short = [cut(cell, size) if len(cell) > size else cell for cell in cells]
        padded.append([cell.ljust(size) if name in left else cell.rjust(size) for cell in short])
    return [list(row) for row in zip(*padded, strict=True)]


def cut_short(text: str, width: int) -> str:
    """``text`` in ``width`` characters, the last an ellipsis if it is longer; indentation goes first.

    >>> cut_short("    conv", 6), cut_short("depthwise conv", 8)
    ('  conv', 'depthwi…')
    """
    bare = text.lstrip()
    text = text[len(text) - max(len(bare), width) :] if len(bare) < width else bare
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"


def cut_front(text: str, width: int) -> str:
    """The last of ``text`` in ``width`` characters, after an ellipsis if it is longer.

    >>> cut_front("layer1.0.conv2", 9)
    '….0.conv2'
    """
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]
