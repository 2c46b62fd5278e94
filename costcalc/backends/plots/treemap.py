"""A model as nested rectangles, each as large as its part of a figure."""

from __future__ import annotations

from typing import Any

from matplotlib.patches import Rectangle as Patch

from costcalc.amounts.formatting import show
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.records import Report
from costcalc.backends.plots.canvas import (
    FILLED,
    GREY,
    REST,
    SIZE,
    Picture,
    fit,
    key,
    note_of,
    picture,
    plain,
    ranked,
    share,
)  # fmt: skip
from costcalc.errors import CostcalcError
from costcalc.pictures.squarify import Rectangle, squarify
from costcalc.pictures.treemap import Area, treemap

HEAD = 9.0
"""Points of the strip that names a block."""
EDGE = 1.0


def draw(report: Report, figure: str = "macs", width: float | None = None) -> Picture:
    """The treemap of ``report`` by ``figure``: blocks in blocks, layers in the colours of their kinds.

    Names stand where there is room for them. Raises ``CostcalcError`` for a figure that does not add up, and where no
    layer has any of it.
    """
    whole = treemap(report, figure)
    if not whole.value:
        raise CostcalcError(f"no layer of {report.name[:60]} has any {figure}, so there is nothing to draw")
    known = FIGURES[figure]
    kinds: dict[str, float] = {}
    for leaf in _leaves(whole):
        kinds[leaf.kind] = kinds.get(leaf.kind, 0.0) + leaf.value
    colours = ranked(kinds)
    note = f"area: {known.title}, {show(known, whole.value)} in total; {note_of(report)}"
    with picture(f"{report.name} by {known.title}", note, width, 0.62) as (drawn, axes):
        inch = drawn.get_size_inches()
        axes.set_axis_off()
        shown = [kind for kind in colours if colours[kind] != REST]
        entries = [(f"{kind} {share(kinds[kind], whole.value)}", colours[kind], "s") for kind in shown]
        entries += [("others", REST, "s")] if len(shown) < len(colours) else []
        below = _legend(drawn, axes, entries, (inch[0] - 0.2) * drawn.dpi) / drawn.dpi + 0.04
        points = Rectangle(0.0, 0.0, (inch[0] - 0.2) * 72, (inch[1] - below - 0.5) * 72)
        axes.set(xlim=(0, points.width), ylim=(0, points.height))
        drawn.subplots_adjust(0.1 / inch[0], below / inch[1], 1 - 0.1 / inch[0], 1 - 0.5 / inch[1])
        _nest(axes, whole, points, colours, known, whole.value)
    return drawn


def _legend(drawn: Picture, axes: Any, entries: list[tuple[str, str, str]], room: float) -> float:
    """The key below ``axes``, in as many rows as it takes to be at most ``room`` pixels wide; how high it is."""
    canvas: Any = drawn.agg
    for columns in range(len(entries), 0, -1):
        made = key(axes, entries, loc="upper left", bbox_to_anchor=(0.0, 0.0), ncols=columns, columnspacing=1.0)
        box = made.get_window_extent(canvas.get_renderer())
        if box.width <= room or columns == 1:
            break
    return float(box.height)


def _leaves(area: Area) -> list[Area]:
    found, left = [], [area]
    while left:
        one = left.pop()
        if one.areas:
            left += one.areas
        else:
            found.append(one)
    return found


def _nest(axes: Any, whole: Area, points: Rectangle, colours: dict[str, str], figure: Any, total: float) -> None:
    """Draw ``whole`` within ``points``; blocks too small for a frame are drawn by what is in them alone."""
    left: list[tuple[Area, Rectangle, int]] = [(whole, points, 0)]
    while left:
        area, box, depth = left.pop()
        if not area.areas:
            _leaf(axes, area, box, colours[area.kind], figure)
            continue
        inner = box
        if depth and box.width > 30 and box.height > 2.2 * HEAD:
            axes.add_patch(Patch((box.x, box.y), box.width, box.height, facecolor="white", edgecolor=GREY, lw=0.5))
            at = (box.x + 2, box.y + box.height - HEAD / 2, box.width - 4, SIZE - 1.5)
            if not _words(axes, f"{area.label}  {share(area.value, total)}", *at, whole=True):
                _words(axes, area.label, *at)
            inner = box.inset(EDGE, EDGE, EDGE, HEAD)
        for below, part in zip(area.areas, squarify([a.value for a in area.areas], inner), strict=True):
            left.append((below, part, depth + 1))


def _leaf(axes: Any, area: Area, box: Rectangle, colour: str, figure: Any) -> None:
    line = min(0.5, box.width / 12, box.height / 12)
    axes.add_patch(
        Patch((box.x, box.y), box.width, box.height, facecolor=colour, alpha=FILLED, edgecolor="white", lw=line)
    )
    size = SIZE - 1.5
    if box.width < 14 or box.height < size + 1.5:
        return
    two = box.height > 2 * size + 4
    middle = box.y + box.height / 2
    named = _words(axes, area.label, box.x + 2, middle + (size / 2 + 0.5 if two else 0), box.width - 4, size)
    if named and two:
        _words(axes, show(figure, area.value), box.x + 2, middle - size / 2 - 0.5, box.width - 4, size, whole=True)


def _words(axes: Any, said: str, x: float, y: float, room: float, size: float, *, whole: bool = False) -> bool:
    """Text that is at most ``room`` points wide, from the left; whether some of it is left."""
    text = axes.text(x, y, plain(said), va="center", ha="left", size=size)
    room *= axes.figure.dpi / 72
    if whole and text.get_window_extent().width > room:
        text.remove()
        return False
    there = fit(text, room)
    if not there:
        text.remove()
    return there
