"""What timm's tables of measured throughput let anybody predict: how far models that are alike differ, and two cards.

    python benchmarks/timm_noise.py EAGER.csv COMPILED.csv OTHER_CARD.csv

Models are taken to be alike whose images, batches, MACs, activations and parameters are equal; some of them differ all
the same, as in how they attend, so that this is what noise is at most. Needs NumPy and SciPy.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Callable, Mapping
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

Table = Mapping[str, Mapping[str, str]]
ALIKE = ("infer_img_size", "infer_batch_size", "infer_gmacs", "infer_macts", "param_count")


def read(path: str) -> Table:
    """A table by model."""
    with Path(path).open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def rate(table: Table, name: str) -> float:
    """The logarithm of images a second."""
    return log(float(table[name]["infer_samples_per_sec"]))


def apart(groups: list[list[str]], value: Callable[[str], float]) -> list[float]:
    """How far each model is from the middle of those that are alike."""
    found = []
    for group in groups:
        values = [value(name) for name in group]
        middle = sum(values) / len(values)
        found += [(v - middle) * sqrt(len(values) / (len(values) - 1)) for v in values]
    return found


def main(eager: Table, compiled: Table, other: Table) -> None:
    """Print both."""
    same = [n for n in eager if n in compiled and eager[n]["infer_img_size"] == compiled[n]["infer_img_size"]]
    by: dict[tuple[str, ...], list[str]] = {}
    for name in same:
        by.setdefault((*(eager[name][k] for k in ALIKE), compiled[name]["infer_batch_size"]), []).append(name)
    groups = [group for group in by.values() if len(group) > 1]
    speedups = {n: rate(compiled, n) - rate(eager, n) for n in same}
    off = apart(groups, speedups.__getitem__)
    draw, values = random.Random(0), list(speedups.values())
    best = np.mean([spearmanr(values, [v + draw.choice(off) for v in values])[0] for _ in range(20)])
    print(f"{len(same)} models, {len(off)} of them in {len(groups)} groups of alike ones")
    print(
        f"  speed-ups vary by {np.std(values):.3f} (deviation of the logarithm), of alike models by {np.std(off):.3f}"
    )
    print(f"  Spearman of the true speed-ups with what is measured with such noise: {best:.2f}")
    both = [n for n in eager if n in other and eager[n]["infer_img_size"] == other[n]["infer_img_size"]]
    ratios = np.array([rate(eager, n) - rate(other, n) for n in both])
    errors = np.abs(np.exp(ratios - np.median(ratios)) - 1)
    print(
        f"{len(both)} models eager on both cards: times of one are those of the other by {exp(np.median(ratios)):.2f},"
    )
    print(f"  median error {100 * np.median(errors):.1f} %, {100 * np.mean(errors <= 0.15):.0f} % within 15 %")


if __name__ == "__main__":
    main(*map(read, sys.argv[1:4]))
