"""Where in its one arena each engine puts its buffers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from costcalc.packing.greedy import greedy_by_size, neighbours
from costcalc.packing.pack import pack
from costcalc.packing.records import Buffer
from costcalc.planning.records import ArenaTensor

SECONDS = 2.0
"""For which a packing is searched that is smaller than the quick ways give."""


def first_fit(tensors: Sequence[ArenaTensor]) -> list[ArenaTensor]:
    """By size, each at the lowest gap that is wide enough: ``GreedyMemoryPlanner`` of TFLite Micro.

    >>> [t.offset for t in first_fit([ArenaTensor("a", 4, 0, 0), ArenaTensor("b", 4, 0, 1), ArenaTensor("c", 8, 1, 2)])]
    [0, 8, 0]
    """
    offsets, _ = greedy_by_size(_buffers(tensors))
    return _at(tensors, offsets)


def best_fit(tensors: Sequence[ArenaTensor], align: int, whole: Collection[str] = ()) -> list[ArenaTensor]:
    """By size, equal ones as they are made, each at the tightest gap that is wide enough: ``ArenaPlanner`` of TFLite.

    whole   tensors that live from the first step on and are never given up: they come first, in their order

    Offsets are multiples of ``align``, sizes need not be.

    Source: tensorflow/lite/arena_planner.cc (CreateTensorAllocationVector) and simple_memory_arena.cc (Allocate).
    """

    def turn(i: int) -> tuple[int, int, int, int]:
        tensor = tensors[i]
        return (0, 0, 0, i) if tensor.name in whole else (1, -tensor.bytes, tensor.first, i)

    near = neighbours(_buffers(tensors))
    offsets = [-1] * len(tensors)
    for i in sorted(range(len(tensors)), key=turn):
        size, top, best, room = tensors[i].bytes, 0, -1, 0
        for start, end in sorted((offsets[j], offsets[j] + tensors[j].bytes) for j in near[i] if offsets[j] >= 0):
            begin = -(-top // align) * align
            # The room of the best gap so far is told with what alignment loses, that of the next one without.
            if begin + size <= start and (best < 0 or start - begin < room):
                best, room = begin, start - top
            top = max(top, end)
        offsets[i] = -(-top // align) * align if best < 0 else best
    return _at(tensors, offsets)


def packed(tensors: Sequence[ArenaTensor]) -> tuple[list[ArenaTensor], int]:
    """In as few bytes as ``pack`` finds, and the bytes below which nothing goes."""
    found = pack(_buffers(tensors), time_limit=SECONDS)
    return _at(tensors, [t.offset for t in found.tensors]), found.lower_bound_bytes


def arena(tensors: Sequence[ArenaTensor]) -> int:
    """The bytes of an arena that has room for all, each at its offset."""
    return max((t.offset + t.bytes for t in tensors if t.offset is not None), default=0)


def _buffers(tensors: Sequence[ArenaTensor]) -> list[Buffer]:
    return [Buffer(t.name, t.first, t.last, t.bytes) for t in tensors]


def _at(tensors: Sequence[ArenaTensor], offsets: Sequence[int]) -> list[ArenaTensor]:
    return [t._replace(offset=offset) for t, offset in zip(tensors, offsets, strict=True)]
