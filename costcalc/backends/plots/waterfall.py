"""From a figure of the old model to that of the new one, a bar for each cause."""

from __future__ import annotations

from costcalc.amounts.formatting import percent, show, signed
from costcalc.analysis.figures import BITS, FIGURES
from costcalc.backends.plots.canvas import GREY, INK, PALETTE, SIZE, Picture, linear, picture, plain
from costcalc.difference.records import Diff
from costcalc.errors import CostcalcError
from costcalc.pictures.waterfall import waterfall

MORE, LESS = PALETTE[3], PALETTE[0]


def draw(diff: Diff, figure: str = "macs", width: float | None = None) -> Picture:
    """The waterfall of ``diff``: the causes of the change of ``figure``, the largest first.

    Raises ``CostcalcError`` for a figure without causes, and where there is one model alone.
    """
    if diff.old is None or diff.new is None:
        raise CostcalcError(f"{diff.name[:60]} is on one side only, so nothing leads from one to the other")
    found = waterfall(diff, figure)
    known = FIGURES[figure]
    rows = [(f"{diff.old.name} (old)", 0, found.old, "")]
    rows += [
        (
            f"{step.kind}: {step.description}" if step.causes == 1 else step.description,
            step.start,
            step.end,
            signed(known, step.change),
        )
        for step in found.steps
    ]
    rows += [(f"{diff.new.name} (new)", 0, found.new, "")]
    note = f"{known.title}: {show(known, found.old)} → {show(known, found.new)}"
    note += f" ({percent(found.new - found.old, found.old)})" if found.old else ""
    ends = [float(end) for row in rows for end in row[1:3]]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    wide = width or 7.0
    height = (0.95 + 0.2 * len(rows)) / wide
    with picture(f"{diff.old.name} to {diff.new.name}", note, width, height) as (drawn, axes):
        inch = drawn.get_size_inches()
        drawn.subplots_adjust(0.36, 0.32 / inch[1], 1 - 0.1 / inch[0], 1 - 0.48 / inch[1])
        axes.set(xlim=(low, high + 0.16 * span), ylim=(len(rows) - 0.4, -0.6))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        linear(axes.xaxis, low, high, known.unit, by=8.0 if known.unit == BITS else 1.0)
        drawn.draw_without_rendering()
        room = axes.get_window_extent().x0 - 0.12 * drawn.dpi
        from costcalc.backends.plots.canvas import fit

        for i, (name, start, end, change) in enumerate(rows):
            whole = not change
            colour = GREY if whole else MORE if end > start else LESS
            axes.barh(i, float(end - start), left=float(start), height=0.68, color=colour, alpha=0.85)
            if 0 < i < len(rows) - 1:
                axes.plot([float(start)] * 2, [i - 1.34, i + 0.34], color=GREY, lw=0.5, zorder=0)
            said = show(known, end) if whole else change
            axes.annotate(
                said,
                (max(float(start), float(end)), i),
                (3, 0),
                textcoords="offset points",
                size=SIZE - 1,
                va="center",
                color=INK,
            )
            text = axes.annotate(
                plain(name, 90),
                (0, i),
                (-4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="center",
                size=SIZE - 1,
                weight="bold" if whole else "normal",
            )
            fit(text, room)
    return drawn
