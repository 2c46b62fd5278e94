"""Which layer of the old graph is which of the new one.

By structure, not only by name: layers are paired in rounds, each a longest common subsequence under a
looser notion of sameness than the one before, within the gaps that the rounds before it left. Which
notion should lead depends on what was edited (a renumbered model is told by its structure, a widened
one by its names), so every order in ``ORDERS`` is tried and the alignment that pairs most, and most
alike, is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from costcalc.difference.entries import Entry
from costcalc.difference.lcs import common

Pairs: TypeAlias = "list[tuple[int, int]]"


def _options(e: Entry) -> Any:
    return e.node.op if e.node else e.op


SAME: dict[str, Callable[[Entry], Any]] = {
    "all": lambda e: (e.name, _options(e), e.takes, e.makes),
    "structure": lambda e: (_options(e), e.takes, e.makes),
    "name and options": lambda e: (e.name, _options(e)),
    "options": _options,
    "name and op": lambda e: (e.name, e.op),
    "kind": lambda e: (e.op, e.kind),
    "op": lambda e: e.op,
    "name": lambda e: e.name,
}
"""What two layers must agree in."""

ORDERS = (
    ("all", "structure", "name and options", "name and op", "options", "kind", "op", "name"),
    ("structure", "options", "name and options", "name and op", "kind", "op", "name"),
    ("all", "name and options", "name and op", "structure", "options", "kind", "op", "name"),
)


def align(old: list[Entry], new: list[Entry]) -> Pairs:
    """Pairs of indices into ``old`` and ``new``, rising in both.

    Layers of different ops are paired only where they have the same name: one took the other's place.
    """
    tokens = {}
    for same, key in SAME.items():
        numbers: dict[Any, int] = {}
        tokens[same] = (
            [numbers.setdefault(key(e), len(numbers)) for e in old],
            [numbers.setdefault(key(e), len(numbers)) for e in new],
        )
    best: Pairs = []
    score = -1
    most = 8 * min(len(old), len(new))
    for order in ORDERS:
        pairs = _in_rounds([tokens[same] for same in order], len(old), len(new))
        reached = sum(_likeness(old[i], new[j]) for i, j in pairs)
        if reached > score:
            best, score = pairs, reached
        if score == most:
            break
    return best


def _in_rounds(rounds: list[tuple[list[int], list[int]]], n: int, m: int) -> Pairs:
    pairs: Pairs = []
    for a, b in rounds:
        found: Pairs = []
        i = j = 0
        for end_i, end_j in (*pairs, (n, m)):
            if i < end_i and j < end_j:
                found += [(i + x, j + y) for x, y in common(a[i:end_i], b[j:end_j])]
            if end_i < n or end_j < m:
                found.append((end_i, end_j))
            i, j = end_i + 1, end_j + 1
        pairs = found
    return pairs


def _likeness(a: Entry, b: Entry) -> int:
    """How much two paired layers agree in, up to 8."""
    alike = 1 + 2 * (a.name == b.name)
    if _options(a) == _options(b):
        alike += 2 + 2 * (a.takes == b.takes) + (a.makes == b.makes)
    return alike if a.op == b.op else 1


def repeats(entries: list[Entry], start: int, end: int) -> bool:
    """Whether the layers from ``start`` to ``end`` repeat those next to them: one more turn of a stage.

    There is a period, no longer than the run, at which each layer equals the one before it, or each
    the one after it, in op, shapes and figures.
    """
    if _turns(entries, start, end):
        return True
    mirrored = entries[start : 2 * end - start][::-1]
    return _turns(mirrored, len(mirrored) - (end - start), len(mirrored))


def _turns(entries: list[Entry], start: int, end: int) -> bool:
    tokens = [
        (e.op, e.takes, e.makes, e.contribution["macs"], e.contribution["ops"])
        for e in entries[max(0, 2 * start - end) : end]
    ]
    length = end - start
    run = tokens[-length:]
    return any(
        tokens[-length - period] == run[0] and tokens[-length - period : len(tokens) - period] == run
        for period in range(1, len(tokens) - length + 1)
    )
