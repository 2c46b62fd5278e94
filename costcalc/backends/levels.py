"""Traffic by what the chip can hold, as text."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.amounts import units
from costcalc.amounts.units import grouped, percent, size
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP
from costcalc.backends.json import written
from costcalc.backends.markdown import header, row
from costcalc.backends.paint import bar, painted, plain
from costcalc.planning.levels import Level, Levels

TITLES = ("cache", "floor", "fused", "layer by layer")
NARROW, WIDEST = 8, 40


def facts(level: Level, kernels: int) -> Iterator[tuple[str, int, str]]:
    """Each of the three, in bytes, and what it is."""
    yield "floor", level.floor_bytes, "no schedule moves less: what goes in and out, beyond the cache"
    yield "fused", level.fused_bytes, f"by {kernels:,} kernels; what passes between them stays if it has room"
    yield "layers", level.layers_bytes, "each layer by itself"


def table(found: Levels, width: int, colour: bool) -> str:
    """For a terminal."""
    from textwrap import wrap

    paint = painted if colour else plain
    bits = f", {found.bits} bits" if found.bits is not None else ""
    lines = [f"{paint(visible(found.name), 'bold')}  traffic with main memory{bits}", ""]
    if found.charged:
        charged = found.charged
        said = f"energy by {charged.table.name}, {charged.table.title}: MACs {shown(charged.macs)}, traffic with "
        lines[1:] = [*wrap(visible(f"{said}{charged.table.level or 'no memory'}"), max(width, 40)), ""]
    if found.at:
        lines.append(f"with {size(8 * found.at.cache_bytes)} on the chip")
        for name, count, says in facts(found.at, found.kernels):
            taken = f"  {_joules(found, count):>9}" if found.charged else ""
            lines.append(f"  {paint(name.ljust(6), 'bold')}  {size(8 * count):>9}{taken}  {paint(says, 'dim')}")
        lines.append("")
    rows = [[size(8 * count) for count in level] for level in found.curve]
    wide = [max(map(len, column)) for column in zip(TITLES, *rows, strict=True)]
    lines.append(GAP.join(title.rjust(w) for title, w in zip(TITLES, wide, strict=True)))
    room = min(width - sum(wide) - len(GAP) * 4, WIDEST)
    most = max((level.layers_bytes for level in found.curve), default=0)
    for level, line in zip(found.curve, rows, strict=True):
        text = GAP.join(cell.rjust(w) for cell, w in zip(line, wide, strict=True))
        drawn = bar(level.fused_bytes / most, room) if most and room >= NARROW else ""
        lines.append(f"{text}{GAP}{paint(drawn, 'cyan')}".rstrip())
    for note in found.notes:
        lines += ["", *wrap(visible(note), max(width, 40))]
    return "\n".join([*lines, ""])


def shown(joules: float | None) -> str:
    """Energy as people read it."""
    return "unknown" if joules is None else units.joules(joules)


def _joules(found: Levels, moved_bytes: int) -> str:
    return shown(found.charged.joules(moved_bytes) if found.charged else None)


def json(found: Levels) -> str:
    """The contract of ``docs/time.md``."""
    return written(found.to_dict())


def csv(found: Levels) -> str:
    """A line a cache; the one that was asked for among them."""
    records = [found.record(level) for level in _all(found)]
    return escape.csv([[*records[0]], *([*record.values()] for record in records)])


def markdown(found: Levels) -> str:
    """A row a cache."""
    charged = found.charged
    energy = [f"energy, {title}" for title in TITLES[1:]] if charged else []
    lines = header([*TITLES, "saved", *energy], ">>>>>" + ">" * len(energy))
    for level in _all(found):
        cells = [grouped(count) for count in level]
        cells.append(percent(level.layers_bytes - level.fused_bytes, level.layers_bytes))
        cells += [shown(joules) for joules in charged.of(level).values()] if charged else []
        lines.append(row(cells))
    return "\n".join(lines) + "\n"


def _all(found: Levels) -> list[Level]:
    return sorted({*found.curve, *([found.at] if found.at else [])})
