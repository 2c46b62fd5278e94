"""What pictures share: figures whose text is only text, colours that everybody can tell apart, labels that keep clear.

Colours are those of Okabe and Ito (2008), "Color Universal Design", without the yellow, which is faint on white.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from costcalc.analysis.figures import BITS, JOULES, SECONDS
from costcalc.backends.escape import visible
from costcalc.backends.plots import FORMATS
from costcalc.errors import OptionError

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, GREY, FAINT, REST = "#222222", "#666666", "#DDDDDD", "#BBBBBB"
FILLED = 0.75
"""How opaque colours are, so that letters can be read on them."""
WIDTH = 7.0
"""Inches: the text of a page, or both columns of one."""
SIZE = 8.0
"""Points of text at that width, and at any other."""

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": SIZE, "text.usetex": False, "text.parse_math": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
    "axes.titlesize": SIZE + 1, "axes.labelsize": SIZE, "xtick.labelsize": SIZE - 1, "ytick.labelsize": SIZE - 1,
    "legend.fontsize": SIZE - 1, "legend.frameon": False, "figure.facecolor": "white", "axes.facecolor": "white",
    "savefig.facecolor": "white", "savefig.dpi": 200, "figure.dpi": 100, "figure.autolayout": False,
    "figure.constrained_layout.use": False, "axes.unicode_minus": True, "path.simplify": True,
    "svg.fonttype": "path", "svg.hashsalt": "costcalc", "pdf.fonttype": 42, "ps.fonttype": 42,
}  # fmt: skip
"""Whatever a user's own settings are, so that the same figures make the same picture. SVG has its letters as paths, PDF
its fonts inside."""


DATELESS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
"""Metadata by which files do not tell the time of day at which they were made."""


class Picture(Figure):
    """A matplotlib figure that is saved as it is drawn, fonts inside, and shows itself in a notebook."""

    agg: FigureCanvasAgg

    def savefig(self, fname: Any, **more: Any) -> None:
        """As ``Figure.savefig``, with fonts inside and without the time of day."""
        if isinstance(fname, (str, os.PathLike)):
            more.setdefault("format", Path(fname).suffix[1:].lower() or "png")
        more.setdefault("metadata", DATELESS.get(more.get("format", "png"), {}))
        with style():
            super().savefig(fname, **more)

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


@contextmanager
def style() -> Iterator[None]:
    """While open, matplotlib's settings are its own, and those that pictures need."""
    settings: Any = STYLE
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


@contextmanager
def picture(title: str, note: str, width: float | None, height: float) -> Iterator[tuple[Picture, Axes]]:
    """A figure with one pair of axes, a title and a grey note after it, ``height`` × ``width`` high, to be drawn on."""
    with style():
        wide = width or WIDTH
        figure = Picture(figsize=(wide, height * max(wide, 3.0)))
        figure.agg = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        yield figure, axes
        inch = figure.get_size_inches()
        heads = ((title, SIZE + 1, "bold", 0.07, INK), (note, SIZE - 1, "normal", 0.25, GREY))
        for said, size, weight, below, colour in heads:
            head = figure.text(
                0.06 / inch[0], 1 - below / inch[1], plain(said, 400), va="top", size=size, weight=weight, color=colour
            )
            fit(head, (inch[0] - 0.12) * figure.dpi)
        figure.draw_without_rendering()  # ticks are made now, in this style


def settle(axes: Axes) -> None:
    """Give ``axes`` the room that ticks, their names and a legend beside them leave."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    inch, box, inner = figure.get_size_inches(), axes.get_tightbbox(for_layout_only=True), axes.get_window_extent()
    assert box is not None
    left, bottom = (inner.x0 - box.x0) / figure.dpi + 0.06, (inner.y0 - box.y0) / figure.dpi + 0.06
    right = max((box.x1 - inner.x1) / figure.dpi, 0.0) + 0.08
    figure.subplots_adjust(left / inch[0], bottom / inch[1], 1 - right / inch[0], 1 - 0.46 / inch[1])


def rendered(figure: Figure, format: str) -> bytes:
    """The file of ``figure``: the same for the same picture."""
    stream = io.BytesIO()
    with style():
        Figure.savefig(figure, stream, format=format, metadata=DATELESS[format])
    return stream.getvalue()


def format_of(file: str) -> str:
    """The format that the name of ``file`` asks for. Raises ``OptionError`` where it asks for none of ``FORMATS``."""
    ending = Path(file).suffix[1:].lower()
    if ending not in FORMATS:
        raise OptionError(
            f"--output {file[:60]}: pictures are .svg, .png or .pdf files; end the name with one of these"
        )
    return ending


def plain(text: str, most: int = 60) -> str:
    """``text`` to be drawn: one line, no longer than ``most``, of letters that the font has; others as their number."""
    said = "".join(c if _has(c) else f"\\u{{{ord(c):x}}}" for c in visible(text))
    return said if len(said) <= most else f"{said[: most // 2]}…{said[len(said) - (most - most // 2 - 1) :]}"


@lru_cache(4096)
def _has(c: str) -> bool:
    return c.isprintable() and bool(get_font(findfont(FontProperties("DejaVu Sans"))).get_char_index(ord(c)))


def fit(text: Text, pixels: float) -> bool:
    """Shorten ``text`` in its middle until it is at most ``pixels`` wide; whether some of it is left."""
    said = text.get_text()
    keep = len(said)
    while text.get_window_extent().width > pixels:
        keep = min(keep - 1, int(keep * 0.93))
        if keep < 4:
            text.set_text("")
            return False
        text.set_text(f"{said[: keep // 2].rstrip()}…{said[len(said) - (keep - keep // 2) :].lstrip()}")
    return bool(said)


class Labels:
    """Text beside points, where it covers no other text, no point and no line that was told of; else it is left out."""

    AROUND = tuple(
        (math.cos(a) * r, math.sin(a) * r)
        for r in (1.0, 1.8, 3.0, 4.6, 7.0)
        for a in (0.5, -0.5, 2.64, -2.64, 1.57, -1.57)
    )

    def __init__(self, axes: Axes) -> None:
        settle(axes)
        self._axes = axes
        figure = axes.get_figure(root=True)
        assert isinstance(figure, Picture)
        canvas: Any = figure.agg
        self._renderer = canvas.get_renderer()
        self._taken: list[Bbox] = []
        self._points: list[tuple[Any, Any]] = []

    def avoid(self, points: Iterable[tuple[float, float]], radius: float | Sequence[float] = 2.0) -> None:
        """Keep clear of ``points`` (of the data) by so many typographic points, which may be one number for each."""
        if not (given := [*points]):
            return
        pixels, far = self._axes.transData.transform(given), np.array(radius) * self._axes.figure.dpi / 72
        # Of a line that goes through thousands of points one in each pixel is enough.
        self._points.append((pixels, far[:, None]) if far.ndim else (np.unique(np.rint(pixels), axis=0), far))

    def avoid_all_of(self, drawn: Artist) -> None:
        """Keep clear of a text or a legend that stands there already."""
        self._taken.append(drawn.get_window_extent(self._renderer))

    def is_free(self, drawn: Artist) -> bool:
        """Whether a text lies within the axes, and over no other."""
        inner, box = self._axes.get_window_extent(), drawn.get_window_extent(self._renderer)
        inside = box.x0 >= inner.x0 and box.x1 <= inner.x1 and box.y0 >= inner.y0 and box.y1 <= inner.y1
        return inside and not any(box.overlaps(other) for other in self._taken)

    def put(self, x: float, y: float, text: str, radius: float = 3.0, **more: Any) -> Text | None:
        """``text`` near the point, which is ``radius`` typographic points large; None where there is no room."""
        pixel = self._axes.figure.dpi / 72
        inner = self._axes.get_window_extent()
        at = self._axes.transData.transform((x, y))
        label = self._axes.annotate(
            plain(text, 44), (x, y), (0, 0), textcoords="offset points", size=SIZE - 1, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": radius}, **more,
        )  # fmt: skip
        for dx, dy in self.AROUND:
            reach = radius + 6
            label.set_horizontalalignment("left" if dx > 0.1 else "right" if dx < -0.1 else "center")
            label.set_verticalalignment("center" if abs(dy) < 0.1 else "bottom" if dy > 0 else "top")
            label.set_position((dx * reach, dy * reach))
            label.update_positions(self._renderer)
            box = Text.get_window_extent(label, self._renderer)
            inside = box.x0 >= inner.x0 and box.x1 <= inner.x1 and box.y0 >= inner.y0 and box.y1 <= inner.y1
            room = Bbox.from_extents(box.x0 - pixel, box.y0 - pixel, box.x1 + pixel, box.y1 + pixel)
            near = (max(room.x0, min(at[0], room.x1)), max(room.y0, min(at[1], room.y1)))
            free = inside and not any(room.overlaps(other) or _crosses(near, at, other) for other in self._taken)
            if free and not self._covers(room):
                self._taken.append(room)
                self._points.append((np.array([_between(near, at, i / 8) for i in range(8)]), pixel))
                return label
        label.remove()
        return None

    def _covers(self, room: Bbox) -> bool:
        low, high = np.array(room.min), np.array(room.max)
        return any(bool(((pixels > low - far) & (pixels < high + far)).all(1).any()) for pixels, far in self._points)


def _between(a: Any, b: Any, part: float) -> tuple[float, float]:
    return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part)


def _crosses(a: Any, b: Any, box: Bbox) -> bool:
    return any(box.contains(*_between(a, b, i / 16)) for i in range(17))


def share(part: float, whole: float) -> str:
    """``part`` of ``whole`` in percent; of what is not nothing never 0.

    >>> share(1, 3), share(1, 1000), share(0, 5)
    ('33 %', '< 1 %', '0 %')
    """
    percent = 100 * part / (whole or 1)
    return "< 1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


def number(value: float, unit: str) -> str:
    """A number at a tick: ``4 G``, ``1.5 MiB`` (of bytes for ``BITS``), ``20 µs``."""
    if not value:
        return "0"
    if unit in (SECONDS, JOULES):
        letter = "s" if unit == SECONDS else "J"
        for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
            if abs(value) >= scale * 0.9999:
                return f"{value / scale:.4g} {prefix}{letter}"
        return f"{value:.3g} {letter}"
    base, names = (
        (1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))
        if unit == BITS
        else (1000.0, ("", "k", "M", "G", "T", "P", "E", "Z"))
    )
    k = 0
    while abs(value) >= base * 0.99999 and k < len(names) - 1:
        value, k = value / base, k + 1
    return f"{value:.4g} {names[k]}".rstrip()


def linear(
    axis: Any, least: float, most: float, unit: str, *, by: float = 1.0, about: int = 6, whole: bool = False
) -> None:
    """Ticks at round numbers between ``least`` and ``most``: of bytes in powers of 1024.

    by     how many of what is drawn make one of ``unit``: 8 of bits a byte
    whole  whether nothing lies between whole numbers, as of steps and layers
    """
    base = 1024.0 if unit == BITS else 1000.0
    span = ((most - least) or 1.0) / by
    scale = base ** math.floor(math.log(span / about, base))
    rough = span / about / scale
    round_ones = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if unit == BITS else (1, 2, 5, 10, 20, 50, 100, 200, 500)
    step = by * scale * next((n for n in round_ones if n >= rough * 0.999), base)
    if whole or (unit in ("", "count", "pixels") and most - least > 3):
        step = max(step, 1.0)  # nothing lies between whole numbers
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    axis.set_major_locator(FixedLocator([i * step for i in range(first, last + 1)]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value / by, unit)))
    axis.set_minor_locator(NullLocator())


def logarithmic(axis: Any, unit: str, by: float = 1.0) -> None:
    """Ticks at powers of ten, and between them where these are few, as plain numbers."""
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(10, (1.0,) if high / low > 300 else (1.0, 2.0, 5.0), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value / by, unit)))
    axis.set_minor_formatter(NullFormatter())


def ranked(sizes: dict[str, float]) -> dict[str, str]:
    """A colour for each name: the largest have their own, all others one."""
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    return {name: PALETTE[i] if i < len(PALETTE) else REST for i, name in enumerate(order)}


def key(axes: Axes, entries: Sequence[tuple[str, str, str]], **more: Any) -> Any:
    """A legend above the axes, at the right of the title's end: (name, colour, marker) each."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5, label=plain(name, 28))
        for name, colour, marker in entries
    ]
    return axes.legend(handles=marks, **{"handletextpad": 0.2, "borderaxespad": 0.3, "labelspacing": 0.3, **more})


def note_of(report: Any) -> str:
    """How the figures were asked for, in a line: input, batch, element width, machine, transforms."""
    shapes = ["×".join(map(str, shape)) for shape in report.inputs.values()]
    said = [f"input {', '.join(shapes[:3])}{' …' if len(shapes) > 3 else ''}"] if shapes else []
    settings = report.settings
    said += [f"{settings.bits} bits"] if settings.bits is not None else []
    said += [f"on {settings.machine}"] if settings.machine else []
    said += [f"after {', '.join(settings.apply)}"] if settings.apply else []
    return ", ".join(said)
