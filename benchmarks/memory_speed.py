"""How long plans take, by CPU time, on one machine in one run.

    python benchmarks/memory_speed.py

`costcalc memory mobilenet_v2 --engine tflm` as a process against `costcalc analyze mobilenet_v2` (the least of seven
pairs each), and for each engine the planning of all shipped models beyond loading and analysing them; ResNet-1202.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cpu_time import of_command

import costcalc
from costcalc.models import load
from costcalc.planning.engines import ENGINES, plan
from costcalc.zoo import models

PAIRS = 7


def main() -> None:
    runs = {"analyze": ["analyze", "mobilenet_v2"], "memory": ["memory", "mobilenet_v2", "--engine", "tflm"]}
    for arguments in runs.values():
        of_command(*arguments)
    taken = {name: [of_command(*arguments) for _ in range(PAIRS)] for name, arguments in runs.items()}
    least = {name: min(times) for name, times in taken.items()}
    print(f"memory mobilenet_v2 --engine tflm: {least['memory'] / least['analyze']:.2f} × analyze mobilenet_v2")

    graphs = {name: load(name) for name in models()}
    for graph in graphs.values():
        costcalc.analyze(graph)
    for engine in ENGINES:
        start = time.process_time()
        longest, slowest = 0.0, ""
        for name, graph in graphs.items():
            before = time.process_time()
            plan(graph, engine, patches=False)
            took = time.process_time() - before
            if took > longest:
                longest, slowest = took, name
        total = time.process_time() - start
        print(f"{engine:8} {len(graphs)} models {total:5.2f} s, the longest {slowest} {longest:.2f} s")
    deep = load("resnet1202")
    costcalc.analyze(deep)
    for engine in ENGINES:
        start = time.process_time()
        plan(deep, engine, patches=False)
        print(f"{engine:8} resnet1202 {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
