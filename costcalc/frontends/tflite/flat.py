"""The tables of a FlatBuffer, read where they lie in a mapped file; every offset is checked.

A table begins with the distance back to its list of fields; a field is a number in the table, or the distance on to a
vector, a text or another table. A stranger's file may say anything there, so each read is held to the file's length.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Any

from costcalc.errors import Location, SpecError

_I8, _U8, _U16 = Struct("<b"), Struct("<B"), Struct("<H")
_I32, _U32, _I64, _U64, _F32 = Struct("<i"), Struct("<I"), Struct("<q"), Struct("<Q"), Struct("<f")
MOST_TEXT = 4096
"""Bytes of a text that are read; names are shorter."""


class Flat:
    """The bytes of a file.

    Raises ``SpecError`` where an offset leads out of it.
    """

    def __init__(self, data: Any, shown: str) -> None:
        self.data, self.shown, self.length = data, shown, len(data)

    def broken(self, what: str = "an offset leads out of the file") -> SpecError:
        """The error of a file that is cut off or damaged."""
        return SpecError(f"this TFLite file is damaged or cut off: {what}", Location(self.shown))

    def number(self, form: Struct, at: int) -> Any:
        """The number of ``form`` at ``at``."""
        if at < 0:
            raise self.broken()
        try:
            return form.unpack_from(self.data, at)[0]
        except error:
            raise self.broken() from None

    def root(self) -> FlatTable:
        """The table that the file begins with."""
        return FlatTable(self, self.number(_U32, 0))

    def follow(self, at: int) -> int:
        """Where the distance that stands at ``at`` leads."""
        return at + int(self.number(_U32, at))


class FlatTable:
    """A table at ``at``; a field is asked for by its number in the schema."""

    __slots__ = ("_at", "_fields", "_flat", "_size")

    def __init__(self, flat: Flat, at: int) -> None:
        self._flat, self._at = flat, at
        self._fields = at - flat.number(_I32, at)
        self._size = flat.number(_U16, self._fields)

    def _where(self, field: int) -> int:
        """Where ``field`` stands; 0 if the table does not have it."""
        slot = 4 + 2 * field
        if slot + 2 > self._size:
            return 0
        offset: int = self._flat.number(_U16, self._fields + slot)
        return self._at + offset if offset else 0

    def _number(self, form: Struct, field: int, default: Any) -> Any:
        at = self._where(field)
        return self._flat.number(form, at) if at else default

    def byte(self, field: int, default: int = 0) -> int:
        """A number of one byte with a sign."""
        return self._number(_I8, field, default)  # type: ignore[no-any-return]

    def kind(self, field: int) -> int:
        """Which table a union holds."""
        return self._number(_U8, field, 0)  # type: ignore[no-any-return]

    def flag(self, field: int, default: bool = False) -> bool:
        """A truth value."""
        return bool(self._number(_U8, field, int(default)))

    def whole(self, field: int, default: int = 0) -> int:
        """A number of four bytes with a sign."""
        return self._number(_I32, field, default)  # type: ignore[no-any-return]

    def count(self, field: int) -> int:
        """A number of four bytes without a sign."""
        return self._number(_U32, field, 0)  # type: ignore[no-any-return]

    def long(self, field: int) -> int:
        """A number of eight bytes without a sign."""
        return self._number(_U64, field, 0)  # type: ignore[no-any-return]

    def real(self, field: int, default: float = 0.0) -> float:
        """A floating-point number."""
        return self._number(_F32, field, default)  # type: ignore[no-any-return]

    def text(self, field: int) -> str:
        """A text; at most so much of it as is read."""
        start, length = self.span(field, 1)
        data = self._flat.data[start : start + min(length, MOST_TEXT)]
        return bytes(data).decode("utf-8", errors="replace")

    def table(self, field: int) -> FlatTable | None:
        """Another table, if there is one."""
        at = self._where(field)
        return FlatTable(self._flat, self._flat.follow(at)) if at else None

    def span(self, field: int, width: int) -> tuple[int, int]:
        """Where the elements of a vector begin, each of ``width`` bytes, and how many there are; all in the file."""
        at = self._where(field)
        if not at:
            return 0, 0
        start = self._flat.follow(at)
        length: int = self._flat.number(_U32, start)
        if start + 4 + length * width > self._flat.length:
            raise self._flat.broken(f"a list of {length:,} goes beyond its end")
        return start + 4, length

    def ints(self, field: int, most: int) -> tuple[int, ...]:
        """A vector of numbers of four bytes with a sign, at most ``most`` of them."""
        start, length = self.span(field, 4)
        if length > most:
            raise self._flat.broken(f"a list has {length:,} numbers where at most {most:,} make sense")
        return Struct(f"<{length}i").unpack_from(self._flat.data, start) if length else ()

    def longs(self, field: int, most: int) -> tuple[int, ...]:
        """A vector of numbers of eight bytes with a sign, at most ``most`` of them."""
        start, length = self.span(field, 8)
        if length > most:
            raise self._flat.broken(f"a list has {length:,} numbers where at most {most:,} make sense")
        return Struct(f"<{length}q").unpack_from(self._flat.data, start) if length else ()

    def tables(self, field: int, most: int, what: str) -> list[FlatTable]:
        """A vector of tables, at most ``most`` of them."""
        start, length = self.span(field, 4)
        if length > most:
            raise SpecError(f"the file has {length:,} {what}; at most {most:,} are read", Location(self._flat.shown))
        return [FlatTable(self._flat, self._flat.follow(start + 4 * i)) for i in range(length)]


def numbers(data: Any, start: int, count: int, width: int) -> tuple[int, ...]:
    """``count`` whole numbers of ``width`` bytes, which lie in ``data`` from ``start``."""
    letter = {1: "b", 2: "h", 4: "i", 8: "q"}[width]
    found: tuple[int, ...] = Struct(f"<{count}{letter}").unpack_from(data, start)
    return found
