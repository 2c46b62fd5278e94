"""Where most of a model goes, layers that are alike as one, and what the roofline says of why."""

from __future__ import annotations

from costcalc.analysis.figures import FIGURES, Figure
from costcalc.analysis.records import Layer, Report
from costcalc.classes import NamedTuple


class Costliest(NamedTuple):
    """Layers that do the same to the same shapes.

    figure    what they are ranked by: ``time`` on a machine, else ``macs``
    value     all of theirs together
    share     that as a part of the model's
    bound     of each, ``compute`` or ``memory``; "" without a machine
    macs      of each
    bytes     that each moves
    compute   seconds of each by its arithmetic alone, and ``memory`` by its traffic alone
    """

    layers: tuple[Layer, ...]
    figure: Figure
    value: float
    share: float
    bound: str = ""
    macs: int = 0
    bytes: float = 0.0
    compute: float = 0.0
    memory: float = 0.0


def costliest(report: Report, most: int = 3) -> list[Costliest]:
    """The ``most`` sets of like layers that cost most; none where figures are formulas."""
    figure = FIGURES["time" if report.total.time else "macs"]
    whole = figure.of(report.total)
    if not isinstance(whole, (int, float)) or not whole:
        return []
    alike: dict[tuple[object, ...], list[Layer]] = {}
    for layer in report.layers:
        if figure.of(layer):
            key = (layer.kind, layer.input_shapes, layer.output_shapes, layer.params, layer.macs, layer.traffic_bits)
            alike.setdefault(key, []).append(layer)
    found = []
    for layers in alike.values():
        first, value = layers[0], sum(figure.of(layer) for layer in layers)
        time = first.time
        macs, traffic = first.macs, first.traffic_bits
        if time is None or not isinstance(macs, int) or not isinstance(traffic, int):
            found.append(Costliest(tuple(layers), figure, value, value / whole))
        else:
            known = time.bound, macs, traffic / 8, time.compute, time.traffic
            found.append(Costliest(tuple(layers), figure, value, value / whole, *known))
    return sorted(found, key=lambda one: -one.value)[:most]
