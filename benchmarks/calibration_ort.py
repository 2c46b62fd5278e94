"""How near estimates come to what ONNX Runtime takes here: five networks are fitted, seven others held to them.

    python benchmarks/calibration_ort.py [--sessions 2] [--runs 100]

Of each kernel the least time of all runs counts, in one thread. A line a network: how many of its convolutions and
linear layers are within 15 and within 30 % of what was measured; the whole over what was measured, both with the copies
to other layouts that a session makes; and, as what this machine lets anybody say, how many of them two sessions
measured within 15 % of each other. Needs torch, onnx, onnxruntime and SciPy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from costcalc import load
from costcalc.analysis.features import Features
from costcalc.calibration.fit import FitRow, fitted
from costcalc.calibration.onnx_runtime import MODELS, profile

TESTED = (
    "resnet34", "squeezenet1_0", "mobilenet", "mobilenet_v3_small", "efficientnet_b1", "regnet_y_800mf", "densenet169",
)  # fmt: skip
LONGEST = 4e-3
"""Kernels that take longer are not fitted: where other programs run, none of their runs is left alone."""


class Measured(NamedTuple):
    """One kernel: the least that it took, in each session."""

    multiplies: bool
    features: Features
    each: list[float]

    @property
    def seconds(self) -> float:
        """The least of all."""
        return min(self.each)


class Run(NamedTuple):
    """A model's kernels by the layer that they begin with; seconds and features of what is no layer."""

    kernels: dict[str, Measured]
    other: float
    copied: Features


def measure(name: str, sessions: int, runs: int) -> Run:
    """What ``sessions`` sessions take for the model."""
    found: dict[str, Measured] = {}
    profiles = [profile(load(name), threads=1, runs=runs) for _ in range(sessions)]
    for one in profiles:
        for kernel in one.kernels:
            multiplies = not {"conv", "linear"}.isdisjoint(kernel.ops)
            found.setdefault(kernel.name, Measured(multiplies, kernel.features, [])).each.append(kernel.seconds)
    return Run(found, min(one.other for one in profiles), profiles[0].copied)


def within(ratios: Sequence[float], part: float) -> float:
    """Which part of ``ratios`` is off by at most ``part``."""
    return sum(abs(ratio - 1) <= part for ratio in ratios) / len(ratios)


def main() -> None:
    """Measure, fit, compare."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=2)
    options.add_argument("--runs", type=int, default=100)
    given = options.parse_args()
    measured = {name: measure(name, given.sessions, given.runs) for name in (*MODELS, *TESTED)}
    rows = [
        FitRow(f"{name} {layer}", one.features, one.seconds)
        for name in MODELS for layer, one in measured[name].kernels.items() if one.seconds < LONGEST
    ]  # fmt: skip
    each = fitted(rows)
    alone = Features(macs=median(r.seconds / r.features.macs for r in rows if r.features.macs))
    print(f"fitted to {len(rows)} kernels of {', '.join(MODELS)}: {each._asdict()}")
    every: list[tuple[float, float]] = []  # seconds, and the estimate over them
    plain: list[float] = []
    near = 0
    for name in (*MODELS, *TESTED):
        kernels, other, copied = measured[name]
        some = [one for one in kernels.values() if one.multiplies]
        ratios = [one.features.seconds(each) / one.seconds for one in some]
        whole = copied.seconds(each) + sum(one.features.seconds(each) for one in kernels.values())
        ratio = whole / (other + sum(one.seconds for one in kernels.values()))
        agree = within([max(one.each) / min(one.each) for one in some], 0.15)
        if name in TESTED:
            every += zip((one.seconds for one in some), ratios, strict=True)
            plain += [one.features.seconds(alone) / one.seconds for one in some]
            near += abs(ratio - 1) <= 0.1
        print(
            f"  {name:20} {len(some):4} of them {100 * within(ratios, 0.15):3.0f} % within 15 %, "
            f"{100 * within(ratios, 0.3):3.0f} % within 30 %; total {ratio:.2f}; sessions agree on {100 * agree:3.0f} %"
            f"{'' if name in TESTED else '  (fitted)'}"
        )
    groups = [("MACs alone", plain), ("fitted", [ratio for _, ratio in every])]
    for title, low, high in (("under 20 µs", 0.0, 20e-6), ("20 to 100 µs", 20e-6, 1e-4), ("over 100 µs", 1e-4, 10.0)):
        groups.append((f"fitted, {title}", [ratio for seconds, ratio in every if low <= seconds < high]))
    for title, ratios in groups:
        near_15, near_30 = (100 * within(ratios, part) for part in (0.15, 0.3))
        print(f"  {title}: {len(ratios)} layers, {near_15:.0f} % within 15 %, {near_30:.0f} % within 30 %")
    print(f"  totals within 10 % on {near} of {len(TESTED)}")


if __name__ == "__main__":
    main()
