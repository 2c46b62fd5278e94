"""A graph as the list of layers that a diff works on, each with its own contribution to every figure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import Value, attributed
from costcalc.analysis.kernel_times import Kernels
from costcalc.analysis.layer_costs import Works, held_in
from costcalc.analysis.layout import axis_names
from costcalc.analysis.records import Report
from costcalc.analysis.storage import Storage
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, Location
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType, Weight

if TYPE_CHECKING:
    from costcalc.analysis.energy import Energy, EnergyTable
    from costcalc.analysis.layer_costs import Work
    from costcalc.analysis.roofline import Machine, Time


class Entry(NamedTuple):
    """A layer, or an input of the model, in the order in which values are made.

    contribution  what it adds to each figure that is attributed: a tensor that several layers use belongs to
            the first, so that the contributions of all entries add up to the model's figures
    owns    the weights that are its own, by local name; those of an earlier layer are not
    node    None for an input
    kernel  what the layers of its group make, if one kernel does several
    last    whether it is an input whose channels stand last
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    takes: tuple[TensorType, ...]
    makes: tuple[TensorType, ...]
    contribution: Amounts
    owns: frozenset[str]
    node: Node | None
    location: Location | None
    kind: str = ""
    kernel: tuple[str, ...] = ()
    last: bool = False


def own_chain(location: Location | None) -> list[Location]:
    """The places in the user's own files that led to a layer, the innermost first; not those in shared blocks.

    Of a traced model all are the user's, in whichever file they stand.
    """
    return [p for p in location.chain if p.file == location.chain[-1].file or is_python(p)] if location else []


def own_location(location: Location | None) -> Location | None:
    """Where the user's own file asks for a layer: in a spec the call of the block that it stands in, if it is in one;
    in Python the innermost line."""
    chain = own_chain(location)
    called = [p for p in chain if p is not location and not is_python(p)]
    return called[0] if called else chain[0] if chain else None


def is_python(location: Location) -> bool:
    """Whether a place is in code that was traced, and not in a spec."""
    return location.file.endswith(".py")


def common_location(run: list[Entry]) -> Location | None:
    """The innermost place that asked for all of these layers."""
    chains = [own_chain(e.location)[::-1] for e in run if e.location]
    shared = [steps[0] for steps in zip(*chains, strict=False) if len({p.short for p in steps}) == 1]
    return shared[-1] if shared else chains[0][0] if chains else None


def _channels_last(graph: Graph, value: str) -> bool:
    """Whether the channels of the input ``value`` stand last; looked up where something may say so."""
    if not graph.layouts.get(value) and not any(getattr(node.op, "channels_last", False) for node in graph.nodes):
        return False
    return axis_names(graph, value)[-1] == "channels"


def entries(graph: Graph, report: Report) -> list[Entry]:
    """The inputs and layers of ``graph``; ``report`` is its report. Sizes must be numbers."""
    if any(not isinstance(d, int) for t in graph.types.values() for d in t.shape):
        raise CostcalcError(f"{graph.name} has sizes that are symbols; a diff needs numbers")
    used = {v for node in graph.nodes for v in node.reads}
    width = report.settings.bits
    storage = Storage(graph, width)
    works, contributions = Works(width), Contributions(storage, report.machine, report.energies)
    found = []
    for value in graph.inputs:
        t = graph.types[value]
        contribution = contributions.of_input(storage.bits[value] if value in used else 0)
        last = _channels_last(graph, value)
        found.append(
            Entry(value, "input", (), (value,), (), (t,), contribution, frozenset(), None, None, "input", last=last)
        )
    seen: set[str] = set()
    made = {node.name: node.outputs for node in graph.nodes} if graph.groups else {}
    kernels = {group.name: tuple(v for name in group.layers for v in made[name]) for group in graph.groups}
    for node, layer in zip(graph.nodes, report.layers, strict=True):
        takes = graph.input_types(node)
        owned = {}
        for local, weight in node.stored(node.op.weights(*takes)).items():
            if node.weight(local) not in seen:
                seen.add(node.weight(local))
                owned[local] = weight
        contribution = contributions.of(node, Amounts(layer.amounts), owned.values(), works(graph, node))
        found.append(
            Entry(
                node.name, node.op.name, node.inputs, node.outputs, takes, graph.output_types(node),
                contribution, frozenset(owned), node, node.location, layer.kind, kernels.get(layer.group or "", ()),
            )
        )  # fmt: skip
    return found


class Contributions:
    """What entries add to the figures of their model, in whatever state ``storage`` has their values.

    nothing   what stands for a figure that has no value, as time without a machine
    """

    def __init__(
        self, storage: Storage, machine: Machine | None, energies: EnergyTable | None, nothing: Value = 0
    ) -> None:
        self._storage, self._energies, self._none = storage, energies, nothing
        self._timed = Kernels(machine, storage.width, storage.group_of) if machine and machine.macs else None
        self._unheld = held_in(())
        self._nothing = Amounts((figure.name, 0) for figure in attributed())
        self._derived = [(figure.name, figure.derived) for figure in attributed() if figure.derived]

    def prime(self, name: str, contribution: Amounts) -> None:
        """Take note of a layer that has this contribution, in whose kernel others are."""
        if self._timed:
            self._timed(name, contribution["macs"], contribution["read"] + contribution["write"])

    def of_input(self, bits: Dim) -> Amounts:
        """Those of an input of the model that takes ``bits``."""
        amounts = Amounts(self._nothing)
        self._storage.put_values(amounts, bits)
        return amounts

    def of(self, node: Node, amounts: Amounts, owned: Collection[Weight], work: Work) -> Amounts:
        """Those of a layer that does ``work`` and has these figures in an inference, and owns the weights ``owned``.

        Time and energy are made exact.
        """
        storage = self._storage
        amounts.update(held_in(owned, storage.width) if owned else self._unheld)
        makes = () if work.is_view and not storage.is_prepared(node) else storage.touched(node)[1]
        storage.put_values(amounts, sum(map(storage.bits.__getitem__, makes)))
        time = energy = None
        if self._timed:
            time = self._timed(node.name, amounts["macs"], amounts["read"] + amounts["write"])
        if self._energies:
            energy = self._energies.of_layer(work.use, amounts["macs"], amounts["read"] + amounts["write"])
        for name, rule in self._derived:
            value = rule(Priced(amounts, time, energy))
            value = self._none if value is None else value
            amounts[name] = Fraction(value) if isinstance(value, float) else value
        return amounts


class Priced(NamedTuple):
    """What figures are derived from: the other figures of a layer, its time on a machine, and its energy by a table."""

    amounts: Amounts
    time: Time | None
    energy: Energy | None


def largest(
    effects: Iterable[tuple[Entry, Amounts]], most: int = 5
) -> tuple[tuple[str, Location | None, Amounts], ...]:
    """The layers that an effect is largest in: name, place, and how large."""
    names = [figure.name for figure in attributed()]
    ranked = sorted(effects, key=lambda item: [-abs(item[1].get(name, 0)) for name in names])[:most]
    return tuple((e.name, own_location(e.location), effect) for e, effect in ranked if any(effect.values()))
