"""The loops that an inference runs, as tools for hardware take them: a nest for each product of each layer."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, Node
from costcalc.ir.nest import Nest
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS


class Loops(NamedTuple):
    """One nest of one layer, all its sizes numbers.

    kind      what reports call the layer: ``depthwise conv``
    bits      of an element of the input, of what it is multiplied with, and of the output
    sources   which nests of the workload made its input, and what it is multiplied with if that is data: the last ones
              before, layers without a nest passed through; None for an input of the model
    """

    layer: str
    kind: str
    nest: Nest
    bits: tuple[int, int, int]
    sources: tuple[int | None, ...]

    @property
    def name(self) -> str:
        """The layer's, and after a colon the part of it that this is, where it has several."""
        return f"{self.layer}:{self.nest.part}" if self.nest.part else self.layer

    @property
    def alike(self) -> tuple[object, ...]:
        """What is equal of nests that are the same work, whatever they are called."""
        return (self.nest._replace(part="", weight="", reads=()), bool(self.nest.weight), self.bits)


class LeftOut(NamedTuple):
    """A layer whose work is not a nest of loops: its MACs, None if they are unknown, and why."""

    layer: str
    macs: Dim | None
    why: str


class Workload(NamedTuple):
    """All nests of a graph, in its order, and what has none."""

    name: str
    loops: tuple[Loops, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def macs(self) -> int:
        """Of all nests together."""
        return sum(_number(loops.nest.macs) for loops in self.loops)

    def distinct(self) -> Iterator[tuple[Loops, int]]:
        """Nests that differ, the first of each, and how many are as it is."""
        counts: dict[tuple[object, ...], list[Loops]] = {}
        for loops in self.loops:
            counts.setdefault(loops.alike, []).append(loops)
        yield from ((alike[0], len(alike)) for alike in counts.values())


def workload(graph: Graph, *, bits: int | None = None) -> Workload:
    """The nests of an inference of ``graph``; what is made beforehand is none of it.

    bits   width of floating-point elements in place of their own

    Raises ``CostcalcError`` where a size is a symbol.
    """
    found: list[Loops] = []
    left_out: list[LeftOut] = []
    last: dict[str, int | None] = {}  # value → the nest that it came of, the last one
    for node in graph.nodes:
        before = [last.get(value) for value in node.inputs]
        nests = _nests(graph, node, left_out)
        parts: dict[int | str, int | None] = dict(enumerate(before))
        for nest in nests:
            _check(node, nest)
            sources = tuple(parts.get(which) for which in nest.reads)
            parts[nest.part] = len(found)
            kind = node.op.kind(*graph.input_types(node))
            found.append(Loops(node.name, kind, nest, _bits(graph, node, nest, bits), sources))
        known = [at for at in before if at is not None]
        at = len(found) - 1 if nests else max(known, default=None)
        last.update(dict.fromkeys(node.outputs, at))
    return Workload(graph.name, tuple(found), tuple(left_out))


def _nests(graph: Graph, node: Node, left_out: list[LeftOut]) -> tuple[Nest, ...]:
    """Those of ``node``; if it has work that is none, it is put on the list."""
    if not graph.runs(node):
        return ()
    if not node.op.is_counted:
        left_out.append(LeftOut(node.name, None, "it has no rule"))
        return ()
    types, y = graph.input_types(node), graph.output_types(node)[0]
    nests = node.op.nests(*types, y=y)
    if nests is None:
        macs = node.op.macs(*types, y=y)
        if macs != 0:
            left_out.append(LeftOut(node.name, macs, f"{node.op.name} is not a nest of loops"))
    return nests or ()


def _check(node: Node, nest: Nest) -> None:
    if not isinstance(nest.macs, int):
        raise CostcalcError(
            f"{node.name} has sizes that are symbols; a workload needs numbers: set them", node.location
        )


def _bits(graph: Graph, node: Node, nest: Nest, width: int | None) -> tuple[int, int, int]:
    """Of an element of the input, the weight or second factor, and the output."""
    types = graph.input_types(node)
    inner, other = ([types[which].dtype if isinstance(which, int) else types[0].dtype for which in nest.reads] * 2)[:2]
    if nest.weight:
        other = node.stored_as.get(nest.weight, node.op.weights(*types)[nest.weight].type.dtype)
    made = graph.types[node.outputs[0]].dtype
    return (_wide(inner, width), _wide(other, width), _wide(made, width))


def _wide(dtype: str, width: int | None) -> int:
    return width if width is not None and dtype in FLOATING_BITS else ELEMENT_BITS[dtype]


def _number(value: Dim) -> int:
    assert isinstance(value, int)  # ``workload`` has checked
    return value
