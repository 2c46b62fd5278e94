"""A packing, as text."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.amounts.units import grouped, percent, size
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.json import written
from costcalc.backends.markdown import figures_table
from costcalc.backends.markdown import table as markdown_table
from costcalc.backends.paint import painted, plain
from costcalc.packing.records import Packing

MOST = 12


def facts(found: Packing) -> Iterator[tuple[str, str, str]]:
    """Each figure by its name, as text, and what it says."""
    many = f"{grouped(found.arena_bytes)} bytes for {len(found.tensors)} tensors"
    if found.optimal:
        yield "arena", size(8 * found.arena_bytes), f"{many}, the least possible"
    else:
        gap = percent(found.arena_bytes - found.lower_bound_bytes, found.arena_bytes)
        yield "arena", size(8 * found.arena_bytes), many
        yield (
            "bound",
            size(8 * found.lower_bound_bytes),
            f"{grouped(found.lower_bound_bytes)} bytes are needed, {gap} less",
        )
    if found.capacity is not None:
        verdict = {
            True: "the packing fits",
            False: "nothing fits",
            None: "no packing that fits was found, nor a proof that there is none",
        }[found.fits]
        yield "capacity", size(8 * found.capacity), f"{grouped(found.capacity)} bytes: {verdict}"


def table(found: Packing, width: int, colour: bool) -> str:
    """For a terminal: the figures, and the largest tensors."""
    paint = painted if colour else plain
    known = list(facts(found))
    wide = max(len(figure) for _, figure, _ in known)
    lines = [
        f"{paint(n.ljust(8), 'bold')}  {figure.rjust(wide)}  {paint(description, 'dim')}"
        for n, figure, description in known
    ]
    rows = sorted(found.tensors, key=lambda t: (-t.bytes, t.offset))[:MOST]
    columns = {
        "name": ["tensor", *(visible(t.name) for t in rows)],
        "bytes": ["bytes", *(grouped(t.bytes) for t in rows)],
        "offset": ["offset", *(grouped(t.offset) for t in rows)],
        "steps": ["steps", *(f"{t.first} to {t.last}" for t in rows)],
    }
    lines += ["", *(GAP.join(row).rstrip() for row in grid(columns, width, ("name",), {"name": 12}, ("name",)))]
    if len(found.tensors) > MOST:
        lines.append(f"and {len(found.tensors) - MOST} smaller ones; --format csv has all")
    return "\n".join([*lines, ""])


def json(found: Packing) -> str:
    """The contract of ``docs/packing.md``."""
    return written(found.to_dict())


def csv(found: Packing) -> str:
    """A line a tensor."""
    return escape.csv([["name", "first", "last", "bytes", "offset"], *map(list, found.tensors)])


def markdown(found: Packing) -> str:
    """The figures, and all tensors."""
    rows = [[t.name, grouped(t.bytes), grouped(t.offset), str(t.first), str(t.last)] for t in found.tensors]
    lines = [
        *figures_table(facts(found)),
        "",
        *markdown_table(["tensor", "bytes", "offset", "first", "last"], "<>>>>", rows),
    ]
    return "\n".join(lines) + "\n"
