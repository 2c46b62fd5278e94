"""A roofline estimate of how long each layer takes on a machine that does what its data sheet says.

No lower bound: traffic is charged at the bandwidth of main memory, also of tensors that never leave a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costcalc.classes import dataclass, field
from costcalc.errors import CostcalcError, listing
from costcalc.ir.dims import Dim

if TYPE_CHECKING:
    from costcalc.analysis.estimate import Calibration


@dataclass(frozen=True)
class Time:
    """Seconds at the peak rates: of the arithmetic alone, of the traffic alone, and of the slower.

    For several layers in turn ``seconds`` is the sum of each layer's slower one, and ``in_memory``
    the part of it that layers take whose traffic is the slower.
    """

    compute: float
    traffic: float
    seconds: float
    in_memory: float

    @staticmethod
    def of(compute: float, traffic: float) -> Time:
        """The time of one layer."""
        return Time(compute, traffic, max(compute, traffic), traffic if traffic > compute else 0.0)

    @property
    def bound(self) -> str:
        """Which of the two binds, for most of the time: ``compute`` or ``memory``; ``nothing`` for a view."""
        if not self.seconds:
            return "nothing"
        return "memory" if 2 * self.in_memory > self.seconds else "compute"

    def then(self, later: Time) -> Time:
        """This and ``later``, one after the other."""
        return Time(
            self.compute + later.compute,
            self.traffic + later.traffic,
            self.seconds + later.seconds,
            self.in_memory + later.in_memory,
        )

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it, in seconds."""
        return {"compute": self.compute, "traffic": self.traffic, "seconds": self.seconds, "bound": self.bound}


@dataclass(frozen=True)
class Machine:
    """What a data sheet promises.

    macs        multiply-accumulates a second by element type, dense: ``{"float32": 9.75e12}``
    bandwidth   bytes a second from and to main memory
    memory      bytes of main memory, where known; of a microcontroller its RAM
    flash       bytes of flash, where weights go if there is any
    caches      bytes of each cache, all of them together over the cores: ``{"L2": 41943040}``
    calibration what was fitted to measurements on it; then macs and bandwidth may be missing, and so roofline and floor
    local       bytes of registers and of what else is a core's own and keeps nothing from one kernel to the next
    clock       cycles a second at which ``macs`` are reached, and ``turbo`` the most that there are; for the floor
    duplex      whether as much goes in each direction at once as ``bandwidth`` says
    """

    name: str
    title: str
    macs: Mapping[str, float]
    bandwidth: float
    source: str
    memory: int | None = None
    flash: int | None = None
    caches: Mapping[str, int] = field(default_factory=dict)
    local: int | None = None
    clock: float | None = None
    turbo: float | None = None
    duplex: bool = False
    calibration: Calibration | None = None

    @property
    def cached(self) -> int | None:
        """Bytes that caches can keep from one inference to the next, in whichever of them; None if none is known."""
        return sum(self.caches.values()) if self.caches else None

    @property
    def on_chip(self) -> int | None:
        """Bytes that the chip holds in all; None where that is not known."""
        return None if self.cached is None or self.local is None else self.cached + self.local

    @property
    def ram(self) -> int | None:
        """Bytes of RAM: what activations need, and weights too where there is no flash."""
        return self.memory

    def rate(self, bits: int | None) -> float:
        """MACs a second on elements of ``bits`` bits (32 if None): the fastest type of that width.

        Raises ``CostcalcError`` naming the types that the machine has where none is as wide.
        """
        wanted = 32 if bits is None else bits
        rates = [rate for dtype, rate in self.macs.items() if WIDTHS[dtype] == wanted and dtype not in ROUNDED]
        if not rates:
            has = listing(f"{WIDTHS[dtype]} ({dtype})" for dtype in self.macs)
            raise CostcalcError(f"machine '{self.name}' has no peak rate for {wanted}-bit elements; it has {has}")
        return max(rates)

    def peak(self, bits: int | None) -> float | None:
        """MACs a second on elements that are stored in ``bits`` bits, at most: at the highest clock, and also by units
        for wider ones, or that round them first, as PyTorch lets them do. None where no type is as wide.
        """
        wanted = 32 if bits is None else bits
        if all(WIDTHS[dtype] != wanted for dtype in self.macs):
            return None
        fastest = max(rate for dtype, rate in self.macs.items() if WIDTHS[dtype] >= wanted)
        return fastest * self.turbo / self.clock if self.turbo and self.clock else fastest

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {
            "name": self.name, "title": self.title, "macs": dict(self.macs), "bandwidth": self.bandwidth,
            "memory": self.memory, **({"flash": self.flash} if self.flash is not None else {}),
            **({"caches": dict(self.caches)} if self.caches else {}),
            **({"local": self.local} if self.local is not None else {}),
            **({"clock": self.clock} if self.clock is not None else {}),
            **({"turbo": self.turbo} if self.turbo is not None else {}),
            **({"duplex": True} if self.duplex else {}), "source": self.source,
            **({"calibration": self.calibration.to_dict()} if self.calibration else {}),
        }  # fmt: skip

    def time_of(self, macs: Dim, traffic_bits: Dim, bits: int | None) -> Time:
        """Time of one layer: its MACs at the peak rate or its traffic at the bandwidth, if slower."""
        if not isinstance(macs, int) or not isinstance(traffic_bits, int):
            raise CostcalcError("time on a machine needs sizes that are numbers, not symbols")
        try:
            return Time.of(macs / self.rate(bits), traffic_bits / 8 / self.bandwidth)
        except OverflowError:
            raise CostcalcError(
                "the model is so large that its time on a machine is beyond any number of seconds"
            ) from None


WIDTHS = {
    "float64": 64, "float32": 32, "tfloat32": 32, "float16": 16, "bfloat16": 16, "int16": 16,
    "float8": 8, "int8": 8, "int4": 4,
}  # fmt: skip
"""Bits in which elements of the types are stored that a machine file may give a rate for."""

ROUNDED = frozenset({"tfloat32"})
"""Those that round what they are given: their rate is one for float32 where that is allowed."""
