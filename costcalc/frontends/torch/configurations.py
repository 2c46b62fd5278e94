"""Configurations of Hugging Face as they are read: JSON, within bounds of what building their models takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from costcalc.errors import Location, SpecError
from costcalc.reading.json import json_object

MOST_LAYERS, MOST_POSITIONS = 500, 1 << 24
"""That one key asks for: 500 layers are 5 seconds of work, where the largest of transformers' own have 128; and of
positions, which some models list in memory, 10 million are the most that are in use."""
_LAYERS = re.compile(r"(?:^|_)(?:layers?|depths?|blocks?)$")
_POSITIONS = re.compile(r"(?:^|_)positions?(?:_embeddings)?$")


def configuration(path: str, most: int) -> dict[str, Any]:
    """The configuration in the file at ``path``.

    Raises ``SpecError`` for what is none, has more than ``most`` bytes, or asks for more than is built.
    """
    raw = json_object(path, most)
    for key, count in _counts(raw):
        if _LAYERS.search(key) and count > MOST_LAYERS:
            raise SpecError(f"{key[:80]} asks for {count:,} layers; at most {MOST_LAYERS} are built", Location(path))
        if _POSITIONS.search(key) and count > MOST_POSITIONS:
            says = f"{key[:80]} asks for {count:,} positions; at most {MOST_POSITIONS:,} are taken"
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
