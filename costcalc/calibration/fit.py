"""Fit what one of each feature takes to measured times; how sure that is, by what was left out of each fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from costcalc.analysis.estimate import Calibration
from costcalc.analysis.features import Features
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

LEAST_ROWS = 10
FOLDS = 10
"""Where there are more than four times as many rows; else each is left out once by itself."""
INLIER = 0.05
"""An error, as a part, up to which a measurement counts in full; beyond, the less the farther it is off."""
ROUNDS = 15
AGREE = 0.1
"""Measurements of the same thing that differ by more widen the interval."""


class FitRow(NamedTuple):
    """One measurement.

    model     what was measured, of which there may be several rows
    features  of all that was run
    seconds   what it took
    """

    model: str
    features: Features
    seconds: float


class HeldOut(NamedTuple):
    """How far off estimates are of what was not fitted: for each row the estimate over what was measured."""

    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of them are off by more, as a part of what was measured."""
        return median(abs(ratio - 1) for ratio in self.ratios)

    def within(self, part: float) -> float:
        """How many are off by at most ``part``, as a part of all."""
        return sum(abs(ratio - 1) <= part for ratio in self.ratios) / len(self.ratios)


def fitted(rows: Sequence[FitRow]) -> Features:
    """Seconds for one of each feature: none below 0, the least sum of relative errors, squares up to ``INLIER``.

    Raises ``CostcalcError`` where SciPy is not installed.
    """
    try:
        import numpy as np
        from scipy.optimize import nnls
    except ImportError:
        raise CostcalcError("fitting needs SciPy: pip install 'costcalc[calibrate]'") from None
    parts = np.array([[value / row.seconds for value in row.features] for row in rows])
    scale = parts.mean(axis=0)
    used = scale > 0
    columns = parts[:, used] / scale[used]
    weights = np.ones(len(rows))
    found = np.zeros(columns.shape[1])
    for _ in range(ROUNDS):
        found, _ = nnls(columns * weights[:, None], weights)
        off = np.abs(columns @ found - 1)
        weights = 1 / np.sqrt(np.maximum(off, INLIER) / INLIER)
    each = np.zeros(len(scale))
    each[used] = found / scale[used]
    return Features(*map(float, each))


def held_out(rows: Sequence[FitRow], fit: Callable[[Sequence[FitRow]], Features] = fitted) -> HeldOut:
    """Each row's estimate by a fit to rows of other models: one model left out at a time, or a tenth of them."""
    models = list(dict.fromkeys(row.model for row in rows))
    many = len(models) > 4 * FOLDS
    fold_of = {model: (i * 7919 % len(models)) % FOLDS if many else i for i, model in enumerate(models)}
    ratios = [0.0] * len(rows)
    for fold in sorted(set(fold_of.values())):
        rest = [row for row in rows if fold_of[row.model] != fold]
        each = fit(rest)
        for i, row in enumerate(rows):
            if fold_of[row.model] == fold:
                ratios[i] = row.features.seconds(each) / row.seconds
    return HeldOut(tuple(ratios))


def calibrated(
    rows: Sequence[FitRow],
    processor: str,
    transform: str,
    bits: int | None,
) -> tuple[Calibration, HeldOut, list[str]]:
    """The calibration that ``rows`` give, the errors of what was held out, and what its user should know.

    Raises ``CostcalcError`` for fewer than ten rows, or of fewer than five models.
    """
    models = {row.model for row in rows}
    if len(rows) < LEAST_ROWS or len(models) < LEAST_ROWS // 2:
        raise CostcalcError(
            f"fitting needs at least {LEAST_ROWS} measurements of at least {LEAST_ROWS // 2} models or layers; "
            f"there are {len(rows)} of {len(models)}"
        )
    each, held = fitted(rows), held_out(rows)
    spread, said = _spread(rows)
    measured = sorted(1 / ratio if ratio > 0 else float("inf") for ratio in held.ratios)
    low, high = _quantile(measured, 0.1) / spread, _quantile(measured, 0.9) * spread
    if not high < float("inf"):
        raise CostcalcError(
            "these times do not follow from the models' figures: some that are held out are estimated as 0"
        )
    columns = list(zip(*(row.features for row in rows), strict=True))
    calibration = Calibration(
        processor, transform, bits, each, low, high, held.median, held.within(0.15), len(rows),
        (Features(*map(min, columns)), Features(*map(max, columns))),
    )  # fmt: skip
    return calibration, held, said


def _spread(rows: Sequence[FitRow]) -> tuple[float, list[str]]:
    """By how much measurements of the same thing differ, if that is too much, and a sentence about it."""
    times: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        times.setdefault((row.model, row.features), []).append(row.seconds)
    worst = max((max(some) / min(some), model) for (model, _), some in times.items())
    if worst[0] <= 1 + AGREE:
        return 1.0, []
    many = f"{100 * (worst[0] - 1):.0f} %"
    return worst[0], [f"measurements of {worst[1][:80]} differ by {many}, so the interval is wider by as much"]


def _quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which ``part`` of ``ordered`` lie, between neighbours in proportion."""
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])
