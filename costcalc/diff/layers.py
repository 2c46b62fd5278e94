"""A graph as the list of layers that a diff works on, each with its own share of every figure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from costcalc.analysis.records import Report
from costcalc.errors import CostcalcError, Place
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType

ADDITIVE = ("macs", "ops", "params", "buffers", "weights", "storage", "read", "write", "time")
"""The figures that are sums over layers, in the order of ``Share``."""

Share: TypeAlias = "tuple[Any, ...]"
NOTHING: Share = (0,) * len(ADDITIVE)


class Entry(NamedTuple):
    """A layer, or an input of the model, in the order in which values are made.

    share   what it adds to each figure of ``ADDITIVE``: a tensor that several layers use belongs to
            the first, so that the shares of all entries add up to the model's figures
    owns    the weights that are its own, by local name; those of an earlier layer are not
    node    None for an input
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    takes: tuple[TensorType, ...]
    makes: tuple[TensorType, ...]
    share: Share
    owns: frozenset[str]
    node: Node | None
    place: Place | None
    kind: str = ""


def own_chain(place: Place | None) -> list[Place]:
    """The places in the user's own file that led to a layer, the innermost first; not those in shared blocks."""
    return [p for p in place.chain if p.file == place.chain[-1].file] if place else []


def own_place(place: Place | None) -> Place | None:
    """Where the user's own file asks for a layer: the call of the block that it stands in, if it is in one."""
    chain = own_chain(place)
    called = [p for p in chain if p is not place]
    return called[0] if called else chain[0] if chain else None


def common_place(run: list[Entry]) -> Place | None:
    """The innermost place that asked for all of these layers."""
    chains = [own_chain(e.place)[::-1] for e in run if e.place]
    shared = [steps[0] for steps in zip(*chains, strict=False) if len({p.short for p in steps}) == 1]
    return shared[-1] if shared else chains[0][0] if chains else None


def entries(graph: Graph, report: Report) -> list[Entry]:
    """The inputs and layers of ``graph``; ``report`` is its report. Sizes must be numbers."""
    if any(not isinstance(d, int) for t in graph.types.values() for d in t.shape):
        raise CostcalcError(f"{graph.name} has sizes that are symbols; a diff needs numbers")
    used = {v for node in graph.nodes for v in node.reads}
    width = report.settings.bits
    found = []
    for value in graph.inputs:
        t = graph.types[value]
        bits = t.bits(width) if value in used else 0
        share = _vector(storage=bits)
        found.append(Entry(value, "input", (), (value,), (), (t,), share, frozenset(), None, None, "input"))
    seen: set[str] = set()
    for node, layer in zip(graph.nodes, report.layers, strict=True):
        takes = graph.input_types(node)
        params = buffers = weight_bits = 0
        owns = []
        for local, weight in node.stored(node.op.weights(*takes)).items():
            name = node.weight(local)
            if name in seen:
                continue
            seen.add(name)
            owns.append(local)
            size, bits = weight.type.size, weight.type.bits(width)
            assert isinstance(size, int) and isinstance(bits, int)  # sizes are numbers, see above
            params, buffers = params + size * weight.trained, buffers + size * (not weight.trained)
            weight_bits += bits
        kept = layer.prepared.bits if layer.prepared else 0
        share = _vector(
            layer.macs, layer.ops, params, buffers, weight_bits, weight_bits + layer.write_bits + kept,
            layer.read_bits, layer.write_bits,
            Fraction(layer.time.seconds) if layer.time else 0,
        )  # fmt: skip
        found.append(
            Entry(
                node.name, node.op.name, node.inputs, node.outputs, takes, graph.output_types(node), share,
                frozenset(owns), node, node.place, layer.kind,
            )
        )  # fmt: skip
    return found


def _vector(
    macs: Any = 0, ops: Any = 0, params: int = 0, buffers: int = 0, weights: int = 0, storage: Any = 0,
    read: Any = 0, write: Any = 0, time: int | Fraction = 0,
) -> Share:  # fmt: skip
    return (macs, ops, params, buffers, weights, storage, read, write, time)


def plus(a: Share, b: Share) -> Share:
    """Sum, figure by figure."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def minus(a: Share, b: Share) -> Share:
    """Difference, figure by figure."""
    return tuple(x - y for x, y in zip(a, b, strict=True))


def sum_of(shares: Iterable[Share]) -> Share:
    """Sum of all of them, figure by figure."""
    return tuple(map(sum, zip(NOTHING, *shares, strict=True)))


def largest(effects: Iterable[tuple[Entry, Share]], most: int = 5) -> tuple[tuple[str, Place | None, Share], ...]:
    """The layers that an effect is largest in: name, place, and how large."""
    ranked = sorted(effects, key=lambda item: [-abs(x) for x in item[1]])[:most]
    return tuple((e.name, own_place(e.place), effect) for e, effect in ranked if any(effect))
