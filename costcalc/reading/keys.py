"""Mappings of which the keys are known: the value of each, or a sentence that names the nearest."""

from __future__ import annotations

import collections.abc

from costcalc.errors import SpecError, listing, near
from costcalc.reading.tree import Mapping, Tree


def by_key(
    tree: Tree,
    what: str,
    known: collections.abc.Collection[str],
    elsewhere: collections.abc.Mapping[str, str] | None = None,
) -> dict[str, Tree]:
    """The values of a mapping by key. ``what`` is what it says, for a sentence: "a machine".

    Raises ``SpecError`` where it is none, and for a key that is not ``known``, with how ``elsewhere`` has it written.
    """
    if not isinstance(tree, Mapping):
        raise SpecError(f"{what} has keys: {listing(known)}", tree.location)
    found: dict[str, Tree] = {}
    for key, value in tree.pairs:
        if key.text not in known:
            there = (elsewhere or {}).get(key.text)
            hint = f"; it is written {there}" if there else near(key.text, known)
            raise SpecError(f"{what} has no '{key.text[:80]}'{hint}; it has {listing(known)}", key.location)
        found[key.text] = value
    return found
