"""From a figure of the old model to that of the new one, cause by cause."""

from __future__ import annotations

from costcalc.analysis.figures import FIGURES, Value
from costcalc.classes import NamedTuple
from costcalc.difference.records import Diff
from costcalc.errors import CostcalcError

MOST = 12
"""Causes that have a step of their own; the others share the last."""


class WaterfallStep(NamedTuple):
    """One cause, or with ``causes`` above 1 all that have no step of their own.

    start, end   the figure before and after it
    """

    kind: str
    description: str
    source: str
    start: Value
    end: Value
    causes: int = 1

    @property
    def change(self) -> Value:
        """What it adds."""
        return self.end - self.start


class Waterfall(NamedTuple):
    """A figure's way from ``old`` to ``new``; the steps' changes add up to the difference exactly."""

    figure: str
    old: Value
    new: Value
    steps: tuple[WaterfallStep, ...]


def waterfall(diff: Diff, figure: str = "macs", most: int = MOST) -> Waterfall:
    """The causes of the change of ``figure``, the largest first. Raises ``CostcalcError`` for one without causes."""
    known = FIGURES.get(figure)
    if known is None or not known.is_summed:
        raise CostcalcError(f"a diff knows no causes of {figure[:40]}, as it is not a sum over layers")
    old, new = (value or 0 for value in diff.figure(figure))
    causes = [cause for cause in diff.by(figure) if cause.of(figure)]
    own = causes if len(causes) <= most + 1 else causes[:most]
    steps, at = [], old
    for cause in own:
        source = cause.location.short if cause.location else ""
        steps.append(WaterfallStep(cause.kind, cause.description, source, at, at + cause.of(figure)))
        at = steps[-1].end
    if rest := causes[len(own) :]:
        change = sum(cause.of(figure) for cause in rest)
        steps.append(WaterfallStep("others", f"{len(rest)} smaller causes", "", at, at + change, len(rest)))
    return Waterfall(figure, old, new, tuple(steps))
