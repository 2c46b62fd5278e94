"""The columns that tables, CSV and Markdown choose from, each with what it shows and whether it adds up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from costcalc.amounts import units
from costcalc.amounts.formatting import field_text
from costcalc.analysis.figures import (
    BITS,
    COLUMN,
    COUNT,
    FIGURES,
    JOULES,
    PIXELS,
    RATIO,
    SECONDS,
    Figure,
    Named,
    figures_in,
    meant,
    named,
    needed,
)  # fmt: skip
from costcalc.analysis.records import Figures, Layer, Report
from costcalc.classes import NamedTuple
from costcalc.errors import OptionError, UnknownName, listing, near
from costcalc.ir.expr import Expr


class Column(NamedTuple):
    """One column.

    value   of a layer, a block or the total; None where it has none
    shows   that value as text
    adds    whether the layers' values add up to the total's (less what several layers share)
    share   shown as a part of the total, with a bar
    left    set flush left
    asks    what it is there only with: a ``machine``, a table of ``energy``
    unit    of a figure; "" of what is none
    of      the attribute of a layer from which alone its value follows, where many layers have that in common
    figure  the figure that it shows; "" of what is none
    bare    its value for programs, where that is another
    asked   there only where it is asked for by its name
    """

    name: str
    title: str
    value: Callable[[Any], Any]
    shows: Callable[[Any], str] = str
    description: str = ""
    adds: bool = False
    share: bool = False
    left: bool = False
    asks: str = ""
    unit: str = ""
    of: str = ""
    figure: str = ""
    bare: Callable[[Any], Any] | None = None
    asked: bool = False

    @property
    def marks(self) -> str:
        """By which name ``Report.mark`` knows what it shows."""
        return self.figure or self.name


def without_batch(shape: tuple[Any, ...]) -> str:
    """Without the batch, which every layer has: 64×56×56."""
    return "×".join(map(str, shape[1:])) or "scalar"


def _shapes(name: str, which: str, description: str) -> Column:
    def listed(figures: Figures) -> str | None:
        shapes = getattr(figures, which, None)
        return _listed(shapes) if shapes else None

    def bare(figures: Figures) -> str | None:
        shapes = getattr(figures, which, None)
        return _with_batch(shapes) if shapes else None

    return Column(name, name, listed, description=description, of=which, bare=bare)


@lru_cache(maxsize=1024)
def _listed(shapes: tuple[tuple[Any, ...], ...]) -> str:
    first = without_batch(shapes[0])
    same = all(shape == shapes[0] for shape in shapes)
    return first if len(shapes) == 1 else f"{len(shapes)}·({first})" if same else ", ".join(map(without_batch, shapes))


@lru_cache(maxsize=1024)
def _with_batch(shapes: tuple[tuple[Any, ...], ...]) -> str:
    return "; ".join("x".join(map(str, shape)) for shape in shapes)


def _field(figures: Figures) -> Any:
    return getattr(figures, "receptive_field", None)


def _size(figures: Figures) -> str | None:
    field = _field(figures)
    return field if field is None or isinstance(field, str) else field_text(field)


def _stride(figures: Figures) -> str | None:
    field = _field(figures)
    return None if field is None or isinstance(field, str) else _per_axis(field.stride)


def _per_axis(values: tuple[Any, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def _bound(figures: Any) -> str | None:
    return figures.time.bound if figures.time else None


def _ratio(value: Any) -> str:
    return f"{value:.1f}"


SHOWS: Mapping[str, Callable[[Any], str]] = {
    COUNT: units.count, BITS: units.size, SECONDS: units.seconds, JOULES: units.joules, PIXELS: str, RATIO: _ratio,
}  # fmt: skip
"""How a column shows a value, by its unit."""


def _is_leaf(get: Callable[[Layer], str | None]) -> Callable[[Any], str | None]:
    return lambda figures: get(figures) if isinstance(figures, Layer) else None


def _options(layer: Layer) -> str:
    """``kernel=3; stride=1``, lists in brackets."""
    return "; ".join(f"{k}={list(v) if isinstance(v, tuple) else v}" for k, v in layer.options.items())


def _options_as_json(figures: Figures) -> str | None:
    if not isinstance(figures, Layer):
        return None
    from costcalc.analysis.records import plain
    from costcalc.backends import escape

    return escape.json(plain(figures.options))


_BEFORE = (
    Column("name", "layer", lambda f: getattr(f, "name", "total"), description="the layer's dotted name", left=True),
    Column("kind", "kind", _is_leaf(lambda f: f.kind), description="what the op is in this use", left=True, of="kind"),
    Column(
        "group",
        "kernel",
        _is_leaf(lambda f: f.group),
        description="the layer whose kernel does it",
        left=True,
        of="group",
    ),
    Column(
        "module",
        "module",
        lambda f: getattr(f, "module", None),
        description="class of the module, of a traced model",
        left=True,
    ),
    _shapes("input", "input_shapes", "shapes read, without the batch"),
    _shapes("output", "output_shapes", "shapes made, without the batch"),
)
_AFTER = (
    Column(
        "peak",
        "peak",
        lambda f: f.peak_bits,
        units.size,
        unit=BITS,
        asked=True,
        description="activations alive while it runs; of a block, and of all, the most of its layers",
    ),
    Column(
        "bound", "bound", _bound, description="which is slower: compute or memory", left=True, asks="machine", of="time"
    ),
    Column(
        "field",
        "RF",
        _size,
        description="receptive field, in pixels; 224 (483) where 224 of them are in the image",
        of="receptive_field",
    ),
    Column(
        "stride", "RF step", _stride, description="pixels between neighbouring receptive fields", of="receptive_field"
    ),
    Column(
        "inputs", "reads", _is_leaf(lambda f: ", ".join(f.inputs)), description="the values that it reads", left=True
    ),
    Column("source", "source", _is_leaf(lambda f: f.source), description="file and line", left=True),
    Column(
        "options",
        "options",
        _is_leaf(_options),
        description="the op's options",
        left=True,
        of="options",
        bare=_options_as_json,
    ),
)


def columns() -> Mapping[str, Column]:
    """All columns by name: what a layer is, its figures, then what is not a figure."""
    return _columns(tuple(figures_in(COLUMN, FIGURES)))


@lru_cache(maxsize=4)
def _columns(figures: tuple[Figure, ...]) -> Mapping[str, Column]:
    made = (column for figure in figures for column in _of_figure(figure))
    return {column.name: column for column in (*_BEFORE, *made, *_AFTER)}


def _of_figure(figure: Figure) -> Iterator[Column]:
    """The column of a figure, and that of its share of the total if it has one."""
    name, unit, asks, adds = figure.name, figure.unit, figure.asks, figure.adds
    title, description = figure.titled(COLUMN), figure.described(COLUMN)
    value, of = figure.reader(), name if asks else "amounts"
    yield Column(name, title, value, SHOWS[unit], description, adds, asks=asks, unit=unit, of=of, figure=name)
    if figure.share:
        description = f"its share of the {title}"
        yield Column(f"{name}_share", f"of {title}", value, description=description, adds=adds, share=True, asks=asks)


def usual(also: Collection[str] = ()) -> list[Column]:
    """All columns but those of figures that are shown on demand; of these the ones whose figures ``also`` names."""
    return [
        c for c in columns().values()
        if c.figure in also or not (c.asked or (c.figure and FIGURES[c.figure].on_demand))
    ]  # fmt: skip


def preferred(names: str, also: Collection[str] = ()) -> list[Column]:
    """The columns in ``names``, and after the MACs those of the figures that ``also`` names."""
    every = columns()
    wanted = [other for name in names.split() for other in (name, *(also if name == "macs" else ()))]
    return [every[name] for name in wanted if name in every]


def on_demand(columns: Iterable[Column]) -> tuple[str, ...]:
    """The figures of ``columns`` that are shown on demand."""
    return tuple(dict.fromkeys(c.figure for c in columns if c.figure and FIGURES[c.figure].on_demand))


ALSO = {"rf": "field", "receptive_field": "field"}
"""Other names of columns → the column's own."""


def find_column(name: str) -> Column:
    """The column called ``name``, or a count in thousands or more, ``gflops``; an ``UnknownName`` names the nearest."""
    known = columns()
    found = known.get(name) or known.get(ALSO.get(name.lower(), name.lower()))
    if found is None:
        scaled = named(name)
        found = known.get(scaled.figure.name) if scaled else None
        if scaled is None or found is None:
            hint = meant(name) or near(name, known)
            raise UnknownName(f"no column called '{name[:40]}'{hint}; there are {listing(known)}")
        return _in_units(found, scaled)
    return found


def _in_units(column: Column, named: Named) -> Column:
    """``column``, a count, in the units that a name says: ``gflops`` in billions, with three decimals."""
    scale = named.scale

    def value(figures: Figures) -> Any:
        whole = column.value(figures)
        return f"({whole})/{scale}" if isinstance(whole, Expr) else None if whole is None else whole / scale

    name, title = f"{named.prefix}{column.name}".lower(), f"{named.prefix}{column.title}"
    return column._replace(name=name, title=title, value=value, shows=_thousandths, unit="")


def _thousandths(value: Any) -> str:
    """
    >>> _thousandths(8.178368512), _thousandths(0.0), _thousandths(1e-9), _thousandths(1234.5)
    ('8.178', '0', '<0.001', '1,234.500')
    """
    if isinstance(value, str):
        return value
    return "0" if value == 0 else f"{value:,.3f}" if abs(value) >= 0.0005 else "<0.001"


def find_bars(name: str) -> Column:
    """The column called ``name``, of which bars can be drawn. Raises ``OptionError`` for one of words."""
    column = find_column(name)
    if not (column.unit or column.figure or column.share or column.name == "field"):
        raise OptionError(f"bars are drawn of numbers, such as macs, traffic or field; '{column.name}' has words")
    return column


def amount(column: Column, figures: Figures) -> float | None:
    """What the column has of ``figures`` as a number: of a receptive field its longest side; None where it has none."""
    value = _field(figures) if column.name == "field" else column.value(figures)
    if isinstance(value, (int, float)):
        return value
    size = getattr(value, "size", ())
    return max(size) if size and all(isinstance(n, int) for n in size) else None


def find_columns(names: str) -> list[Column]:
    """The columns in ``macs,params``, each once, the name before them."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return [find_column(name) for name in dict.fromkeys(["name", *wanted])]


def is_there(column: Column, report: Report) -> bool:
    """Whether what ``column`` needs was given."""
    if column.asks == "energy":
        return report.energies is not None  # of some layers it may be unknown
    return not column.asks or column.value(report.total) is not None


def needs_more(columns: list[Column], report: Report) -> None:
    """Raise ``UnknownName`` if a column of times is asked for without a machine, or one of energy without a table."""
    for column in columns:
        if not is_there(column, report):
            is_given = column.asks == "machine" and report.machine is not None
            what = "a machine that was calibrated" if is_given else needed(column.asks)
            raise UnknownName(f"the column '{column.name}' needs {what}")


def wanted(report: Report, plain: str, timed: str, also: Collection[str] = ()) -> list[Column]:
    """The columns of a table by default: ``timed`` on a machine, else ``plain``, and energy by a table."""
    names = timed if report.machine else plain
    return preferred(f"{names} energy" if report.energies else names, also)


def shown(column: Column, figures: Figures, exact: bool = False, whole: Figures | None = None) -> str:
    """What the column shows of ``figures``, with all digits if ``exact``; "" where it has nothing.

    A share is shown as a part of ``whole``.
    """
    value = column.value(figures)
    if value is None:
        return ""
    if isinstance(value, Expr):
        return f"{value} bits" if column.unit == BITS else str(value)
    if column.share:
        return units.percent(value, column.value(whole))
    if exact and not column.unit and isinstance(value, float):
        return f"{value:,}"
    if exact and isinstance(value, int):
        return units.grouped_size(value) if column.unit == BITS else units.grouped(value)
    return column.shows(value)
