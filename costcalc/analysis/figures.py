"""The figures: one table of what is counted, in which unit, whether it adds up, and where it is shown.

A figure's value is an exact number in its base unit: counts and pixels as they are, storage in bits, time in
seconds. Only back ends round. Whatever shows, compares, budgets or records figures reads ``FIGURES``; a new one is
one entry there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from costcalc.analysis.pixel_map import GLOBAL, ReceptiveField
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, UnknownName, listing, near
from costcalc.ir.dims import Dim

if TYPE_CHECKING:
    from costcalc.analysis.layer_costs import OpUse
    from costcalc.analysis.records import Layer, Report
    from costcalc.analysis.traffic import Traffic
    from costcalc.ir.tensor import Weight

Value: TypeAlias = Any
"""An int, a Fraction or a float; type checkers cannot do arithmetic on a union of them."""

COUNT, BITS, SECONDS, JOULES, PIXELS, RATIO = "count", "bits", "seconds", "joules", "pixels", "ratio"

COLUMN = "column"
"""A column that tables and CSV can have."""
WIDE = "wide"
"""Among the columns that the table has by default, as far as they fit."""
SUMMARY = "summary"
"""A line of the totals below a table."""
COMPARISON = "comparison"
SPENT = "spent"
"""In a comparison, told by kind of layer and by stage."""
DIFFERENCE = "difference"
LOCK, LOCK_LAYER = "lock", "lock of a layer"
"""What a lock keeps of a model: a whole number that depends on it alone; and of each layer."""
CLOSED_FORM = "closed form"
EXPLANATION = "explanation"
COMMENT = "comment"
"""A column of the comment on a pull request."""
FIRST_BUDGETS = "first budgets"
"""What ``init`` writes a budget of."""
PAGE = "page"
"""What the pictures and the inspector of a page can show of layers."""
VIEWER = "viewer"
"""What nodes of a graph tell in another program, as in Model Explorer."""
METRIC = "metric"
"""A total that trackers of experiments log."""


class In(NamedTuple):
    """How one output shows a figure, where that differs: its title and words there, and the figure that it follows."""

    title: str = ""
    description: str = ""
    after: str = ""


EVERYWHERE: dict[str, In] = dict.fromkeys(
    (COLUMN, WIDE, SUMMARY, COMPARISON, DIFFERENCE, LOCK, CLOSED_FORM, EXPLANATION, PAGE, VIEWER, METRIC), In()
)


ASKED = {"machine": ("a machine", "a100"), "energy": ("a table of energies", "horowitz_45nm")}
"""The options without which figures that ask for them are not there → what such an option is, and an example."""


def needed(asks: str) -> str:
    """What a figure that ``asks`` for it needs.

    >>> needed("machine")
    'a machine, as in --machine a100'
    """
    what, example = ASKED[asks]
    return f"{what}, as in --{asks} {example}"


class Figure(NamedTuple):
    """One figure. Where its value comes from is one of ``done`` … ``whole``:

    done       what an op does to inputs of given types, wherever it stands; of work that is done beforehand 0
    moved      of the traffic of a layer
    held       of one stored weight and the width of its elements; each distinct weight counts once
    sum_of     the figures that it is the sum of
    derived    of a layer, block or total with all other figures; None where it has none, as time without a machine
    whole      of a report, for what only a whole model has

    name       what budgets, columns and options call it
    key        its key in JSON, and the attribute of records: ``weight_bits``
    unit       what an amount of it may be written in: ``count``, ``bits``, ``seconds``, ``joules``, ``pixels``,
               ``ratio``
    less       whether less is better; None where neither is
    adds       whether it is a sum over layers (but for tensors that several hold): then a diff attributes it to
               causes, and patterns of layers can have budgets of it
    values     of a ``held`` one: the bits of the distinct values that layers read and make belong to it too
    exact      whether it is the whole figure even where layers have no rule
    share      whether a column tells its share of the total
    asks       what a budget of it can be told besides: ``at`` a layer, on a ``machine`` or by a
               table of ``energy``, which it then needs
    shown      where, and in which words
    unless     the figure beside which totals leave it out where both are the same
    on_demand  whether outputs show it only where it is asked for by its name
    """

    name: str
    title: str
    unit: str
    description: str
    key: str
    less: bool | None = True
    done: Callable[[OpUse], Dim] | None = None
    moved: Callable[[Traffic], Dim] | None = None
    held: Callable[[Weight, int | None], Dim] | None = None
    sum_of: tuple[str, ...] = ()
    derived: Callable[[Any], Value | None] | None = None
    whole: Callable[[Report], Value | None] | None = None
    adds: bool = True
    values: bool = False
    exact: bool = False
    share: bool = False
    asks: str = ""
    shown: Mapping[str, In] = EVERYWHERE
    unless: str = ""
    on_demand: bool = False

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def head(self) -> str:
        """The head of its column in CSV, where numbers are bare: ``storage_bits``, ``time_seconds``, ``macs``."""
        return f"{self.name}_{self.unit}" if self.unit in (BITS, SECONDS, JOULES) else self.name

    @property
    def is_summed(self) -> bool:
        """Whether each layer has one of its own, and the model their sum: so causes can tell what they did to it."""
        return self.adds and not self.whole

    @property
    def is_recorded(self) -> bool:
        """Whether records hold it; else it follows from what they hold."""
        return bool(self.done or self.moved or self.held)

    def titled(self, output: str) -> str:
        """Its title in ``output``."""
        return self.shown[output].title or self.title

    def described(self, output: str) -> str:
        """What it says in ``output``."""
        return self.shown[output].description or self.description

    def of(self, record: Any) -> Any:
        """Its value of a layer, a block or a total, which may be a symbol; None where that has none."""
        return self.reader()(record)

    def reader(self) -> Callable[[Any], Any]:
        """What ``of`` does, for many records."""
        if self.derived:
            return self.derived
        names = self.sum_of or (self.name,)
        if len(names) == 1:
            (name,) = names
            return lambda record: record.amounts[name]
        parts = itemgetter(*names)
        return lambda record: sum(parts(record.amounts))

    def part(self, record: Any) -> Value | None:
        """The same as a number."""
        value = self.of(record)
        if not isinstance(value, (int, float, type(None))):
            raise CostcalcError(f"{self.key} is a formula, {value}; give every size a number")
        return value

    def value(self, report: Report) -> Value | None:
        """Its value of a model, a number; None where it has none."""
        return self.whole(report) if self.whole else self.part(report.total)


def field_at_end(report: Report) -> tuple[Layer | None, ReceptiveField | str | None]:
    """The last layer that sees less than the whole image, and what it sees; or "global" and the last layer with
    places of the image, where each of them has come to see all of it."""
    for layer in reversed(report.layers):
        if layer.name == report.global_at:
            return layer, GLOBAL
        if isinstance(layer.receptive_field, ReceptiveField):
            return layer, layer.receptive_field
    return None, None


def _smallest(report: Report) -> int | None:
    field = field_at_end(report)[1]
    return min(field.size) if isinstance(field, ReceptiveField) else None


def _intensity(record: Any) -> float | None:
    """None where there is no traffic or a symbol."""
    amounts = record.amounts
    macs, traffic = amounts["macs"], amounts["read"] + amounts["write"]
    return 8 * macs / traffic if isinstance(macs, int) and isinstance(traffic, int) and traffic else None


def _columns(description: str) -> dict[str, In]:
    """Of a figure that only columns, explanations, totals that are logged and the JSON have."""
    return {COLUMN: In(description=description), WIDE: In(), EXPLANATION: In(), METRIC: In()}


def _but(*outputs: str) -> dict[str, In]:
    """Everywhere but there."""
    return {output: In() for output in EVERYWHERE if output not in outputs}


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            "macs", "MACs", COUNT, "multiply-accumulates", "macs",
            done=lambda use: use.op.macs(*use.inputs, y=use.output), share=True,
            shown=EVERYWHERE | dict.fromkeys((SPENT, LOCK_LAYER, COMMENT, FIRST_BUDGETS), In())
            | {SUMMARY: In(description="multiply-accumulates: conv, linear, matmul, attention")},
        ),
        Figure(
            "flops", "FLOPs", COUNT, "two for each MAC, a product and a sum", "flops",
            sum_of=("macs", "macs"), on_demand=True,
            shown=dict.fromkeys(
                (COLUMN, WIDE, SUMMARY, COMPARISON, DIFFERENCE, CLOSED_FORM, EXPLANATION), In(after="macs")
            ),
        ),
        Figure(
            "ops", "ops", COUNT, "other scalar arithmetic", "ops",
            done=lambda use: use.op.ops(*use.inputs, y=use.output),
            shown=EVERYWHERE | {SUMMARY: In(description="other arithmetic: bias, norm, activation, pooling"),
                                PAGE: In(after="traffic")},
        ),
        Figure(
            "params", "params", COUNT, "trained elements", "params",
            held=lambda weight, width: weight.type.size if weight.trained else 0,
            shown=EVERYWHERE | dict.fromkeys((LOCK_LAYER, COMMENT, FIRST_BUDGETS), In()),
        ),
        Figure(
            "buffers", "buffers", COUNT, "stored elements that are not trained", "buffers",
            held=lambda weight, width: 0 if weight.trained else weight.type.size,
            shown=_columns("stored elements not trained") | {LOCK: In()},
        ),
        Figure(
            "weights", "weights", BITS, "storage of parameters and buffers", "weight_bits",
            held=lambda weight, width: weight.type.bits(width),
            shown={COLUMN: In(description="bytes of both"), PAGE: In(after="traffic")}
            | dict.fromkeys((LOCK, VIEWER, METRIC), In()),
        ),
        Figure(
            "storage", "storage", BITS, "weights, inputs and outputs, each tensor once", "storage_bits",
            held=lambda weight, width: weight.type.bits(width), values=True,
            shown=_but(PAGE, VIEWER) | dict.fromkeys((COMMENT, FIRST_BUDGETS), In())
            | {COLUMN: In(description="weights, inputs and outputs")},
        ),
        Figure(
            "traffic", "traffic", BITS, "read and written, layer by layer", "traffic_bits",
            sum_of=("read", "write"), share=True,
            shown=_but(WIDE, EXPLANATION, VIEWER)
            | dict.fromkeys((SPENT, LOCK_LAYER, COMMENT), In())
            | {COLUMN: In(description="bytes read and written", after="write")},
        ),
        Figure("read", "read", BITS, "read, layer by layer", "read_bits",
               moved=lambda traffic: traffic.read, shown=_columns("bytes read, each once") | {VIEWER: In()}),
        Figure("write", "write", BITS, "written, layer by layer", "write_bits",
               moved=lambda traffic: traffic.write, shown=_columns("bytes written, each once") | {VIEWER: In()}),
        Figure(
            "peak", "peak", BITS, "activations alive at once, none in place", "peak_bits",
            whole=lambda report: report.total.peak_bits, adds=False,
            shown={SUMMARY: In(after="intensity"), COMPARISON: In(after="receptive_field"), DIFFERENCE: In(),
                   LOCK: In(), METRIC: In("peak_activation_bytes")},
        ),
        Figure(
            "memory", "memory", BITS, "of activations in an engine: its arena, or what lives at once where it has none",
            "memory_bits", whole=lambda report: report.memory_bits, adds=False, exact=True, asks="engine",
            shown={COMPARISON: In(after="peak")},
        ),
        Figure(
            "intensity", "MACs/B", RATIO, "MACs per byte of traffic", "intensity", less=False,
            derived=_intensity, adds=False,
            shown={COLUMN: In("MAC/B"), WIDE: In(), SUMMARY: In("intensity"), COMPARISON: In(), DIFFERENCE: In()},
        ),
        Figure(
            "receptive_field", "RF", PIXELS,
            "receptive field of the last layer that does not see the whole image, the shorter of its axes of places",
            "receptive_field", less=None, whole=_smallest, adds=False, exact=True, asks="at",
            shown={SUMMARY: In(), COMPARISON: In(), DIFFERENCE: In(), LOCK: In()},
        ),
        Figure(
            "time", "time", SECONDS, "on a machine, at its peak rates", "seconds",
            derived=lambda record: None if record.time is None else record.time.seconds, share=True, asks="machine",
            shown={COLUMN: In(description="on the machine, the slower of its two"), METRIC: In("roofline_seconds")}
            | dict.fromkeys((WIDE, COMPARISON, DIFFERENCE, PAGE, VIEWER), In()),
        ),
        Figure(
            "floor", "floor", SECONDS, "on a machine, below which no schedule of the MACs can go", "floor_seconds",
            derived=lambda record: None if record.floor is None else record.floor.seconds, adds=False, asks="machine",
            shown={COLUMN: In(description="below which no schedule of its MACs can go")}
            | dict.fromkeys((COMPARISON, DIFFERENCE, METRIC), In()),
        ),
        Figure(
            "estimate", "estimate", SECONDS, "of the time, by what was fitted to measurements on a machine",
            "estimate_seconds", derived=lambda record: None if record.estimate is None else record.estimate.seconds,
            adds=False, share=True, asks="machine",
            shown={COLUMN: In(description="of its time, by what was fitted to measurements"), COMPARISON: In(),
                   DIFFERENCE: In()},
        ),
        Figure(
            "estimate_high", "at most", SECONDS, "of ten measurements nine are expected to be below it, on a machine",
            "estimate_high_seconds", derived=lambda record: None if record.estimate is None else record.estimate.high,
            adds=False, asks="machine", shown={COLUMN: In(description="nine of ten times are expected to be below it"),
                                               COMPARISON: In()},
        ),
        Figure(
            "energy", "energy", JOULES, "of MACs and traffic, by a table of energies", "joules",
            derived=lambda record: None if record.energy is None else record.energy.joules, share=True, asks="energy",
            shown={COLUMN: In(description="of its MACs and traffic, by a table")}
            | dict.fromkeys((WIDE, COMPARISON, DIFFERENCE, PAGE, VIEWER, METRIC), In()),
        ),
        Figure("layers", "layers", COUNT, "number of layers", "layers", less=None,
               whole=lambda report: report.total.layers, adds=False, exact=True,
               shown=dict.fromkeys((COMPARISON, DIFFERENCE, LOCK, METRIC), In())),
        Figure("kernels", "kernels", COUNT, "that do the layers, as an engine joins them", "kernels", exact=True,
               whole=lambda report: report.total.kernels, adds=False,
               shown=dict.fromkeys((COMPARISON, DIFFERENCE, SUMMARY, LOCK, METRIC), In())),
        Figure("uncounted", "uncounted", COUNT, "layers whose op has no rule", "uncounted",
               whole=lambda report: len(report.uncounted), exact=True,
               shown={COMPARISON: In(), LOCK: In(), METRIC: In("uncounted_layers")}),
        Figure(
            "trainable", "trainable", COUNT, "parameters that training changes", "trainable_params",
            held=lambda weight, width: weight.type.size if weight.trained and not weight.frozen else 0,
            shown={COLUMN: In(after="params"), SUMMARY: In(after="params"), LOCK: In(), METRIC: In(after="params")},
            unless="params",
        ),
    )
}  # fmt: skip
"""Name → figure, in the order in which most outputs show them."""


_MEMORY = "; memory of activations is peak, what an engine holds of them is memory, with `engine`"
_STORED = "; what is stored of a model is weights"
_TIME = "; write time, and name a machine (--machine a100; machine: a100 in a config)"
MEANT = {
    "sram": _MEMORY, "ram": _MEMORY, "vram": _MEMORY, "dram": _MEMORY, "mem": _MEMORY,
    "arena": _MEMORY, "flash": _STORED, "rom": _STORED, "disk": _STORED,
    "latency": _TIME, "runtime": _TIME, "seconds": _TIME, "ms": _TIME,
}  # fmt: skip


def meant(name: str) -> str:
    """What somebody means who calls a figure as others do."""
    return MEANT.get(name.strip().lower(), "")


SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
"""What a prefix makes of the name of a count: ``gflops`` are billions of them."""
ALSO = {"rf": "receptive_field"}
"""Other names of figures → the figure's own."""


class Named(NamedTuple):
    """What a name stands for: a figure, and the prefix of amounts that are written or shown so: ``G`` of ``gflops``."""

    figure: Figure
    prefix: str = ""

    @property
    def scale(self) -> int:
        """How many one of these are."""
        return SCALES[self.prefix]


def named(name: str) -> Named | None:
    """What ``name`` stands for: a figure by its own or another of its names, or a count in thousands or more.

    >>> named("macs").figure.name, named("GFLOPs").figure.name, named("GFLOPs").prefix, named("gram")
    ('macs', 'flops', 'G', None)
    """
    known = FIGURES.get(name) or FIGURES.get(ALSO.get(name.lower(), name.lower()))
    if known:
        return Named(known)
    prefix = next((p for p in SCALES if p and p.lower() == name[:1].lower()), "")
    counted = FIGURES.get(name[1:].lower()) if prefix else None
    return Named(counted, prefix) if counted and counted.unit == COUNT else None


def find_named(name: str) -> Named:
    """What ``name`` stands for; an ``UnknownName`` names the nearest."""
    found = named(name)
    if found is None:
        hint = meant(name) or near(name, FIGURES)
        raise UnknownName(f"no figure called '{name[:40]}'{hint}; there are {listing(FIGURES)}")
    return found


def find_figure(name: str) -> Figure:
    """The figure called ``name``; an ``UnknownName`` names the nearest."""
    return find_named(name).figure


def figures_in(output: str, also: Collection[str] = ()) -> list[Figure]:
    """The figures that ``output`` shows, in its order; those that it shows on demand only if ``also`` names them.

    >>> [figure.name for figure in figures_in(CLOSED_FORM)]
    ['macs', 'ops', 'params', 'storage', 'traffic']
    >>> [figure.name for figure in figures_in(CLOSED_FORM, ["flops"])][:3]
    ['macs', 'flops', 'ops']
    """
    found = [f for f in FIGURES.values() if output in f.shown and (not f.on_demand or f.name in also)]
    for figure in [f for f in found if f.shown[output].after]:
        found.remove(figure)
        names = [f.name for f in found]
        found.insert(names.index(figure.shown[output].after) + 1, figure)
    return found


def attributed() -> list[Figure]:
    """The figures that add up and are no sums of others: what a diff knows of every layer."""
    return [figure for figure in FIGURES.values() if figure.is_summed and not figure.sum_of]


def amount_of(amounts: Mapping[str, Any], figure: Figure) -> Value:
    """One that adds up, of a record of those that are ``attributed``."""
    return sum(amounts.get(name, 0) for name in figure.sum_of or (figure.name,))


def known_of(figures: Mapping[str, Any], figure: Figure) -> Value | None:
    """``figure`` in a record of some, or from those in it that it is the sum of; None where these are not there."""
    if figure.name in figures or not figure.sum_of or not figures.keys() >= {*figure.sum_of}:
        return figures.get(figure.name)
    parts = [figures[name] for name in figure.sum_of]
    return None if None in parts else sum(parts)
