"""A model as nested blocks, each as large as its part of a figure."""

from __future__ import annotations

from costcalc.analysis.figures import ASKED, FIGURES, needed
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

TREEMAPS = ("macs", "params", "traffic", "weights", "time", "energy")
"""The figures of which there are treemaps: those that add up."""


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


def _relative(name: str, above: str) -> str:
    return name[len(above) + 1 :] if above and name != above else name
