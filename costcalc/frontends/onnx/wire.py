"""The wire format of protocol buffers, read where it lies: a message is a stretch of the file, and what is not asked
for is stepped over.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from costcalc.errors import CostcalcError
from costcalc.reading.files import Data

Span: TypeAlias = "tuple[int, int]"
"""Where something lies: its first byte and the one after its last."""
Fields: TypeAlias = "dict[int, list[int | Span]]"
"""The fields of a message by number, in their order: a number, or where the bytes lie."""

MOST_FIELDS = 1_000_000
"""Fields of one message."""


class DamagedFile(CostcalcError):
    """A file that is not what it should be."""


def message(data: Data, span: Span) -> Fields:
    """The fields of the message at ``span``. Raises ``DamagedFile`` where they do not fit in it."""
    at, end = span
    found: Fields = {}
    count = 0
    try:
        while at < end:
            key = data[at]
            at += 1
            if key > 127:
                key, at = _varint(data, at - 1)
            kind = key & 7
            value: int | Span
            if kind == 2:
                size = data[at]
                at += 1
                if size > 127:
                    size, at = _varint(data, at - 1)
                value = (at, at + size)
                at += size
            elif kind == 0:
                value, at = _varint(data, at)
            elif kind == 5 or kind == 1:
                size = 4 if kind == 5 else 8
                value = (at, at + size)
                at += size
            else:
                raise DamagedFile(f"there is no field of kind {kind}, as byte {at - 1:,} says")
            held = found.get(key >> 3)
            if held is None:
                found[key >> 3] = [value]
            else:
                held.append(value)
            count += 1
            if count > MOST_FIELDS:
                raise DamagedFile(f"a message at byte {span[0]:,} has more than {MOST_FIELDS:,} parts")
    except IndexError:
        at = end + 1
    if at > end:
        raise DamagedFile(f"it is cut off, or not such a file: what begins at byte {span[0]:,} goes beyond its end")
    return found


def _varint(data: Data, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise DamagedFile(f"a number at byte {at:,} has more than 64 bits")


def signed(value: int | Span) -> int:
    """A varint as an int64."""
    if isinstance(value, tuple):
        raise DamagedFile(f"at byte {value[0]:,} a number should stand")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def integers(data: Data, values: list[int | Span], most: int) -> list[int]:
    """A repeated int64, packed or not. Raises ``DamagedFile`` for more than ``most``."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(signed(value))
            continue
        at, end = value
        while at < end:
            number, at = _varint(data, at)
            found.append(signed(number))
            if len(found) > most:
                raise DamagedFile(f"at byte {value[0]:,} there are more than {most:,} numbers")
        if at > end:
            raise DamagedFile(f"numbers at byte {value[0]:,} go beyond their end")
    return found


def floats(data: Data, values: list[int | Span], most: int) -> list[float]:
    """A repeated float32, packed or not."""
    found: list[float] = []
    for value in values:
        if isinstance(value, int) or (value[1] - value[0]) % 4:
            raise DamagedFile("floating-point numbers have four bytes each")
        if len(found) + (value[1] - value[0]) // 4 > most:
            raise DamagedFile(f"at byte {value[0]:,} there are more than {most:,} numbers")
        found += struct.unpack(f"<{(value[1] - value[0]) // 4}f", data[value[0] : value[1]])
    return found


MOST_TEXT = 10_000
"""Bytes of a name or a text that is read."""


def text(data: Data, value: int | Span) -> str:
    """A string; what is not UTF-8 in it is marked. Raises ``DamagedFile`` for one that is not a name."""
    if isinstance(value, int):
        raise DamagedFile("a number stands where a text should")
    if value[1] - value[0] > MOST_TEXT:
        raise DamagedFile(f"the text at byte {value[0]:,} has {value[1] - value[0]:,} bytes")
    return data[value[0] : value[1]].decode("utf-8", "replace")


def spans(values: list[int | Span] | None) -> list[Span]:
    """Where the messages, or strings, of a repeated field lie."""
    if not values:
        return []
    for value in values:
        if isinstance(value, int):
            raise DamagedFile("a number stands where a message should")
    return values  # type: ignore[return-value]
