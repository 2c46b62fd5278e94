"""``pack``: offsets for tensors with known lifetimes, in as few bytes as can be found, and what is proved of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError
from costcalc.packing import search_loops
from costcalc.packing.greedy import aligned, neighbours, place
from costcalc.packing.problem import extent, problem
from costcalc.packing.read import MOST_BYTES, buffers
from costcalc.packing.records import Buffer, Packed, Packing
from costcalc.packing.search import runs

PATIENCE = 0.3
"""The part of the time that Python has to search in before machine code is asked for, which may have to be made."""

QUICK = 1.0
"""Seconds after which no other quick way is tried, if the search is not given longer."""

MOST_NUMBERS = 1_000_000
"""Of a problem for the search, as ``extent`` counts them. Beyond that the search would not come far in any time."""

ROUNDS = 8
"""In which an order is tried again with what stuck out at its head."""


def pack(
    tensors: Iterable[Mapping[str, Any] | Buffer],
    *,
    capacity: int | None = None,
    time_limit: float = 4.0,
    alignment: int = 1,
) -> Packing:
    """Where each of ``tensors`` lies in one block of memory, so that none that live at the same step overlap.

    tensors      each ``{"name": text, "first": step, "last": step, "bytes": size}``, both steps included
    capacity     the bytes that there are: a packing that fits is good enough, and no better one is looked for
    time_limit   seconds to search in where no quick way gives a packing that is provably the smallest; 0 for none. The
                 quick ways end then too, if they take longer than a second
    alignment    offsets and sizes are rounded up to multiples of it

    Raises ``OptionError``, which names the row, for what is not a tensor.

    >>> a, b = {"name": "a", "first": 0, "last": 1, "bytes": 8}, {"name": "b", "first": 1, "last": 2, "bytes": 24}
    >>> found = pack([a, b])
    >>> found.arena_bytes, found.optimal, [t.offset for t in found.tensors]
    (32, True, [24, 0])
    """
    if capacity is not None and (type(capacity) is not int or not 0 <= capacity <= MOST_BYTES):
        raise OptionError(f"capacity must be a whole number of bytes from 0 to {MOST_BYTES:.0e}, not {capacity!r}")
    if type(alignment) is not int or not 1 <= alignment <= 1 << 30:
        raise OptionError(f"alignment must be a whole number of bytes from 1 to 2^30, not {alignment!r}")
    if type(time_limit) not in (int, float) or not 0 <= time_limit <= 1e6:
        raise OptionError(f"time_limit must be a number of seconds from 0 to 1e6, not {time_limit!r}")
    given = buffers(tensors)
    sizes = [aligned(buffer.bytes, alignment) for buffer in given]
    offsets = [0] * len(given)
    until = monotonic() + time_limit
    quick = max(until, monotonic() + QUICK)
    parts = sorted(_parts(given, sizes), key=lambda part: -part.load)
    floor = max((part.load for part in parts), default=0)
    arena = bound = floor
    method = "greedy"
    for part in parts:
        best = _pack_part(part, max(arena, capacity or 0), until, quick)
        for i, offset in zip(part.indices, best.offsets, strict=True):
            offsets[i] = offset
        arena, bound = max(arena, best.arena), max(bound, best.bound)
        method = best.method if best.method != "greedy" else method
    return Packing(
        tuple(Packed(*buffer, offset) for buffer, offset in zip(given, offsets, strict=True)),
        arena, bound, arena == bound, alignment, capacity, method,
    )  # fmt: skip


class _Part(NamedTuple):
    """Tensors of which no other one lives at their steps: their places among all, what they are, and their load."""

    indices: list[int]
    buffers: list[Buffer]
    sizes: list[int]
    load: int


class _Best(NamedTuple):
    offsets: list[int]
    arena: int
    bound: int
    method: str


def _parts(given: Sequence[Buffer], sizes: Sequence[int]) -> list[_Part]:
    """The tensors that take bytes, where no tensor lives across the steps between two parts, each by itself."""
    parts: list[list[int]] = []
    until = -1
    for i in sorted((i for i, size in enumerate(sizes) if size), key=lambda i: given[i].first):
        if given[i].first > until:
            parts.append([])
        parts[-1].append(i)
        until = max(until, given[i].last)
    return [_Part(p, [given[i] for i in p], [sizes[i] for i in p], _load(given, sizes, p)) for p in parts]


def _load(given: Sequence[Buffer], sizes: Sequence[int], indices: Iterable[int]) -> int:
    """The most bytes that are needed at once."""
    change: dict[int, int] = {}
    for i in indices:
        change[given[i].first] = change.get(given[i].first, 0) + sizes[i]
        change[given[i].last + 1] = change.get(given[i].last + 1, 0) - sizes[i]
    most = now = 0
    for step in sorted(change):
        now += change[step]
        most = max(most, now)
    return most


def _greedy(part: _Part, goal: int, until: float) -> _Best:
    """The best of some orders, each in the lowest and in the smallest gap, up to the first within ``goal``, or of those
    that could be tried until then.

    If none is, what sticks out over the goal goes first in the next round, which often is all that was wrong.
    """
    sizes, life = part.sizes, [b.last - b.first + 1 for b in part.buffers]
    near = neighbours(part.buffers)
    crowd = [size + sum(sizes[j] for j in near[i]) for i, size in enumerate(sizes)]
    keys = (
        lambda i: (-sizes[i], -i),
        lambda i: (-sizes[i] * life[i], -i),
        lambda i: (-life[i], -sizes[i]),
        lambda i: (-crowd[i], -sizes[i]),
        lambda i: (part.buffers[i].first, -sizes[i]),
    )
    found: _Best | None = None
    for key in keys:
        order = sorted(range(len(sizes)), key=key)
        for best in (False, True):
            offsets, arena = place(sizes, near, order, best=best)
            if found is None or arena < found.arena:
                found = _Best(offsets, arena, part.load, "greedy")
            if found.arena <= goal or monotonic() >= until:
                return found
    assert found is not None
    for key in keys:
        order = sorted(range(len(sizes)), key=key)
        for _ in range(ROUNDS):
            offsets, arena = place(sizes, near, order)
            if arena < found.arena:
                found = _Best(offsets, arena, part.load, "greedy")
            if found.arena <= goal or monotonic() >= until:
                return found
            out = {i for i in order if offsets[i] + sizes[i] > goal}
            order.sort(key=lambda i: i not in out)
    return found


def _pack_part(part: _Part, goal: int, until: float, quick: float) -> _Best:
    """The smallest packing found of ``part`` until then, or one within ``goal``; quick ways end at ``quick``."""
    found = _greedy(part, max(goal, part.load), quick)
    if found.arena <= max(goal, part.load) or monotonic() >= until or extent(part.buffers) > MOST_NUMBERS:
        return found
    p, unit = problem(part.buffers, part.sizes)
    sums = _Sums(p.size)
    began = monotonic()
    seed = 0
    low = found.bound // unit  # nothing was found within it, though that proves nothing
    while monotonic() < until:
        bound = found.bound // unit
        aim = max(bound, goal // unit)
        if found.arena // unit <= aim:
            break
        # By turns at what is wanted, and halfway between what there is and what was not found.
        height = aim if seed % 2 == 0 else max(aim, (low + found.arena // unit) // 2)
        turn = min(until, monotonic() + (until - began) / 8)
        ended = search_loops.STOPPED
        for run in runs(p, height, seed, fast=monotonic() - began > PATIENCE * (until - began)):
            ended = run.ended
            if ended != search_loops.STOPPED or monotonic() >= turn:
                break
        if ended == search_loops.FOUND:
            arena = max(o + s for o, s in zip(run.offsets, p.size, strict=True)) * unit
            found = _Best([o * unit for o in run.offsets], arena, found.bound, "search")
            low = min(low, bound)
        elif ended == search_loops.NONE:
            found = found._replace(bound=min(sums.above(height) * unit, found.arena), method="search")
            low = max(low, height)
        else:
            low = max(low, height) if height > aim else low
        seed += 1
    return found


class _Sums:
    """The sums that some of the sizes have: the end of a packing in which each tensor rests on another is one."""

    MOST = 1 << 24

    def __init__(self, sizes: Sequence[int]) -> None:
        self._bits = 1
        self._sizes = sizes

    def above(self, height: int) -> int:
        """The least sum above ``height``, or the next number where there are too many."""
        if height >= self.MOST:
            return height + 1
        if self._bits == 1:
            for size in self._sizes:
                self._bits |= self._bits << size
                self._bits &= (1 << self.MOST) - 1
        rest = self._bits >> (height + 1)
        return height + (rest & -rest).bit_length() if rest else height + 1
