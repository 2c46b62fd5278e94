"""An estimate of time from a few numbers that were fitted to measured times, and how sure it is.

An engine runs kernels, each of which does one layer or several. A kernel takes time for its arithmetic, for the
activations and the weights that it moves, and for being started. Each of these four is counted here, for every layer;
what one of each costs is fitted (``calibration``), and their sum is the estimate. So it adds up over layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costcalc.analysis import ort_kernels
from costcalc.analysis.convolutions import convolution, macs_of_matrices
from costcalc.analysis.eager_kernels import EagerKernels
from costcalc.analysis.features import Features, KernelPart, number, together
from costcalc.analysis.layer_costs import Works, at_width
from costcalc.analysis.storage import Storage
from costcalc.analysis.traffic import traffic
from costcalc.classes import NamedTuple

if TYPE_CHECKING:
    from costcalc.analysis.layer_costs import Work
    from costcalc.ir.graph import Graph, Node


@dataclass(frozen=True)
class Estimate:
    """Seconds, and between which bounds eight of ten measurements lay of models that were not fitted."""

    seconds: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {"seconds": self.seconds, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Calibration:
    """What was fitted to measurements on a machine.

    processor   by which rules MACs are weighed, of ``PROCESSORS``
    apply       the transform by whose kernels the engine runs a model, ``"fuse:inductor"``; "" for layer by layer
    bits        width of floating-point elements in the measurements; None for their own
    each        seconds for one of each feature
    low, high   measured time over estimate, of models that were held out: 10 % lay below ``low``, 10 % above ``high``
    median      of how far the estimates of those were off, as a part of what was measured
    within      how many of them were off by at most 15 %, as a part of all
    rows        measurements
    seen        the least and the most of each feature in one of them
    join        what ``apply`` does
    copies      what is copied between kernels for the sake of layouts, by the layer whose result it is
    """

    processor: str
    apply: str
    bits: int | None
    each: Features
    low: float
    high: float
    median: float
    within: float
    rows: int
    seen: tuple[Features, Features]
    join: Callable[[Graph], Graph] = field(default=lambda graph: graph, compare=False, repr=False)
    copies: Callable[[Graph], Mapping[str, Features]] = field(default=lambda _: {}, compare=False, repr=False)

    def of(self, features: Features) -> Estimate:
        """The estimate for a model or a part of one with ``features``."""
        seconds = features.seconds(self.each)
        return Estimate(seconds, self.low * seconds, self.high * seconds)

    def beyond(self, features: Features) -> list[str]:
        """Which features of a model are less or more than in any measurement."""
        least, most = self.seen
        return [
            f"{name} are {'less' if value < low else 'more'} than in any measurement"
            for name, value, low, high in zip(NAMES, features, least, most, strict=True)
            if not low <= value <= high
        ]

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {
            "processor": self.processor, "apply": self.apply, "bits": self.bits, "each": self.each._asdict(),
            "low": self.low, "high": self.high, "median": self.median, "within": self.within, "rows": self.rows,
        }  # fmt: skip


NAMES = Features(*("MACs", "ops", "bytes of activations", "bytes of weights", "kernels"))  # type: ignore[arg-type]


def on_cpu(node: Node, types: tuple[Any, ...], macs: int) -> float:
    """MACs as the vector units of a processor do them.

    A vector holds input channels, 8 of them here: fewer take as long. Convolutions with 3×3 kernels and stride 1 are
    done by Winograd's algorithm, which multiplies less: half as long here, as engines differ in the size of its tiles.
    A depthwise or group convolution meets each element of its input with few kernels, so that loading it is not
    hidden: twice as long.
    """
    conv = convolution(node, types)
    if conv is None:
        return macs_of_matrices(node, types, macs)
    if conv.groups > 1:
        return 2.0 * macs * (1.0 if conv.inputs == 1 else _padded(conv.inputs))
    narrow = min(conv.inputs, conv.outputs) < LEAST_OF_WINOGRAD
    if conv.kernel == (3, 3) and conv.stride == (1, 1) and not narrow:
        return macs / 2 * _padded(conv.inputs)
    return macs * _padded(conv.inputs)


def _padded(channels: int) -> float:
    """How much longer so many channels take than as many in full vectors."""
    return -(-channels // LANES) * LANES / channels


def on_gpu(node: Node, types: tuple[Any, ...], macs: int) -> float:
    """MACs as they are counted."""
    return float(macs)


LANES, LEAST_OF_WINOGRAD = 8, 16
FLOAT, HIDDEN = 32, 2


def as_moved(work: KernelPart) -> Features:
    """The features of a layer whose kernel takes as long for a byte that it reads as for one that it writes."""
    return Features(work.macs, work.ops, work.read + work.written, work.weights, work.starts)


class Processor(NamedTuple):
    """By which rules arithmetic and traffic are weighed.

    macs       MACs of a layer as they take time
    features   of a layer, whose ``macs`` are weighed already
    moves      what its kernels move beyond traffic, layer by layer in the graph's order
    """

    macs: Callable[[Node, tuple[Any, ...], int], float]
    features: Callable[[KernelPart], Features] = as_moved
    moves: Callable[[Graph, Storage, int | None], EagerKernels] | None = None


PROCESSORS: Mapping[str, Processor] = {
    "cpu": Processor(on_cpu),
    "gpu": Processor(on_gpu),
    "eager": Processor(on_gpu, moves=EagerKernels),
    "ort": Processor(ort_kernels.macs, ort_kernels.features),
}


def features_of(
    graph: Graph, processor: str, bits: int | None = None, worked_out: int | None = None
) -> Iterator[tuple[str, Features]]:
    """The features of each layer of ``graph`` that does anything, whose groups are the engine's kernels.

    bits         width of floating-point elements in place of their own
    worked_out   the width at which the layers have been worked out already, by a report

    A kernel is started by the first of its layers. Raises ``CostcalcError`` where sizes are symbols.
    """
    rules = PROCESSORS[processor]
    storage, works = Storage(graph, bits), Works(worked_out)
    multiplies: dict[str, KernelPart | None] = {}  # by the kernel's name, of those that are started
    alike: dict[tuple[int, int], tuple[Work, float, float, float]] = {}
    moves = rules.moves(graph, storage, bits) if rules.moves else None
    settled = storage.root.settled
    run = [
        (node, works.of_use(node, use))
        for node, use in zip(graph.nodes, graph.uses, strict=True)
        if not settled or not storage.is_prepared(node)
    ]
    if bits != worked_out:
        nodes = {id(work): (node, work) for node, work in run}
        stored = {key: at_width(node, work, bits) for key, (node, work) in nodes.items()}
        run = [(node, stored[id(work)]) for node, work in run]
    network = sum([number(work.read_bits) for _, work in run]) / 8
    group_of, bits_of = storage.group_of, storage.bits
    hidden = 8 * HIDDEN / (bits or FLOAT)  # what is done to few elements hides behind loading and storing them
    for node, work in run:
        if work.is_view:
            if moves:
                moves.view(node)
            continue
        name = node.name
        known = alike.get(key := (id(work), id(node.op)))
        if known is None:
            counted = number(work.done["macs"])
            macs = rules.macs(node, graph.input_types(node), counted) if counted else 0.0
            known = alike[key] = work, macs, 0.0 if counted else number(work.done["ops"]), number(work.read_bits) / 8
        _, macs, ops, weights = known
        if moves:
            read, written = moves.moved(node, work), 0.0
        else:
            moved = traffic(node, work, storage)
            read, written = number(moved.read) / 8 - weights, number(moved.write) / 8
        ops = max(ops - hidden * (read + written), 0.0)
        group = group_of.get(name) if group_of else None
        kernel = group.name if group else name
        starts = float(kernel not in multiplies)
        if rules.features is as_moved:
            multiplies[kernel] = None
            yield name, Features(macs, ops, read + written, weights, starts)
            continue
        done = KernelPart(
            node, graph.input_types(node), bool(work.done["macs"]), macs, ops, read, written,
            number(bits_of[node.outputs[0]]) / 8, weights, starts, not group, multiplies.get(kernel), network,
        )  # fmt: skip
        if multiplies.get(kernel) is None:
            multiplies[kernel] = done if done.is_product else None
        yield name, rules.features(done)


def whole(graph: Graph, processor: str, bits: int | None = None) -> Features:
    """The features of all layers together."""
    return together(features for _, features in features_of(graph, processor, bits))


class Estimates:
    """The estimates of a model's layers and blocks on a calibrated machine.

    width   at which the layers have been worked out already, as ``Works`` has it
    """

    def __init__(self, graph: Graph, calibration: Calibration, width: int | None = None) -> None:
        self._calibration = calibration
        self._nothing = calibration.of(Features())
        joined = graph if graph.groups else calibration.join(graph)
        self._by_layer = dict(features_of(joined, calibration.processor, calibration.bits, width))
        for name, copied in calibration.copies(graph).items():
            self._by_layer[name] = self._by_layer.get(name, Features()).plus(copied)
        self._by_block: dict[str, Features] = {}
        own: dict[str, Features] = {}
        for name, features in self._by_layer.items():
            block = name.rpartition(".")[0]
            before = own.get(block)
            own[block] = features if before is None else before.plus(features)
        for block, features in own.items():  # they are in all blocks around it too
            self._add(block, features)
            while block:
                block = block.rpartition(".")[0]
                self._add(block, features)

    def _add(self, block: str, features: Features) -> None:
        before = self._by_block.get(block)
        self._by_block[block] = features if before is None else before.plus(features)

    @property
    def beyond(self) -> tuple[str, ...]:
        """How the model lies outside of what was measured."""
        return tuple(self._calibration.beyond(self._by_block.get("", Features())))

    def layer(self, name: str) -> Estimate:
        """The estimate of a layer."""
        features = self._by_layer.get(name)
        return self._nothing if features is None else self._calibration.of(features)

    def block(self, name: str = "") -> Estimate:
        """The estimate of a block, or of the whole."""
        return self._calibration.of(self._by_block.get(name, Features()))
