"""Totals in closed form: what a model costs as a function of its sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from costcalc.analysis.costs import work_of
from costcalc.analysis.storage import Storage, Tensors
from costcalc.analysis.traffic import traffic
from costcalc.ir.dims import Dim, total
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph


class Formula(NamedTuple):
    """One total. ``unit``: ``count`` or ``bits``."""

    name: str
    total: Dim
    unit: str = "count"

    def terms(self, at: Mapping[str, int]) -> list[tuple[Expr, int]]:
        """The terms of the sum, each with its value at ``at``; those of the finest grids first."""
        whole = Expr.of(self.total)
        parts = [Expr({monomial: c}) for monomial, c in whole.terms.items()]
        grids = [_value(Expr({monomial: 1}), at) for monomial in whole.terms]
        order = sorted(range(len(parts)), key=lambda i: (-grids[i], not parts[i].symbols(), str(parts[i])))
        return [(parts[i], _value(parts[i], at)) for i in order]

    def at(self, values: Mapping[str, int]) -> int:
        """The total at the given sizes."""
        return _value(Expr.of(self.total), values)


def formulas(graph: Graph, bits: int | None = None) -> list[Formula]:
    """The totals of ``graph``, whose sizes may be symbols."""
    storage, work = Storage(graph, bits), work_of(bits)
    everything = Tensors(storage)
    macs: Dim = 0
    ops: Dim = 0
    moved: Dim = 0
    for node in graph.nodes:
        done = work(graph, node)
        if not storage.is_prepared(node):
            macs = macs + done.macs
            ops = ops + done.ops
        moved = moved + total(traffic(node, done, storage))
        everything.weights.update((node.weight(local), weight) for local, weight in done.weights.items())
        for values in storage.touched(node):
            everything.add(values)
    params, _, weight_bits = everything.held()
    return [
        Formula("MACs", macs),
        Formula("ops", ops),
        Formula("params", params),
        Formula("storage", weight_bits + everything.value_bits(), "bits"),
        Formula("traffic", moved, "bits"),
    ]


def strongest(conditions: Iterable[str]) -> list[str]:
    """``conditions`` without those that another implies: of ``h ≥ 5`` and ``h ≥ 13`` the second.

    >>> strongest(["h ≥ 5", "w ≥ 3", "h ≥ 13", "h ≥ 7", "2 | h"])
    ['h ≥ 13', 'w ≥ 3', '2 | h']
    """
    least: dict[str, int] = {}
    others = []
    for condition in conditions:
        plain = re.fullmatch(r"(\w+) ≥ (\d+)", condition)
        if plain:
            least[plain[1]] = max(least.get(plain[1], 0), int(plain[2]))
        else:
            others.append(condition)
    return [f"{name} ≥ {value}" for name, value in least.items()] + others


def _value(e: Expr, at: Mapping[str, int]) -> int:
    value = e.at(at)
    assert isinstance(value, int), f"{e} still has symbols"
    return value
