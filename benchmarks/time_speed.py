"""How long floors, fusion and estimates take, by CPU time, on one machine in one run.

    python benchmarks/time_speed.py                     # as processes, the least of pairs in turns
    python benchmarks/time_speed.py --timm [--every N]  # also a fitted machine on timm's models

`costcalc analyze MODEL --apply fuse --machine a100` against `costcalc analyze MODEL`; and what estimating takes beyond
loading and analysing all models of timm, layer by layer, by the rules of each kind of processor. Needs timm and torch
for that.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cpu_time import of_command

import costcalc
from costcalc.analysis.estimate import Calibration
from costcalc.analysis.features import Features
from costcalc.machines import load_machine

PAIRS = 9
MODELS = ("mobilenet_v2", "resnet50", "efficientnet_b0", "vit_b_16", "densenet121")
ALL = 1371


def processes() -> None:
    """A line for each model."""
    for model in MODELS:
        plain, fused = ["analyze", model], ["analyze", model, "--apply", "fuse", "--machine", "a100"]
        of_command(*plain), of_command(*fused)
        pairs = [(of_command(*plain), of_command(*fused)) for _ in range(PAIRS)]
        least = [min(times) for times in zip(*pairs, strict=True)]
        print(f"analyze {model} --apply fuse --machine a100: {least[1] / least[0]:.2f} × analyze {model}", flush=True)


def estimates(every: int) -> None:
    """Seconds for every processor, of so many of timm's models, and for all of them at that rate."""
    sys.path.insert(1, str(Path(__file__).parents[1] / "tests" / "torch"))
    import torchvision_stub

    torchvision_stub.install()
    warnings.simplefilter("ignore")
    import timm

    each = Features(1e-12, 1e-12, 1e-12, 1e-12, 1e-6)
    wide = Features(), Features(*[1e30] * 5)
    plain = load_machine("a100")
    kinds = ("gpu", "eager", "cpu", "ort")
    machines = {
        kind: replace(
            plain,
            calibration=Calibration(
                kind, "", 16 if kind in ("gpu", "eager") else None, each, 0.9, 1.1, 0.05, 0.8, 100, wide
            ),
        )
        for kind in kinds
    }
    taken = dict.fromkeys(("", *kinds), 0.0)
    names = timm.list_models()[::every]
    done = 0
    for name in names:
        try:
            graph = costcalc.load(f"timm:{name}")
        except costcalc.CostcalcError:
            continue
        done += 1
        costcalc.analyze(graph, machine=plain)  # what is worked out once for a graph is
        for kind in taken:
            gc.collect()
            before = time.process_time()
            costcalc.analyze(graph, machine=machines.get(kind, plain))
            taken[kind] += time.process_time() - before
    print(f"{done} of timm's models analysed in {taken['']:.1f} s")
    for kind in kinds:
        more = taken[kind] - taken[""]
        print(f"  estimates by the rules of {kind:6} {more:5.1f} s more; for {ALL:,} models {more / done * ALL:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timm", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    processes()
    if given.timm:
        estimates(given.every)
