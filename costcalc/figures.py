"""The figures that models are compared, diffed and held to budgets by: one table.

A figure's value is an exact number in its base unit: counts and pixels as they are, storage in bits,
time in seconds. Only what shows it rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from costcalc.analysis.receptive import GLOBAL, ReceptiveField
from costcalc.analysis.records import Layer, Report
from costcalc.backends import units
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


def show(figure: Figure, value: Value | str | None) -> str:
    """``value`` as people read it, rounded to three digits.

    >>> show(FIGURES["macs"], 4_089_184_256), show(FIGURES["weights"], 8 * 2**20), show(FIGURES["intensity"], 9.6)
    ('4.09 G', '1.00 MiB', '9.60')
    >>> show(FIGURES["time"], None)
    '–'
    """
    if value is None or isinstance(value, str):
        return value or "–"
    if figure.unit == SECONDS:
        return ("-" if value < 0 else "") + units.seconds(abs(float(value)))
    if figure.unit == PIXELS:
        return f"{float(value):g}"
    if figure.unit == RATIO:
        return f"{float(value):#.3g}".rstrip(".")
    whole = value if isinstance(value, int) else round(value)
    return units.size(whole) if figure.unit == BITS else units.count(whole)


def exact(figure: Figure, value: Value | None) -> str:
    """``value`` with all its digits, and its unit: what tells two numbers apart that look the same.

    >>> exact(FIGURES["macs"], 4_200_000_001), exact(FIGURES["weights"], 12)
    ('4,200,000,001', '1.5 B')
    """
    if value is None:
        return "–"
    if figure.unit == BITS:
        whole, part = divmod(Fraction(value), 8)
        return f"{whole:,}{str(float(part / 8))[1:] if part else ''} B"
    if figure.unit == SECONDS:
        return f"{float(value) * 1e3:.9g} ms"
    if value == int(value):
        return units.grouped(int(value))
    return f"{float(value):.9g}"


def told_apart(figure: Figure, a: Value, b: Value) -> tuple[str, str]:
    """``a`` and ``b`` rounded, or with all their digits where rounding would make them look the same.

    >>> told_apart(FIGURES["macs"], 4_200_000_001, 4_200_000_000)
    ('4,200,000,001', '4,200,000,000')
    """
    if a != b and show(figure, a) == show(figure, b):
        return exact(figure, a), exact(figure, b)
    return show(figure, a), show(figure, b)


def signed(figure: Figure, change: Value) -> str:
    """A change, with its sign.

    >>> signed(FIGURES["macs"], 310_000_000), signed(FIGURES["macs"], -5), signed(FIGURES["macs"], 0)
    ('+310 M', '-5', '±0')
    """
    return "±0" if change == 0 else ("+" if change > 0 else "") + show(figure, change)


def percent(change: Value, whole: Value) -> str:
    """A change in percent of what was there; "new" where nothing was.

    >>> percent(76, 1000), percent(-1, 3), percent(1, 10**9), percent(5, 0), percent(10**9, 1)
    ('+7.6 %', '-33.3 %', '+0.0 %', 'new', '+1.00e11 %')
    """
    if not whole:
        return "new" if change else "+0.0 %"
    part = 100 * Fraction(change) / Fraction(whole)
    if abs(part) < 10**7:
        return f"{float(part):+.1f} %"
    return f"{'+' if part > 0 else '-'}{units.powers(round(abs(part)))} %"


def sees(value: object) -> str:
    """A receptive field in words: ``99``, ``99×51``, ``global``; ``224 (483)`` where 224 of 483 are in the image."""
    if isinstance(value, ReceptiveField):
        size, seen = ("×".join(map(str, v[:1] if len(set(v)) == 1 else v)) for v in (value.size, value.seen))
        return f"{seen} ({size})" if value.hangs_over else size
    return GLOBAL if value == GLOBAL else "–" if value is None else str(value)
