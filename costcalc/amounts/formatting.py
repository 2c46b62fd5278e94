"""A figure's value as people read it: rounded, in full, as a change, as a ratio."""

from __future__ import annotations

from fractions import Fraction

from costcalc.amounts import units
from costcalc.analysis.figures import BITS, JOULES, PIXELS, RATIO, SECONDS, Figure, Value
from costcalc.analysis.pixel_map import GLOBAL, ReceptiveField

SMALL = {SECONDS: units.seconds, JOULES: units.joules}


def show(figure: Figure, value: Value | str | None) -> str:
    """``value`` as people read it, rounded to three digits.

    >>> from costcalc.analysis.figures import FIGURES
    >>> show(FIGURES["macs"], 4_089_184_256), show(FIGURES["weights"], 8 * 2**20), show(FIGURES["intensity"], 9.6)
    ('4.09 G', '1.00 MiB', '9.60')
    >>> show(FIGURES["time"], None)
    '–'
    """
    if value is None or isinstance(value, str):
        return value or "–"
    if figure.unit in SMALL:
        return ("-" if value < 0 else "") + SMALL[figure.unit](abs(float(value)))
    if figure.unit == PIXELS:
        return f"{float(value):g}"
    if figure.unit == RATIO:
        return f"{float(value):#.3g}".rstrip(".")
    whole = value if isinstance(value, int) else round(value)
    return units.size(whole) if figure.unit == BITS else units.count(whole)


def exact(figure: Figure, value: Value | None) -> str:
    """``value`` with all its digits, and its unit: what tells two numbers apart that look the same.

    >>> from costcalc.analysis.figures import FIGURES
    >>> exact(FIGURES["macs"], 4_200_000_001), exact(FIGURES["weights"], 12)
    ('4,200,000,001', '1.5 B')
    """
    if value is None:
        return "–"
    if figure.unit == BITS:
        whole, part = divmod(Fraction(value), 8)
        return f"{whole:,}{str(float(part / 8))[1:] if part else ''} B"
    if figure.unit in SMALL:
        return f"{float(value) * 1e3:.9g} {'ms' if figure.unit == SECONDS else 'mJ'}"
    if value == int(value):
        return units.grouped(int(value))
    return f"{float(value):.9g}"


def told_apart(figure: Figure, a: Value | None, b: Value | None) -> tuple[str, str]:
    """``a`` and ``b`` rounded, or with all their digits where rounding would make them look the same.

    >>> from costcalc.analysis.figures import FIGURES
    >>> told_apart(FIGURES["macs"], 4_200_000_001, 4_200_000_000)
    ('4,200,000,001', '4,200,000,000')
    """
    if a != b and show(figure, a) == show(figure, b):
        return exact(figure, a), exact(figure, b)
    return show(figure, a), show(figure, b)


def beside(figure: Figure, value: Value, limit: Value, written: str) -> tuple[str, str]:
    """``value`` and ``limit`` rounded, in the unit in which the limit was ``written``; told apart as others are.

    >>> from costcalc.analysis.figures import FIGURES
    >>> beside(FIGURES["storage"], 8 * 297_000, 8 * 320_000, "320 KB")
    ('297 KB', '320 KB')
    >>> beside(FIGURES["macs"], 28_600_000, 10**8, "0.1G"), beside(FIGURES["macs"], 28_600_000, 20_000_000, "20 M")
    (('0.0286 G', '0.1 G'), ('28.6 M', '20.0 M'))
    """
    unit = own_unit(figure, limit, written)
    if not unit or (value != limit and in_unit(figure, value, unit) == in_unit(figure, limit, unit)):
        return told_apart(figure, value, limit)
    from costcalc.amounts.parsing import parted

    number = parted(written.strip(), figure)[0]
    return in_unit(figure, value, unit), f"{number} {unit}"


def own_unit(figure: Figure, limit: Value, written: str) -> str:
    """The unit in which somebody has ``written`` a ``limit``, if figures would be shown in another; else ""."""
    from costcalc.amounts.parsing import UNITS, parted

    unit = parted(written.strip(), figure)[1]
    is_other = unit in UNITS.get(figure.unit, {}) and unit != show(figure, limit).rpartition(" ")[2]
    return unit if is_other else ""


def in_unit(figure: Figure, value: Value, unit: str) -> str:
    """``value`` in ``unit``, to three digits and to whole ones; as figures are shown if ``unit`` is "".

    >>> from costcalc.analysis.figures import FIGURES
    >>> in_unit(FIGURES["storage"], 8 * 2**30, "MB"), in_unit(FIGURES["storage"], -8 * 1500, "kB")
    ('1,074 MB', '-1.5 kB')
    """
    from costcalc.amounts.parsing import UNITS

    if not unit:
        return show(figure, value)
    scaled = Fraction(value) / UNITS[figure.unit][unit]
    if abs(scaled) >= 100:
        return f"{units.grouped(round(scaled))} {unit}"
    return f"{float(scaled):.3g} {unit}"


def signed(figure: Figure, change: Value) -> str:
    """A change, with its sign.

    >>> from costcalc.analysis.figures import FIGURES
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


def field_text(value: object) -> str:
    """A receptive field in words: ``99``, ``99×51``, ``global``; ``224 (483)``: 224 of 483 are in the image; ``≤ 99``
    where that is an upper bound.
    """
    if isinstance(value, ReceptiveField):
        size, seen = ("×".join(map(str, v[:1] if len(set(v)) == 1 else v)) for v in (value.size, value.seen))
        said = f"{seen} ({size})" if value.hangs_over else size
        return f"≤ {said}" if value.bound else said
    return GLOBAL if value == GLOBAL else "–" if value is None else str(value)
