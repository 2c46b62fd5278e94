"""Configurations of Hugging Face as they are read: JSON, within bounds of what building their models takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.reading.json import json_object


class LimitedCount(NamedTuple):
    """The most of something that one key may ask for, and how such keys are called."""

    most: int
    what: str
    keys: re.Pattern[str]


LIMITED = (
    # 5 seconds of work, where the largest of transformers' own have 128.
    LimitedCount(500, "layers", re.compile(r"(?:^|_)(?:layers?|depths?|blocks?)$")),
    # Some models list them in memory; 10 million are the most that are in use.
    LimitedCount(1 << 24, "positions", re.compile(r"(?:^|_)positions?(?:_embeddings)?$")),
    # Each is given a name.
    LimitedCount(1 << 20, "labels", re.compile(r"^num_labels$")),
)


def configuration(path: str, most: int) -> dict[str, Any]:
    """The configuration in the file at ``path``.

    Raises ``SpecError`` for what is none, has more than ``most`` bytes, or asks for more than is built.
    """
    raw = json_object(path, most)
    for key, count in _counts(raw):
        for bound in LIMITED:
            if count > bound.most and bound.keys.search(key):
                says = f"{key[:80]} asks for {count:,} {bound.what}; at most {bound.most:,} are built"
                raise SpecError(says, Location(path))
    return raw


def _counts(value: Any) -> Iterator[tuple[str, int]]:
    """Each key with a whole number, at any depth; of depths, which are a list, their sum."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                if type(inner) is int:
                    yield key, inner
                elif isinstance(inner, list) and key.endswith("depths"):
                    yield key, sum(n for n in inner if type(n) is int)
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
