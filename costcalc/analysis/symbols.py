"""Symbols: the sizes of a model that stay open, by the words that ask for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from costcalc.analysis.axes import TOKENS
from costcalc.classes import NamedTuple
from costcalc.ir.expr import Expr

LETTERS = {
    "batch": "n", "depth": "d", "frames": "t", "height": "h", "width": "w", "length": "l", "tokens": "s",
}  # fmt: skip
"""What formulas call each size that a word stands for."""
SQUARE = "size"
"""Height and width as one symbol."""
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "width": ("width", "length"), "frames": ("frames", "depth"), "length": ("length", TOKENS),
}  # fmt: skip
"""The axes that a word may mean, where they are not only the one of that name."""
PARAMETER = "parameter"
ANY = "input"
"""Any input, before a dot."""


class Symbols(NamedTuple):
    """What stays open.

    batch        the symbol of the batch, or None
    sizes        by input, the symbol of an axis
    parameters   the names of parameters, each its own symbol
    values       what each symbol is in the model as it stands
    words        by what each symbol was asked for
    notes        what was asked for and is not there, each a sentence
    called       of an exported program, the symbol of each open size by PyTorch's name for it
    """

    batch: str | None
    sizes: Mapping[str, Mapping[int, Expr]]
    parameters: tuple[str, ...]
    values: Mapping[str, int]
    words: Mapping[str, str]
    notes: tuple[str, ...] = ()
    called: Mapping[str, str] = {}

    def blamed(self, message: str) -> str:
        """What to do about ``message``, of what cannot be with symbols and can with numbers."""
        met = [word for name, word in self.words.items() if re.search(rf"\b{re.escape(name)}\b", message)]
        return f"{', or' if ';' in message else ';'} leave {' or '.join(met or self.words.values())} out of the symbols"
