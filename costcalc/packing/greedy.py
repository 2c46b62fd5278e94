"""Packing in one pass: each tensor, in a given order, into the gaps that those before it leave."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

from costcalc.packing.records import Buffer


def aligned(size: int, alignment: int) -> int:
    """``size``, rounded up to a multiple of ``alignment``.

    >>> aligned(17, 16), aligned(32, 16)
    (32, 32)
    """
    return -(-size // alignment) * alignment


def neighbours(buffers: Sequence[Buffer]) -> list[list[int]]:
    """For each buffer the places of those that are alive at some step together with it.

    >>> neighbours([Buffer("a", 0, 1, 8), Buffer("b", 1, 2, 8), Buffer("c", 2, 3, 8)])
    [[1], [0, 2], [1]]
    """
    found: list[list[int]] = [[] for _ in buffers]
    alive: list[int] = []
    for i in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        first = buffers[i].first
        alive = [j for j in alive if buffers[j].last >= first]
        for j in alive:
            found[i].append(j)
            found[j].append(i)
        alive.append(i)
    for others in found:
        others.sort()
    return found


def place(
    sizes: Sequence[int], near: Sequence[Sequence[int]], order: Iterable[int], *, best: bool = False
) -> tuple[list[int], int]:
    """Offsets when each buffer in ``order`` takes the lowest gap that holds it, and the end of the highest.

    near   for each buffer those that live together with it, as ``neighbours`` has them
    best   take the smallest gap that holds it, not the lowest
    """
    offsets = [-1] * len(sizes)
    placed: list[int] = []  # from the lowest to the highest
    highest = 0
    for i in order:
        size, free, found, least = sizes[i], 0, -1, -1
        if 4 * len(near[i]) < len(placed):
            beside = sorted([j for j in near[i] if offsets[j] >= 0], key=offsets.__getitem__)
        else:  # looking through all is quicker than sorting most of them
            alive = set(near[i])
            beside = [j for j in placed if j in alive]
        for j in beside:
            start, end = offsets[j], offsets[j] + sizes[j]
            gap = start - free
            if gap >= size and (found < 0 or gap < least):
                found, least = free, gap
                if not best:
                    break
            if end > free:
                free = end
        offsets[i] = free if found < 0 else found
        insort(placed, i, key=offsets.__getitem__)
        highest = max(highest, offsets[i] + size)
    return offsets, highest


def greedy_by_size(buffers: Sequence[Buffer], alignment: int = 1) -> tuple[list[int], int]:
    """Offsets as TFLite Micro's ``GreedyMemoryPlanner`` gives them, and the bytes of the arena.

    Sizes are rounded up to ``alignment`` (16 there). The largest comes first, of equal ones the one that was added
    last, and each takes the lowest gap between those that live together with it.

    Source: tensorflow/tflite-micro, micro/memory_planner/greedy_memory_planner.h and .cc.

    >>> greedy_by_size([Buffer("a", 0, 1, 8), Buffer("b", 1, 2, 24), Buffer("c", 2, 3, 16)])
    ([24, 0, 24], 40)
    """
    sizes = [aligned(buffer.bytes, alignment) for buffer in buffers]
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], -i))
    return place(sizes, neighbours(buffers), order)
