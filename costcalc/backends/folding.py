"""Which blocks of a long model to fold, so that its rows fit a screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

from costcalc.analysis.records import Figures, Layer, Report
from costcalc.classes import NamedTuple

MOST_IN_PART = 4
"""Rows that must be left for a block of which only some children have a row of their own."""


CHEAP = 4
"""How many times cheaper a block is than one that stays shut, to stay shut as well."""


class Folds(NamedTuple):
    """How a tree of rows is folded.

    shut   blocks that have one row
    part   block → those of its children that have rows, the others being summed in one; "" is the whole model
    """

    shut: frozenset[str] = frozenset()
    part: Mapping[str, frozenset[str]] = {}

    def row_of(self, name: str) -> tuple[str, str]:
        """The block whose row holds the layer ``name``, or the block whose rest does; "" and "" if it has a row itself.

        >>> folds = Folds(frozenset({"a.b"}), {"c": frozenset({"c.0"})})
        >>> folds.row_of("a.b.x"), folds.row_of("c.0"), folds.row_of("c.1.x"), folds.row_of("d")
        (('a.b', ''), ('', ''), ('', 'c'), ('', ''))
        """
        above, at = "", 0
        while True:
            at = name.find(".", at + 1)
            below = name[:at] if at >= 0 else name
            if above in self.part and below not in self.part[above]:
                return "", above or "."
            if at < 0:
                return "", ""
            if below in self.shut:
                return below, ""
            above = below


def folds_that_fit(report: Report, layers: Sequence[Layer], rows: int) -> Folds:
    """The folds of ``layers`` that leave at most ``rows`` rows, headings among them.

    Blocks are opened level by level, on each those first that cost most time or MACs, as long as what is in them fits.
    Where much room is left beside one large block, its costliest children get rows and the others one together.
    """
    below = _children(layers)
    blocks = {block.name: block for block in report.blocks}
    known = {layer.name: layer for layer in layers}

    def cost(name: str) -> float:
        return _cost(blocks.get(name) or known.get(name))

    def is_block(name: str) -> bool:
        return name in below and name in blocks and blocks[name].layers > 1

    shut = {name for name in below[""] if is_block(name)}
    room = rows - len(below[""])
    if room < 0:
        return Folds(frozenset(shut), {"": _costliest(below[""], cost, rows - 1)})
    waiting: list[tuple[int, float, str]] = []
    for name in shut:
        heappush(waiting, (name.count("."), -cost(name), name))
    refused = 0.0
    while waiting:
        _, _, name = heappop(waiting)
        inside = below[name]
        if len(inside) > room or cost(name) * CHEAP < refused:
            refused = max(refused, cost(name))
            continue
        room -= len(inside)
        shut.remove(name)
        for child in filter(is_block, inside):
            shut.add(child)
            heappush(waiting, (child.count("."), -cost(child), child))
    part = {}
    if room >= MOST_IN_PART and shut:
        name = max(shut, key=cost)
        shut.remove(name)
        kept = _costliest(below[name], cost, room - 1)
        part[name] = kept
        shut |= set(filter(is_block, kept))
    return Folds(frozenset(shut), part)


def _children(layers: Sequence[Layer]) -> dict[str, dict[str, None]]:
    """Block → what is directly in it, in the model's order; a block that holds one block alone has what that holds."""
    found: dict[str, dict[str, None]] = {"": {}}
    for layer in layers:
        above, at = "", 0
        while at >= 0:
            at = layer.name.find(".", at + 1)
            name = layer.name[:at] if at >= 0 else layer.name
            found.setdefault(above, {})[name] = None
            above = name
    for name in sorted(found, key=lambda name: -name.count(".") if name else 1):
        inside = found[name]
        if name and len(inside) == 1 and (only := next(iter(inside))) in found:
            found[name] = found[only]
    return found


def _costliest(names: Mapping[str, None], cost: Callable[[str], float], most: int) -> frozenset[str]:
    ranked = sorted(names, key=cost, reverse=True)
    return frozenset(ranked[: max(most, 0)])


def _cost(figures: Figures | None) -> float:
    """Its time, or else its MACs; of what has neither, or a symbol, 0."""
    time = getattr(figures, "time", None)
    value = time.seconds if time is not None else getattr(figures, "macs", 0)
    return float(value) if isinstance(value, (int, float)) else 0.0
