"""``report.plot``, ``memory.plot``, ``comparison.plot``, ``diff.plot``: the pictures that a record has.

Each takes ``width``, inches from 2 to 30, and returns a ``matplotlib.figure.Figure``; without matplotlib it raises a
``CostcalcError`` that says what to install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costcalc.backends.plots import need_matplotlib
from costcalc.classes import NamedTuple
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from costcalc.analysis.records import Report
    from costcalc.comparison import Comparison
    from costcalc.difference.records import Diff
    from costcalc.planning.records import Memory


def _check(width: float | None) -> None:
    need_matplotlib()
    if width is not None and not 2 <= width <= 30:
        raise OptionError(f"a picture is from 2 to 30 inches wide, not {width}")


class ReportPlots(NamedTuple):
    """Of a report."""

    report: Report

    def roofline(self, width: float | None = None) -> Any:
        """Layers under the roof of the report's machine, which it must have."""
        _check(width)
        from costcalc.backends.plots.roofline import draw

        return draw(self.report, width)

    def treemap(self, figure: str = "macs", width: float | None = None) -> Any:
        """Blocks in blocks, each as large as its part of ``figure``: macs, params, traffic, weights, time, energy."""
        _check(width)
        from costcalc.backends.plots.treemap import draw

        return draw(self.report, figure, width)

    def receptive_field(self, width: float | None = None) -> Any:
        """How the receptive field grows, layer by layer."""
        _check(width)
        from costcalc.backends.plots.receptive_field import draw

        return draw([self.report], [self.report.name], width)


class MemoryPlots(NamedTuple):
    """Of what an engine holds."""

    held: Memory

    def memory(self, width: float | None = None) -> Any:
        """What lives at each step, and what at the peak."""
        _check(width)
        from costcalc.backends.plots.memory import draw

        return draw(self.held, width)


class ComparisonPlots(NamedTuple):
    """Of models side by side."""

    comparison: Comparison

    def pareto(self, x: str = "macs", y: str = "params", width: float | None = None) -> Any:
        """The models by two figures, and the line of those that none is better than in both."""
        _check(width)
        from costcalc.backends.plots.pareto import draw
        from costcalc.tabulation import tabulate

        return draw(tabulate(self.comparison.names, self.comparison.reports, both(x, y)), {}, width)

    def receptive_field(self, width: float | None = None) -> Any:
        """How the receptive field of each grows, layer by layer."""
        _check(width)
        from costcalc.backends.plots.receptive_field import draw

        return draw(self.comparison.reports, self.comparison.names, width)


class DiffPlots(NamedTuple):
    """Of two models and how one became the other."""

    diff: Diff

    def waterfall(self, figure: str = "macs", width: float | None = None) -> Any:
        """A bar for each cause of the change of ``figure``, the largest first."""
        _check(width)
        from costcalc.backends.plots.waterfall import draw

        return draw(self.diff, figure, width)


def both(x: str, y: str) -> list[str]:
    """The two columns of a Pareto front. Raises ``OptionError`` if they are one."""
    if x == y:
        raise OptionError(f"a Pareto front is of two figures; x and y are both {x[:40]}")
    return [x, y]
