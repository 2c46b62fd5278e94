"""A record of figures, which adds and subtracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Amounts(dict[str, Any]):
    """A record of figures: name → value. It adds and subtracts; what one side lacks is 0 there.

    >>> Amounts(macs=3, ops=1) + Amounts(macs=4), Amounts(macs=3) - Amounts(macs=1)
    ({'macs': 7, 'ops': 1}, {'macs': 2})
    """

    __slots__ = ()

    def __add__(self, other: Mapping[str, Any]) -> Amounts:
        result = Amounts(self)
        for name, value in other.items():
            result[name] = result.get(name, 0) + value
        return result

    def __sub__(self, other: Mapping[str, Any]) -> Amounts:
        if len(self) == len(other):
            try:
                return Amounts([(name, value - other[name]) for name, value in self.items()])
            except KeyError:
                pass  # as many, but others
        return Amounts([(name, self.get(name, 0) - other.get(name, 0)) for name in self | dict(other)])

    @staticmethod
    def sum(records: Iterable[Mapping[str, Any]]) -> Amounts:
        """All of ``records`` together."""
        times: dict[int, list[Any]] = {}  # layers that are alike have one record
        for record in records:
            known = times.get(id(record))
            if known is None:
                times[id(record)] = [record, 1]
            else:
                known[1] += 1
        result = Amounts()
        for record, often in times.values():
            for name, value in record.items():
                result[name] = result.get(name, 0) + (value if often == 1 else often * value)
        return result

    def add(self, other: Mapping[str, Any]) -> None:
        """Add ``other``, which has nothing that is not here, in place."""
        for name, value in other.items():
            self[name] = self[name] + value
