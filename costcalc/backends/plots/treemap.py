"""A model as nested rectangles, each as large as its part of a figure."""

from __future__ import annotations

from typing import Any

from matplotlib.collections import PolyCollection

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
from costcalc.pictures.treemap import MOST, Area, folded, leaves, treemap

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
    for leaf in leaves(whole):
        kinds[leaf.kind] = kinds.get(leaf.kind, 0.0) + leaf.value
    colours = ranked(kinds)
    shown, together = folded(whole)
    note = f"area: {known.title}, {show(known, whole.value)} in total; {note_of(report)}"
    if together:
        note += f"; {together:,} layers with less than 1/{MOST:,} each are drawn together"
    with picture(f"{report.name} by {known.title}", note, width, 0.62) as (drawn, axes):
        inch = drawn.get_size_inches()
        axes.set_axis_off()
        own = [kind for kind in colours if colours[kind] != REST]
        entries = [(f"{kind} {share(kinds[kind], whole.value)}", colours[kind], "s") for kind in own]
        entries += [("others", REST, "s")] if len(own) < len(colours) else []
        below = _legend(drawn, axes, entries, (inch[0] - 0.2) * drawn.dpi) / drawn.dpi + 0.04
        points = Rectangle(0.0, 0.0, (inch[0] - 0.2) * 72, (inch[1] - below - 0.5) * 72)
        axes.set(xlim=(0, points.width), ylim=(0, points.height))
        drawn.subplots_adjust(0.1 / inch[0], below / inch[1], 1 - 0.1 / inch[0], 1 - 0.5 / inch[1])
        _nest(axes, shown, points, colours, known, whole.value)
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


def _nest(axes: Any, whole: Area, points: Rectangle, colours: dict[str, str], figure: Any, total: float) -> None:
    """Draw ``whole`` within ``points``; blocks too small for a frame are drawn by what is in them alone."""
    frames: list[Rectangle] = []
    drawn: list[tuple[Area, Rectangle]] = []
    left: list[tuple[Area, Rectangle, int]] = [(whole, points, 0)]
    while left:
        area, box, depth = left.pop()
        if not area.areas:
            drawn.append((area, box))
            _named(axes, area, box, figure)
            continue
        inner = box
        if depth and box.width > 30 and box.height > 2.2 * HEAD:
            frames.append(box)
            at = (box.x + 2, box.y + box.height - HEAD / 2, box.width - 4, SIZE - 1.5)
            if not _words(axes, f"{area.label}  {share(area.value, total)}", *at, whole=True):
                _words(axes, area.label, *at)
            inner = box.inset(EDGE, EDGE, EDGE, HEAD)
        for below, part in zip(area.areas, squarify([a.value for a in area.areas], inner), strict=True):
            left.append((below, part, depth + 1))
    around = PolyCollection([*map(_corners, frames)], facecolors="none", edgecolors=GREY, linewidths=0.5, zorder=1)
    within = PolyCollection(
        [_corners(box) for _, box in drawn],
        facecolors=[colours[area.kind] for area, _ in drawn],
        edgecolors="white",
        linewidths=[min(0.5, box.width / 12, box.height / 12) for _, box in drawn],
        alpha=FILLED,
        zorder=1.1,
    )
    for collection in (around, within):
        axes.add_collection(collection, autolim=False)


def _corners(box: Rectangle) -> list[tuple[float, float]]:
    x, y, right, top = box.x, box.y, box.x + box.width, box.y + box.height
    return [(x, y), (right, y), (right, top), (x, top)]


def _named(axes: Any, area: Area, box: Rectangle, figure: Any) -> None:
    """What a layer is and has, as far as there is room."""
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
