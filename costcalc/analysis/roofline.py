"""A roofline estimate of how long each layer takes on a machine that does what its data sheet says.

No lower bound: traffic is charged at the bandwidth of main memory, also of tensors that never leave a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from costcalc.errors import CostcalcError, listing
from costcalc.ir.dims import Dim


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
    caches      bytes of each cache that is known: ``{"L2": 41943040}``
    """

    name: str
    title: str
    macs: Mapping[str, float]
    bandwidth: float
    source: str
    memory: int | None = None
    flash: int | None = None
    caches: Mapping[str, int] = field(default_factory=dict)

    @property
    def ram(self) -> int | None:
        """Bytes of RAM: what activations need, and weights too where there is no flash."""
        return self.memory

    def rate(self, bits: int | None) -> float:
        """MACs a second on elements of ``bits`` bits (32 if None): the fastest type of that width.

        Raises ``CostcalcError`` naming the types that the machine has where none is as wide.
        """
        wanted = 32 if bits is None else bits
        rates = [rate for dtype, rate in self.macs.items() if WIDTHS[dtype] == wanted]
        if not rates:
            has = listing(f"{WIDTHS[dtype]} ({dtype})" for dtype in self.macs)
            raise CostcalcError(f"machine '{self.name}' has no peak rate for {wanted}-bit elements; it has {has}")
        return max(rates)

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {
            "name": self.name, "title": self.title, "macs": dict(self.macs), "bandwidth": self.bandwidth,
            "memory": self.memory, **({"flash": self.flash} if self.flash is not None else {}),
            **({"caches": dict(self.caches)} if self.caches else {}), "source": self.source,
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
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "int16": 16, "float8": 8, "int8": 8, "int4": 4,
}  # fmt: skip
"""Bits of the element types that a machine file may give a rate for."""
