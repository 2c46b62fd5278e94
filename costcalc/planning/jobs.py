"""The steps that an engine takes, and the buffers that live from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from types import MappingProxyType

from costcalc.classes import NamedTuple
from costcalc.ir.allocations import Allocation
from costcalc.planning.records import ArenaTensor, EngineStep


class Job(NamedTuple):
    """One step: a layer, or several that the engine joins.

    layer     what it is called: the first of its layers
    reads     buffers that it needs
    makes     buffers that it makes, each with its bytes
    scratch   bytes that it needs beside them, alone
    over      buffers among ``reads`` that what it makes first may take the place of, where nothing needs them later
    layers    the layers whose work it does
    more      further bytes like ``scratch``, each number in a place of its own
    """

    layer: str
    reads: tuple[str, ...]
    makes: tuple[tuple[str, int], ...]
    scratch: int = 0
    over: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    more: tuple[int, ...] = ()


class Jobs(NamedTuple):
    """The steps of a whole graph in order.

    inputs    buffers that are there before the first step, each with its bytes
    kept      buffers that must be there after the last
    held      buffers that something holds up to a step though no job needs them so long: buffer → that step
    """

    inputs: Mapping[str, int]
    steps: tuple[Job, ...]
    kept: tuple[str, ...]
    held: Mapping[str, int] = MappingProxyType({})


class Lives(NamedTuple):
    """Buffers with their first and last steps.

    slots    for each tensor the number of the first of those in whose slot it lies, its own of most
    """

    tensors: list[ArenaTensor]
    slots: list[int]

    def merged(self) -> list[ArenaTensor]:
        """Those that share a slot as one, which is there from the first to the last of them, and as large as any."""
        found: dict[int, ArenaTensor] = {}
        for tensor, slot in zip(self.tensors, self.slots, strict=True):
            known = found.get(slot)
            found[slot] = tensor if known is None else known._replace(
                bytes=max(known.bytes, tensor.bytes), last=max(known.last, tensor.last)
            )  # fmt: skip
        return list(found.values())

    @property
    def fill_their_slots(self) -> bool:
        """Whether all that share a slot are of one size, so that slots ask for no more than the tensors do."""
        return len({*zip(self.slots, (t.bytes for t in self.tensors), strict=True)}) == len({*self.slots})

    def at(self, placed: list[ArenaTensor]) -> list[ArenaTensor]:
        """The tensors, with the offsets of their slots."""
        offsets = dict(zip(dict.fromkeys(self.slots), (t.offset for t in placed), strict=True))
        return [t._replace(offset=offsets[slot]) for t, slot in zip(self.tensors, self.slots, strict=True)]


def lifetimes(jobs: Jobs, *, align: int = 1) -> Lives:
    """The buffers of ``jobs`` with their first and last steps, both inclusive, in the order in which they are made.

    Inputs are there from step 0, what is kept up to the last step; what nothing needs lives for the step that makes
    it. Where a buffer takes the place of another, the larger of the two stands for both at that step: the old one ends
    before it, or the new one begins after it. Sizes are rounded up to multiples of ``align``.
    """
    last: dict[str, int] = {}
    for i, job in enumerate(jobs.steps):
        for buffer in job.reads:
            last[buffer] = i
    for buffer, step in jobs.held.items():
        last[buffer] = max(last.get(buffer, 0), step)
    end = max(len(jobs.steps) - 1, 0)
    last.update(dict.fromkeys(jobs.kept, end))

    tensors: list[ArenaTensor] = []
    slots: list[int] = []
    number: dict[str, int] = {}

    def put(name: str, size: int, first: int, until: int, slot: int | None = None) -> None:
        number[name] = len(tensors)
        slots.append(len(tensors) if slot is None else slot)
        tensors.append(ArenaTensor(name, -(-size // align) * align, first, until))

    for name, size in jobs.inputs.items():
        put(name, size, 0, last.get(name, 0))
    for i, job in enumerate(jobs.steps):
        over = next((number[b] for b in job.over if b in number and last[b] == i), None)
        for name, size in job.makes:
            until = last.get(name, i)
            if over is None:
                put(name, size, i, until)
                continue
            old, slot, over = over, slots[over], None
            before = tensors[old]
            if before.bytes <= -(-size // align) * align and before.first < i:
                tensors[old] = before._replace(last=i - 1)
                put(name, size, i, until, slot)
            elif before.bytes < size:
                put(name, size, i, until)
            elif until > i:
                put(name, size, i + 1, until, slot)
        if job.scratch:
            put(f"{job.layer} (scratch)", job.scratch, i, i)
        for k, size in enumerate(job.more, 2):
            put(f"{job.layer} (scratch {k})", size, i, i)
    return Lives(tensors, slots)


def alive(tensors: Iterable[ArenaTensor | Allocation], steps: int) -> list[int]:
    """How many bytes live at each of so many steps.

    >>> alive([ArenaTensor("a", 8, 0, 1), ArenaTensor("b", 4, 1, 2)], 3)
    [8, 12, 4]
    """
    change = [0] * (steps + 1)
    for tensor in tensors:
        change[tensor.first] += tensor.bytes
        change[tensor.last + 1] -= tensor.bytes
    return list(accumulate(change[:-1]))


def loads(tensors: list[ArenaTensor], jobs: Jobs) -> list[EngineStep]:
    """How many bytes live at each step; of a network without one a single step, without a layer."""
    layers = [job.layer for job in jobs.steps] or [""]
    return [EngineStep(*pair) for pair in zip(layers, alive(tensors, len(layers)), strict=True)]


def peak(jobs: Jobs) -> int:
    """The most bytes that live at a step."""
    return max(step.bytes for step in loads(lifetimes(jobs).tensors, jobs))
