"""Models by two figures, and the line of those that none is better than in both."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from matplotlib.axes import Axes

from costcalc.backends.plots.canvas import (
    GREY,
    PALETTE,
    REST,
    Labels,
    Picture,
    linear,
    logarithmic,
    picture,
)  # fmt: skip
from costcalc.pictures.pareto import Pareto, pareto
from costcalc.tabulation import Table, TableColumn


def draw(table: Table, ways: Mapping[str, str] = {}, width: float | None = None) -> Picture:
    """The models of a ``table`` of two columns, as ``pictures.pareto`` has them; ``ways`` as there."""
    found = pareto(table, ways)
    lacking = f"; without {', '.join(found.without[:4])}{' …' if len(found.without) > 4 else ''}, which lack one"
    better = [f"{'lower' if less else 'higher'} {_title(c)}" for c, less in _columns(found)]
    note = f"better: {', '.join(better)}{lacking if found.without else ''}"
    with picture(f"{_title(found.y)} over {_title(found.x)}", note, width, 0.56) as (_, axes):
        _scale(axes, found, 0)
        _scale(axes, found, 1)
        axes.set_xlabel(_title(found.x))
        axes.set_ylabel(_title(found.y))
        front = found.front
        if len(front) > 1:
            axes.plot([m.x for m in front], [m.y for m in front], color=PALETTE[0], lw=1.0, zorder=1)
        for model in found.models:
            colour, marker = (REST, "s") if model.best is False else (PALETTE[0], "o")
            axes.scatter(model.x, model.y, s=26, color=colour, marker=marker, zorder=3, edgecolor="white", lw=0.4)
        labels = Labels(axes)
        labels.avoid(((m.x, m.y) for m in found.models), 3.0)
        ends = [axes.transData.transform((m.x, m.y)) for m in front]
        for a, b in pairwise(ends):
            between = [a + (b - a) * (i / 60) for i in range(61)]
            labels.avoid((tuple(axes.transData.inverted().transform(p)) for p in between), 0.5)
        for model in sorted(found.models, key=lambda m: not m.best):
            labels.put(model.x, model.y, model.name, color=GREY if model.best is False else PALETTE[0])
    assert isinstance(axes.figure, Picture)
    return axes.figure


def _columns(found: Pareto) -> list[tuple[TableColumn, bool]]:
    return [(found.x, found.less_x), (found.y, found.less_y)]


def _title(column: TableColumn) -> str:
    return column.title if column.texts else column.title.strip()


def _scale(axes: Axes, found: Pareto, which: int) -> None:
    """The scale of one axis: logarithmic where a figure's largest is far above its least."""
    column = _columns(found)[which][0]
    values = [(m.x, m.y)[which] for m in found.models]
    by = 8.0 if column.unit == "bits" else 1.0
    axis = axes.xaxis if which == 0 else axes.yaxis
    limits = axes.set_xlim if which == 0 else axes.set_ylim
    low, high = min(values), max(values)
    if low > 0 and high / low > 20:
        (axes.set_xscale if which == 0 else axes.set_yscale)("log")
        room = (high / low) ** 0.12
        limits(low / room, high * room)
        logarithmic(axis, column.unit, by)
        return
    room = 0.14 * ((high - low) or abs(high) or 1.0)
    limits(low - room, high + room)
    linear(axis, low - room, high + room, column.unit, by=by)
