"""The energy of an inference by a table: that of its MACs, by the width of what is multiplied, and of its traffic.

Traffic is what the figure of that name counts, layer by layer or by kernel where a transform has joined layers, and all
of it is charged to one level of memory. Other arithmetic, control and what leaks are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costcalc.analysis.floor import multiplied
from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import CostcalcError, listing
from costcalc.ir.dims import Dim

if TYPE_CHECKING:
    from costcalc.analysis.layer_costs import OpUse

PICO = 1e-12
JOULES_OF_KWH = 3.6e6


class Energy(NamedTuple):
    """Joules of a layer, a block or the whole.

    macs      of the multiply-accumulates; None where the table does not tell
    traffic   of what is read and written; None where it does not
    unknown   what it does not tell, as half a sentence; "" where it tells all
    """

    macs: float | None
    traffic: float | None
    unknown: str = ""

    @property
    def joules(self) -> float | None:
        """Both together; None where one is not known."""
        return None if self.macs is None or self.traffic is None else self.macs + self.traffic

    def plus(self, other: Energy) -> Energy:
        """Both together. Why something is unknown is told of the first of which it is."""
        return Energy(_sum(self.macs, other.macs), _sum(self.traffic, other.traffic), self.unknown or other.unknown)

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        known = {"macs": self.macs, "traffic": self.traffic, "joules": self.joules}
        return {**known, "unknown": self.unknown} if self.unknown else known


@dataclass(frozen=True)
class EnergyTable:
    """What arithmetic and memory take.

    macs     picojoules of a multiply-accumulate by element type, ``{"float32": 4.6}``; empty if the table has none
    memory   picojoules a byte by level of memory
    level    the level that traffic is charged to; "" if the table has none
    """

    name: str
    title: str
    macs: Mapping[str, float]
    memory: Mapping[str, float]
    level: str
    source: str

    def of_mac(self, bits: int, floating: bool) -> float | None:
        """Picojoules of a MAC of elements of ``bits`` bits: of a type of their kind, else of the other, so that 8 bits
        of a model with floating-point elements are int8; None if it has neither.
        """
        alike = [f"{kind}{bits}" for kind in (("float", "int") if floating else ("int", "float"))]
        return next((self.macs[dtype] for dtype in alike if dtype in self.macs), None)

    def of_layer(self, use: OpUse, macs: Dim, traffic_bits: Dim) -> Energy:
        """Those of a layer with these figures. Raises ``CostcalcError`` for symbols."""
        if not isinstance(macs, int) or not isinstance(traffic_bits, int):
            raise CostcalcError("energy needs sizes that are numbers, not symbols")
        arithmetic: float | None = 0.0
        unknown = []
        if macs:
            bits, floating = multiplied(use)
            each = self.of_mac(bits, floating)
            arithmetic = None if each is None else PICO * macs * each
            if each is None:
                has = f"it has {listing(self.macs)}" if self.macs else "it has none"
                unknown.append(f"no MACs of {bits}-bit elements ({has})")
        moved: float | None = 0.0
        if traffic_bits:
            moved = PICO * traffic_bits / 8 * self.memory[self.level] if self.level else None
            unknown += ["no memory"] * (moved is None)
        return Energy(arithmetic, moved, f"{self.name} has {' and '.join(unknown)}" if unknown else "")

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {
            "name": self.name, "title": self.title, "macs": dict(self.macs), "memory": dict(self.memory),
            "level": self.level or None, "source": self.source,
        }  # fmt: skip


def grams(joules: float, of_kwh: float) -> float:
    """Grams of CO₂ of so many joules, where a kilowatt hour is ``of_kwh`` grams.

    >>> grams(3.6e6, 400.0)
    400.0
    """
    return joules / JOULES_OF_KWH * of_kwh


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
