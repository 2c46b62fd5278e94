"""Records as JSON: a key a line, a record of a list a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from costcalc.backends import escape


def written(record: dict[str, Any]) -> str:
    """``record`` as JSON, a key a line; of lists of records a record a line."""
    parts = []
    for key, value in record.items():
        rows = isinstance(value, Iterator) or (isinstance(value, list) and value and isinstance(value[0], dict))
        lines = [*_lines(value)] if rows else []
        shown = "[\n  " + ",\n  ".join(lines) + "\n ]" if lines else "[]" if rows else escape.json(value)
        parts.append(f" {escape.json(key)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each of ``records`` as JSON. What several of them have, as an object, is written out once."""
    heads: dict[str, str] = {}
    known: dict[int, tuple[str, Any]] = {}
    for record in records:
        parts = []
        for key, value in record.items():
            head = heads.get(key)
            if head is None:
                head = heads[key] = f"{escape.json(key)}: "
            if type(value) is int:
                parts.append(f"{head}{value}")
            elif type(value) is str:
                parts.append(head + escape.json(value))
            else:
                text = known.get(id(value))
                if text is None:  # the value is kept, lest another gets its number
                    text = known[id(value)] = escape.json(value), value
                parts.append(head + text[0])
        yield "{" + ", ".join(parts) + "}"
