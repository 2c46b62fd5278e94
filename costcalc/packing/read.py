"""Tensors as a user gives them: rows with names of columns, or a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from costcalc.errors import CostcalcError, Location, OptionError, listing, near
from costcalc.packing.records import Buffer

KEYS = ("name", "first", "last", "bytes")
OTHER = {"id": "name", "lower": "first", "upper": "last", "size": "bytes"}
"""The columns of the published instances of minimalloc, whose ``upper`` is the step after the last."""
MOST_STEPS, MOST_BYTES, MOST_TENSORS, MOST_FILE = 10**12, 10**15, 100_000, 32 << 20


def buffers(rows: Iterable[Mapping[str, Any] | Buffer]) -> list[Buffer]:
    """Each of ``rows`` as a buffer; ``OptionError`` names the first that is none."""
    found: list[Buffer] = []
    seen: dict[str, int] = {}
    for i, row in enumerate(rows):
        if i >= MOST_TENSORS:
            raise OptionError(f"there are more than {MOST_TENSORS:,} tensors")
        where = f"tensors[{i}]"
        if isinstance(row, Buffer):
            row = row._asdict()
        if not isinstance(row, Mapping):
            raise OptionError(f"{where} is {_short(row)}; it must have {', '.join(KEYS)}")
        for key in row:
            if key not in KEYS:
                raise OptionError(f"{where}: unknown key {_short(key)}{near(str(key), KEYS)}; it has {listing(KEYS)}")
        missing = [key for key in KEYS if key not in row]
        if missing:
            raise OptionError(f"{where} has no {missing[0]}; it must have {', '.join(KEYS)}")
        name = row["name"]
        if not isinstance(name, str):
            raise OptionError(f"{where}: name must be text, not {_short(name)}")
        buffer = _checked(f"{where} ({_short(name)})", name, row["first"], row["last"], row["bytes"])
        if name in seen:
            raise OptionError(f"{where}: the name {_short(name)} is that of tensors[{seen[name]}] already")
        seen[name] = i
        found.append(buffer)
    return found


def _checked(where: str, name: str, first: Any, last: Any, size: Any) -> Buffer:
    for key, value, most in (("first", first, MOST_STEPS), ("last", last, MOST_STEPS), ("bytes", size, MOST_BYTES)):
        if type(value) is not int or not 0 <= value <= most:
            raise OptionError(f"{where}: {key} must be a whole number from 0 to {most:.0e}, not {_short(value)}")
    if last < first:
        raise OptionError(f"{where}: last is {last}, before first, which is {first}")
    return Buffer(name, first, last, size)


def from_csv(text: str, file: str = "") -> list[Buffer]:
    """The tensors of a CSV file with a line of names: ``name,first,last,bytes``, or ``id,lower,upper,size``.

    ``upper`` is the step after the last one. Other columns are left alone. An error names the line.
    """
    reader = csv.reader(io.StringIO(text))
    found: list[Buffer] = []
    lines: dict[str, int] = {}
    try:
        head = [column.strip().lower() for column in next(reader, [])]
        ours, theirs = all(key in head for key in KEYS), all(key in head for key in OTHER)
        if not ours and not theirs:
            shown = ", ".join(map(_short, head[:8])) or "nothing"
            raise CostcalcError(
                f"the first line must name the columns {', '.join(KEYS)} (or {', '.join(OTHER)}), but has {shown}",
                Location(file, 1),
            )
        at = [head.index(key) for key in (KEYS if ours else OTHER)]
        for fields in reader:
            if not any(fields):
                continue
            location = Location(file, reader.line_num)
            if len(fields) <= max(at):
                raise CostcalcError(f"this line has {len(fields)} columns, the first one {len(head)}", location)
            name, *texts = (fields[i].strip() for i in at)
            numbers = [
                _number(text, key, location)
                for text, key in zip(texts, KEYS[1:] if ours else [*OTHER][1:], strict=True)
            ]
            first, last, size = numbers
            if not ours and last <= first:
                raise CostcalcError(f"{_short(name)}: upper is {last}, not after lower, which is {first}", location)
            try:
                found.append(_checked(_short(name), name, first, last if ours else last - 1, size))
            except OptionError as error:
                raise error.at(location) from None
            if name in lines:
                raise CostcalcError(f"the name {_short(name)} is that of line {lines[name]} already", location)
            if len(found) > MOST_TENSORS:
                raise CostcalcError(f"there are more than {MOST_TENSORS:,} tensors", location)
            lines[name] = reader.line_num
    except csv.Error as error:
        raise CostcalcError(f"this is not a line of a CSV file ({error})", Location(file, reader.line_num)) from None
    return found


def from_file(file: str) -> list[Buffer]:
    """The tensors of the CSV file at ``file``. Raises ``CostcalcError`` for what cannot be read."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 (as it was written, also where it is not a path)
            content = opened.read(MOST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CostcalcError(f"{file[:200]} cannot be read: {reason}") from None
    if len(content) > MOST_FILE:
        raise CostcalcError(f"{file[:200]} is larger than {MOST_FILE >> 20} MiB")
    try:
        return from_csv(content.decode("utf-8-sig"), file[:200])
    except UnicodeDecodeError:
        raise CostcalcError(f"{file[:200]} is not text in UTF-8") from None


def _number(text: str, key: str, location: Location) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise CostcalcError(f"{key} must be a whole number, not {_short(text)}", location)
    return int(text)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
