"""What an engine holds, step by step, and in what the peak consists."""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.planning.records import ArenaTensor, Memory


class Timeline(NamedTuple):
    """The bytes that live at each step of an engine.

    layers   what each step does, by the first layer that it joins
    held     bytes that live meanwhile
    peak     the first step at which most lives
    alive    the tensors of that step, the largest first
    bars     each tensor that is larger than none, from its first to its last step: for a picture of lives
    arena    bytes of one block that has room for all; None of an engine that has none
    bound    bytes below which no plan for the same rules can go
    """

    layers: tuple[str, ...]
    held: tuple[int, ...]
    peak: int
    alive: tuple[ArenaTensor, ...]
    bars: tuple[ArenaTensor, ...]
    arena: int | None
    bound: int


def timeline(memory: Memory) -> Timeline:
    """The timeline of what ``costcalc.memory`` found."""
    steps = memory.steps
    peak = memory.peak_step if steps else 0
    return Timeline(
        tuple(step.layer for step in steps),
        tuple(step.bytes for step in steps),
        peak,
        tuple(memory.alive(peak)),
        tuple(t for t in memory.tensors if t.bytes),
        memory.arena_bytes,
        memory.lower_bound_bytes,
    )
