"""Restarts of the search, each with other ranks, as lists in Python or as machine code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import exp
from random import Random
from types import FunctionType
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.packing import search_loops
from costcalc.packing.problem import Problem
from costcalc.reading.settings_of_libraries import NUMBA, lie_here

MOST_NOTES = 3_000_000
"""What a search may have to take back at most, some 70 MB."""
FEWEST, GROWTH = 300, 1.08
"""Nodes that the first run may take at least, and how many times more each next one."""


class SearchOutcome(NamedTuple):
    """How ``search_loops`` ended: ``FOUND`` with offsets in units, ``NONE`` or ``STOPPED``; and its nodes and runs."""

    ended: int
    offsets: list[int]
    nodes: int
    runs: int


def state(p: Problem, make: Callable[[list[int]], Any] = list) -> search_loops.SearchState:
    """Room for a search of ``p``. Should a list be too short, the search stops there as at its limit."""
    sections, tensors, uses = len(p.load), len(p.size), len(p.members)
    depth = 2 * (tensors + sections) + 64
    lengths = {"ways": 4 * uses + 64 * tensors, "bases": tensors, "sizes": tensors, "used": 1}
    lengths |= dict.fromkeys(("floor", "top", "rest", "open", "ready", "least", "mark", "weight"), sections)
    lengths |= dict.fromkeys(("base", "offset", "rank"), tensors)
    lengths |= dict.fromkeys(("kind", "what", "was"), min(200 * uses, MOST_NOTES) + 4096)
    lengths |= dict.fromkeys(("began", "section", "raised", "way", "ways_end"), depth)
    return search_loops.SearchState(*(make([0] * lengths[name]) for name in search_loops.SearchState._fields))


@lru_cache(maxsize=1)
def compiled() -> Any:
    """``search_loops.search`` as machine code, with what makes its arrays; None where numba is not installed."""
    try:
        import numba
        import numpy
    except ImportError:
        return None
    names: dict[str, Any] = {"__name__": search_loops.__name__}
    names |= {name: value for name, value in vars(search_loops).items() if isinstance(value, int)}
    for function in search_loops.KERNEL:
        names[function.__name__] = numba.njit(cache=True)(FunctionType(function.__code__, names, function.__name__))
    return names["search"], lambda values: numpy.array(values, dtype=numpy.int64)


def runs(p: Problem, height: int, seed: int, *, fast: bool = False) -> Iterator[SearchOutcome]:
    """Run after run of the search for a packing of ``p`` within ``height`` units; the caller decides when to stop.

    Few searches are hard whatever is tried first, but most are with some ranks: so runs are short and begin anew.

    fast   as machine code, where that is installed, and where no settings of numba lie in the working directory
    """
    search, make = (compiled() if fast and not lie_here(NUMBA) else None) or (search_loops.search, list)
    s = state(p, make)
    given = Problem(*map(make, p))
    random = Random(seed)
    limit = float(max(FEWEST, 5 * len(p.size) // 2))
    nodes = run = 0
    while True:
        for t, rank in enumerate(_ranks(p, random)):
            s.rank[t] = rank
        ended, taken = search(given, s, height, int(limit))
        nodes, run, limit = nodes + taken, run + 1, limit * GROWTH
        yield SearchOutcome(ended, [int(offset) for offset in s.offset], nodes, run)


def _ranks(p: Problem, random: Random) -> list[int]:
    """Ranks by size and length of life, each to a power of chance, with some noise."""
    by_size, by_life, noise = random.uniform(0, 1), random.uniform(0, 1), random.choice((0.0, 0.1, 0.3, 0.6))
    value = [
        size**by_size * (end - start) ** by_life * exp(noise * random.gauss(0, 1))
        for start, end, size in zip(p.start, p.end, p.size, strict=True)
    ]
    ranks = [0] * len(value)
    for rank, t in enumerate(sorted(range(len(value)), key=value.__getitem__)):
        ranks[t] = rank
    return ranks
