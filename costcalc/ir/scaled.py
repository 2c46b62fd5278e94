"""Symbols times a decimal, rounded down as floating-point numbers are: the sizes that a resize makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.ir.expr import Expr, Known, _Atom


class Scaled(_Atom):
    """⌊of · factor⌋ in double precision."""

    __slots__ = ("factor", "of")

    def __init__(self, of: Expr, factor: float) -> None:
        self.of, self.factor = of, factor
        text = str(of)
        self._text = f"⌊{factor!r}·{text if text.isidentifier() else f'({text})'}⌋"
        self.symbols = frozenset(of.symbols)

    def at(self, values: Mapping[str, Any], known: Known) -> int | Expr:
        """Its value at ``values``."""
        from costcalc.ir.dims import scaled

        return scaled(self.of.at(values, known), self.factor)
