"""``table``: models by row and what a paper says of them by column, figures of ours beside those of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from costcalc.analysis.figures import ASKED, COUNT, FIGURES, Figure, meant, named
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.comparison import best_of
from costcalc.errors import CostcalcError, Location, OptionError, UnknownName, article, listing, near
from costcalc.reading.csv import Sheet

SCHEMA = 1
"""The version of the JSON of a table."""
INPUT = "input"
NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")
MORE = {
    "acc", "accuracy", "top1", "top5", "ap", "map", "iou", "miou", "f1", "auc", "psnr", "ssim", "bleu", "dice",
    "recall", "precision", "fps",
}  # fmt: skip
LESS = {"err", "error", "loss", "ppl", "perplexity", "fid", "mse", "rmse", "mae", "epe", "wer", "cer", "latency"}
"""Words in the head of a column of which more, or less, is better."""


class TableColumn(NamedTuple):
    """What one column says of every model.

    values   exact numbers, None where there is none; of a column of words None
    texts    as the file has them, or words; empty for a figure of ours
    unit     of a figure of ours: how its numbers are scaled
    scale    how many of these one is, where the column's name says so: 10⁹ for ``gflops``
    marks    what stands before each: ``≥`` for a lower bound
    best     the indices of the models that are best in it; none where that is not known
    """

    name: str
    title: str
    values: tuple[Any, ...] | None
    texts: tuple[str, ...] = ()
    unit: str = ""
    scale: int | None = None
    marks: tuple[str, ...] = ()
    best: frozenset[int] = frozenset()

    def number(self, i: int) -> int | float | str | None:
        """What it says of model ``i``, as programs have it: exact where it is whole, in the units of the name."""
        if self.values is None:
            return self.texts[i] or None
        value = self.values[i]
        if value is None or (self.scale is None and isinstance(value, (int, float))):
            return value
        exact = Fraction(value) / (self.scale or 1)
        return int(exact) if exact.denominator == 1 else float(exact)


class Table(NamedTuple):
    """A table of models; ``notes`` are sentences for its foot."""

    names: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        return {
            "schema": SCHEMA,
            "models": [
                {"name": name, **{column.name: column.number(i) for column in self.columns}}
                for i, name in enumerate(self.names)
            ],
            "best": {column.name: sorted(column.best) for column in self.columns if column.best},
            "notes": list(self.notes),
        }


def tabulate(
    models: Sequence[str],
    reports: Sequence[Report],
    columns: Sequence[str],
    sheet: Sheet | None = None,
    names: Sequence[str] = (),
    best: Mapping[str, str] = {},
) -> Table:
    """A table of ``reports``, of what is asked for as ``models``.

    columns   figures, counts in thousands or more as ``gflops``, ``input``, and heads of ``sheet``
    sheet     its first column names models, as ``models`` does
    names     what to call the models
    best      column → ``max`` or ``min``, where its head does not say which is better, or ``none``

    Raises ``CostcalcError`` for a column that there is not, and with its line for what is wrong in the sheet.
    """
    if names and len(names) != len(models):
        raise OptionError(f"there are {len(names)} names for {len(models)} models")
    wanted = list(dict.fromkeys(columns))
    unknown = [name for name in best if name not in wanted]
    if unknown:
        raise OptionError(f"best of '{unknown[0][:40]}': there is no such column; there are {listing(wanted)}")
    found = []
    for name in wanted:
        column = _ours(name, reports) or (_theirs(name, models, sheet, best.get(name)) if sheet else None)
        if column is None:
            known = [*FIGURES, INPUT, *(sheet.heads[1:] if sheet else ())]
            hint = meant(name) or near(name, known)
            more = "" if sheet else "; others come from a file: --with accuracy.csv"
            raise UnknownName(f"no column called '{name[:40]}'{hint}; there are {listing(known)}{more}")
        found.append(column._replace(best=frozenset()) if best.get(name) == "none" else column)
    return Table(tuple(names) or tuple(models), tuple(found), tuple(_notes(models, reports, found, sheet)))


def _ours(name: str, reports: Sequence[Report]) -> TableColumn | None:
    """The column of a figure, or of the inputs' shapes."""
    if name == INPUT:
        return TableColumn(name, name, None, tuple(map(_input, reports)))
    known = named(name)
    if known is None:
        return None
    figure = known.figure
    values = tuple(figure.value(report) for report in reports)
    if any(not isinstance(value, (int, float, type(None))) for value in values):
        raise CostcalcError(f"{figure.name} is a formula in one of the models; give every size a number")
    if all(value is None for value in values):
        what, example = ASKED.get(figure.asks, ("", ""))
        is_given = figure.asks == "machine" and reports[0].machine is not None
        needs = f"; it needs {what}: --{figure.asks} {example}" if what and not is_given else ""
        why = next((f"; {r.total.energy.unknown}" for r in reports if r.total.energy), needs)
        raise OptionError(f"no model has {article(figure.name)} {figure.name} here{why}")
    return TableColumn(
        name, f"{known.prefix}{figure.title}", values, (), figure.unit, known.scale if known.prefix else None,
        tuple(report.mark(figure.name) for report in reports), best_of(figure, values, reports),
    )  # fmt: skip


def _theirs(name: str, models: Sequence[str], sheet: Sheet, best: str | None) -> TableColumn | None:
    """The column of ``sheet`` that has this head."""
    if name not in sheet.heads[1:]:
        return None
    at, lines = sheet.heads.index(name), _lines(models, sheet)
    cells = [(row.cells[at], row.location) if row else ("", None) for row in lines]
    first = next((text for text, _ in cells if text), "")
    texts = tuple(text for text, _ in cells)
    if not NUMBER.fullmatch(first):
        return TableColumn(name, name, None, texts)
    for text, location in cells:
        if text and not NUMBER.fullmatch(text):
            why = f"'{text[:40]}' is not a number, as others in the column '{name[:40]}' are; leave it empty"
            raise CostcalcError(why, location)
    values = tuple(Fraction(text) if text else None for text in texts)
    known = [value for value in values if value is not None]
    way = best or better(name)
    top = {"max": max, "min": min}[way](known) if way in ("max", "min") and len({*known}) > 1 else None
    return TableColumn(
        name, name, values, texts, best=frozenset(i for i, v in enumerate(values) if top is not None and v == top)
    )


def _lines(models: Sequence[str], sheet: Sheet) -> list[Any]:
    """The row of each model, None where the sheet has none."""
    rows: dict[str, Any] = {}
    for row in sheet.rows:
        model = row.cells[0]
        if model in rows:
            first = rows[model].location.line
            raise CostcalcError(f"'{model[:60]}' has a row already, in line {first}", row.location)
        rows[model] = row
    if not rows.keys() & {*models}:
        has = listing(list(rows), 8) or "no rows"
        called = " or ".join(f"'{model[:60]}'" for model in models[:3])
        why = f"no row begins with {called}, as the models are called here"
        raise CostcalcError(
            f"{why}; it has {has[:300]}", sheet.rows[0].location if sheet.rows else Location(sheet.file)
        )
    return [rows.get(model) for model in models]


def better(name: str) -> str:
    """Whether the most or the least of a column is best, by the words and arrows of its head; "" if it does not say."""
    words = {*re.split(r"[^a-z0-9]+", name.lower().replace("top-", "top"))}
    if "↑" in name or "↓" in name:
        return "max" if "↑" in name else "min"
    return "min" if words & LESS else "max" if words & MORE else ""


def _input(report: Report) -> str:
    return ", ".join("×".join(map(str, shape[1:])) for shape in report.inputs.values())


def _notes(
    models: Sequence[str], reports: Sequence[Report], columns: Sequence[TableColumn], sheet: Sheet | None
) -> list[str]:
    """What was counted, of which inputs, and where the rest is from."""
    figures: dict[str, Figure] = {}
    for column in columns:
        known = named(column.name) if not column.texts else None
        if known:
            figures[known.figure.name] = known.figure
    description = {
        f.name: f"{f.title}: {f.description}" for f in figures.values() if f.unit != COUNT or f.name == "params"
    }
    if "macs" in figures or "flops" in figures:
        description["macs"] = (
            "one MAC is one multiplication with its addition, in convolutions, linear layers, products, attention"
        )
    if "flops" in figures:
        description["flops"] = "FLOPs are 2 times MACs"
    shapes = {_input(report) for report in reports}
    inputs = f"input {shapes.pop()}" if len(shapes) == 1 else "inputs " + ", ".join(
        f"{_input(report)} of {model}" for model, report in zip(models, reports, strict=True)
    )  # fmt: skip
    batch = {shape[0] for report in reports for shape in report.inputs.values() if shape}
    how = [inputs] + [f"batch {', '.join(map(str, sorted(batch, key=str)))}"] * (batch != {1})
    settings = reports[0].settings
    how += [f"{settings.bits} bits"] if settings.bits is not None else []
    how += [f"on {settings.machine} at its peak rates"] if settings.machine and "time" in figures else []
    table = reports[0].energies if "energy" in figures else None
    how += [f"energy by {table.name}: {table.title}" + f", {table.level}" * bool(table.level)] if table else []
    how += [f"after {', '.join(settings.apply)}"] if settings.apply else []
    notes = ["; ".join([", ".join(how), *description.values()])]
    if any(column.best for column in columns):
        notes.append("best in bold")
    marks = {mark for column in columns for mark in column.marks if mark}
    if "≥" in marks:
        notes.append("≥: layers without a rule are left out")
    if marks - {"≥"}:
        notes.append("≤ and ≈: values decide sizes of which the most, or a guess, is taken")
    theirs = [column.name for column in columns if sheet and column.name in sheet.heads and column.texts]
    if sheet and theirs:
        notes.append(f"from {Path(sheet.file).name}: {', '.join(theirs)}")
    return [f"{note[0].upper()}{note[1:]}." for note in notes]
