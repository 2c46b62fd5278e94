"""The floor: the time below which no schedule of a model's multiply-accumulates can go on a machine.

Two things take time whatever the schedule. The arithmetic: every MAC that is needed, at the fastest rate there is for
its elements. And what must pass between the chip and main memory: the inputs and weights of the whole, less what caches
may hold when it begins, and its outputs, less what they may hold when it ends. What passes between layers need not
leave the chip, as layers can be done piece by piece; so a block has a floor of its own, which is less than the sum over
its layers.

A product that is too large for what the chip holds moves more than that, however it is tiled: see ``least_moved``.

The arithmetic is the one that is counted. Winograd's and Fourier's convolutions and Strassen's products multiply less
often, and are no schedules of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import TYPE_CHECKING, Any

from costcalc.analysis.layer_costs import OpUse, Work
from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import CostcalcError
from costcalc.ir.dims import Dim
from costcalc.ir.tensor import FLOATING_BITS

if TYPE_CHECKING:
    from costcalc.analysis.roofline import Machine
    from costcalc.analysis.storage import Storage
    from costcalc.ir.graph import Graph, Node
    from costcalc.ir.tensor import TensorType

WHOLE = ""
"""The block of all layers."""


@dataclass(frozen=True)
class TimeFloor:
    """The least seconds of the arithmetic, and of what must leave the chip; the larger holds.

    compute   of the MACs that are needed, at the peak rate for their elements
    traffic   of the bits that must pass to and from main memory, at its bandwidth
    macs      the MACs that are needed: without taps on padding, and scores that a mask hides
    bits      those that must pass, in the direction of the more where both go at once; None where the machine's caches
              are not known
    """

    compute: float
    traffic: float
    macs: int
    bits: int | None

    @property
    def seconds(self) -> float:
        """The larger of the two."""
        return max(self.compute, self.traffic)

    @property
    def bound(self) -> str:
        """Which of the two it is: ``compute`` or ``memory``; ``nothing`` where neither takes any."""
        return "nothing" if not self.seconds else "memory" if self.traffic > self.compute else "compute"

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it, in seconds."""
        return {"compute": self.compute, "traffic": self.traffic, "seconds": self.seconds, "bound": self.bound}


class TiledProduct(NamedTuple):
    """A product of two tensors that is tiled: MACs, reuse and bits of an element, as ``least_moved`` takes them."""

    macs: int
    reuse: int
    bits: tuple[float, float, float]

    def moved(self, room: int) -> float:
        """The least bits that it moves to and from a memory of ``room`` bits; it may be below 0."""
        return least_moved(self.macs, self.reuse, self.bits, room)


def least_moved(macs: int, reuse: int, bits: tuple[float, float, float], room: int) -> float:
    """The least bits that sums of products move to and from a memory of ``room`` bits; it may be below 0.

    macs    each multiplies an element of a first tensor by one of a second, and adds to one of a third
    reuse   how many elements of the second, at most, meet the same element of the first in sums of the same kind: 1 in
            a product of matrices, the taps that reach a place in a convolution
    bits    of an element of each of the three

    Cut the run where so often an element was loaded, or a sum begun, that they are 2·room bits. In each piece there are
    at most 3·room bits of distinct elements, so that of the three tensors at most I, F and O elements with
    p·I + q·F + r·O ≤ 3·room. These give at most √(reuse·I·F·O) MACs (Loomis and Whitney 1949, for each tap, then
    Cauchy's inequality over the taps), which is at most √reuse·room^1.5/√(p·q·r). So there are
    macs·√(p·q·r)/(√reuse·room^1.5) pieces or more, all but the last of 2·room bits. Each sum that is begun is stored at
    some time, so that what is begun is moved as well.

    For matrices that is 2·m·n·k/√room - 2·room of elements, as in Smith, Lowery, Langou and van de Geijn, "A Tight I/O
    Lower Bound for Matrix Multiplication" (2019); for convolutions as in Chen, Demmel, Dinh, Haberle and Holtz,
    "Communication Bounds for Convolutional Neural Networks" (2022), but for constants.

    >>> round(least_moved(64**3, 1, (32, 32, 32), 32 * 256) / 32)
    32256
    """
    first, second, third = bits
    return 2 * macs * sqrt(first * second * third) / sqrt(reuse * room) - 2 * room


class Crossings:
    """What passes between a block and all that is outside of it: of each layer, each block, and of the whole."""

    def __init__(self, graph: Graph, storage: Storage) -> None:
        self._storage = storage
        self._around: dict[str, tuple[str, ...]] = {}
        self._made_in: dict[str, tuple[str, ...]] = {}
        self._read_in: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        # Of each block the most bits that one of its layers reads of each tensor from outside, and one outside of its.
        self._read: dict[str, dict[str, int]] = {}
        self._written: dict[str, int] = {}
        self._results = {storage.root[value] for value in graph.outputs}

    def add(self, node: Node, work: Work) -> tuple[int, int]:
        """Take in a layer that does something; the bits that it reads of the rest and those that it makes for it."""
        storage = self._storage
        around = self._blocks(node.name)
        unread = storage.unread.get(node.name, ())
        moved: dict[str, int] = {}
        for value, bits in zip(node.reads, work.input_bits, strict=True):
            if value not in unread:
                kept = storage.root[value]
                stored = storage.root.weight_of.get(kept)
                self._note(moved, stored or kept, _number(bits), _number(storage.bits[kept]))
                if stored is None:
                    self._read_in.setdefault(kept, []).append((around, _number(bits)))
        for local, weight in work.weights.items():
            read = _number(weight.read_bits(storage.width))
            self._note(moved, node.weight(local), read, read)
        for kept, bits in moved.items():
            inside = self._made_in.get(kept, ())
            for depth, block in enumerate(around):
                if depth < len(inside) and inside[depth] == block:
                    continue  # it is made within the block
                most = self._read.setdefault(block, {})
                most[kept] = max(most.get(kept, 0), bits)
        made = [value for value in node.outputs if storage.root[value] == value and value not in storage.inside]
        for value in made:
            self._made_in[value] = around
        return sum(moved.values()), sum(_number(storage.bits[value]) for value in made)

    @staticmethod
    def _note(moved: dict[str, int], name: str, bits: int, most: int) -> None:
        moved[name] = min(moved.get(name, 0) + bits, most)

    def close(self) -> None:
        """All layers are in: what each block makes for others is known."""
        for value, around in self._made_in.items():
            bits = _number(self._storage.bits[value])
            if value in self._results:
                needed = dict.fromkeys(around, bits)
            else:
                needed = {}
                for reader, read in self._read_in.get(value, ()):
                    for block in around[_common(around, reader) :]:
                        needed[block] = max(needed.get(block, 0), min(read, bits))
            for block, most in needed.items():
                self._written[block] = self._written.get(block, 0) + most

    def of(self, block: str) -> tuple[int, int]:
        """The bits that ``block`` reads of all else, and those that it makes for it."""
        return sum(self._read.get(block, {}).values()), self._written.get(block, 0)

    def _blocks(self, name: str) -> tuple[str, ...]:
        """The blocks that a layer is in, the whole first: ``("", "a", "a.b")`` of ``a.b.c``."""
        block = name.rpartition(".")[0]
        found = self._around.get(block)
        if found is None:
            parts = block.split(".") if block else []
            found = (WHOLE, *(".".join(parts[: i + 1]) for i in range(len(parts))))
            self._around[block] = found
        return found


class Floors:
    """The floors of a model's layers, given one after the other, and then those of its blocks."""

    def __init__(self, graph: Graph, storage: Storage, machine: Machine) -> None:
        self._graph, self._storage, self._machine = graph, storage, machine
        self._crossings = Crossings(graph, storage)
        self._compute: dict[str, float] = {}
        self._macs: dict[str, int] = {}
        self._alike: dict[tuple[int, int], tuple[Work, tuple[int, int | None]]] = {}
        self._products: dict[tuple[int, int, float | None], TiledProduct | None] = {}
        self._closed = False

    def __call__(self, node: Node, work: Work) -> TimeFloor:
        """The floor of a layer alone."""
        if work.is_view or self._storage.is_prepared(node):
            return NOTHING
        key = id(work), id(node.op)
        known = self._alike.get(key)
        if known is None:
            known = self._alike[key] = work, arithmetic(work)
        macs, width = known[1]
        compute = self._seconds(macs, width)
        for block in self._crossings._blocks(node.name):
            self._compute[block] = self._compute.get(block, 0.0) + compute
            self._macs[block] = self._macs.get(block, 0) + macs
        return self._floor(compute, macs, self._crossings.add(node, work), self._tiled(node, work) if macs else 0.0)

    def of(self, block: str = WHOLE) -> TimeFloor:
        """The floor of a block, or of the whole, once all layers are in."""
        if not self._closed:
            self._crossings.close()
            self._closed = True
        return self._floor(self._compute.get(block, 0.0), self._macs.get(block, 0), self._crossings.of(block))

    def _floor(self, compute: float, macs: int, crossing: tuple[int, int], tiled: float = 0.0) -> TimeFloor:
        kept = self._machine.cached
        if kept is None:
            return TimeFloor(compute, 0.0, macs, None)
        read, written = beyond(*crossing, 8 * kept)
        # Of the sums that are begun as many bits as the caches hold may be left there.
        tiles = max(int(tiled) - 8 * kept, 0)
        # What a tiled product loads and stores may be shared out between the directions.
        must = max(read, written, tiles // 2) if self._machine.duplex else max(read + written, tiles)
        return TimeFloor(compute, must / 8 / self._machine.bandwidth, macs, must)

    def _tiled(self, node: Node, work: Work) -> float:
        """The least bits that a layer moves which is a product by itself, however it is tiled."""
        room = self._machine.on_chip
        if not room or node.name in self._storage.group_of:
            return 0.0
        key = id(work), id(node.op), held_apart(self._graph, node, self._storage)
        if key not in self._products:
            self._products[key] = product_of(self._graph, node, work, self._storage)
        product = self._products[key]
        return product.moved(8 * room) if product else 0.0

    def _seconds(self, macs: int, width: int | None) -> float:
        """Of ``macs`` at the peak rate; 0 where the machine gives none for elements so wide."""
        rate = self._machine.peak(width) if macs else None
        return macs / rate if rate else 0.0


NOTHING = TimeFloor(0.0, 0.0, 0, 0)


def arithmetic(work: Work) -> tuple[int, int | None]:
    """The MACs of a layer that are needed, and the width of their elements."""
    use = work.use
    macs = _number(use.op.needed_macs(*use.inputs, y=use.output)) if work.done["macs"] else 0
    return macs, multiplied(use)[0] if macs else None


def multiplied(use: OpUse) -> tuple[int, bool]:
    """The most bits that an element has of what an op multiplies, and whether it is a floating-point one.

    Beside floating-point elements whole numbers are indices, or weights that are brought to the others' scale first.
    """
    factors = list(factors_of(use))
    floating = [t for t in factors if t.dtype in FLOATING_BITS or t.dtype.startswith("complex")]
    # A complex product is several real ones.
    bits = max(use.element_bits(t) // (2 if t.dtype.startswith("complex") else 1) for t in floating or factors)
    return bits, bool(floating)


def beyond(read: int, written: int, room: int) -> tuple[int, int]:
    """What must pass of so many bits each way where a memory of ``room`` bits may hold some of what is read when all
    begins, and some of what is written when all is done.
    """
    return max(read - room, 0), max(written - room, 0)


def product_of(graph: Graph, node: Node, work: Work, storage: Storage) -> TiledProduct | None:
    """The product of two tensors that a layer is, if it is one of which something is known however it is tiled."""
    op, types = node.op, graph.input_types(node)
    reuse = op.reuse(*types) if work.done["macs"] else None
    apart = held_apart(graph, node, storage)
    if reuse is None or apart is None:
        return None
    use = work.use
    factors = list(factors_of(use))
    if len(factors) < 2:
        return None
    first, second = (use.element_bits(t) * apart for t in factors[:2])
    needed = _number(op.needed_macs(*types, y=use.output))
    return TiledProduct(needed, _number(reuse), (first, second, use.element_bits(use.output)))


def held_apart(graph: Graph, node: Node, storage: Storage) -> float | None:
    """How much of an element's bits a product must hold for each of its two tensors: 1; ½ where both lie in one storage
    and an element may be one of each; None where a tensor is more than its storage, as what is expanded or overlaps,
    so that one element stands for several.
    """
    root = storage.root
    for value in node.inputs:
        kept = root[value]
        if kept != value and _number(graph.types[value].bits(storage.width)) > _number(storage.bits[kept]):
            return None
    names = [root.weight_of.get(root[value], root[value]) for value in node.inputs[:2]]
    names += [node.weight(local) for local in node.op.weights(*graph.input_types(node))]
    return 1.0 if len({*names}) == len(names) else 0.5


def factors_of(use: OpUse) -> Iterator[TensorType]:
    """What an op multiplies: its inputs, and its weights but for vectors, which are added or scale."""
    yield use.inputs[0]
    yield from (weight.type for weight in use.weights.values() if len(weight.type.shape) > 1)
    yield from use.inputs[1:]


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many blocks both are in."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _number(value: Dim) -> int:
    if not isinstance(value, int):
        raise CostcalcError("the floor of a time needs sizes that are numbers, not symbols")
    return value
