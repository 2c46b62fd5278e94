"""What a report is in Python: layers that are found by name; printed, in a notebook, as a data frame, as a file.

Back ends render; each is imported when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costcalc.errors import UnknownName, near

if TYPE_CHECKING:
    from costcalc.analysis.records import Block, Layer
    from costcalc.backends.plots.attached import ReportPlots
    from costcalc.backends.rows import TableOptions


class NoLayer(UnknownName, KeyError):
    """A name that no layer and no block has."""

    __str__ = UnknownName.__str__


class PresentedRow:
    """The part of a ``Layer`` or a ``Block`` that is for people at a prompt."""

    def __repr__(self: Any) -> str:
        from costcalc.backends.report.summary import line_of

        return line_of(self)


class Presented:
    """The part of a ``Report`` that is for people at a prompt.

    The ``to_`` functions take what the command line takes: ``columns="macs,params"``, ``sort``, ``top``, ``depth``,
    ``by_kind``, ``exact``; and those that make text a ``path`` to write it to, whole or not at all.
    """

    if TYPE_CHECKING:  # fields of the report
        name: str
        layers: tuple[Layer, ...]
        blocks: tuple[Block, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Layer | Block]:
        """Every layer and every block by its name; a name that is both is the layer's."""
        found: dict[str, Layer | Block] = {block.name: block for block in self.blocks}
        return found | {layer.name: layer for layer in self.layers}

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        return True  # without layers too

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __getitem__(self, name: str) -> Layer | Block:
        """The layer, or the block of layers, of that name: ``report["layer1.0.conv1"]``, ``report["layer1"]``.

        Raises ``NoLayer``, a ``KeyError`` that names the nearest.
        """
        if not isinstance(name, str):
            raise TypeError(f"a report is indexed by the name of a layer or a block, not by {name!r}; see its layers")
        found = self.by_name.get(name)
        if found is None:
            raise NoLayer(f"{self.name} has no layer and no block '{name[:80]}'{near(name, self.by_name)}")
        return found

    def __repr__(self: Any) -> str:
        from costcalc.backends.report.summary import line

        return line(self)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self: Any) -> str:
        from costcalc.backends.report.html import fragment

        return fragment(self, _options({}))

    def to_text(self, **options: Any) -> str:
        """The table of the command line, as wide as the terminal, or ``width`` characters."""
        from costcalc.backends.escape import console
        from costcalc.backends.terminal import width

        return console(_made(self, "table", None, {"width": width(), **options}), colours=bool(options.get("colour")))

    def to_csv(self, path: str | os.PathLike[str] | None = None, **options: Any) -> str:
        """A line for each row and one for the total, with exact numbers: storage in bits, time in seconds."""
        return _made(self, "csv", path, options)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Everything, as ``docs/json.md`` has it."""
        return _made(self, "json", path, {})

    def to_markdown(self, path: str | os.PathLike[str] | None = None, **options: Any) -> str:
        """Tables in GitHub's Markdown."""
        return _made(self, "markdown", path, options)

    def to_latex(self, path: str | os.PathLike[str] | None = None, **options: Any) -> str:
        """A table for LaTeX with the packages ``booktabs`` and ``siunitx``."""
        return _made(self, "latex", path, options)

    def to_html(self, path: str | os.PathLike[str] | None = None, **options: Any) -> str:
        """A page with a tree that folds; it needs no network and no script."""
        return _made(self, "html", path, options)

    @property
    def plot(self: Any) -> ReportPlots:
        """Pictures, as matplotlib figures: ``report.plot.roofline()``, ``.treemap("params")``, ``.receptive_field()``.

        They need matplotlib and raise a ``CostcalcError`` without it.
        """
        from costcalc.backends.plots.attached import ReportPlots

        return ReportPlots(self)

    def to_pandas(self, **options: Any) -> Any:
        """The rows of the CSV as a ``pandas.DataFrame``, without the total.

        Whole numbers are ``int64`` where their sum is one, else Python's own. Raises ``CostcalcError`` without pandas.
        """
        from costcalc.backends import data_frames

        return data_frames.pandas(_cells(self, options))

    def to_polars(self, **options: Any) -> Any:
        """The same as a ``polars.DataFrame``: ``Int64``, else ``Int128``, else text; raises without polars."""
        from costcalc.backends import data_frames

        return data_frames.polars(_cells(self, options))


def _made(report: Any, format: str, path: str | os.PathLike[str] | None, given: dict[str, Any]) -> str:
    """``report`` in ``format``, also written to ``path`` if there is one."""
    from costcalc.backends.report import render

    text = render(format, report, _options(given))
    if path is not None:
        from costcalc.writing import write_whole

        write_whole(os.fspath(path), text)
    return text


def _cells(report: Any, given: dict[str, Any]) -> dict[str, list[Any]]:
    from costcalc.backends.report.csv import cells

    return cells(report, _options(given))


def _options(given: dict[str, Any]) -> TableOptions:
    """What ``given`` asks to be shown. Raises ``TypeError`` for what is no option of a table."""
    from costcalc.backends.columns import find_bars, find_column, find_columns, on_demand
    from costcalc.backends.rows import TableOptions

    unknown = set(given) - {*TableOptions._fields}
    if unknown:
        raise TypeError(f"tables have no option '{min(unknown)}'; there are {', '.join(TableOptions._fields[:-1])}")
    columns, sort, bars = given.get("columns"), given.get("sort"), given.get("bars")
    if columns is not None:
        given = {**given, "columns": find_columns(columns if isinstance(columns, str) else ",".join(columns))}
    if sort is not None:
        given = {**given, "sort": find_column(sort)}
    if bars is not None:
        given = {**given, "bars": find_bars(bars)}
    shown = [*(given.get("columns") or ()), *(given[name] for name in ("sort", "bars") if given.get(name) is not None)]
    return TableOptions(**{**given, "also": (*given.get("also", ()), *on_demand(shown))})
