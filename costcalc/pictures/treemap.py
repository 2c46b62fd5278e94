"""A model as nested blocks, each as large as its part of a figure."""

from __future__ import annotations

from costcalc.analysis.figures import ASKED, FIGURES, needed
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

TREEMAPS = ("macs", "params", "traffic", "weights", "time", "energy")
"""The figures of which there are treemaps: those that add up."""
MOST = 4000
"""A picture tells apart what has at least this part of the whole."""


class Area(NamedTuple):
    """A block, or the layer that it ends in.

    name    in full; "" of the whole model
    label   relative to the block around it
    value   its part of the figure, the sum of those of its ``areas``; a tensor that several layers share counts in each
    kind    of a layer its kind, of a block the class of its module or ""
    """

    name: str
    label: str
    value: float
    kind: str
    areas: tuple[Area, ...] = ()


def treemap(report: Report, figure: str) -> Area:
    """The whole model by a figure of ``TREEMAPS``; layers that have nothing of it are left out.

    Raises ``CostcalcError`` for a figure that does not add up, that is a formula, or that a report lacks.
    """
    known = FIGURES.get(figure)
    if known is None or not known.is_summed:
        raise CostcalcError(f"there is no treemap of {figure[:40]}; there are {', '.join(TREEMAPS)}")
    energy = report.total.energy
    if figure == "energy" and energy is not None and energy.unknown:
        raise CostcalcError(f"the energy is unknown: {energy.unknown}")
    if known.asks in ASKED and known.of(report.total) is None:
        raise CostcalcError(f"{figure} needs {needed(known.asks)}")
    modules = {block.name: block.module or "" for block in report.blocks}
    inside: dict[str, list[str]] = {}
    made: dict[str, Area] = {}
    for layer in report.layers:
        value = known.part(layer)
        if not value:
            continue
        made[layer.name] = Area(layer.name, layer.name, value, layer.kind)
        name = layer.name
        while name:
            above = name.rpartition(".")[0]
            beside = inside.setdefault(above, [])
            beside.append(name)
            if len(beside) > 1:
                break  # those above are there already
            name = above
    for name in sorted(inside, key=lambda name: -name.count(".") if name else 1):
        areas = [made[below] for below in inside[name]]
        if name in made:  # a layer whose name others begin with
            areas.insert(0, made[name])
        value = sum(area.value for area in areas)
        if len(areas) == 1 and areas[0].areas:
            made[name] = areas[0]  # written with it, as "backbone.stages"
        else:
            named = tuple(area._replace(label=_relative(area.name, name)) for area in areas)
            made[name] = Area(name, name, value, modules.get(name, ""), named)
    whole = made.get("", Area("", "", 0, ""))
    return whole._replace(name="", label=report.name)


def folded(whole: Area, most: int = MOST) -> tuple[Area, int]:
    """``whole`` where of each block the layers of a kind that have less than 1/``most`` of the whole are one area, and
    how many layers that are. Such an area has no name; a single layer stays as it is.
    """
    least, together = whole.value / most, 0
    order, left = [], [whole]
    while left:
        area = left.pop()
        order.append(area)
        left += [below for below in area.areas if below.value >= least]
    made: dict[int, Area] = {}
    for area in reversed(order):  # those inside before those around them
        small: dict[str, list[Area]] = {}
        for layer in leaves(*(below for below in area.areas if below.value < least)):
            small.setdefault(layer.kind, []).append(layer)
        areas = [made[id(below)] for below in area.areas if below.value >= least]
        for kind, layers in small.items():
            if len(layers) == 1:
                areas += layers
                continue
            together += len(layers)
            areas.append(Area("", f"{len(layers):,} × {kind}", sum(layer.value for layer in layers), kind))
        made[id(area)] = area._replace(areas=tuple(areas))
    return made[id(whole)], together


def leaves(*areas: Area) -> list[Area]:
    """The layers in ``areas``."""
    found, left = [], [*areas]
    while left:
        one = left.pop()
        if one.areas:
            left += one.areas
        else:
            found.append(one)
    return found


def _relative(name: str, above: str) -> str:
    return name[len(above) + 1 :] if above and name != above else name
