"""Whole numbers that remember how they were made, so that a rule's own code yields the formula to show.

A ``TracedInt`` is an int: rules take it as one. Beside its value it keeps two texts of the same form, in letters and in
numbers. The texts follow the code that ran, step by step; of a choice they show the branch that was taken.
"""

from __future__ import annotations

from typing import Any

SUM, QUOTIENT, PRODUCT, ATOM = range(4)
"""How tightly a text holds together; a looser one stands in brackets inside a tighter one."""


class TracedInt(int):
    """An int with its formula.

    >>> h, k, s = TracedInt.leaf(224, "h"), TracedInt.leaf(7, "k"), TracedInt.leaf(2, "s")
    >>> places = (h + 6 - k) // s + 1
    >>> places, places.text, places.numbers
    (112, '⌊(h + 6 − k)/s⌋ + 1', '⌊(224 + 6 − 7)/2⌋ + 1')
    """

    text: str
    numbers: str
    level: int
    parts: tuple[Any, ...]  # ("−", x) of a negative, ("−", a, b) of a difference, ("//", a, b) of a floor

    def __new__(cls, value: int, text: str, numbers: str, level: int, parts: tuple[Any, ...] = ()) -> TracedInt:
        made = super().__new__(cls, value)
        made.text, made.numbers, made.level, made.parts = text, numbers, level, parts
        return made

    @classmethod
    def leaf(cls, value: int, text: str) -> TracedInt:
        """``value``, called ``text``."""
        return cls(value, text, str(int(value)), ATOM)

    @classmethod
    def scaled(cls, size: int, factor: float, value: int) -> TracedInt:
        """``value`` as the whole part of ``size`` times a decimal."""
        made = _traced(size)
        text, numbers = _held(made, PRODUCT)
        return cls(value, f"⌊{text}·{factor}⌋", f"⌊{numbers}·{factor}⌋", ATOM)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 0:
            return self
        other = _traced(other)
        if len(other.parts) == 2:
            return self - other.parts[1]
        if len(self.parts) == 3 and self.parts[0] == "−" and self.parts[2].text == other.text:
            return self.parts[1]  # a − p + p
        return _joined(int(self) + int(other), self, " + ", other, SUM, SUM)

    def __radd__(self, other: Any) -> Any:
        return NotImplemented if not isinstance(other, int) else self if other == 0 else _traced(other) + self

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 0:
            return self
        other = _traced(other)
        if len(other.parts) == 2:
            return self + other.parts[1]
        return _joined(int(self) - int(other), self, " − ", other, SUM, QUOTIENT, ("−", self, other))

    def __rsub__(self, other: Any) -> Any:
        return _traced(other) - self if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other in (1, -1):
            return self if other == 1 else -self
        return _joined(int(self) * int(other), self, "·", _traced(other), PRODUCT, PRODUCT)

    def __rmul__(self, other: Any) -> Any:
        if type(other) is int and other in (1, -1):
            return self if other == 1 else -self
        return _traced(other) * self if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 1:
            return self
        return _divided(self, _traced(other))

    def __rfloordiv__(self, other: Any) -> Any:
        return _divided(_traced(other), self) if isinstance(other, int) else NotImplemented

    def __neg__(self) -> TracedInt:
        if len(self.parts) == 2:
            return self.parts[1]  # type: ignore[no-any-return]
        if self.parts and self.parts[0] == "//" and len(self.parts[1].parts) == 2:
            above, below = self.parts[1].parts[1], self.parts[2]  # −⌊−a/b⌋
            fraction = _joined(-int(self), above, "/", below, QUOTIENT, ATOM)
            return TracedInt(-int(self), f"⌈{fraction.text}⌉", f"⌈{fraction.numbers}⌉", ATOM)
        text, numbers = _held(self, PRODUCT)
        return TracedInt(-int(self), f"−{text}", f"−{numbers}", SUM, ("−", self))

    def __index__(self) -> TracedInt:
        return self

    def __hash__(self) -> int:
        return int.__hash__(self)


def _traced(value: int) -> TracedInt:
    return value if isinstance(value, TracedInt) else TracedInt.leaf(value, str(value))


def _divided(above: TracedInt, below: TracedInt) -> TracedInt:
    value = int(above) // int(below)
    fraction = _joined(value, above, "/", below, QUOTIENT, ATOM)
    if above.level == ATOM and value * int(below) == int(above):
        return fraction  # channels by groups, heads: what is a letter by itself was required to divide
    return TracedInt(value, f"⌊{fraction.text}⌋", f"⌊{fraction.numbers}⌋", ATOM, ("//", above, below))


def _joined(
    value: int, a: TracedInt, sign: str, b: TracedInt, level: int, inner: int, parts: tuple[Any, ...] = ()
) -> TracedInt:
    left, right = _held(a, level), _held(b, inner)
    return TracedInt(value, f"{left[0]}{sign}{right[0]}", f"{left[1]}{sign}{right[1]}", level, parts)


def _held(made: TracedInt, level: int) -> tuple[str, str]:
    """Both texts, in brackets unless they hold together at ``level``."""
    return (made.text, made.numbers) if made.level >= level else (f"({made.text})", f"({made.numbers})")
