"""What a report holds: the figures of a layer, of a block and of the whole, and how they become JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES, RATIO, field_at_end
from costcalc.analysis.later import ToldLater
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.presentation import Presented, PresentedRow
from costcalc.classes import NamedTuple, dataclass, field
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.value_size import ValueSize

if TYPE_CHECKING:
    from costcalc.analysis.energy import Energy, EnergyTable
    from costcalc.analysis.estimate import Estimate
    from costcalc.analysis.floor import TimeFloor
    from costcalc.analysis.roofline import Machine, Time

SCHEMA = 1
"""The version of the JSON; it grows when a figure changes its meaning or goes away."""


@dataclass(frozen=True)
class Figures:
    """What a layer, a block of layers or the whole costs. Exact integers (or symbols).

    macs           multiply-accumulates
    ops            other scalar arithmetic; never added to the MACs
    params         elements of distinct trained tensors
    buffers        elements of distinct tensors that are stored but not trained
    weight_bits    bits of both
    storage_bits   bits of the distinct tensors: weights, inputs and outputs, each once, views free
    read_bits      bits read: by each layer what it must read of its inputs and weights, once
    write_bits     bits written: by each layer its outputs, once
    traffic_bits   bits read and written
    intensity      MACs per byte of traffic; None where there is no traffic or a symbol
    amounts        those that are recorded, by the names that ``analysis/figures`` gives them
    """

    amounts: Amounts

    if TYPE_CHECKING:  # the table of figures knows them, and any other, at run time
        macs: ClassVar[Dim]
        ops: ClassVar[Dim]
        params: ClassVar[Dim]
        buffers: ClassVar[Dim]
        weight_bits: ClassVar[Dim]
        storage_bits: ClassVar[Dim]
        read_bits: ClassVar[Dim]
        write_bits: ClassVar[Dim]
        traffic_bits: ClassVar[Dim]
        intensity: ClassVar[float | None]

    else:

        def __getattr__(self, key: str) -> Any:
            if not key.startswith("_"):
                for figure in FIGURES.values():
                    if figure.key == key and not figure.whole:
                        return figure.of(self)
            raise AttributeError(f"a {type(self).__name__.lower()} has no '{key}'")

    def __dir__(self) -> list[str]:
        keys = [figure.key for figure in FIGURES.values() if not figure.whole]
        return sorted({*super().__dir__(), *keys})


class Prepared(NamedTuple):
    """Work that depends on no input: it is done once, beforehand, and is no part of an inference.

    macs, ops   the arithmetic
    bits        of the tensors that it makes and inference reads, which are kept beside the weights
    layers      how many do it
    uncounted   for how many of these there is no rule, so that macs and ops are lower bounds
    """

    macs: Dim
    ops: Dim
    bits: Dim
    layers: int = 1
    uncounted: int = 0

    def plus(self, other: Prepared) -> Prepared:
        """Both together."""
        return Prepared(
            self.macs + other.macs,
            self.ops + other.ops,
            self.bits + other.bits,
            self.layers + other.layers,
            self.uncounted + other.uncounted,
        )


@dataclass(frozen=True, repr=False)
class Layer(ToldLater, PresentedRow, Figures):
    """One layer's row.

    kind              what the op is in this use: ``depthwise conv``
    options           option → value, of all that the op has: ``kernel``, ``stride``, ``groups`` …
    receptive_field   what its (first) output sees of the image; ``"global"``, ``"unknown"`` or None. Those of all
                      layers are worked out when one of them is asked for
    time              on the machine asked for, else None
    estimate          of its time, by what was fitted to measurements on the machine, if any was
    floor             the time below which no schedule can do it there, else None
    energy            of its MACs and its traffic, by the table asked for, else None
    source            ``file:line``
    counted           False if there is no rule for the op, and its figures are lower bounds
    approximate       True if it iterates until values are good enough, so that its work is about right, else None
    prepared          what it costs beforehand, if it depends on no input; an inference does not do it, and so its
                      own work and traffic are 0
    group             the layer whose kernel does this one too, by a transform such as ``fuse``; None if it is alone
    module            the class of the module that it is, of a model that was traced
    peak_bits         bits of activations that are alive while it runs, as the total's ``peak_bits`` has them
    """

    LATER: ClassVar[str] = "receptive_field"

    name: str
    op: str
    kind: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[Dim, ...], ...]
    output_shapes: tuple[tuple[Dim, ...], ...]
    receptive_field: ReceptiveField | str | None
    source: str
    time: Time | None = None
    floor: TimeFloor | None = None
    energy: Energy | None = None
    estimate: Estimate | None = None
    counted: bool = True
    approximate: bool | None = None
    prepared: Prepared | None = None
    group: str | None = None
    module: str | None = None
    peak_bits: Dim = 0


@dataclass(frozen=True, repr=False)
class Block(ToldLater, PresentedRow, Figures):
    """The layers below a dotted prefix, taken as one: a tensor between two of them is stored once.

    output_shapes, receptive_field   those of the last layer that reads anything
    module                           the class of the module that it is, of a model that was traced
    peak_bits                        the most of its layers', None where those are symbols
    """

    LATER: ClassVar[str] = "receptive_field"

    name: str
    layers: int
    output_shapes: tuple[tuple[Dim, ...], ...]
    receptive_field: ReceptiveField | str | None
    time: Time | None = None
    floor: TimeFloor | None = None
    energy: Energy | None = None
    estimate: Estimate | None = None
    module: str | None = None
    peak_bits: int | None = None


@dataclass(frozen=True)
class Total(Figures):
    """The whole model.

    peak_bits   the most bits of activations that are alive at once, layer after layer, nothing written in place
    peak_at     the layer at which that is
    layers      number of layers, without those that are done beforehand
    prepared    what is done once, beforehand
    kernels     how many kernels do it, where a transform has joined layers; else None
    """

    peak_bits: Dim
    peak_at: str
    layers: int
    time: Time | None = None
    floor: TimeFloor | None = None
    energy: Energy | None = None
    estimate: Estimate | None = None
    prepared: Prepared | None = None
    kernels: int | None = None


@dataclass(frozen=True)
class Settings:
    """How the figures were asked for: element width, machine, frames a second, and which transforms were applied."""

    bits: int | None = None
    machine: str | None = None
    fps: float | None = None
    apply: tuple[str, ...] = ()


class Pace(NamedTuple):
    """What so many passes a second ask of a machine.

    bandwidth   bytes a second
    share       that as a part of what the machine has
    busy        seconds of work in a second: above 1 it cannot keep up
    """

    bandwidth: float
    share: float | None = None
    busy: float | None = None


@dataclass(frozen=True, repr=False)
class Report(ToldLater, Presented):
    """What ``analyze`` returns: the layers in their order, the blocks, the total.

    ``report["layer1"]`` is a block or a layer, ``print(report)`` the table of the command line, ``to_dict`` the JSON of
    ``docs/json.md``; see ``Presented`` for other forms.

    layout      what each axis of the input is of which receptive fields are told; "" where nothing tells
    global_at   the last layer whose output still has places of the image, if each of them sees all of it
    beyond      how the model lies outside of what a calibration was fitted to
    energies    the table of energies that was asked for, and ``grid``, the grams of CO₂ of a kilowatt hour
    memory_bits bits that an engine holds of activations, where one was asked; see ``costcalc.memory``
    """

    LATER: ClassVar[str] = "global_at"

    name: str
    source: str
    inputs: Mapping[str, tuple[Dim, ...]]
    outputs: Mapping[str, tuple[Dim, ...]]
    parameters: Mapping[str, Any]
    settings: Settings
    total: Total
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    global_at: str
    assumptions: tuple[str, ...] = ()
    machine: Machine | None = None
    energies: EnergyTable | None = None
    grid: float | None = None
    notes: tuple[str, ...] = ()
    layout: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sizes: tuple[ValueSize, ...] = ()
    memory_bits: int | None = None
    beyond: tuple[str, ...] = ()

    @property
    def pace(self) -> Pace | None:
        """What the wanted passes a second need; None where none are wanted or sizes are symbols."""
        fps, traffic, time = self.settings.fps, self.total.traffic_bits, self.total.time
        if fps is None or not isinstance(traffic, int):
            return None
        needed = fps * traffic / 8
        if self.machine is None or time is None:
            return Pace(needed)
        return Pace(needed, needed / self.machine.bandwidth, fps * time.seconds)

    @property
    def grams(self) -> float | None:
        """Grams of CO₂ of an inference, where its energy is known and how many a kilowatt hour has."""
        joules = self.total.energy.joules if self.total.energy else None
        if joules is None or self.grid is None:
            return None
        from costcalc.analysis.energy import grams

        return grams(joules, self.grid)

    @cached_property
    def uncounted(self) -> tuple[Layer, ...]:
        """The layers of an inference whose op has no rule; while there are any, the totals are lower bounds."""
        return tuple(layer for layer in self.layers if not layer.counted and layer.prepared is None)

    @cached_property
    def approximate(self) -> tuple[Layer, ...]:
        """The layers of an inference that iterate until values are good enough; what they do is counted about right."""
        return tuple(layer for layer in self.layers if layer.approximate and layer.prepared is None)

    @cached_property
    def unset(self) -> tuple[ValueSize, ...]:
        """The sizes that values decide and for which there is a default alone; while there are any, the totals may be
        others.
        """
        return tuple(size for size in self.sizes if size.is_unset)

    @property
    def is_complete(self) -> bool:
        """Whether every layer is counted, and exactly, and every size is known; ``--strict`` asks for that."""
        return not (self.uncounted or self.unset or self.approximate)

    def mark(self, figure: str) -> str:
        """What stands before the total of ``figure``, by its name in ``figures``: "" if it is exact.

        ``≥``  a lower bound, since layers without a rule are left out
        ``≤``  an upper bound, since each size that values decide and nobody has set is the most that there can be; a
               receptive field of which it is not proved that a place sees so much
        ``≈``  neither: such a size is not the most, or both hold, or of a ratio either; of work, and what follows from
               it, also where layers iterate
        """
        known = FIGURES.get(figure)
        if figure == "receptive_field":
            field = field_at_end(self)[1]
            return "≤" if isinstance(field, ReceptiveField) and field.bound else ""
        if figure in EXACT_COLUMNS or (known and known.exact):
            return ""
        unset = () if known and known.held and not known.values else self.unset
        least, most = bool(self.uncounted), all(size.bounds for size in unset)
        if self.approximate and known and (known.done or known.derived or "macs" in known.sum_of):
            return "≈"
        if not least and not unset:
            return ""
        if (known and known.unit == RATIO) or not most or (least and unset):
            return "≈"
        return "≤" if unset else "≥"

    def to_dict(
        self, rows: Callable[[Iterator[dict[str, Any]]], Any] = list, also: Collection[str] = ()
    ) -> dict[str, Any]:
        """The report as plain lists, dicts, strings and numbers. Symbols become strings.

        rows   what to make of the layers and of the blocks: a list, or with ``iter`` each when it is asked for
        also   figures to have beside those that are always there: ``flops``
        """
        return {
            "schema": SCHEMA,
            "model": {
                "name": self.name,
                "source": self.source,
                "inputs": {name: list(map(plain, shape)) for name, shape in self.inputs.items()},
                "outputs": {name: list(map(plain, shape)) for name, shape in self.outputs.items()},
                "parameters": {name: plain(value) for name, value in self.parameters.items()},
                "layout": {name: list(axes) for name, axes in self.layout.items()},
            },
            "settings": {name: plain(getattr(self.settings, name)) for name in self.settings.__match_args__},
            **({"machine": self.machine.to_dict()} if self.machine else {}),
            **({"energies": self.energies.to_dict()} if self.energies else {}),
            **({"grid": {"grams_per_kwh": self.grid, "grams": self.grams}} if self.grid is not None else {}),
            **({"pace": {k: v for k, v in self.pace._asdict().items() if v is not None}} if self.pace else {}),
            "total": next(_records([self.total], also)),
            "layers": rows(_records(self.layers, also)),
            "blocks": rows(_records(self.blocks, also)),
            "uncounted": [
                {"name": u.name, "op": u.kind, "input_shapes": plain(u.input_shapes),
                 "output_shapes": plain(u.output_shapes)}
                for u in self.uncounted
            ],
            **({"sizes": self._sizes()} if self.sizes else {}),
            "assumptions": list(self.assumptions),
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"global_at": self.global_at} if self.global_at else {}),
        }  # fmt: skip

    def _sizes(self) -> list[dict[str, Any]]:
        """``sizes`` for JSON: the layers of each as runs of positions among ``layers``, first and last."""
        at = {layer.name: i for i, layer in enumerate(self.layers)}
        return [{**size._asdict(), "layers": runs(at[name] for name in size.layers)} for size in self.sizes]


EXACT_COLUMNS = frozenset({"field", "stride", "bound", "unset"})
"""Columns beside the figures of which nothing is left out."""
FIRST = ("name", "op", "kind", "options", "inputs", "input_shapes", "output_shapes")
MAYBE = (
    "approximate", "time", "floor", "energy", "estimate", "prepared", "group", "kernels", "module", "peak_bits",
)  # fmt: skip
"""Keys that only some layers, or some totals, have."""


def _records(figures: Sequence[Figures], also: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Each of ``figures``, which are of one kind, as JSON has it; the keys that name a layer first."""
    if not figures:
        return
    own: tuple[str, ...] = figures[0].__match_args__
    keys = [(key, "") for key in FIRST if key in own]
    keys += [(figure.key, figure.name) for figure in FIGURES.values() if figure.name in figures[0].amounts]
    keys += [(key, "") for key in own if key not in FIRST and key != "amounts"]
    asked = [(FIGURES[name].key, FIGURES[name].reader()) for name in also if not FIGURES[name].whole]
    # Most layers share their options, their shapes and what they see with others, as objects.
    known: dict[int, Any] = {}
    for one in figures:
        getattr(one, "receptive_field", None)  # which may be told only now
        values = vars(one)
        amounts = values["amounts"]
        record = {}
        for key, figure in keys:
            value = amounts[figure] if figure else values[key]
            if type(value) in PLAIN:
                record[key] = value
            elif key in ("time", "floor", "energy", "estimate"):
                record[key] = value.to_dict()
            elif key == "prepared":
                record[key] = plain(value._asdict())
            else:
                shown = known.get(id(value))
                if shown is None:
                    shown = known[id(value)] = plain(value)
                record[key] = shown
        for key, read in asked:
            record[key] = plain(read(one))
        for key in MAYBE:
            if record.get(key, True) is None:
                del record[key]
        yield record


def runs(indices: Iterable[int]) -> list[list[int]]:
    """``indices``, which ascend, as the first and the last of each run of neighbours.

    >>> runs([2, 3, 4, 7])
    [[2, 4], [7, 7]]
    """
    found: list[list[int]] = []
    for index in indices:
        if found and index == found[-1][1] + 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found


PLAIN = frozenset({int, str, bool, type(None)})


def plain(value: Any) -> Any:
    """``value`` as JSON has it: lists, dicts, numbers and texts, which symbols become."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, ReceptiveField):
        return {
            "size": list(value.size),
            "stride": [s if isinstance(s, int) else int(s) if s == int(s) else float(s) for s in value.stride],
            "offset": list(value.offset),
            "aligned": value.aligned,
            "seen": list(value.seen),
            "image": list(value.image),
            **({"border": list(value.border)} if value.border else {}),
            **({"bound": True} if value.bound else {}),
        }
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    # JSON has no word for what is infinite or undefined.
    return str(value) if isinstance(value, Expr) or value in (inf, -inf) or value != value else value
