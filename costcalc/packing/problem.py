"""Tensors as the search sees them: only the steps at which most live together, and sizes in their common unit."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from costcalc.classes import NamedTuple
from costcalc.packing.records import Buffer


class Problem(NamedTuple):
    """Tensors over sections of time, in plain lists (or arrays), as the search takes them.

    A section is a step at which a set of tensors lives that is part of no other step's set: who shares no section with
    a tensor never lives together with it.

    start, end          the sections that each tensor lives in: from start, before end
    size                its size, in units
    members, of_section the tensors of section k are ``members[of_section[k]:of_section[k + 1]]``,
                        in the order in which they start
    near, of_tensor     those that live together with tensor t are ``near[of_tensor[t]:of_tensor[t + 1]]``
    load                sum of the sizes in each section
    """

    start: list[int]
    end: list[int]
    size: list[int]
    members: list[int]
    of_section: list[int]
    near: list[int]
    of_tensor: list[int]
    load: list[int]


def sections(buffers: Sequence[Buffer]) -> list[list[int]]:
    """The greatest sets of buffers that live together, in the order of time, each as places among ``buffers``.

    >>> sections([Buffer("a", 0, 1, 8), Buffer("b", 1, 2, 8), Buffer("c", 2, 3, 8)])
    [[0, 1], [1, 2]]
    """
    events = sorted([(b.first, 0, i) for i, b in enumerate(buffers)] + [(b.last, 1, i) for i, b in enumerate(buffers)])
    alive: dict[int, None] = {}
    found: list[list[int]] = []
    grew = False
    for _, ends, i in events:
        if not ends:
            alive[i] = None
            grew = True
            continue
        if grew:
            found.append(list(alive))
            grew = False
        del alive[i]
    return found


def extent(buffers: Sequence[Buffer]) -> int:
    """How many numbers ``problem`` writes down: the members of all sections, and for each buffer those beside it.

    >>> extent([Buffer("a", 0, 1, 8), Buffer("b", 1, 2, 8), Buffer("c", 2, 3, 8)])
    8
    """
    alive = found = 0
    grew = False
    for _, ends in sorted([(b.first, 0) for b in buffers] + [(b.last, 1) for b in buffers]):
        if not ends:
            found += 2 * alive
            alive, grew = alive + 1, True
            continue
        found += alive * grew
        alive, grew = alive - 1, False
    return found


def problem(buffers: Sequence[Buffer], sizes: Sequence[int]) -> tuple[Problem, int]:
    """``buffers`` of these ``sizes``, none of them 0, for the search, and the bytes of a unit."""
    unit = gcd(*sizes) or 1
    lists = sections(buffers)
    start, end = [-1] * len(sizes), [0] * len(sizes)
    members: list[int] = []
    of_section = [0]
    load = []
    for k, section in enumerate(lists):
        for i in section:
            if start[i] < 0:
                start[i] = k
            end[i] = k + 1
        members += section
        of_section.append(len(members))
        load.append(sum(sizes[i] for i in section) // unit)
    near: list[int] = []
    of_tensor = [0]
    for i in range(len(sizes)):
        near += sorted({j for k in range(start[i], end[i]) for j in lists[k]} - {i})
        of_tensor.append(len(near))
    return Problem(start, end, [s // unit for s in sizes], members, of_section, near, of_tensor, load), unit
