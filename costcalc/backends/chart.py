"""A chart of columns for a terminal, in eighths of a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costcalc.analysis.figures import Value

PARTS, NONE = " ▁▂▃▄▅▆▇█", "·"
HEIGHT = 6
"""Lines of a chart, unless another number is asked for."""
WIDEST = 6
"""Characters of a column."""


def chart(
    values: Sequence[Value | None],
    label: str,
    width: int,
    height: int = HEIGHT,
    fold: Callable[[Sequence[Value | None]], Value | None] = lambda some: some[-1],
) -> list[str]:
    """A column for each of ``values``, as high as it is large; where more than fit, ``fold`` takes some as one.

    The axis begins at 0, and ``label`` stands at its top; a dot is a place without a value. There is a value above 0.

    >>> print("\\n".join(chart([1, 2, None, 4], "4", 14, 2)))
    4 ┤      █
    0 ┤▄ █ · █
    """
    most = max(value for value in values if value is not None)
    room = max(width - len(label) - 4, 8)
    shown = list(values)
    if len(values) > room:
        ends = [-(-(i + 1) * len(values) // room) for i in range(room)]
        shown = [fold(values[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    wide = max(min(room // len(shown), WIDEST), 1)
    full = len(PARTS) - 1
    heights = [None if value is None else max(round(value * height * full / most), bool(value)) for value in shown]
    lines = []
    for level in reversed(range(height)):
        none = " " if level else NONE
        parts = (none if at is None else PARTS[max(min(at - level * full, full), 0)] for at in heights)
        bars = "".join(part * max(wide - 1, 1) + " " * (wide > 1) for part in parts)
        at = label if level == height - 1 else "0" if level == 0 else ""
        lines.append(f"{at.rjust(len(label))} {'┤' if at else '│'}{bars}".rstrip())
    return lines
