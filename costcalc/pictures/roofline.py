"""Every layer as a point of a roofline: MACs a second over MACs per byte of traffic."""

from __future__ import annotations

from costcalc.analysis.records import Layer, Report
from costcalc.analysis.roofline import Machine
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError


class RooflinePoint(NamedTuple):
    """One layer.

    intensity   MACs per byte that it moves
    rate        MACs a second at the peak rates of the machine: on the roof, unless a kernel does it with others
    seconds     what it adds to the time of the model
    bound       ``compute`` or ``memory``
    """

    name: str
    kind: str
    macs: int
    bytes: float
    intensity: float
    rate: float
    seconds: float
    bound: str


class Roofline(NamedTuple):
    """The roof, and the layers under it.

    peak        MACs a second on elements of the report's width
    bandwidth   bytes a second from and to main memory
    points      the layers that multiply and move, in the model's order; the others have no place on two logarithms
    without     seconds of the layers that have no point, since they multiply nothing or move nothing
    whole       intensity of the model in total; None where it multiplies or moves nothing
    """

    machine: Machine
    bits: int | None
    peak: float
    bandwidth: float
    points: tuple[RooflinePoint, ...]
    without: float
    whole: float | None

    @property
    def ridge(self) -> float:
        """The MACs per byte from which arithmetic binds."""
        return self.peak / self.bandwidth

    def roof(self, intensity: float) -> float:
        """The most MACs a second at so many MACs per byte."""
        return min(self.peak, intensity * self.bandwidth)


def roofline(report: Report) -> Roofline:
    """The roofline of ``report``. Raises ``CostcalcError`` if it is for no machine."""
    machine = report.machine
    if machine is None:
        raise CostcalcError("a roofline is of a machine; give one, --machine a100 say")
    points, without = [], 0.0
    for layer in report.layers:
        point = _point(layer)
        if point:
            points.append(point)
        elif layer.time is not None:
            without += layer.time.seconds
    bits = report.settings.bits
    whole = report.total.intensity or None
    return Roofline(machine, bits, machine.rate(bits), machine.bandwidth, tuple(points), without, whole)


def _point(layer: Layer) -> RooflinePoint | None:
    macs, traffic, time = layer.macs, layer.traffic_bits, layer.time
    if not isinstance(macs, int) or not isinstance(traffic, int) or time is None or not macs or not traffic:
        return None
    alone = max(time.compute, time.traffic)
    moved = traffic / 8
    return RooflinePoint(layer.name, layer.kind, macs, moved, macs / moved, macs / alone, time.seconds, time.bound)
