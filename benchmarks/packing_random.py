"""Packings of instances that are known to fit: a block of memory over time, cut into tensors, some of them trimmed.

    python benchmarks/packing_random.py [--instances 30] [--seconds 12] [--plain]

They are made to be like the published ones of minimalloc's ``challenging`` set: 150 to 220 tensors over 70 to 120
steps, sizes of whole KiB with a median of 2 to 8 % of the capacity, 89 to 98 % of the block in use. By turns their
tensors are of all kinds, long and thin, or short and thick; every fourth is cut with pinwheels, which no saw could cut.
A line an instance: what greedy by size, the quick ways and the search take, in parts of the capacity. ``--plain``
searches without machine code, as where numba is not installed. Seconds are of CPU.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

SIDE = 1024
"""Units of the capacity, and steps."""
CAPACITY = SIDE * 1024
Rectangle = tuple[int, int, int, int]  # first step, end, bottom, top


def cut(chance: random.Random, count: int, steps: list[int], flat: float, pinwheels: float) -> list[Rectangle]:
    """The block cut into so many rectangles at some of ``steps``, the larger ones sooner.

    flat   how likely a cut is along time
    """
    parts: list[Rectangle] = [(0, SIDE, 0, SIDE)]
    tries = 0
    while len(parts) < count and tries < 100 * count:
        tries += 1
        i = max(chance.sample(range(len(parts)), min(len(parts), 4)), key=lambda i: area(parts[i]))
        a, b, low, high = parts[i]
        inside = [t for t in steps if a < t < b]
        if chance.random() < pinwheels and len(inside) > 1 and high - low > 2:
            t, u = sorted(chance.sample(inside, 2))
            v, w = sorted(chance.sample(range(low + 1, high), 2))
            parts[i : i + 1] = [(a, u, low, v), (u, b, low, w), (t, b, w, high), (a, t, v, high), (t, u, v, w)]
        elif chance.random() < flat and high - low > 1:
            v = low + round((high - low) * chance.triangular(0.02, 0.98))
            if low < v < high:
                parts[i : i + 1] = [(a, b, low, v), (a, b, v, high)]
        elif inside:
            t = chance.choice(inside)
            parts[i : i + 1] = [(a, t, low, high), (t, b, low, high)]
    return [part for part in parts if area(part)]


def area(part: Rectangle) -> int:
    """Units times steps."""
    a, b, low, high = part
    return (b - a) * (high - low)


def trimmed(chance: random.Random, parts: list[Rectangle], steps: list[int], use: float) -> list[Rectangle]:
    """The same with some made shorter or smaller, until no more than ``use`` of the block is in use."""
    parts, whole = list(parts), SIDE * SIDE * use
    while sum(map(area, parts)) > whole:
        i = chance.randrange(len(parts))
        a, b, low, high = parts[i]
        inside = [t for t in steps if a < t < b]
        if inside and chance.random() < 0.5:
            parts[i] = (a, chance.choice(inside[len(inside) // 2 :]), low, high)
        elif high - low > 1:
            parts[i] = (a, b, low, high - max(1, (high - low) // chance.randint(3, 12)))
    return parts


def instance(seed: int) -> list[dict[str, Any]]:
    """Tensors that fit into ``CAPACITY`` bytes, in an order that tells nothing."""
    chance = random.Random(seed)
    steps = sorted(chance.sample(range(1, SIDE), chance.randint(70, 114)))
    flat = (0.5, 0.7, 0.35)[seed % 3]
    parts = cut(chance, chance.randint(154, 215), steps, flat, 0.1 if seed % 4 == 3 else 0.0)
    parts = trimmed(chance, parts, steps, chance.uniform(0.89, 0.98))
    chance.shuffle(parts)
    return [
        {"name": str(i), "first": a, "last": b - 1, "bytes": (high - low) * 1024}
        for i, (a, b, low, high) in enumerate(parts)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    if given.plain:
        sys.modules["numba"] = None  # type: ignore[assignment]
    import costcalc
    from costcalc.packing.check import faults
    from costcalc.packing.greedy import greedy_by_size
    from costcalc.packing.records import Buffer

    fits, worst = 0, 0.0
    print(f"{'instance':>8}{'tensors':>8}{'by size':>9}{'quick':>8}{'within':>8}{'s':>7}")
    for seed in range(given.first, given.first + given.instances):
        tensors = instance(seed)
        by_size = greedy_by_size([Buffer(*t.values()) for t in tensors])[1] / CAPACITY
        quick = costcalc.pack(tensors, capacity=CAPACITY, time_limit=0).arena_bytes / CAPACITY
        began = time.process_time()
        found = costcalc.pack(tensors, capacity=CAPACITY, time_limit=given.seconds)
        took = time.process_time() - began
        assert not faults(found)
        within = found.arena_bytes / CAPACITY
        fits, worst = fits + (within <= 1), max(worst, within)
        print(f"{seed:8}{len(tensors):8}{by_size:9.3f}{quick:8.3f}{within:8.4f}{took:7.1f}", flush=True)
    print(f"{fits} of {given.instances} within their capacity, at most {worst:.4f} of it")


if __name__ == "__main__":
    main()
