"""What a layer must move: what it reads of its inputs and weights, once, and its outputs, once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.layer_costs import Work
from costcalc.analysis.storage import Roots, Storage
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, minimum, total
from costcalc.ir.graph import Node


class Traffic(NamedTuple):
    """Bits read and bits written."""

    read: Dim
    write: Dim


def traffic(node: Node, work: Work, storage: Storage) -> Traffic:
    """The compulsory traffic of one layer in an inference: nothing for a view, and for what is done beforehand; in a
    kernel of several layers only what that must read and write.
    """
    if work.is_view or storage.is_prepared(node):
        return Traffic(0, 0)
    root, inside = storage.root, storage.inside
    if len(work.input_bits) == len(node.outputs) == 1 and not inside and not storage.unread:
        # Most layers are so: one value is read, and what it is a view of is at most read whole.
        value, (bits,) = node.reads[0], work.input_bits
        kept = root[value]
        if kept not in root.weight_of:
            read = bits if kept == value else minimum(storage.bits[kept], bits)
            return Traffic(read + work.read_bits, storage.bits[node.outputs[0]])
    weights = {node.weight(local) for local in work.weights} if work.weights else ()
    reads: Iterable[tuple[str, Dim]] = zip(node.reads, work.input_bits, strict=True)
    unread = storage.unread.get(node.name, ())
    if unread:
        reads = [(value, bits) for value, bits in reads if value not in unread]
    inputs = distinct_reads(reads, root, storage.bits, weights)
    return Traffic(inputs + work.read_bits, total(storage.bits[v] for v in node.outputs if v not in inside))


class Inference:
    """What layers add to the figures of an inference: ``done`` of their work, and ``moved`` of their traffic."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._rules = [(figure.name, figure.moved) for figure in FIGURES.values() if figure.moved]

    def __call__(self, node: Node, work: Work) -> Amounts:
        """Those of ``node`` and of the tensors that it holds; work that is done beforehand is none of an inference."""
        moved = traffic(node, work, self._storage)
        found = Amounts(work.own)
        if self._storage.root.settled and self._storage.is_prepared(node):
            found.update(dict.fromkeys(work.done, 0))
        for name, rule in self._rules:
            found[name] = rule(moved)
        return found


def distinct_reads(
    inputs: Iterable[tuple[str, Dim]], root: Roots, bits_of: Mapping[str, Dim], weights: Collection[str]
) -> Dim:
    """Bits that one layer reads of its inputs, given for each; nothing for those that are one of its ``weights``.

    What it reads of several views of one storage may overlap: it is together at most that storage, and of a value
    that comes in twice at most that value.
    """
    inputs = list(inputs)
    if not root.weight_of:
        values = [value for value, _ in inputs]
        if root.views.isdisjoint(values) and len({*values}) == len(values):
            return total([bits for _, bits in inputs])
    found: Dim = 0
    read: dict[str, dict[str, Dim]] = {}  # by storage, what is read of each of its values
    for value, bits in inputs:
        kept = root[value]
        if root.weight_of and root.weight_of.get(kept) in weights:
            continue
        of = read.setdefault(kept, {})
        of[value] = minimum(of[value] + bits, bits_of[value]) if value in of else bits
    for kept, parts in read.items():
        seen = total(parts.values())
        found = found + (seen if list(parts) == [kept] else minimum(bits_of[kept], seen))
    return found
