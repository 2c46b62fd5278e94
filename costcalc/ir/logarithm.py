"""Rounded logarithms of symbols: the steps of a sort, of a fast Fourier transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.ir.expr import Expr, Known, _Atom


class Log2(_Atom):
    """⌈log₂ of⌉."""

    __slots__ = ("of",)

    def __init__(self, of: Expr) -> None:
        self.of = of
        self._text = f"⌈log₂({of})⌉"
        self.symbols = frozenset(of.symbols)

    def at(self, values: Mapping[str, Any], known: Known) -> int | Expr:
        """Its value at ``values``."""
        from costcalc.ir.dims import log2_ceil

        return log2_ceil(self.of.at(values, known))
