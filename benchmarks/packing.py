"""How close packings come to what no packing can beat: on every shipped model, and on published instances.

    python benchmarks/packing.py                       # the lifetimes of every shipped model, as two engines have them
    python benchmarks/packing.py FOLDER                # files NAME.CAPACITY.csv, as minimalloc publishes them
    python benchmarks/packing.py --greedy ...          # with no time for a search

Seconds are of CPU, of one process.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import costcalc
from costcalc.packing.check import faults
from costcalc.packing.greedy import greedy_by_size
from costcalc.packing.read import from_csv
from costcalc.packing.records import Buffer, Packing


def packed(buffers: list[Buffer], capacity: int | None, seconds: float) -> tuple[Packing, float]:
    """The packing of ``buffers``, checked, and the seconds that it took."""
    began = time.process_time()
    found = costcalc.pack(buffers, capacity=capacity, time_limit=seconds)
    took = time.process_time() - began
    assert faults(found) == [], faults(found)
    return found, took


def published(folder: Path, seconds: float) -> None:
    """Each file of ``folder`` within the capacity that its name gives, and then as small as can be."""
    print(f"{'instance':10}{'tensors':>8}{'greedy':>8}{'within':>9}{'s':>7}{'smallest':>10}{'bound':>8}{'s':>7}")
    whole = 0.0
    for path in sorted(folder.glob("*.csv")):
        buffers = from_csv(path.read_text(), path.name)
        capacity = int(path.name.split(".")[1])
        greedy = greedy_by_size(buffers)[1] / capacity
        within, first = packed(buffers, capacity, seconds)
        small, second = packed(buffers, None, seconds)
        whole += first
        print(
            f"{path.name.split('.')[0]:10}{len(buffers):8}{greedy:8.3f}{within.arena_bytes / capacity:9.4f}{first:7.1f}"
            f"{small.arena_bytes / capacity:10.4f}{small.lower_bound_bytes / capacity:8.4f}{second:7.1f}"
        )
    print(f"within their capacity: {whole:.1f} s in all")


def shipped(seconds: float) -> None:
    """The tensors of every shipped model in two engines, greedily and by ``pack``."""
    from costcalc.zoo import models

    for engine in ("tflm", "mcu"):
        graphs = greedy = proved = 0
        took, worst = 0.0, ("", 0.0)
        for name in models():
            try:
                tensors = costcalc.memory(name, engine=engine, bits=8).tensors
            except costcalc.errors.CostcalcError as error:
                print(f"{name}: {error}")
                continue
            buffers = [Buffer(f"{i}", t.first, t.last, t.bytes) for i, t in enumerate(tensors)]
            found, spent = packed(buffers, None, seconds)
            graphs += 1
            proved += found.optimal
            greedy += greedy_by_size(buffers)[1] == found.lower_bound_bytes
            took += spent
            if not found.optimal:
                print(f"  {name}: {found.arena_bytes}, not below {found.lower_bound_bytes}, {spent:.1f} s")
            worst = max(worst, (name, spent), key=lambda pair: pair[1])
        print(
            f"{engine}: {graphs} graphs, gap 0 greedily by size {greedy}, by pack {proved}; {took:.1f} s, most {worst}"
        )


if __name__ == "__main__":
    import costcalc.errors

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--greedy", action="store_true")
    parser.add_argument("--seconds", type=float, default=12.0)
    given = parser.parse_args()
    limit = 0.0 if given.greedy else given.seconds
    if given.folder:
        published(given.folder, limit)
    else:
        shipped(limit)
