"""What ``memory`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple, dataclass

if TYPE_CHECKING:
    from costcalc.backends.plots.attached import MemoryPlots

SCHEMA = 1
"""The version of the JSON."""


class ArenaTensor(NamedTuple):
    """One buffer: its bytes, the first and the last step at which it is needed (both inclusive), and its place."""

    name: str
    bytes: int
    first: int
    last: int
    offset: int | None = None


class EngineStep(NamedTuple):
    """One step of the engine: the layer, the first of those that it joins, and the bytes that live meanwhile."""

    layer: str
    bytes: int


class Hint(NamedTuple):
    """One change of the network or of how it is run, which was planned: ``bytes`` is what it then takes.

    description  in words: ``block1.add in place``
    saves        bytes that it takes less
    layers       the layers that are changed; of another order the order itself
    """

    description: str
    saves: int
    bytes: int
    layers: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, strings and numbers."""
        return {"says": self.description, "saves": self.saves, "bytes": self.bytes, "layers": list(self.layers)}


class PatchPlan(NamedTuple):
    """The stage that needs least with so many patches: ``grid``² of them, up to ``layer``.

    peak_bytes   the most that lives, in the stage and after it
    macs         of the whole network, with those that are done again
    again        those of them
    """

    grid: int
    layer: str
    peak_bytes: int
    macs: int
    again: int


@dataclass(frozen=True, repr=False)
class Memory:
    """What an engine holds; ``to_dict`` is the JSON of ``docs/memory.md``. All sizes are bytes.

    peak_bytes          the most that lives at once
    at                  the step at which that is, by its layer
    lower_bound_bytes   no plan for the same rules can take less
    optimal             whether what is held is proved to be the least: the bound is met
    arena_bytes         one block that has room for all, by the offsets; None of an engine that has no such block
    weights_bytes       the model's weights, in memory or in flash
    upper_bound_bytes   with the copies that kernels may make, where the engine has a rule for them; else None
    patches             the first layers by patches, for engines that can: what then lives, and what is done again
    hints               changes that would help, each planned, where they were asked for
    applied             the transforms that made of the model what was planned, in their order
    notes               what the rules took for granted
    """

    name: str
    engine: str
    bits: int | None
    peak_bytes: int
    at: str
    lower_bound_bytes: int
    optimal: bool
    arena_bytes: int | None
    weights_bytes: int
    tensors: tuple[ArenaTensor, ...]
    steps: tuple[EngineStep, ...]
    upper_bound_bytes: int | None = None
    patches: tuple[PatchPlan, ...] = ()
    hints: tuple[Hint, ...] = ()
    applied: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        from costcalc.backends.memory.text import line

        return line(self)

    def __str__(self) -> str:
        from costcalc.backends.escape import console
        from costcalc.backends.memory.text import table

        return console(table(self, 80, False))

    def _repr_html_(self) -> str:
        from costcalc.backends.report.html import preformatted

        return preformatted(str(self))

    @property
    def needed_bytes(self) -> int:
        """What the activations take: the arena, or where there is none the peak."""
        return self.peak_bytes if self.arena_bytes is None else self.arena_bytes

    @property
    def plot(self) -> MemoryPlots:
        """Pictures, as matplotlib figures: ``memory.plot.memory()``."""
        from costcalc.backends.plots.attached import MemoryPlots

        return MemoryPlots(self)

    @property
    def peak_step(self) -> int:
        """The first step at which the most lives."""
        return max(range(len(self.steps)), key=lambda i: self.steps[i].bytes)

    def alive(self, step: int) -> list[ArenaTensor]:
        """The tensors that live at ``step``, the largest first."""
        there = [t for t in self.tensors if t.first <= step <= t.last and t.bytes]
        return sorted(there, key=lambda t: (-t.bytes, t.first, t.name))

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        bound = self.upper_bound_bytes
        return {
            "schema": SCHEMA,
            "model": self.name,
            "engine": self.engine,
            "bits": self.bits,
            **({"apply": list(self.applied)} if self.applied else {}),
            "peak_bytes": self.peak_bytes,
            "at": self.at,
            "lower_bound_bytes": self.lower_bound_bytes,
            "optimal": self.optimal,
            "arena_bytes": self.arena_bytes,
            "weights_bytes": self.weights_bytes,
            **({"upper_bound_bytes": bound} if bound is not None else {}),
            "tensors": [t._asdict() for t in self.tensors],
            "steps": [s._asdict() for s in self.steps],
            **({"patches": [p._asdict() for p in self.patches]} if self.patches else {}),
            **({"hints": [h.to_dict() for h in self.hints]} if self.hints else {}),
            "notes": list(self.notes),
        }
