"""Storages that come and go while steps are taken, as a run of PyTorch has them."""

from __future__ import annotations

from costcalc.ir.allocations import Allocation, ObservedRun


class Heap:
    """Memory that is held by those who asked for it, and is given back when nobody holds it any more.

    now    bytes that are there
    most   the most that there ever were, and at which step
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.now = 0
        self.most = (0, -1)
        self._layer = ""
        self._stored: list[Allocation] = []
        self._holders: list[int] = []

    def begin(self, layer: str) -> None:
        """What is made from now on is made by one step of ``layer``."""
        self._layer = layer
        self._begun = False

    def make(self, size: int, dtype: str = "float32") -> int:
        """Ask for ``size`` bytes; the number of the storage, which the caller holds."""
        if not self._begun:
            self.steps.append(self._layer)
            self._begun = True
        step = len(self.steps) - 1
        self._stored.append(Allocation(self._layer, size, dtype, step, -1))
        self._holders.append(1)
        self.now += size
        if self.now > self.most[0]:
            self.most = (self.now, step)
        return len(self._stored) - 1

    def hold(self, number: int) -> int:
        """Hold a storage besides those who do."""
        self._holders[number] += 1
        return number

    def drop(self, number: int) -> None:
        """Hold it no more."""
        self._holders[number] -= 1
        if not self._holders[number]:
            stored = self._stored[number]
            self._stored[number] = stored._replace(last=len(self.steps) - 1)
            self.now -= stored.bytes

    def is_alone(self, number: int) -> bool:
        """Whether only one holds it."""
        return self._holders[number] == 1

    def size(self, number: int) -> int:
        """Bytes of a storage."""
        return self._stored[number].bytes

    def run(self, inputs: tuple[Allocation, ...]) -> ObservedRun:
        """All that happened; what is still held is there to the end."""
        end = len(self.steps) - 1
        stored = tuple([s if s.last >= 0 else s._replace(last=max(end, 0)) for s in self._stored])
        return ObservedRun(tuple(self.steps), stored, inputs, ())
