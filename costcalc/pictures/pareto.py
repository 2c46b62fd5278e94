"""Models as points of two figures, and those that no other is better than in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costcalc.analysis.figures import FIGURES, named
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, OptionError
from costcalc.tabulation import Table, TableColumn, better


class Rival(NamedTuple):
    """One model. ``best`` is None where that cannot be told, as a figure of it is a bound."""

    name: str
    x: float
    y: float
    best: bool | None


class Pareto(NamedTuple):
    """The models that have both figures, in the order given.

    x, y                the columns of the table
    less_x, less_y      whether less of it is better
    without             the models that lack one
    """

    x: TableColumn
    y: TableColumn
    less_x: bool
    less_y: bool
    models: tuple[Rival, ...]
    without: tuple[str, ...]

    @property
    def front(self) -> tuple[Rival, ...]:
        """The best, from the least ``x`` on."""
        return tuple(sorted((m for m in self.models if m.best), key=lambda m: (m.x, m.y)))


def pareto(table: Table, ways: Mapping[str, str] = {}) -> Pareto:
    """The models of a ``table`` of two columns, of numbers of which it is known whether less is better.

    ways   column → ``max`` or ``min``, where its head does not say it

    Raises ``CostcalcError`` for other columns, and where no model has both figures. A model is among the best if no
    other is at least as good in both and better in one. Where a figure is a bound, none is called best or not.
    """
    x, y = table.columns
    less = [_less(column, ways) for column in (x, y)]
    both = [
        (i, float(a), float(b))
        for i, (a, b) in enumerate(zip(_numbers(x), _numbers(y), strict=True))
        if a is not None and b is not None
    ]
    if not both:
        raise CostcalcError(f"no model has both {x.name[:40]} and {y.name[:40]}")
    known = not any(mark for column in (x, y) for mark in column.marks)
    costs = {i: (a if less[0] else -a, b if less[1] else -b) for i, a, b in both}
    models = []
    for i, a, b in both:
        mine = costs[i]
        beaten = any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in costs.values())
        models.append(Rival(table.names[i], a, b, not beaten if known else None))
    without = tuple(name for i, name in enumerate(table.names) if i not in costs)
    return Pareto(x, y, less[0], less[1], tuple(models), without)


def _numbers(column: TableColumn) -> tuple[Any, ...]:
    if column.values is None:
        raise OptionError(f"'{column.name[:40]}' is a column of words; a picture needs numbers")
    return column.values


def _less(column: TableColumn, ways: Mapping[str, str]) -> bool:
    known = None if column.texts else named(column.name)
    if known and known.figure.name in FIGURES and known.figure.less is not None:
        return known.figure.less
    way = ways.get(column.name) or better(column.name)
    if way not in ("max", "min"):
        name = column.name[:40]
        raise OptionError(f"nothing says whether more of '{name}' is better: add --best '{name}=max' or =min")
    return way == "min"
