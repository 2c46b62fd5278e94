"""What was worked out for one model and holds for the next: what an op makes of types, and what it costs."""

from __future__ import annotations

from typing import Any

MOST = 16_384
"""Entries of one kind that stay in memory; all shipped models have about 11,000 different layers."""

_KEPT: dict[str, tuple[object, dict[Any, Any]]] = {}


class Memo:
    """Values by key: ``kept`` from one model to the next, within bounds, and ``own`` for as long as this lives.

    what    the kind of value
    under   what they depend on beside their keys: with another, all are forgotten
    """

    __slots__ = ("kept", "own")

    def __init__(self, what: str, under: object = None) -> None:
        known, kept = _KEPT.get(what, (None, {}))
        if known != under or len(kept) >= MOST:
            kept = {}  # a new one: whoever uses the other goes on with it
        self.kept: dict[Any, Any] = kept
        self.own: dict[Any, Any] = {}
        _KEPT[what] = under, kept

    def get(self, key: Any) -> Any:
        """The value of ``key``, or None."""
        found = self.kept.get(key)
        return self.own.get(key) if found is None else found

    def put(self, key: Any, value: Any) -> None:
        """Keep ``value``, which is not None."""
        (self.kept if len(self.kept) < MOST else self.own)[key] = value


def forget() -> None:
    """Drop all that is kept, as where a rule was put in another's place."""
    _KEPT.clear()
