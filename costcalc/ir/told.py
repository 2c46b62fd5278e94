"""Whole numbers that remember how they were made, so that a rule's own code yields the formula to show.

A ``Told`` is an int: rules take it as one. Beside its value it keeps two texts of the same form, in letters and in
numbers. The texts follow the code that ran, step by step; of a choice they show the branch that was taken.
"""

from __future__ import annotations

from typing import Any

SUM, QUOTIENT, PRODUCT, ATOM = range(4)
"""How tightly a text holds together; a looser one stands in brackets inside a tighter one."""


class Told(int):
    """An int with its formula.

    >>> h, k, s = Told.leaf(224, "h"), Told.leaf(7, "k"), Told.leaf(2, "s")
    >>> places = (h + 6 - k) // s + 1
    >>> places, places.text, places.numbers
    (112, '⌊(h + 6 − k)/s⌋ + 1', '⌊(224 + 6 − 7)/2⌋ + 1')
    """

    text: str
    numbers: str
    level: int
    parts: tuple[Any, ...]  # ("−", x) of a negative, ("−", a, b) of a difference, ("//", a, b) of a floor

    def __new__(cls, value: int, text: str, numbers: str, level: int, parts: tuple[Any, ...] = ()) -> Told:
        told = super().__new__(cls, value)
        told.text, told.numbers, told.level, told.parts = text, numbers, level, parts
        return told

    @classmethod
    def leaf(cls, value: int, text: str) -> Told:
        """``value``, called ``text``."""
        return cls(value, text, str(int(value)), ATOM)

    @classmethod
    def scaled(cls, size: int, factor: float, value: int) -> Told:
        """``value`` as the whole part of ``size`` times a decimal."""
        told = _told(size)
        text, numbers = _held(told, PRODUCT)
        return cls(value, f"⌊{text}·{factor}⌋", f"⌊{numbers}·{factor}⌋", ATOM)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 0:
            return self
        other = _told(other)
        if len(other.parts) == 2:
            return self - other.parts[1]
        if len(self.parts) == 3 and self.parts[0] == "−" and self.parts[2].text == other.text:
            return self.parts[1]  # a − p + p
        return _joined(int(self) + int(other), self, " + ", other, SUM, SUM)

    def __radd__(self, other: Any) -> Any:
        return NotImplemented if not isinstance(other, int) else self if other == 0 else _told(other) + self

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 0:
            return self
        other = _told(other)
        if len(other.parts) == 2:
            return self + other.parts[1]
        return _joined(int(self) - int(other), self, " − ", other, SUM, QUOTIENT, ("−", self, other))

    def __rsub__(self, other: Any) -> Any:
        return _told(other) - self if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other in (1, -1):
            return self if other == 1 else -self
        return _joined(int(self) * int(other), self, "·", _told(other), PRODUCT, PRODUCT)

    def __rmul__(self, other: Any) -> Any:
        if type(other) is int and other in (1, -1):
            return self if other == 1 else -self
        return _told(other) * self if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if type(other) is int and other == 1:
            return self
        return _divided(self, _told(other))

    def __rfloordiv__(self, other: Any) -> Any:
        return _divided(_told(other), self) if isinstance(other, int) else NotImplemented

    def __neg__(self) -> Told:
        if len(self.parts) == 2:
            return self.parts[1]  # type: ignore[no-any-return]
        if self.parts and self.parts[0] == "//" and len(self.parts[1].parts) == 2:
            above, below = self.parts[1].parts[1], self.parts[2]  # −⌊−a/b⌋
            fraction = _joined(-int(self), above, "/", below, QUOTIENT, ATOM)
            return Told(-int(self), f"⌈{fraction.text}⌉", f"⌈{fraction.numbers}⌉", ATOM)
        text, numbers = _held(self, PRODUCT)
        return Told(-int(self), f"−{text}", f"−{numbers}", SUM, ("−", self))

    def __index__(self) -> Told:
        return self

    def __hash__(self) -> int:
        return int.__hash__(self)


def _told(value: int) -> Told:
    return value if isinstance(value, Told) else Told.leaf(value, str(value))


def _divided(above: Told, below: Told) -> Told:
    value = int(above) // int(below)
    fraction = _joined(value, above, "/", below, QUOTIENT, ATOM)
    if above.level == ATOM and value * int(below) == int(above):
        return fraction  # channels by groups, heads: what is a letter by itself was required to divide
    return Told(value, f"⌊{fraction.text}⌋", f"⌊{fraction.numbers}⌋", ATOM, ("//", above, below))


def _joined(value: int, a: Told, sign: str, b: Told, level: int, inner: int, parts: tuple[Any, ...] = ()) -> Told:
    left, right = _held(a, level), _held(b, inner)
    return Told(value, f"{left[0]}{sign}{right[0]}", f"{left[1]}{sign}{right[1]}", level, parts)


def _held(told: Told, level: int) -> tuple[str, str]:
    """Both texts, in brackets unless they hold together at ``level``."""
    return (told.text, told.numbers) if told.level >= level else (f"({told.text})", f"({told.numbers})")
