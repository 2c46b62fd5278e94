"""How long each layer takes on a machine where kernels do several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from costcalc.analysis.roofline import Machine, Time
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Group

NONE = Time(0.0, 0.0, 0.0, 0.0)


class Kernels:
    """Times layers. One in a group is given what it adds to the time of those of its group that were timed before, so
    that the layers of a group together take what their MACs and traffic take at once.

    group_of   layer → its group, of those in one
    """

    def __init__(self, machine: Machine, bits: int | None, group_of: Mapping[str, Group]) -> None:
        self._machine, self._bits, self._group_of = machine, bits, group_of
        self._given: dict[str, dict[str, Time]] = {}
        self._sums: dict[str, Time] = {}  # of these, by group

    def __call__(self, name: str, macs: Dim, traffic_bits: Dim) -> Time:
        """The time of the layer called ``name``; if it is timed again, with the others of its group as they are."""
        alone = self._machine.time_of(macs, traffic_bits, self._bits)
        group = self._group_of.get(name)
        if group is None:
            return alone
        given = self._given.setdefault(group.name, {})
        again = name in given
        if again:
            others = _sum(time for layer, time in given.items() if layer != name)
        else:
            others = self._sums.get(group.name, NONE)
        whole = Time.of(others.compute + alone.compute, others.traffic + alone.traffic)
        added = Time(alone.compute, alone.traffic, whole.seconds - others.seconds, whole.in_memory - others.in_memory)
        given[name] = added
        self._sums[group.name] = _sum(given.values()) if again else others.then(added)
        return added


def _sum(times: Iterable[Time]) -> Time:
    return reduce(Time.then, times, NONE)
