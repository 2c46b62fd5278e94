"""``compare``: several models side by side, with ratios to the first, and where each spends what it costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.amounts.formatting import field_text
from costcalc.analysis.figures import COMPARISON, FIGURES, SPENT, Figure, Value, field_at_end, figures_in
from costcalc.analysis.pixel_map import GLOBAL, ReceptiveField
from costcalc.analysis.records import Layer, Report
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

if TYPE_CHECKING:
    from costcalc.backends.plots.attached import ComparisonPlots

SCHEMA = 1
"""The version of the JSON of a comparison."""
MOST_PARTS = 10


class ComparedFigure(NamedTuple):
    """One figure of every model.

    values   None where a model has none
    ratios   to the first model's
    best     the indices of the models that are best in it; none where all are the same
    """

    figure: Figure
    values: tuple[Value | None, ...]
    ratios: tuple[float | None, ...]
    best: frozenset[int]


class CostPart(NamedTuple):
    """What the layers of one kind, or of one stage, cost together; ``is_rest`` where it is all that have no part."""

    name: str
    amount: Value
    share: float
    is_rest: bool = False


class Comparison(NamedTuple):
    """What ``compare`` returns; ``to_dict`` is its JSON."""

    names: tuple[str, ...]
    reports: tuple[Report, ...]
    lines: tuple[ComparedFigure, ...]

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        return f"<Comparison of {', '.join(map(visible, self.names))}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from costcalc.backends.report.html import preformatted

        return preformatted(self.to_text(width=120))

    def to_text(self, width: int = 80) -> str:
        """The table of the command line, ``width`` characters wide."""
        from costcalc.backends.compare.formats import table
        from costcalc.backends.escape import console

        return console(table(self, width=width))

    def to_markdown(self) -> str:
        """A table in GitHub's Markdown."""
        from costcalc.backends.compare.formats import markdown

        return markdown(self)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``: a row a model, a column a figure, exact. Raises ``CostcalcError`` without pandas."""
        from costcalc.backends.data_frames import pandas

        return pandas({"model": self.names, **{line.figure.head: line.values for line in self.lines}})

    @property
    def plot(self) -> ComparisonPlots:
        """Pictures, as matplotlib figures: ``comparison.plot.pareto()``, ``.receptive_field()``."""
        from costcalc.backends.plots.attached import ComparisonPlots

        return ComparisonPlots(self)

    def parts(self, model: int, figure: str, by: str, most: int = MOST_PARTS) -> list[CostPart]:
        """Where a model spends ``figure``, by op ``kind`` or by ``stage``: the ``most`` largest, the rest as one."""
        return parts(self.reports[model], FIGURES[figure], by, most)

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        return {
            "schema": SCHEMA,
            "models": [
                {
                    "name": name,
                    "inputs": {value: list(shape) for value, shape in report.inputs.items()},
                    "apply": list(report.settings.apply),
                    "figures": {line.figure.name: line.values[i] for line in self.lines},
                    "ratios": {line.figure.name: line.ratios[i] for line in self.lines},
                    "best_in": [line.figure.name for line in self.lines if i in line.best],
                    "receptive_field_at": last_seen(report)[0],
                    "receptive_field_text": last_seen(report)[1],
                    "peak_at": report.total.peak_at,
                    "uncounted": [layer.name for layer in report.uncounted],
                    **({"unset": [size.name for size in report.unset]} if report.unset else {}),
                    **({"unknown": {"energy": e.unknown}} if (e := report.total.energy) and e.unknown else {}),
                    "spent": {
                        figure.name: {
                            by: {p.name: p.amount for p in self.parts(i, figure.name, by)} for by in ("kind", "stage")
                        }
                        for figure in figures_in(SPENT)
                    },
                }
                for i, (name, report) in enumerate(zip(self.names, self.reports, strict=True))
            ],
        }


def compare(reports: Sequence[Report], names: Sequence[str] = (), also: Collection[str] = ()) -> Comparison:
    """The models of ``reports`` side by side, called ``names``, or what they call themselves.

    also   figures to have beside those that are always there: ``flops``

    Raises ``CostcalcError`` for fewer than two, or for figures that are formulas.
    """
    if len(reports) < 2:
        raise CostcalcError("compare takes two or more models")
    lines = []
    for figure in figures_in(COMPARISON, also):
        values = tuple(figure.value(report) for report in reports)
        if any(value is not None and not isinstance(value, (int, float)) for value in values):
            raise CostcalcError(f"{figure.name} is a formula in one of the models; give every size a number")
        if figure.name == "receptive_field":
            there = any(field_at_end(report)[1] is not None for report in reports)
        elif figure.name == "energy":
            there = any(report.energies for report in reports)  # it may be unknown
        else:
            there = any(values) if figure.name == "uncounted" else any(value is not None for value in values)
        if there:
            lines.append(ComparedFigure(figure, values, _ratios(values), best_of(figure, values, reports)))
    return Comparison(tuple(names) or tuple(r.name for r in reports), tuple(reports), tuple(lines))


def _ratios(values: tuple[Value | None, ...]) -> tuple[float | None, ...]:
    first = values[0]
    return tuple(value / first if value is not None and first else None for value in values)


def best_of(figure: Figure, values: tuple[Value | None, ...], reports: Sequence[Report]) -> frozenset[int]:
    """The indices of the reports that are best in ``figure``; none where all are the same, or bounds forbid to say."""
    known = [value for value in values if value is not None]
    if figure.less is None or len({*known}) < 2:
        return frozenset()
    best = min(known) if figure.less else max(known)
    # A bound is never best; and nothing is where another model's figure may be better than its bound.
    marks = [report.mark(figure.name) for report in reports]
    if not {*marks} <= {"", "≥" if figure.less else "≤"}:
        return frozenset()
    return frozenset(i for i, value in enumerate(values) if value == best and not marks[i])


def last_seen(report: Report) -> tuple[str, str]:
    """The last layer that sees less than the whole image, or the last with places where all see all, and how much
    that is: "all" of it, with the window in brackets where that is larger; "" and what all see, if no layer has places.
    """
    layer, field = field_at_end(report)
    if layer is None:
        last = report.layers[-1].receptive_field if report.layers else None
        return "", "all" if last == GLOBAL else field_text(last)
    if isinstance(field, ReceptiveField) and field.sees_all and field.hangs_over:
        return layer.name, f"{'≤ ' if field.bound else ''}all ({min(field.size)})"
    return layer.name, "all" if field == GLOBAL else field_text(field)


def parts(report: Report, figure: Figure, by: str, most: int = MOST_PARTS) -> list[CostPart]:
    """What the layers of each kind or stage cost together: the largest ``most`` and the rest as one."""
    if figure.whole:
        raise CostcalcError(f"{figure.name} is not spent by layers")
    key: Callable[[Layer], str] = _kind if by == "kind" else stages(report)
    sums: dict[str, Value] = {}
    for layer in report.layers:
        sums[key(layer)] = sums.get(key(layer), 0) + (figure.part(layer) or 0)
    whole = sum(sums.values())
    ranked = sorted(sums, key=lambda name: -sums[name])
    ranked = [name for name in ranked if sums[name]]
    shown = ranked if len(ranked) == most + 1 else ranked[:most]
    # Stages in the order of the network, kinds the largest first.
    order = [name for name in sums if name in shown] if by == "stage" else shown
    found = [CostPart(name, sums[name], sums[name] / whole if whole else 0.0) for name in order]
    rest = whole - sum(p.amount for p in found)
    if rest:
        found.append(CostPart(f"{len(ranked) - len(found)} others", rest, rest / whole, is_rest=True))
    return found


def _kind(layer: Layer) -> str:
    return layer.kind


def stages(report: Report) -> Callable[[Layer], str]:
    """The stage of a layer: its outermost block, or what is in that where one block holds nearly all layers."""
    counts: dict[str, int] = {}
    for layer in report.layers:
        head = layer.name.partition(".")[0]
        counts[head] = counts.get(head, 0) + 1
    wraps = {head for head, n in counts.items() if n > 0.8 * len(report.layers) and n > 1}

    def stage(layer: Layer) -> str:
        names = layer.name.split(".")
        return ".".join(names[: 2 if names[0] in wraps else 1])

    return stage
