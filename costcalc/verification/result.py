"""What a verification found: how much agreed, and each disagreement with whose it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from costcalc.classes import NamedTuple, dataclass, field

SCHEMA = 1
"""The version of the JSON; it grows when a figure changes its meaning or goes away."""


@dataclass(frozen=True)
class Disagreement:
    """A figure of ours that a witness does not confirm and that no known fault of the witness explains.

    check     the heading that it belongs to: ``output shapes``
    layer     dotted name; empty for the whole model
    """

    check: str
    layer: str
    ours: str
    theirs: str
    witness: str


class Difference(NamedTuple):
    """A known fault of a witness, and what it adds to (or, negative, leaves out of) the count.

    factor    what it counts for one element
    """

    reason: str
    amount: int
    factor: int
    layers: tuple[str, ...]

    def __str__(self) -> str:
        size = abs(self.amount)
        return f"{size:,}" if self.factor == 1 else f"{self.factor}·{size // self.factor:,}"


@dataclass(frozen=True)
class Tally:
    """A witness's count of the whole model, taken apart: ``total`` = ``ours`` + differences + ``remainder``.

    total   as the witness gives it, in MACs or ``elements``
    ours    our count
    """

    witness: str
    total: int
    ours: int
    differences: tuple[Difference, ...]
    unit: str = "MACs"

    @property
    def remainder(self) -> int:
        """What nothing explains."""
        return self.total - self.ours - sum(d.amount for d in self.differences)

    @property
    def terms(self) -> tuple[str, ...]:
        """The sum, term by term: ``4,089,184,256 MACs``, ``+ 2·11,113,984 batch norm``, …"""
        terms = [f"{self.ours:,} {self.unit}"]
        terms += [f"{'+' if d.amount > 0 else '−'} {d} {d.reason}" for d in self.differences]
        if self.remainder:
            terms.append(f"{'+' if self.remainder > 0 else '−'} {abs(self.remainder):,} unexplained")
        return tuple(terms)

    def __str__(self) -> str:
        return f"{self.witness} {self.total:,} = {' '.join(self.terms)}"


@dataclass(frozen=True)
class Check:
    """One kind of figure: how many were compared of how many there are, and what to know about it.

    unit   what was compared: ``layers``
    note   why not all, if not all
    """

    name: str
    compared: int
    of: int
    unit: str = "layers"
    note: str = ""


@dataclass(frozen=True, repr=False)
class VerifyResult:
    """What ``verify`` returns.

    ran       how the module was run: ``on the CPU at image 1×3×224×224``
    seconds   per part of the work
    sizes     those that values decided in the run, by name; the figures compared are those at these sizes
    """

    model: str
    ran: str
    checks: tuple[Check, ...]
    disagreements: tuple[Disagreement, ...]
    tallies: tuple[Tally, ...]
    seconds: dict[str, float]
    sizes: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        found = "agrees" if self.agrees else f"{len(self.disagreements)} disagreements"
        return f"<VerifyResult {visible(self.model)}: {found}>"

    def __str__(self) -> str:
        from costcalc.backends.escape import console
        from costcalc.backends.verify.text import render

        return console(render(self))

    @property
    def agrees(self) -> bool:
        """Whether every figure is confirmed, or contradicted only by a known fault of the witness."""
        return not self.disagreements

    @property
    def exit_code(self) -> int:
        """Of the command: 0, or 5 where a disagreement is ours."""
        return 0 if self.agrees else 5

    def to_dict(self) -> dict[str, Any]:
        """The result as plain lists, dicts, strings and numbers."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "agrees": self.agrees,
            "ran": self.ran,
            **({"sizes": self.sizes} if self.sizes else {}),
            "checks": [asdict(check) for check in self.checks],
            "disagreements": [asdict(d) for d in self.disagreements],
            "tallies": [
                {
                    "witness": t.witness,
                    "total": t.total,
                    t.unit.lower(): t.ours,
                    "differences": [
                        {"reason": d.reason, "amount": d.amount, "factor": d.factor, "layers": list(d.layers)}
                        for d in t.differences
                    ],
                    "remainder": t.remainder,
                }
                for t in self.tallies
            ],
            "seconds": {part: round(s, 3) for part, s in self.seconds.items()},
        }
