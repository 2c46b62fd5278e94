"""How the receptive field grows from layer to layer, beside the size of the image."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.analysis.figures import PIXELS
from costcalc.analysis.records import Report
from costcalc.backends.plots.canvas import GREY, INK, PALETTE, Labels, Picture, key, linear, note_of, picture, plain
from costcalc.errors import CostcalcError
from costcalc.pictures.growth import Growth, growth

MOST = len(PALETTE)


def draw(reports: Sequence[Report], names: Sequence[str], width: float | None = None) -> Picture:
    """A curve for each of ``reports``: the window of each layer along its widest axis; a cross where all is seen.

    Raises ``CostcalcError`` where a model has no places of an image, and for more than six.
    """
    if len(reports) > MOST:
        raise CostcalcError(f"a picture tells {MOST} receptive fields apart, not {len(reports)}; give fewer models")
    found = [growth(report) for report in reports]
    for report, grown in zip(reports, found, strict=True):
        if not grown.layers:
            raise CostcalcError(f"{report.name[:60]} has no layer whose receptive field in an image is known")
    sizes = [max(seen.size) for grown in found for seen in grown.layers]
    images = sorted({max(grown.image) for grown in found})
    note = "; ".join(dict.fromkeys(note_of(report) for report in reports))
    most = max(len(report.layers) for report in reports)
    with picture(f"Receptive field of {', '.join(names)}", note, width, 0.5) as (drawn, axes):
        top = max(*sizes, *images) * 1.08
        axes.set(xlim=(0, most * 1.02 + 1), ylim=(0, top))
        linear(axes.xaxis, 0, most, "", about=8)
        linear(axes.yaxis, 0, top, PIXELS)
        axes.set_xlabel("layer")
        axes.set_ylabel("pixels from end to end of the window")
        for image in images:
            axes.axhline(image, color=GREY, lw=0.7, ls=(0, (4, 2)))
        for grown, colour in zip(found, PALETTE, strict=False):
            _curve(axes, grown, colour)
        if len(found) > 1:
            key(axes, [(name, colour, "o") for name, colour in zip(names, PALETTE, strict=False)], loc="upper left",
                bbox_to_anchor=(1.0, 1.0))  # fmt: skip
        labels = Labels(axes)
        for image in images:
            text = axes.annotate(f"image {image}", (axes.get_xlim()[1], image), (-2, 2), size=7, color=GREY,
                                 textcoords="offset points", ha="right", va="bottom")  # fmt: skip
            labels.avoid_all_of(text)
            labels.avoid(((axes.get_xlim()[1] * i / 200, image) for i in range(201)), 1.0)
        for grown in found:
            labels.avoid(((seen.at + 1, max(seen.size)) for seen in grown.layers), 0.5)
        for grown, colour in zip(found, PALETTE, strict=False):
            _marks(axes, labels, grown, colour if len(found) > 1 else INK)
    return drawn


def _curve(axes, grown: Growth, colour: str) -> None:  # type: ignore[no-untyped-def]
    """The windows, dashed where they are upper bounds; each layer that sees all of the image a cross."""
    fields = [seen for seen in grown.layers if not seen.everything]
    for bound, dashes in ((False, "-"), (True, (0, (2, 1)))):
        xs = [seen.at + 1 for seen in fields]
        ys = [max(seen.size) if seen.bound == bound else float("nan") for seen in fields]
        if any(y == y for y in ys):
            axes.plot(xs, ys, color=colour, lw=1.1, ls=dashes, marker="o", ms=2.0 if len(xs) < 120 else 0.8, mew=0)
    everything = [seen for seen in grown.layers if seen.everything]
    axes.plot(
        [s.at + 1 for s in everything], [max(s.size) for s in everything], color=colour, ls="none", marker="x", ms=3
    )


def _marks(axes, labels: Labels, grown: Growth, colour: str) -> None:  # type: ignore[no-untyped-def]
    """Where the window becomes larger than the image, and where each place sees all of it."""
    for name, says in ((grown.exceeds, "exceeds the image"), (grown.whole, "sees all of the image")):
        seen = next((seen for seen in grown.layers if seen.name == name), None)
        if seen is not None:
            axes.plot([seen.at + 1], [max(seen.size)], marker="o", ms=5, mfc="none", mec=colour, mew=0.9, ls="none")
            labels.put(seen.at + 1, max(seen.size), f"{plain(name, 26)} {says}", 4.0, color=colour)
