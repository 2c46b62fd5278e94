"""What one change of a set of like layers would save of the model's time, by the roofline: worked out, not guessed.

Each is what ``costcalc.analyze`` says of the changed model: with ``bits`` halved, with a kernel of two layers, with
fewer channels. What a change does to what the model computes is no question here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from costcalc.analysis.kernel_times import Kernels
from costcalc.analysis.layer_costs import Works
from costcalc.analysis.records import Report
from costcalc.analysis.roofline import Machine, Time
from costcalc.analysis.storage import Storage
from costcalc.analysis.traffic import traffic
from costcalc.classes import NamedTuple, replace
from costcalc.errors import CostcalcError
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Group, Node
from costcalc.ir.op import Op
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS, TensorType
from costcalc.pictures.costliest import Costliest
from costcalc.transforms.fuse.joiner import LINEAR, readers_of

JOINED, ELEMENTS, WEIGHTS, CHANNELS = "joined", "elements", "weights", "channels"
LEAST = 0.001
"""Of the model's time; what saves less is not told."""


class Saving(NamedTuple):
    """One change of all layers of a set.

    kind     ``joined``, one kernel with ``other``, which treats each element by itself; ``elements``, all of ``bits``
             bits; ``weights``, those alone of ``bits``; ``channels``, half as many are made
    seconds  less of the model's time; of ``channels`` at least, as what reads them has less to do as well
    """

    kind: str
    seconds: float
    other: str = ""
    bits: int = 0


def savings(report: Report, graph: Graph, one: Costliest) -> list[Saving]:
    """What would save time in the layers of ``one``, the most first; nothing of a report without a machine, of layers
    whose kernel does others too, or of which it is not known what they compute.
    """
    machine = report.machine
    told = all(layer.counted and not layer.group and layer.time is not None for layer in one.layers)
    if machine is None or not one.bound or not told:
        return []
    nodes = {node.name: node for node in graph.nodes}
    mine = [nodes[layer.name] for layer in one.layers]
    before = sum(layer.time.seconds for layer in one.layers if layer.time)
    whole = report.total.time.seconds if report.total.time else 0.0
    found = [*_joined(report, graph, machine, mine), *_changed(report, graph, machine, mine, before)]
    return sorted((s for s in found if s.seconds > LEAST * whole), key=lambda s: -s.seconds)


def _time(machine: Machine, bits: int | None, graph: Graph, storage: Storage, nodes: Iterable[Node]) -> float:
    """Seconds that ``nodes`` take together, as a report has them."""
    work, timed, times = Works(bits), Kernels(machine, bits, storage.group_of), list[Time]()
    for node in nodes:
        done = work(graph, node)
        moved = traffic(node, done, storage)
        times.append(timed(node.name, done.own["macs"], moved.read + moved.write))
    return sum(time.seconds for time in times)


def _joined(report: Report, graph: Graph, machine: Machine, mine: list[Node]) -> Iterator[Saving]:
    """One kernel with the arithmetic behind, or the one before, where nothing else reads what lies between."""
    pairs = Pairs(graph)
    bits = report.settings.bits
    for behind in (True, False):
        found = [pair for node in mine if (pair := pairs.of(node, behind))]
        layers = [node.name for pair in found for node in pair]
        if len(found) < len(mine) or len({*layers}) < len(layers):
            continue
        groups = tuple(Group(pair[0].name, tuple(node.name for node in pair)) for pair in found)
        known = replace(graph, groups=(*graph.groups, *groups))
        after = _time(machine, bits, known, Storage(known, bits), (node for pair in found for node in pair))
        now = sum(time.seconds for name in layers if (time := report[name].time))
        other = found[0][-1] if behind else found[0][0]
        yield Saving(JOINED, now - after, other.name)


class Pairs:
    """Finds with what a layer could be one kernel."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._readers, self._group_of = graph, readers_of(graph), graph.group_of
        self._maker: dict[str, Node] = {}
        self._reader: dict[str, Node] = {}
        for node in graph.nodes:
            self._maker.update(dict.fromkeys(node.outputs, node))
            self._reader.update(dict.fromkeys(node.reads, node))

    def of(self, node: Node, behind: bool) -> tuple[Node, ...]:
        """``node`` and the layer that alone reads what it makes; or the one that makes what ``node`` alone reads; with
        what does nothing between them. The reader treats each element by itself, and there is nothing else to read.

        () where that is not so, or one of them is in a kernel already.
        """
        between: list[Node] = []
        value = node.outputs[0] if behind else next(iter(node.inputs), "")
        while self._readers[value] == 1 and len(node.outputs) == 1:
            other = (self._reader if behind else self._maker).get(value)
            if other is None or len(other.outputs) > 1:
                return ()
            if other.op.is_identity:
                between.append(other)
                value = other.outputs[0] if behind else other.inputs[0]
                continue
            maker, reader = (node, other) if behind else (other, node)
            return (maker, *(between if behind else reversed(between)), reader) if self._fits(maker, reader) else ()
        return ()

    def _fits(self, maker: Node, reader: Node) -> bool:
        """Whether every engine that joins layers could do ``reader`` as ``maker`` makes its elements."""
        if not self._by_itself(reader) or not (maker.op.name in LINEAR or self._by_itself(maker)):
            return False
        as_large = self._graph.types[maker.outputs[0]].shape == self._graph.types[reader.outputs[0]].shape
        alone = self._group_of.keys().isdisjoint((maker.name, reader.name))
        return as_large and alone and self._graph.runs(maker) and self._graph.runs(reader)

    def _by_itself(self, node: Node) -> bool:
        """Whether ``node`` treats each element by itself, as a norm of known statistics does too."""
        return node.op.is_pointwise() or (
            node.op.name == "batch_norm" and "running_mean" in node.op.weights(*self._graph.input_types(node))
        )


def _changed(
    report: Report, graph: Graph, machine: Machine, mine: list[Node], before: float
) -> Iterator[Saving]:  # fmt: skip
    """Elements of half the width; weights alone of half the width, at the rate that there is; half the channels.

    What holds of one of the layers holds of all, which do the same to the same shapes.
    """
    bits, node, many = report.settings.bits, mine[0], len(mine)
    storage = Storage(graph, bits)
    done = Works(bits)(graph, node)
    moved = traffic(node, done, storage)
    macs, read, write = done.own["macs"], moved.read, moved.write
    if not isinstance(macs, int) or not isinstance(read + write + done.read_bits, int):
        return

    def after(macs: int, saved_bits: Dim) -> float:
        return many * machine.time_of(macs, read + write - saved_bits, bits).seconds

    types = {graph.types[value] for node in mine for value in (*node.reads, *node.outputs)}
    own = bits is not None or all(ELEMENT_BITS[t.dtype] == 32 for t in types)
    if own and all(t.dtype in FLOATING_BITS for t in types):  # else they are not as wide as the rate is for
        half = (bits or 32) // 2
        if _has_rate(machine, half):
            narrow = _time(machine, half, graph, Storage(graph, half), [node])
            yield Saving(ELEMENTS, before - many * narrow, bits=half)
        if done.read_bits and report[node.name].params:
            yield Saving(WEIGHTS, before - after(macs, done.read_bits // 2), bits=half)
    if node.op.channel_axis is not None and _halves(node.op, graph.input_types(node)):
        yield Saving(CHANNELS, before - after(macs // 2, (done.read_bits + write) // 2))


def _halves(op: Op, types: tuple[TensorType, ...]) -> bool:
    """Whether half the channels take half the MACs."""
    width = next((name for name, role in op.roles.items() if role == "width"), "")
    if not width or getattr(op, "groups", 1) != 1 or getattr(op, width) % 2:
        return False
    half = type(op)(**{**dict(op.options()), width: getattr(op, width) // 2})
    return bool(2 * half.macs(*types, y=half.infer(*types)) == op.macs(*types, y=op.infer(*types)))


def _has_rate(machine: Machine, bits: int) -> bool:
    try:
        machine.rate(bits)
    except CostcalcError:
        return False
    return True
