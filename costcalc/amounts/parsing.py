"""Amounts as people write them, read exactly: ``4.2 G``, ``100 MiB``, ``12 ms``, ``2%``, ``1.05x``."""

from __future__ import annotations

import re
from fractions import Fraction

from costcalc.analysis.figures import BITS, COUNT, FIGURES, JOULES, PIXELS, SECONDS, Figure, Value
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, OptionError, near

_SI = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_IEC = {f"{p}i": 2 ** (10 * i) for i, p in enumerate(("", "K", "M", "G", "T", "P", "E")) if p} | {"ki": 1024}
_NUMBER = re.compile(r"[+-]?(\d[\d_]{0,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?")

UNITS: dict[str, dict[str, Fraction]] = {
    COUNT: {prefix: Fraction(n) for prefix, n in (_SI | _IEC).items()},
    BITS: {f"{prefix}B": Fraction(8 * n) for prefix, n in (_SI | _IEC).items()}
    | {f"{prefix}bit": Fraction(n) for prefix, n in (_SI | _IEC).items()},
    SECONDS: {"s": Fraction(1)} | {f"{p}s": Fraction(1, 10 ** (3 * i)) for i, p in enumerate(("", "m", "µ", "n", "p"))}
    | {"us": Fraction(1, 10**6), "min": Fraction(60)},
    JOULES: {f"{p}J": Fraction(1, 10 ** (3 * i)) for i, p in enumerate(("", "m", "µ", "n", "p"))}
    | {"uJ": Fraction(1, 10**6), "kJ": Fraction(1000)},
    PIXELS: {"": Fraction(1), "px": Fraction(1)},
}  # fmt: skip
EXAMPLE = {COUNT: "4.2 G", BITS: "100 MiB", SECONDS: "12 ms", JOULES: "3 mJ", PIXELS: "224"}
ACCEPTED = {
    COUNT: "a number with k, M, G, T, P or E, or Ki, Mi …",
    BITS: "bytes with their unit: kB, MB, GB or KiB, MiB, GiB",
    SECONDS: "a time in s, ms, µs or ns",
    JOULES: "an energy in J, mJ, µJ, nJ or pJ",
    PIXELS: "a number of pixels",
}


def amount(text: str, figure: Figure, prefix: str = "") -> Fraction:
    """``text`` in the base unit of ``figure``, exactly; with a ``prefix``, such as the ``G`` of ``gflops``, in those.

    >>> from costcalc.analysis.figures import FIGURES
    >>> amount("4.2 G", FIGURES["macs"]), amount("100MiB", FIGURES["storage"]), amount("12 ms", FIGURES["time"])
    (Fraction(4200000000, 1), Fraction(838860800, 1), Fraction(3, 250))
    """
    text = text.strip()
    number, unit = parted(text, figure)
    scales = UNITS.get(figure.unit, {"": Fraction(1)})
    if prefix and number and unit:
        called = f"{prefix}{figure.name}".lower()
        instead = f"write {called}: {number}, or {figure.name}: {text[:40]}"
        raise CostcalcError(f"'{text[:40]}' is not an amount of {called}, whose name says the unit; {instead}")
    unit = unit or prefix
    if not number or unit not in scales:
        wanted = ACCEPTED.get(figure.unit, "a number")
        hint = f" ({like})" if (like := _like(unit, scales) if number and unit else "") else ""
        example = EXAMPLE.get(figure.unit, "1.5")
        raise CostcalcError(f"'{text[:40]}' is not an amount of {figure.name}{hint}; write {wanted}, such as {example}")
    value = Fraction(number.replace("_", "")) * scales[unit]
    if value < 0:
        raise CostcalcError(f"'{text[:40]}' is below zero; {figure.name} cannot be")
    return value


def parted(text: str, figure: Figure) -> tuple[str, str]:
    """The number and the unit of an amount; of a count without what is counted. The number is "" where there is none.

    >>> from costcalc.analysis.figures import FIGURES
    >>> parted("8.2 GFLOPs", FIGURES["flops"]), parted("4.2G", FIGURES["macs"]), parted("G", FIGURES["macs"])
    (('8.2', 'G'), ('4.2', 'G'), ('', ''))
    """
    found = _NUMBER.match(text)
    if found is None:
        return "", ""
    unit = text[found.end() :].strip()
    counted = figure.name.lower() if figure.unit == COUNT else ""
    for word in filter(None, (counted, counted.removesuffix("s"))):
        if unit.lower().endswith(word):
            return found.group(), unit[: len(unit) - len(word)].strip()
    return found.group(), unit


def _like(unit: str, scales: dict[str, Fraction]) -> str:
    """What ``unit`` may have been meant for."""
    if "flop" in unit.lower() and "k" in scales:
        return "one multiply-accumulate is two FLOPs"
    same = [known for known in scales if known.lower() == unit.lower()]
    return f"did you mean '{same[0]}'?" if same else near(unit, scales).strip(" ()")


class AllowedChange(NamedTuple):
    """How much a figure may change: an amount, or a part of what it was."""

    amount: Fraction | None
    part: Fraction | None
    text: str

    def allowed(self, base: Value) -> Fraction:
        """The most change from ``base``, in its unit."""
        return self.amount if self.amount is not None else Fraction(self.part or 0) * Fraction(base)


def step(text: str, figure: Figure, *, up: bool, prefix: str = "") -> AllowedChange:
    """A change: ``100 M``, ``2%``, or as a ratio to what was, ``1.02x`` (``0.98x`` for a decrease).

    >>> from costcalc.analysis.figures import FIGURES
    >>> step("2%", FIGURES["macs"], up=True).allowed(1000), step("1.05x", FIGURES["macs"], up=True).allowed(200)
    (Fraction(20, 1), Fraction(10, 1))
    """
    text = text.strip()
    if text.endswith(("%", "x")) and not text.endswith("px"):
        number = text[:-1].strip()
        if _NUMBER.fullmatch(number):
            value = Fraction(number.replace("_", ""))
            part = value / 100 if text.endswith("%") else (value - 1 if up else 1 - value)
            if part < 0:
                way = "an increase has a ratio from 1" if up else "a decrease has a ratio up to 1"
                raise CostcalcError(f"'{text[:40]}' goes the wrong way; {way}")
            return AllowedChange(None, part, text)
        raise CostcalcError(f"'{text[:40]}' is not a change; write a number before {text[-1]}, such as 2% or 1.02x")
    return AllowedChange(amount(text, figure, prefix), None, f"{text} {prefix}".rstrip())


def bytes_of(given: int | str, name: str) -> int:
    """What ``name``, an option or an argument, says in bytes: a number of them, or an amount with its unit.

    Raises ``OptionError`` for what is not an amount of memory.

    >>> bytes_of("320 KiB", "ram"), bytes_of(512, "ram")
    (327680, 512)
    """
    if type(given) is int and given >= 0:
        return given
    if isinstance(given, str):
        try:
            return int(amount(given, FIGURES["storage"]) / 8)
        except CostcalcError:
            pass  # the sentence below tells more
    raise OptionError(f"{name} {str(given)[:40]}: write bytes with their unit, such as 320KiB, 1MB or 8GiB")
