"""Traffic with main memory by how much the chip can hold: layer by layer, with kernels joined, and at least.

All three are for one inference on a chip that holds ``cache`` bytes, and ``floor`` ≤ ``fused`` ≤ ``layers``:

layers   each layer by itself reads what it needs from main memory and writes its outputs there. A product of two
         tensors that is too large for the chip moves more than once what it reads and writes, however it is tiled
         (``floor.least_moved``): that is then counted.
fused    so with kernels, each of several layers as ``fuse`` joins them; and a tensor between kernels stays on the chip,
         whole, from when it is made to when it is read last, if it has room beside the others that do. Of those that
         have no room together, the one that is needed longest goes.
floor    what no schedule can do without: the inputs and weights of the network, less what may lie in the cache when
         it begins, and its outputs, less what may lie there when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from costcalc.analysis.energy import PICO, Energy
from costcalc.analysis.floor import Crossings, TiledProduct, beyond, product_of
from costcalc.analysis.layer_costs import Works
from costcalc.analysis.storage import Storage
from costcalc.analysis.traffic import traffic
from costcalc.classes import NamedTuple, dataclass, replace
from costcalc.errors import CostcalcError
from costcalc.ir.dims import Dim
from costcalc.transforms.fuse import fuse

if TYPE_CHECKING:
    from costcalc.analysis.energy import EnergyTable
    from costcalc.ir.graph import Graph

SCHEMA = 1
"""The version of the JSON."""
LEAST, MOST = 2**10, 2**40
"""Caches in bytes, of which the curve may be."""


class Level(NamedTuple):
    """What passes to and from main memory, in bytes, on a chip that holds ``cache_bytes``."""

    cache_bytes: int
    floor_bytes: int
    fused_bytes: int
    layers_bytes: int


class Charged(NamedTuple):
    """The energy of an inference by ``table``, whose MACs take ``macs`` joules; None where it does not tell.

    Traffic is charged to the table's level of memory.
    """

    table: EnergyTable
    macs: float | None

    def joules(self, moved_bytes: int) -> float | None:
        """Those of the MACs and of so much traffic; None where the table does not tell."""
        if self.macs is None or not self.table.level:
            return None
        return self.macs + PICO * moved_bytes * self.table.memory[self.table.level]

    def of(self, level: Level) -> dict[str, float | None]:
        """Those of each of the three, as the JSON calls them."""
        each = {"floor": level.floor_bytes, "fused": level.fused_bytes, "layers": level.layers_bytes}
        return {f"{name}_joules": self.joules(moved) for name, moved in each.items()}


@dataclass(frozen=True)
class Levels:
    """What ``costcalc.traffic`` returns; ``to_dict`` is the JSON of ``docs/time.md``.

    at       with the cache that was asked for; None where none was
    curve    with caches of powers of two, up to where more would change nothing
    kernels  how many do the layers in ``fused``
    charged  what the three take of energy, where a table was given
    """

    name: str
    bits: int | None
    at: Level | None
    curve: tuple[Level, ...]
    kernels: int
    notes: tuple[str, ...] = ()
    charged: Charged | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts and numbers."""
        return {
            "schema": SCHEMA, "name": self.name, "bits": self.bits, "kernels": self.kernels,
            **({"energies": self.charged.table.to_dict()} if self.charged else {}),
            "at": self.record(self.at) if self.at else None,
            "curve": list(map(self.record, self.curve)), "notes": list(self.notes),
        }  # fmt: skip

    def record(self, level: Level) -> dict[str, Any]:
        """``level`` in bytes, and what it takes of energy where a table was given."""
        return level._asdict() | (self.charged.of(level) if self.charged else {})


class Moved(NamedTuple):
    """One kernel, or layer: the bits that it must read and write, and its product, if it has one that is tiled."""

    bits: int
    product: TiledProduct | None = None

    def with_room(self, room: int, spared: int = 0) -> int:
        """What it moves on a chip that holds ``room`` bits, ``spared`` bits of which are there already or stay."""
        must = max(self.bits - spared, 0)
        return max(must, int(self.product.moved(room))) if self.product else must


class Kept(NamedTuple):
    """A tensor that could stay on the chip: from its first kernel to its last, and the bits moved less if it does.

    saves   for each kernel the bits that it then need not move
    """

    bits: int
    first: int
    last: int
    saves: tuple[tuple[int, int], ...]


def levels(
    graph: Graph, cache: int | None = None, bits: int | None = None, energies: EnergyTable | None = None
) -> Levels:
    """The three for a cache of ``cache`` bytes, and as curves over caches.

    bits      width of floating-point elements in place of their own
    energies  the table by which the energy of each of the three is told

    Raises ``CostcalcError`` where sizes are symbols.
    """
    layers, least = _layers(graph, bits)
    joined = graph if graph.groups else fuse(graph)
    kernels, kept = _kernels(joined, bits)

    def level(room: int) -> Level:
        by_layers = sum(layer.with_room(8 * room) for layer in layers)
        spared = _spared(kept, 8 * room)
        fused = sum(kernel.with_room(8 * room, spared.get(i, 0)) for i, kernel in enumerate(kernels))
        return Level(room, sum(beyond(*least, 8 * room)) // 8, min(fused, by_layers) // 8, by_layers // 8)

    sizes, size = [], LEAST
    enough = max(*least, sum(k.bits for k in kept)) // 8
    while size <= MOST:
        sizes.append(size)
        if size >= enough:
            break
        size *= 2
    found: list[Level] = []
    for room in sorted({*sizes, *([cache] if cache else [])}):
        this = level(room)
        # What can be done with less room can be done with more.
        best = min([this.fused_bytes, *(before.fused_bytes for before in found[-1:])])
        found.append(this._replace(fused_bytes=best))
    curve = [at for at in found if at.cache_bytes in sizes]
    while len(curve) > 1 and curve[-1][1:] == curve[-2][1:]:  # more changes nothing
        curve.pop()
    notes = []
    if any(not node.op.is_counted for node in graph.nodes):
        notes.append("some layers have no rule, so that each figure leaves out what they move")
    spent = _spent(graph, bits, energies) if energies else None
    if spent is not None and spent.unknown:
        notes.append(f"the energy is unknown: {spent.unknown}")
    return Levels(
        name=graph.name,
        bits=bits,
        at=next((at for at in found if at.cache_bytes == cache), None),
        curve=tuple(curve),
        kernels=len(kernels),
        notes=tuple(notes),
        charged=Charged(energies, spent.macs) if energies and spent else None,
    )


def _spent(graph: Graph, bits: int | None, energies: EnergyTable) -> Energy:
    """What an inference takes for its MACs, each layer with a byte of traffic, so that it shows if that is unknown."""
    storage, works = Storage(graph, bits), Works(bits)
    found = Energy(0.0, 0.0)
    for node in graph.nodes:
        if not storage.is_prepared(node):
            work = works(graph, node)
            found = found.plus(energies.of_layer(work.use, work.done["macs"], 8))
    return found


def _layers(graph: Graph, bits: int | None) -> tuple[list[Moved], tuple[int, int]]:
    """What each layer moves by itself; and what the whole must read and write."""
    plain = replace(graph, groups=(), joinings={}) if graph.groups else graph
    storage, works = Storage(plain, bits), Works(bits)
    crossings = Crossings(plain, storage)
    found = []
    for node in plain.nodes:
        work = works(plain, node)
        if not work.is_view and not storage.is_prepared(node):
            crossings.add(node, work)
            found.append(Moved(_number(sum(traffic(node, work, storage))), product_of(plain, node, work, storage)))
    crossings.close()
    return found, crossings.of("")


def _kernels(graph: Graph, bits: int | None) -> tuple[list[Moved], list[Kept]]:
    """What each kernel moves, and the tensors that pass between kernels."""
    storage, works = Storage(graph, bits), Works(bits)
    found: list[Moved] = []
    # Of each tensor the kernels that write and read it, with the bits.
    uses: dict[str, dict[int, int]] = {}
    for kernel in graph.kernels:
        moved, products = 0, []
        for node in kernel:
            work = works(graph, node)
            if work.is_view or storage.is_prepared(node):
                continue
            moved += _number(sum(traffic(node, work, storage)))
            if product := product_of(graph, node, work, storage):
                products.append(product)
            for value, read in zip(node.reads, work.input_bits, strict=True):
                root = storage.root[value]
                if value not in storage.unread.get(node.name, ()) and root not in storage.root.weight_of:
                    uses.setdefault(root, {}).setdefault(len(found), 0)
                    uses[root][len(found)] += _number(read)
            for value in node.outputs:
                if value not in storage.inside:
                    uses.setdefault(value, {})[len(found)] = _number(storage.bits[value])
        if moved or products:
            # In a kernel of two products, such as attention, what is between them need not be moved.
            found.append(Moved(moved, products[0] if len(products) == 1 else None))
    outputs = {storage.root[v] for v in graph.outputs}
    inputs = {*graph.inputs, *storage.root.kept}
    kept = []
    for value, by in uses.items():
        whole = _number(storage.bits[value])
        at = sorted(by)
        saves = [(kernel, min(by[kernel], whole)) for kernel in at]
        if value in inputs or value in outputs:  # read in the first of them all the same
            saves = saves[1:]
        if saves and len(at) > 1:
            kept.append(Kept(whole, at[0], at[-1], tuple(saves)))
    return found, sorted(kept, key=lambda tensor: (tensor.first, tensor.last))


def _spared(kept: Iterable[Kept], room: int) -> dict[int, int]:
    """For each kernel the bits that it need not move where tensors stay in ``room`` bits, as far as they fit.

    Each stays as it comes; where there are too many, those go that are needed longest.
    """
    staying: dict[int, Kept] = {}
    ends: list[tuple[int, int]] = []  # the one that is needed least long first
    latest: list[tuple[int, int]] = []  # the one that is needed longest first
    used, spared = 0, dict[int, int]()

    def done(tensor: Kept) -> None:
        for kernel, bits in tensor.saves:
            spared[kernel] = spared.get(kernel, 0) + bits

    for number, tensor in enumerate(kept):
        while ends and ends[0][0] < tensor.first:
            _, which = heappop(ends)
            if which in staying:
                used -= staying[which].bits
                done(staying.pop(which))
        staying[number] = tensor
        used += tensor.bits
        heappush(ends, (tensor.last, number))
        heappush(latest, (-tensor.last, number))
        while used > room:
            _, which = heappop(latest)
            if which in staying:
                used -= staying.pop(which).bits
    for tensor in staying.values():
        done(tensor)
    return spared


def _number(value: Dim) -> int:
    if not isinstance(value, int):
        raise CostcalcError("traffic by cache needs sizes that are numbers, not symbols")
    return value
