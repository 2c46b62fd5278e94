"""The figures that models are compared, diffed and held to budgets by: one table.

A figure's value is an exact number in its base unit: counts and pixels as they are, storage in bits,
time in seconds. Only back ends round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from costcalc.analysis.receptive import GLOBAL, ReceptiveField
from costcalc.analysis.records import Layer, Report
from costcalc.errors import CostcalcError, UnknownName, listing, near

Value: TypeAlias = Any
"""An int, a Fraction or a float; type checkers cannot do arithmetic on a union of them."""

COUNT, BITS, SECONDS, PIXELS, RATIO = "count", "bits", "seconds", "pixels", "ratio"


class Figure(NamedTuple):
    """One figure of a model.

    unit    what an amount of it may be written in: ``count``, ``bits``, ``seconds``, ``pixels``, ``ratio``
    value   of a report; None where it has none, as time without a machine
    part    of one layer or block; None where only a whole model has it
    less    whether less is better; None where neither is
    """

    name: str
    title: str
    unit: str
    value: Callable[[Report], Value | None]
    part: Callable[[Any], Value | None] | None
    less: bool | None
    says: str

    @property
    def head(self) -> str:
        """The head of its column in CSV, where numbers are bare: ``storage_bits``, ``time_seconds``, ``macs``."""
        return f"{self.name}_{self.unit}" if self.unit in (BITS, SECONDS) else self.name


def _attribute(name: str) -> tuple[Callable[[Report], Value | None], Callable[[Any], Value | None]]:
    def part(figures: Any) -> Value | None:
        value = getattr(figures, name)
        if not isinstance(value, (int, float, type(None))):
            raise CostcalcError(f"{name} is a formula, {value}; give every size a number")
        return value

    return lambda report: part(report.total), part


def _seconds(figures: Any) -> float | None:
    return None if figures.time is None else figures.time.seconds


def field_at_end(report: Report) -> tuple[Layer | None, ReceptiveField | str | None]:
    """The last layer that sees less than the whole image, and what it sees; or "global" and the last layer with
    places of the image, where each of them has come to see all of it."""
    for layer in reversed(report.layers):
        if layer.name == report.global_at:
            return layer, GLOBAL
        if isinstance(layer.receptive_field, ReceptiveField):
            return layer, layer.receptive_field
    return None, None


def _smallest(field: ReceptiveField | str | None) -> int | None:
    return min(field.size) if isinstance(field, ReceptiveField) else None


FIGURES: dict[str, Figure] = {
    name: Figure(name, title, unit, get[0], get[1], less, says)
    for name, title, unit, get, less, says in (
        ("macs", "MACs", COUNT, _attribute("macs"), True, "multiply-accumulates"),
        ("ops", "ops", COUNT, _attribute("ops"), True, "other scalar arithmetic"),
        ("params", "params", COUNT, _attribute("params"), True, "trained elements"),
        ("buffers", "buffers", COUNT, _attribute("buffers"), True, "stored elements that are not trained"),
        ("weights", "weights", BITS, _attribute("weight_bits"), True, "storage of parameters and buffers"),
        ("storage", "storage", BITS, _attribute("storage_bits"), True, "weights, inputs and outputs, each tensor once"),
        ("traffic", "traffic", BITS, _attribute("traffic_bits"), True, "read and written, layer by layer"),
        ("read", "read", BITS, _attribute("read_bits"), True, "read, layer by layer"),
        ("write", "write", BITS, _attribute("write_bits"), True, "written, layer by layer"),
        ("peak", "peak", BITS, (lambda r: r.total.peak_bits, None), True, "activations alive at once, none in place"),
        ("intensity", "MACs/B", RATIO, _attribute("intensity"), False, "MACs per byte of traffic"),
        ("receptive_field", "sees", PIXELS, (lambda r: _smallest(field_at_end(r)[1]), None), None,
         "receptive field of the last layer that does not see the whole image, the shorter of its axes of places"),
        ("time", "time", SECONDS, (lambda r: _seconds(r.total), _seconds), True, "on a machine, at its peak rates"),
        ("layers", "layers", COUNT, (lambda r: r.total.layers, None), None, "number of layers"),
        ("uncounted", "uncounted", COUNT, (lambda r: len(r.uncounted), None), True, "layers whose op has no rule"),
    )
}  # fmt: skip


def find_figure(name: str) -> Figure:
    """The figure called ``name``; an ``UnknownName`` names the nearest."""
    if name not in FIGURES:
        hint = "; costs are counted in macs, and one of them is two FLOPs" if "flop" in name.lower() else ""
        raise UnknownName(f"no figure called '{name[:40]}'{hint or near(name, FIGURES)}; there are {listing(FIGURES)}")
    return FIGURES[name]
