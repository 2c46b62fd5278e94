"""Totals in closed form: what a model costs as a function of its sizes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from costcalc.analysis.figures import CLOSED_FORM, Figure, figures_in
from costcalc.analysis.layer_costs import Works
from costcalc.analysis.records import Figures
from costcalc.analysis.shared_costs import AddedCosts
from costcalc.analysis.storage import Storage
from costcalc.analysis.sums import LayerSum
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.ir.values import Known, value_at


class Formula(NamedTuple):
    """One total, a figure."""

    figure: Figure
    total: Dim

    def terms(self, at: Mapping[str, int]) -> list[tuple[Expr, int]]:
        """The terms of the sum, each with its value at ``at``; those of the finest grids first."""
        whole = Expr.of(self.total)
        parts = [Expr({monomial: c}) for monomial, c in whole.terms.items()]
        known: Known = {}
        grids = [_value(Expr({monomial: 1}), at, known) for monomial in whole.terms]
        order = sorted(range(len(parts)), key=lambda i: (-grids[i], not parts[i].symbols, str(parts[i])))
        return [(parts[i], _value(parts[i], at, known)) for i in order]

    def at(self, values: Mapping[str, int]) -> int:
        """The total at the given sizes."""
        return _value(Expr.of(self.total), values)


def formulas(graph: Graph, bits: int | None = None, also: Collection[str] = ()) -> list[Formula]:
    """The totals of ``graph``, whose sizes may be symbols, with the figures on demand that ``also`` names."""
    storage = Storage(graph, bits)
    work, costs, whole = Works(bits), AddedCosts(graph, storage), LayerSum(storage)
    for node in graph.nodes:
        done = work(graph, node)
        whole.count(costs(node, done).row, storage.touched(node), costs.owned(node, done))
    record = Figures(whole.amounts())
    return [Formula(figure, figure.of(record)) for figure in figures_in(CLOSED_FORM, also)]


def strongest(conditions: Iterable[str]) -> list[str]:
    """``conditions`` without those that another implies: of ``h ≥ 5`` and ``h ≥ 13`` the second.

    >>> strongest(["h ≥ 5", "w ≥ 3", "h ≥ 13", "h ≥ 7", "2 | h", "h ≤ 99", "0 ≥ h - 50"])
    ['h ≥ 13', 'w ≥ 3', 'h ≤ 50', '2 | h']
    """
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    others = []
    for condition in conditions:
        below = re.fullmatch(r"(\w+) ≥ (\d+)", condition)
        above = re.fullmatch(r"(\w+) ≤ (\d+)|0 ≥ (\w+) - (\d+)", condition)
        if below:
            least[below[1]] = max(least.get(below[1], 0), int(below[2]))
        elif above:
            name, value = above[1] or above[3], int(above[2] or above[4])
            most[name] = min(most.get(name, value), value)
        else:
            others.append(condition)
    limits = [f"{name} ≥ {value}" for name, value in least.items()]
    return [*limits, *(f"{name} ≤ {value}" for name, value in most.items()), *others]


def _value(e: Expr, at: Mapping[str, int], known: Known | None = None) -> int:
    value = value_at(e, at, known)
    assert isinstance(value, int), f"{e} still has symbols"
    return value
