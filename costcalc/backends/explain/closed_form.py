"""Closed forms as text for a terminal: a term a line, with what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from costcalc.amounts.units import count, grouped, percent, size
from costcalc.analysis.figures import BITS
from costcalc.analysis.formula import Formula
from costcalc.backends.paint import Paint
from costcalc.ir.expr import Expr

POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def closed_form(formulas: Sequence[Formula], values: Mapping[str, int], width: int, paint: Paint) -> str:
    """Each total as a sum, its terms' shares at ``values``, and its value there."""
    letters = ", ".join(values)
    at = ", ".join(f"{name}={value}" for name, value in values.items())
    lines: list[str] = []
    for formula in formulas:
        unit = " bits" if formula.figure.unit == BITS else ""
        total = formula.at(values)
        comes = f"{grouped(total)}{unit}" + (
            f" ({size(total)})" if unit else f" ({count(total)})" if total > 999_999 else ""
        )
        if not isinstance(formula.total, Expr):
            lines += [f"{paint(formula.figure.title, 'bold')} = {comes}", ""]
            continue
        lines.append(f"{paint(formula.figure.title, 'bold')}({letters}) =")
        terms = [(spelled(term), value) for term, value in formula.terms(values)]
        wide = max(len(text) for text, _ in terms) + 4
        fits = wide + 7 <= width and all(value >= 0 for _, value in terms)
        for i, (text, value) in enumerate(terms):
            sign = "−" if text.startswith("-") else "+" if i else " "
            line = f"  {sign} {text.lstrip('- ')}"
            lines.append(f"{line.ljust(wide)}{paint(percent(value, total).rjust(7), 'dim')}" if fits else line)
        lines += [f"  = {paint(comes, 'bold')} at {at}", ""]
    return "\n".join([*lines, ""])


def spelled(term: Expr) -> str:
    """A term with the digits of its coefficient in threes and powers set high: 9,408·n·⌊(h + 1)/2⌋²."""
    text = str(term)
    sign, text = ("- ", text[2:]) if text.startswith("- ") else ("", text)
    digits = "".join(takewhile(str.isdecimal, text))
    if digits:
        text = f"{int(digits):,}{text[len(digits) :]}"
    head, *powers = text.split("^")
    for part in powers:
        power = "".join(takewhile(str.isdecimal, part))
        head += power.translate(POWERS) + part[len(power) :]
    return sign + head
