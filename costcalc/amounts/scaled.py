"""A column of numbers in one unit, as papers have them: 4.09 and 1.81 under "MACs (G)"."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from costcalc.analysis.figures import BITS, COUNT, JOULES, SECONDS
from costcalc.classes import NamedTuple

STEPS: dict[str, list[tuple[Fraction, str]]] = {
    COUNT: [(Fraction(1000**n), unit) for n, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))],
    BITS: [(Fraction(8 * 1024**n), unit) for n, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB"))],
    SECONDS: [(Fraction(1, 1000**n), f"{unit}s") for n, unit in ((3, "n"), (2, "µ"), (1, "m"), (0, ""))],
    JOULES: [(Fraction(1, 1000**n), f"{unit}J") for n, unit in ((4, "p"), (3, "n"), (2, "µ"), (1, "m"), (0, ""))],
}
"""Unit of a figure → how many of it each step of its scale is, and what that is called."""


class Numbers(NamedTuple):
    """A column of numbers in one unit.

    unit    ``M``, ``KiB``; "" where none is needed
    texts   each number in that unit, to as many decimals as give the largest three digits; "" for None, and ``<0.01``
            for what is more than nothing and rounds to it
    """

    unit: str
    texts: list[str]


def scaled(values: Sequence[Any], unit: str, scale: int | None = None) -> Numbers:
    """``values``, of a figure with this ``unit``, in the one that leaves the largest between 1 and 1000.

    scale   how many of the figure's units one of the column is, in place of that

    >>> scaled([4_089_184_256, 1_814_073_344, None], COUNT)
    Numbers(unit='G', texts=['4.09', '1.81', ''])
    >>> scaled([12, 7], COUNT), scaled([8 * 3072, 8], BITS)
    (Numbers(unit='', texts=['12', '7']), Numbers(unit='KiB', texts=['3.00', '<0.01']))
    >>> scaled([7_327_328_512, 300_774_272], COUNT, 10**9).texts
    ['7.33', '0.30']
    """
    known = [abs(Fraction(v)) for v in values if v is not None]
    largest = max(known, default=Fraction(0))
    steps = STEPS.get(unit, [(Fraction(1), "")]) if scale is None else [(Fraction(scale), "")]
    per, called = next((step for step in reversed(steps) if largest >= step[0]), steps[0])
    top = largest / per
    whole = all(v % per == 0 for v in known) and per in (1, 8)
    decimals = 0 if whole else 2 if top < 100 else 1
    return Numbers(called, [_number(v, per, decimals) for v in values])


def _number(value: Any, per: Fraction, decimals: int) -> str:
    if value is None:
        return ""
    exact = Fraction(value) / per
    digits = round(exact * 10**decimals)
    if exact and not digits:
        return f"<{1 / 10**decimals:.{decimals}f}"
    text = str(abs(digits)).rjust(decimals + 1, "0")
    return ("-" if digits < 0 else "") + (f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text)
