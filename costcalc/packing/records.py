"""What is packed, and what comes of it."""

from __future__ import annotations

from typing import Any

from costcalc.classes import NamedTuple


class Buffer(NamedTuple):
    """A tensor that needs ``bytes`` from step ``first`` to step ``last``, both of them included."""

    name: str
    first: int
    last: int
    bytes: int


class Packed(NamedTuple):
    """A tensor and the byte at which it begins."""

    name: str
    first: int
    last: int
    bytes: int
    offset: int


class Packing(NamedTuple):
    """Offsets for a set of tensors, and what is known of how good they are.

    tensors             each with its offset, as they were given
    arena_bytes         the bytes that all need together
    lower_bound_bytes   no packing needs fewer: the greatest load of a step, or more where a search proved it
    optimal             whether the arena is as small as can be: it equals the lower bound
    alignment           offsets and sizes are multiples of it
    capacity            the bytes that there are, if that was said
    method              what found it: a greedy order, an improved one, or a search
    """

    tensors: tuple[Packed, ...]
    arena_bytes: int
    lower_bound_bytes: int
    optimal: bool
    alignment: int = 1
    capacity: int | None = None
    method: str = ""

    @property
    def fits(self) -> bool | None:
        """Whether a packing within the capacity exists: this is one, or there is none; None where that is open."""
        if self.capacity is None:
            return None
        if self.arena_bytes <= self.capacity:
            return True
        return False if self.lower_bound_bytes > self.capacity else None

    @property
    def gap(self) -> float:
        """How far the arena may be from the best, as a part of the lower bound."""
        return self.arena_bytes / self.lower_bound_bytes - 1 if self.lower_bound_bytes else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {
            "arena_bytes": self.arena_bytes,
            "lower_bound_bytes": self.lower_bound_bytes,
            "optimal": self.optimal,
            **({"capacity_bytes": self.capacity, "fits": self.fits} if self.capacity is not None else {}),
            "alignment": self.alignment,
            "method": self.method,
            "tensors": [tensor._asdict() for tensor in self.tensors],
        }
