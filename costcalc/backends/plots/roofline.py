"""Layers under the roof of a machine."""

from __future__ import annotations

import math
from typing import Any

from costcalc.amounts import units
from costcalc.analysis.figures import COUNT
from costcalc.analysis.records import Report
from costcalc.backends.plots.canvas import (
    FILLED,
    GREY,
    INK,
    MARKERS,
    REST,
    WIDTH,
    Labels,
    Picture,
    key,
    logarithmic,
    note_of,
    picture,
    plain,
    ranked,
    share,
)  # fmt: skip
from costcalc.pictures.roofline import RooflinePoint, roofline

MOST_NAMED = 8
MOST_MARKED = 1000
"""Marks of unlike layers; those with the least time are left out, and the note says so."""


def draw(report: Report, width: float | None = None) -> Picture:
    """The roofline of ``report``: a mark each for layers that are alike, its area in proportion to their time.

    Raises ``CostcalcError`` where the report is for no machine, or no layer multiplies.
    """
    found = roofline(report)
    if not found.points:
        from costcalc.errors import CostcalcError

        raise CostcalcError(f"no layer of {report.name[:60]} multiplies and moves anything, so none is under the roof")
    alike: dict[tuple[str, float, float], list[RooflinePoint]] = {}
    for point in found.points:
        alike.setdefault((point.kind, point.intensity, point.rate), []).append(point)
    seconds: dict[str, float] = {}
    for point in found.points:
        seconds[point.kind] = seconds.get(point.kind, 0.0) + point.seconds
    whole = sum(seconds.values())
    colours = ranked(seconds)
    marks = {kind: MARKERS[i] if i < len(MARKERS) else "X" for i, kind in enumerate(colours)}
    spent = {at: sum(p.seconds for p in points) for at, points in alike.items()}
    size = {at: 12 + 260 * (time / whole if whole else 0.0) for at, time in spent.items()}
    note = f"{note_of(report)}; area: share of {units.seconds(whole)}"
    if len(alike) > MOST_MARKED:
        told = sorted(alike, key=lambda at: -spent[at])
        left_out = sum(len(alike.pop(at)) for at in told[MOST_MARKED:])
        less = share(whole - sum(spent[at] for at in alike), whole)
        note += f"; the {left_out:,} layers with the least time, {less} of it, are not drawn"
    if found.without:
        note += f"; layers without MACs take {units.seconds(found.without)} more"
    with picture(f"Roofline of {report.name}", note, width, 0.56 if (width or WIDTH) >= 5 else 0.8) as (drawn, axes):
        xs, ys = [at[1] for at in alike], [at[2] for at in alike]
        left, right = min(*xs, found.ridge) / 2.2, max(*xs, found.ridge) * 2.5
        room = 34 / (72 * drawn.get_figheight() - 70)  # two lines of text stand above the roof
        above = room / (1 - room)
        bottom = min(*ys, found.roof(left)) / 1.6
        axes.set(
            xscale="log", yscale="log", xlim=(left, right), ylim=(bottom, found.peak * (found.peak / bottom) ** above)
        )
        axes.plot([left, found.ridge, right], [found.roof(left), found.peak, found.peak], color=INK, lw=1.0, zorder=1)
        axes.axvline(found.ridge, color=GREY, lw=0.5, ls=(0, (2, 3)), zorder=0)
        # The small ones above the large ones, and as many at once as are of a kind and about as large.
        together: dict[tuple[int, str], list[tuple[str, float, float]]] = {}
        for at in alike:
            together.setdefault((-math.frexp(size[at])[1], at[0]), []).append(at)
        for (_, kind), marked in sorted(together.items()):
            axes.scatter(
                [at[1] for at in marked], [at[2] for at in marked], s=[size[at] for at in marked],
                color=colours[kind], marker=marks[kind], alpha=FILLED, lw=0.4, edgecolor="white", zorder=3,
            )  # fmt: skip
        axes.set_xlabel("MACs per byte of traffic")
        axes.set_ylabel("MACs a second")
        logarithmic(axes.xaxis, COUNT)
        logarithmic(axes.yaxis, COUNT)
        shown = [kind for kind in colours if colours[kind] != REST]
        rest = [("others", REST, "X")] if len(shown) < len(colours) else []
        entries = [(f"{kind} {share(seconds[kind], whole)}", colours[kind], marks[kind]) for kind in shown]
        key(axes, [*entries, *rest], loc="lower right", frameon=True, framealpha=1.0, edgecolor="none")
        labels = Labels(axes)
        _roof_labels(axes, found, right, labels)
        labels.avoid(_along(found, left, right), 1.0)
        labels.avoid([at[1:] for at in alike], [size[at] ** 0.5 / 2 for at in alike])
        legend = axes.get_legend()
        if legend is not None:
            labels.avoid_all_of(legend)
        for at in sorted(alike, key=lambda at: -spent[at])[:MOST_NAMED]:
            points = alike[at]
            more = f" + {len(points) - 1} alike" if len(points) > 1 else ""
            labels.put(at[1], at[2], f"{plain(points[0].name, 30)}{more}", size[at] ** 0.5 / 2)
    return drawn


def _roof_labels(axes: Any, found: Any, right: float, labels: Labels) -> None:
    """The peak and the bandwidth in words, at the roof."""
    bits = f", {found.bits} bits" if found.bits else ""
    peak = axes.annotate(
        f"{units.count(round(found.peak))} MAC/s{bits}", (right, found.peak), (-2, 3), textcoords="offset points",
        ha="right", va="bottom", size=7, color=GREY,
    )  # fmt: skip
    left = axes.transAxes.inverted().transform(axes.transData.transform((found.ridge, found.peak)))[0] > 0.5
    ridge = axes.annotate(
        f"{found.ridge:.3g} MACs per byte", (found.ridge, axes.get_ylim()[1]), (-3 if left else 3, -2),
        textcoords="offset points", size=7, color=GREY, va="top", ha="right" if left else "left",
    )  # fmt: skip
    for text in (peak, ridge):
        labels.avoid_all_of(text)
    bandwidth = f"{units.count(round(found.bandwidth))}B/s"
    x0, x1 = axes.get_xlim()[0], found.ridge
    a, b = (axes.transData.transform((x, found.roof(x))) for x in (x0, x1))
    angle = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    for part in (1 / 3, 1 / 2, 2 / 3):
        x = x0 * (x1 / x0) ** part
        slope = axes.annotate(
            bandwidth, (x, found.roof(x)), (-4, 4), textcoords="offset points", size=7, color=GREY, rotation=angle,
            rotation_mode="anchor", ha="center", va="bottom",
        )  # fmt: skip
        if labels.is_free(slope):
            labels.avoid_all_of(slope)
            return
        slope.remove()
    ridge.set_text(f"{ridge.get_text()}, {bandwidth}")  # the slope has no room for it


def _along(found: Any, left: float, right: float) -> list[tuple[float, float]]:
    """Points on the roof, close to each other."""
    steps = 240
    xs = [left * (right / left) ** (i / steps) for i in range(steps + 1)]
    return [(x, found.roof(x)) for x in xs]
