"""Totals as one flat object of numbers, which MLflow, Weights & Biases and DVC log as it is."""

from __future__ import annotations

from typing import Any

from costcalc.analysis.figures import BITS, METRIC, figures_in
from costcalc.analysis.records import Report
from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.errors import OptionError
from costcalc.ir.dims import Dim


def write(exported: Exported) -> str:
    """JSON: a name a number. Bounds are told apart by ``uncounted_layers`` and ``unset_sizes``, which are 0 of none."""
    report = exported.report
    for figure in ("macs", "params"):
        if mark := report.mark(figure):
            sense = {"≥": "a lower bound", "≤": "an upper bound"}.get(mark, "no exact figure")
            exported.notes.append(f"{figure} is {sense}: {_why(report)}")
    return json(metrics(report), indent=2) + "\n"


def metrics(report: Report) -> dict[str, int | float]:
    """Name → total. Bytes are whole unless the elements are of a few bits. Raises ``OptionError`` for symbols."""
    found: dict[str, int | float] = {}
    for figure in figures_in(METRIC):
        value = figure.whole(report) if figure.whole else figure.of(report.total)
        if value is not None:
            name = figure.shown[METRIC].title or figure.key.replace("_bits", "_bytes")
            found[name] = bytes_of(value) if figure.unit == BITS else _bare(value)
    return found | {"unset_sizes": len(report.unset)}


def _bare(value: Any) -> int | float:
    return value if isinstance(value, float) else number(value)


def _why(report: Report) -> str:
    missing = f"layers without a rule: {len(report.uncounted)}" if report.uncounted else ""
    unset = f"sizes that values decide and that are not set: {len(report.unset)}" if report.unset else ""
    return ", ".join(filter(None, (missing, unset)))


def number(value: Dim, what: str = "a metric") -> int:
    """``value``. Raises ``OptionError`` where it is a symbol, which ``what`` has no place for."""
    if not isinstance(value, int):
        raise OptionError(f"{what} has numbers, and sizes of this model are symbols: {str(value)[:60]}; set them")
    return value


def bytes_of(bits: Dim) -> int | float:
    """``bits`` in bytes: whole, unless the elements are of a few bits.

    >>> bytes_of(64), bytes_of(20)
    (8, 2.5)
    """
    whole, rest = divmod(number(bits), 8)
    return whole + rest / 8 if rest else whole
