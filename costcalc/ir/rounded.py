"""Symbols that are rounded: the logarithms of a sort or of a fast Fourier transform, the sizes of a resize."""

from __future__ import annotations

from costcalc.ir.expr import Expr, OtherAtom


class Log2(OtherAtom):
    """⌈log₂ of⌉."""

    __slots__ = ("of",)

    def __init__(self, of: Expr) -> None:
        self.of = of
        self._text = f"⌈log₂({of})⌉"
        self.symbols = frozenset(of.symbols)


class Scaled(OtherAtom):
    """⌊of · factor⌋ in double precision."""

    __slots__ = ("factor", "of")

    def __init__(self, of: Expr, factor: float) -> None:
        self.of, self.factor = of, factor
        text = str(of)
        self._text = f"⌊{factor!r}·{text if text.isidentifier() else f'({text})'}⌋"
        self.symbols = frozenset(of.symbols)
