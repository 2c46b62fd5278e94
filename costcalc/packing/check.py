"""Whether a packing is one, asked without the code that packs."""

from __future__ import annotations

from itertools import pairwise

from costcalc.packing.records import Packing


def faults(packing: Packing) -> list[str]:
    """What is wrong with ``packing``, a sentence each: tensors that share a byte at a step, and numbers that disagree.

    Tensors are swept by time, and those alive by offset: nothing of the packers is used.
    """
    found = []
    if packing.tensors and packing.arena_bytes < max(t.offset + t.bytes for t in packing.tensors):
        found.append("a tensor ends above the arena")
    if packing.optimal != (packing.arena_bytes == packing.lower_bound_bytes):
        found.append("optimal, but not as small as the lower bound, or the other way round")
    starts: dict[int, list[int]] = {}
    for i, tensor in enumerate(packing.tensors):
        if tensor.offset < 0 or tensor.offset % packing.alignment:
            found.append(f"{tensor.name} is at {tensor.offset}, which is not a multiple of {packing.alignment}")
        if tensor.bytes:
            starts.setdefault(tensor.first, []).append(i)
    alive: list[int] = []
    for step in sorted(starts):
        alive = [i for i in alive if packing.tensors[i].last >= step] + starts[step]
        if sum(packing.tensors[i].bytes for i in alive) > packing.lower_bound_bytes:
            found.append(f"the load at step {step} exceeds the lower bound")
        alive.sort(key=lambda i: packing.tensors[i].offset)
        for i, j in pairwise(alive):
            below, above = packing.tensors[i], packing.tensors[j]
            if below.offset + below.bytes > above.offset:
                found.append(f"{below.name} and {above.name} share bytes at step {step}")
    return found
