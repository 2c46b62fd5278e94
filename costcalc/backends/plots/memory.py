"""What an engine holds, step by step."""

from __future__ import annotations

from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba

from costcalc.amounts import units
from costcalc.analysis.figures import BITS
from costcalc.backends.plots.canvas import FILLED, GREY, INK, PALETTE, REST, Picture, linear, picture, plain, settle
from costcalc.errors import CostcalcError
from costcalc.pictures.timeline import Timeline, timeline
from costcalc.planning.records import ArenaTensor, Memory

MOST_NAMED = 5
MOST_BLOCKS = 3000
MOST_STEPS = 700
"""Of the line, which a page has room for."""


def draw(memory: Memory, width: float | None = None) -> Picture:
    """The timeline of ``memory``: bytes that live at each step, and what lives at the peak.

    Where the engine has one block of memory, each tensor lies in it at its place, from its first to its last step.
    Raises ``CostcalcError`` where there are no steps.
    """
    found = timeline(memory)
    if not found.held:
        raise CostcalcError(f"{memory.name[:60]} has no steps, so there is nothing to draw")
    placed = [bar for bar in found.bars if bar.offset is not None]
    top = max(found.held[found.peak], found.arena or 0) or 1
    bits = f", {memory.bits} bits" if memory.bits else ""
    after = f", after {', '.join(memory.applied)}" if memory.applied else ""
    peak = f"peak {units.size(8 * found.held[found.peak])} at step {found.peak + 1}, {plain(memory.at, 40)}"
    arena = f"; arena {units.size(8 * found.arena)}" if found.arena is not None else ""
    note = f"engine {memory.engine}{bits}{after}; {peak}{arena}"
    with picture(f"Memory of {memory.name}", note, width, 0.5) as (_, axes):
        last = len(found.held)
        axes.set(xlim=(0.5, last + 0.5), ylim=(0, top * 1.08))
        linear(axes.xaxis, 0, last, "", about=8, whole=True)
        linear(axes.yaxis, 0, top * 1.08, BITS)
        axes.set_xlabel("step")
        axes.set_ylabel("bytes")
        at_peak = {bar: PALETTE[i] for i, bar in enumerate(found.alive[:MOST_NAMED])}
        if placed and len(placed) <= MOST_BLOCKS:
            blocks = PolyCollection(
                [_corners(bar) for bar in placed],
                facecolors=[to_rgba(at_peak.get(bar, REST), FILLED if bar in at_peak else 0.45) for bar in placed],
                edgecolors="white",
                linewidths=min(0.4, 150 / len(placed) / 10),
            )
            axes.add_collection(blocks, autolim=False)
        # Of very many steps the one of some together that holds most, lest the line fills what is below it.
        every = -(-last // MOST_STEPS)
        most = [max(range(i, min(i + every, last)), key=found.held.__getitem__) for i in range(0, last, every)]
        edges = [*(0.5 + i for i in range(0, last, every)), last + 0.5]
        if not placed or len(placed) > MOST_BLOCKS:
            _shares(axes, found, list(at_peak.items()), most, edges)
        axes.stairs([found.held[step] for step in most], edges, color=INK, lw=0.9)
        if found.arena is not None:
            axes.axhline(found.arena, color=INK, lw=0.7, ls=(0, (4, 2)))
        axes.axvline(found.peak + 1, color=GREY, lw=0.5, ls=(0, (2, 3)))
        _at_peak(axes, found, at_peak)
        settle(axes)
    assert isinstance(axes.figure, Picture)
    return axes.figure


def _corners(bar: ArenaTensor) -> list[tuple[float, float]]:
    left, right, bottom = bar.first + 0.5, bar.last + 1.5, bar.offset or 0
    return [(left, bottom), (right, bottom), (right, bottom + bar.bytes), (left, bottom + bar.bytes)]


def _shares(axes, found: Timeline, named, steps, edges) -> None:  # type: ignore[no-untyped-def]
    """The area below the curve, of which those that are named have their colour for as long as they live.

    steps   those that are drawn, each from one of ``edges`` to the next
    """
    below = [0] * len(steps)
    for bar, colour in named:
        above = [low + (bar.bytes if bar.first <= i <= bar.last else 0) for i, low in zip(steps, below, strict=True)]
        axes.stairs(above, edges, baseline=below, fill=True, color=colour, alpha=FILLED, lw=0)
        below = above
    axes.stairs([max(found.held[i], low) for i, low in zip(steps, below, strict=True)], edges, baseline=below,
                fill=True, color=REST, alpha=0.3, lw=0)  # fmt: skip


def _at_peak(axes, found: Timeline, colours) -> None:  # type: ignore[no-untyped-def]
    """The tensors of the peak, the largest first, at the right of the axes."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], linestyle="none", marker="s", color=colour, markersize=5,
               label=f"{plain(bar.name, 26)}  {units.size(8 * bar.bytes)}")
        for bar, colour in colours.items()
    ]  # fmt: skip
    rest = found.alive[len(colours) :]
    if rest:
        size = units.size(8 * sum(bar.bytes for bar in rest))
        marks.append(Line2D([], [], linestyle="none", marker="s", color=REST, markersize=5,
                            label=f"{len(rest)} other{'s' * (len(rest) != 1)}  {size}"))  # fmt: skip
    axes.legend(handles=marks, title="alive at the peak", title_fontsize=7, alignment="left", loc="upper left",
                bbox_to_anchor=(1.0, 1.0), handletextpad=0.2, labelspacing=0.4)  # fmt: skip
