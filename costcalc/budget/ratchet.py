"""Lowering budgets to what is reached, in the config file itself, its comments and layout kept."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from costcalc.amounts.parsing import UNITS, amount, parted
from costcalc.analysis.figures import Figure
from costcalc.budget.config import Config, Limit
from costcalc.budget.outcome import Outcome
from costcalc.errors import CostcalcError, Location, OptionError
from costcalc.writing import check_seen


def ratchet(config: Config, outcome: Outcome) -> tuple[str, list[str]]:
    """The text of the config with each ``max`` lowered to what its model reaches, and what was lowered.

    A bound is rounded up to three digits in the unit that it is written in, and never raised.
    """
    if not config.file.endswith((".yaml", ".yml")):
        raise OptionError(f"--ratchet edits a costcalc.yaml; {config.file or 'the command line'} is not one")
    reached: dict[Location, tuple[Limit, Figure, Fraction]] = {}
    for v in outcome.verdicts:
        if v.rule != "max" or v.budget.max is None or isinstance(v.value, str) or v.value is None:
            continue
        limit = v.budget.max
        most = max(Fraction(v.value), reached[limit.location][2] if limit.location in reached else Fraction(0))
        reached[limit.location] = limit, v.budget.figure, most
    check_seen(config.file, config.seen)  # else places in it may be others'
    lines = Path(config.file).read_bytes().decode("utf-8").splitlines(keepends=True)
    said = []
    # From the end, so that columns on the same line stay right.
    for location, (limit, figure, most) in sorted(reached.items(), key=lambda item: (-item[0].line, -item[0].column)):
        text = rounded_up(most, limit.text, figure, limit.prefix)
        if amount(f"{text} {limit.prefix}", figure) >= limit.amount:
            continue
        lines[location.line - 1] = _replaced(lines[location.line - 1], location, limit.text, text)
        said.append(f"{location.short}: {figure.name} lowered from {limit.text} to {text}")
    return "".join(lines), said[::-1]


def _replaced(line: str, location: Location, old: str, new: str) -> str:
    start = location.column - 1
    start += line[start : start + 1] in ("'", '"')
    if line[start : start + len(old)] != old:
        raise CostcalcError(f"'{old}' is written in a way that --ratchet cannot edit; write {new} by hand", location)
    return line[:start] + new + line[start + len(old) :]


def rounded_up(value: Fraction, like: str, figure: Figure, prefix: str = "") -> str:
    """``value`` to three digits, not below it, in the unit of the amount ``like``, or that of a ``prefix``.

    >>> from costcalc.analysis.figures import FIGURES
    >>> rounded_up(Fraction(4089184256), "4.2 G", FIGURES["macs"]), rounded_up(Fraction(7), "26M", FIGURES["params"])
    ('4.09 G', '0.000007M')
    """
    number, known = parted(like, figure)
    unit = like[len(number) :]
    scale = UNITS.get(figure.unit, {"": Fraction(1)}).get(prefix or known, Fraction(1))
    scaled = value / scale
    decimals = 0
    while scaled and scaled * 10**decimals < 100 and decimals < 30 and (scaled * 10**decimals).denominator != 1:
        decimals += 1
    step = 10 ** max(len(str(int(scaled))) - 3, 0) if decimals == 0 else 1
    whole = -(-scaled * 10**decimals // step) * step
    digits = str(int(whole)).rjust(decimals + 1, "0")
    return (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits) + unit
