"""How the receptive field grows from layer to layer, beside the size of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from costcalc.analysis.figures import PIXELS
from costcalc.analysis.records import Report
from costcalc.backends.growth import called
from costcalc.backends.plots.canvas import (
    GREY,
    INK,
    PALETTE,
    SIZE,
    WIDTH,
    Labels,
    Picture,
    linear,
    logarithmic,
    note_of,
    picture,
    plain,
    settle,
)  # fmt: skip
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError
from costcalc.pictures.growth import Growth, growth

MOST = len(PALETTE)
MOST_TOLD = 3
"""Curves of which the legend tells all rings in words."""
MOST_POINTS = 1600
"""Of a curve that has more, the highest and the lowest of so many layers beside each other are drawn: a picture has no
more columns."""
DEEP = 10
"""Of windows that are so much larger than the image the scale is logarithmic."""


class Curve(NamedTuple):
    """The window along one axis of the image, or several that are alike.

    points   position of the layer from 1, pixels, whether it is an upper bound; of those that see all, none
    whole    positions of layers each of whose places sees all of the image
    over     the first layer whose window is proved to be larger than the image here; "" if none is
    """

    name: str
    image: int
    points: tuple[tuple[int, int, bool], ...]
    whole: tuple[int, ...]
    over: str
    sees_all: str


def draw(reports: Sequence[Report], names: Sequence[str], width: float | None = None) -> Picture:
    """A curve for each of ``reports``: the window of each layer, dashed where it is an upper bound; a cross where all
    is seen. Of one model each axis of the image has a curve that grows otherwise; of several, the longest axis.

    Raises ``CostcalcError`` where a model has no places of an image, and for more than six.
    """
    if len(reports) > MOST:
        raise CostcalcError(f"a picture shows at most {MOST} receptive fields, not {len(reports)}; give fewer models")
    found = [growth(report) for report in reports]
    for report, grown in zip(reports, found, strict=True):
        if not grown.layers:
            raise CostcalcError(f"{report.name[:60]} has no layer whose receptive field in an image is known")
    curves = _axes(found[0]) if len(found) == 1 else [_axes(g, name)[0] for g, name in zip(found, names, strict=True)]
    images = sorted({curve.image for curve in curves})
    noun = called(found[0])
    note = "; ".join(dict.fromkeys(note_of(report) for report in reports))
    if unknown := sum(len(grown.unknown) for grown in found):
        note += f"; unknown of {unknown} layer{'s' * (unknown > 1)}, which have no point"
    brief = len(curves) > (MOST_TOLD if (width or WIDTH) >= 5 else 1)
    if brief:
        note += "; a ring: the first layer that exceeds the image, a cross: each place sees all of it"
    with picture(f"Receptive field of {', '.join(names)}", note, width, 0.5 if (width or WIDTH) >= 5 else 0.75) as (
        drawn,
        axes,
    ):
        top = max(*images, *(size for curve in curves for _, size, _ in curve.points))
        deep = top > DEEP * images[0]
        axes.set(xlim=(0, max(len(report.layers) for report in reports) * 1.02 + 1))
        axes.set(yscale="log", ylim=(1, top * 1.3)) if deep else axes.set(ylim=(0, top * 1.08))
        linear(axes.xaxis, 0, axes.get_xlim()[1], "", about=8 if (width or WIDTH) >= 5 else 4, whole=True)
        logarithmic(axes.yaxis, PIXELS) if deep else linear(axes.yaxis, 0, top * 1.08, PIXELS)
        axes.set_xlabel("layer")
        axes.set_ylabel("window, in pixels")
        for image in images:
            axes.axhline(image, color=GREY, lw=0.7, ls=(0, (4, 2)))
        for curve, colour in zip(curves, PALETTE, strict=False):
            _curve(axes, curve, colour)
        if len(curves) > 1:
            _legend(axes, curves, brief)
        labels = Labels(axes)
        for image, said in _apart(axes, images):
            text = axes.annotate(f"{noun} {said}", (axes.get_xlim()[0], image), (2, 2), size=7, color=GREY,
                                 textcoords="offset points", ha="left", va="bottom")  # fmt: skip
            labels.avoid_all_of(text)
        for image in images:
            labels.avoid(((axes.get_xlim()[1] * i / 200, image) for i in range(201)), 1.0)
        for curve in curves:
            labels.avoid(_along(curve), 1.0)
        if len(curves) == 1:
            named = [labels.put(x, y, f"{name} {says}", 4.0, color=INK) for x, y, name, says in _rings(curves[0])]
            if not all(named):
                for put in filter(None, named):  # all of them beside the axes, which come to be narrower
                    put.remove()
                _legend(axes, curves, False)
                settle(axes)
    return drawn


def _axes(grown: Growth, name: str = "") -> list[Curve]:
    """The curves of a model, that of its longest axis first."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for axis, edge in enumerate(grown.image):
        alike.setdefault((edge, *(seen.size[axis] for seen in grown.layers)), []).append(axis)
    found = []
    for (edge, *sizes), which in sorted(alike.items(), key=lambda item: -item[0][0]):
        sees = list(zip(grown.layers, sizes, strict=True))
        over = next((seen.name for seen, size in sees if not (seen.everything or seen.bound) and size > edge), "")
        called = name or (f"along {'×'.join(str(grown.image[axis]) for axis in which)}" if len(alike) > 1 else "")
        points = tuple((seen.at + 1, size, seen.bound) for seen, size in sees if not seen.everything)
        whole = tuple(seen.at + 1 for seen in grown.layers if seen.everything)
        found.append(Curve(called, edge, points, whole, over, grown.whole))
    return found


def _curve(axes: Any, curve: Curve, colour: str) -> None:
    """The windows, dashed where they are upper bounds; crosses where all is seen; a ring at each first of its kind."""
    points = _told_apart(curve.points)
    xs = [x for x, _, _ in points]
    for bound, dashes in ((False, "-"), (True, (0, (2, 1)))):
        ys = [size if is_bound == bound else float("nan") for _, size, is_bound in points]
        if any(y == y for y in ys):
            axes.plot(xs, ys, color=colour, lw=1.1, ls=dashes, marker="o", ms=2.0 if len(xs) < 120 else 0.8, mew=0)
    whole = curve.whole[:: -(-len(curve.whole) // MOST_POINTS) or 1]
    axes.plot(whole, [curve.image] * len(whole), color=colour, ls="none", marker="x", ms=3)
    for x, y, _, _ in _rings(curve):
        axes.plot([x], [y], marker="o", ms=5, mfc="none", mec=colour, mew=0.9, ls="none")


def _told_apart(points: Sequence[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Those of ``points`` that a picture tells apart: of as many as share a column the lowest and the highest."""
    every = -(-2 * len(points) // MOST_POINTS)
    if every <= 2:
        return [*points]
    found: list[tuple[int, int, bool]] = []
    for at in range(0, len(points), every):
        column = points[at : at + every]
        for bound in {is_bound: None for _, _, is_bound in column}:
            alike = [point for point in column if point[2] == bound]
            found += {min(alike, key=lambda p: p[1]), max(alike, key=lambda p: p[1])}
    return sorted(found)


def _rings(curve: Curve) -> Iterator[tuple[int, int, str, str]]:
    """Where the window becomes larger than the image, and where each place sees all of it, with what is said of it."""
    if curve.over:
        x, y = next((x, size) for x, size, bound in curve.points if size > curve.image and not bound)
        yield x, y, plain(curve.over, 26), "exceeds the image"
    if curve.whole:
        yield curve.whole[0], curve.image, plain(curve.sees_all, 26), "sees all of the image"


def _legend(axes: Any, curves: Sequence[Curve], brief: bool) -> None:
    """Beside the axes, where it covers nothing: each curve, and what its rings are."""
    from matplotlib.lines import Line2D

    marks: list[Line2D] = []
    for curve, colour in zip(curves, PALETTE, strict=False):
        if curve.name:
            marks.append(Line2D([], [], color=colour, marker="o", ms=4, lw=1.1, label=plain(curve.name, 24)))
        for _, _, name, says in _rings(curve):
            if brief and name != plain(curve.over, 26):
                continue
            label = name if brief else f"{name}\n{says}"
            marks.append(Line2D([], [], color=colour, marker="o", ms=4, mfc="none", ls="none", label=label))
    axes.legend(handles=marks, loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.3, labelspacing=0.45,
                borderaxespad=0.3, fontsize=SIZE - 1.5)  # fmt: skip


def _apart(axes: Any, images: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Where the sizes of images are said: those whose lines lie too close to each other at once, at the upper one."""
    said: list[str] = []
    for image, above in zip(images, [*images[1:], None], strict=True):
        said.append(str(image))
        near = above is not None and axes.transData.transform((0, above))[1] - axes.transData.transform((0, image))[1]
        if above is None or near > 10 * axes.figure.dpi / 72:
            yield image, ", ".join(said)
            said = []


def _along(curve: Curve) -> Iterator[tuple[float, float]]:
    """Points on the curve, close to each other."""
    for (x, y, _), (u, v, _) in pairwise(_told_apart(curve.points)):
        for i in range(9):
            yield x + (u - x) * i / 8, y + (v - y) * i / 8
