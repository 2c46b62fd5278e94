"""Which layers of a file do the work of which layers of the model that it was exported from.

Exporters keep names where they can, write some layers as several others or several as one, and work out what no input
decides. Layers with MACs are paired by their names, then by as many MACs within a module, then by as many in their
order; what is left has a reason, or is a difference that nothing explains.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.difference.lcs import common
from costcalc.ir.graph import Graph, Node

MOST_PARTS = 8
"""Layers that one layer is looked for as."""
UNNEEDED = "left out, since no output needs it"
WORKED_OUT = "worked out at export, since no input decides it"
"""Reasons for which a file lacks a layer."""
ATTENTION = ("scaled_dot_product_attention", "multi_head_attention")


class LayerWork(NamedTuple):
    """A layer that has MACs, and how many."""

    node: Node
    macs: int
    weighted: bool


class Match(NamedTuple):
    """Layers of the model, and those of the file that do their work: as many MACs."""

    model: tuple[Node, ...]
    file: tuple[Node, ...]

    @property
    def rewriting(self) -> tuple[str, str] | None:
        """What was made of the model's layers, of one such match and of several; None where they are as they were."""
        before, after = ({node.op.name for node in side} for side in self)
        attends = bool(before.intersection(ATTENTION))
        if len(self.model) == len(self.file) == 1:
            if self.model[0].name == self.file[0].name:
                return None
            if before == after or {*before, *after} <= {"linear", "matmul", "conv", "conv_transpose"}:
                return "layer has another name", "layers have other names"
            was, now = self.model[0].op.name, self.file[0].op.name
            return f"{was} is written as {now}", f"layers {was} are written as {now}"
        if attends and not after.intersection(ATTENTION):
            return "attention is written as its products", "attentions are written as their products"
        if after.intersection(ATTENTION) and not attends:
            return "attention is made of its products", "attentions are made of their products"
        if len(self.model) == 1:
            return "projection is split", "projections are split"
        if len(self.file) == 1:
            return "layer is made of several", "layers are each made of several"
        return "module is written with other layers", "modules are written with other layers"


class Rewriting(NamedTuple):
    """How the work of a file answers to that of a model.

    matches   layers of both that do the same
    lost      layers of the model that the file does not have, each with the reason; "" where there is none
    new       layers of the file that no layer of the model answers to, likewise
    """

    matches: tuple[Match, ...]
    lost: tuple[tuple[LayerWork, str], ...]
    new: tuple[tuple[LayerWork, str], ...]


def rewritten(model: Graph, file: Graph, of_model: Report, of_file: Report) -> Rewriting:
    """Pair the layers of ``model`` and ``file`` that have MACs; their figures are those of the reports."""
    rest = _Rest(list(_works(model, of_model)), list(_works(file, of_file)))
    rest.by_name()
    rest.in_modules()
    rest.in_order(lambda w: (w.node.op.name, w.macs))
    rest.in_order(lambda w: (w.weighted, w.macs))
    rest.in_parts(rest.ours, rest.theirs)
    rest.anywhere()
    reasons = _reasons(model)
    lost = tuple((work, reasons(work.node)) for work in rest.ours)
    again = _repeated(file)
    new = tuple((work, "done again beside one that does the same" if again(work.node) else "") for work in rest.theirs)
    return Rewriting(tuple(rest.matches), lost, new)


def _works(graph: Graph, figures: Report) -> Iterator[LayerWork]:
    for node, layer in zip(graph.nodes, figures.layers, strict=True):
        if isinstance(layer.macs, int) and layer.macs:
            yield LayerWork(node, layer.macs, bool(node.op.weights(*graph.input_types(node))))


class _Rest:
    """What is not matched yet of either side, in the order of its graph; each round takes matches out of it."""

    def __init__(self, ours: list[LayerWork], theirs: list[LayerWork]) -> None:
        self.ours, self.theirs = ours, theirs
        self.matches: list[Match] = []
        self._taken: set[int] = set()

    def by_name(self) -> None:
        """Layers of the same name and as many MACs."""
        named = {work.node.name: work for work in self.theirs}
        for work in list(self.ours):
            other = named.get(work.node.name)
            if other is not None and other.macs == work.macs:
                self._take([work], [other])

    def in_modules(self) -> None:
        """What is left within one module of both, from the innermost out, where it comes to as many MACs."""
        deepest = max((work.node.name.count(".") for work in self.ours), default=0)
        for depth in range(deepest, 0, -1):
            here, there = (_within(side, depth) for side in (self.ours, self.theirs))
            for module in here.keys() & there.keys():
                mine, others = here[module], there[module]
                if sum(w.macs for w in mine) == sum(w.macs for w in others):
                    self.in_parts(mine, others)
                    if self._left(mine):
                        self._take(self._left(mine), self._left(others))

    def in_order(self, key: Callable[[LayerWork], Hashable]) -> None:
        """Layers alike by ``key``, as many as there are in the same order."""
        numbers: dict[Hashable, int] = {}
        sides = [[numbers.setdefault(key(w), len(numbers)) for w in side] for side in (self.ours, self.theirs)]
        for mine, other in [(self.ours[i], self.theirs[j]) for i, j in common(*sides)]:
            self._take([mine], [other])

    def in_parts(self, ours: Sequence[LayerWork], theirs: Sequence[LayerWork]) -> None:
        """One layer of one side that is a run of neighbours of the other."""
        for same_kind in (True, False):
            for work in ours:
                many = _part(work, self._left(theirs), same_kind) if self._left([work]) else []
                if many:
                    self._take([work], many)
            for work in theirs:
                many = _part(work, self._left(ours), same_kind) if self._left([work]) else []
                if many:
                    self._take(many, [work])

    def anywhere(self) -> None:
        """Layers of as many MACs, wherever they stand."""
        by_macs: dict[int, list[LayerWork]] = {}
        for work in self.theirs:
            by_macs.setdefault(work.macs, []).append(work)
        for work in list(self.ours):
            if by_macs.get(work.macs):
                self._take([work], [by_macs[work.macs].pop(0)])

    def _take(self, ours: Sequence[LayerWork], theirs: Sequence[LayerWork]) -> None:
        self.matches.append(Match(tuple(w.node for w in ours), tuple(w.node for w in theirs)))
        self._taken.update(id(w) for w in (*ours, *theirs))
        self.ours, self.theirs = self._left(self.ours), self._left(self.theirs)

    def _left(self, works: Sequence[LayerWork]) -> list[LayerWork]:
        return [work for work in works if id(work) not in self._taken]


def _part(work: LayerWork, others: Sequence[LayerWork], same_kind: bool) -> Sequence[LayerWork]:
    """The run of ``others`` that comes to the MACs of ``work``; nothing if none does.

    same_kind   only layers that have weights as it has, or have none as it has
    """
    for start in range(len(others)):
        reached = 0
        for end in range(start, min(start + MOST_PARTS, len(others))):
            reached += others[end].macs
            if reached > work.macs or (same_kind and others[end].weighted != work.weighted):
                break
            if reached == work.macs:
                return others[start : end + 1]
    return []


def _within(works: Sequence[LayerWork], depth: int) -> dict[str, list[LayerWork]]:
    """By module at ``depth``, what stands below it."""
    found: dict[str, list[LayerWork]] = {}
    for work in works:
        parts = work.node.name.split(".")
        if len(parts) > depth:
            found.setdefault(".".join(parts[:depth]), []).append(work)
    return found


def _repeated(file: Graph) -> Callable[[Node], bool]:
    """What says whether another layer does as one does, with the same weights, on the same values in any shape."""
    made_by = {value: node for node in file.nodes for value in node.outputs}

    def root(value: str) -> str:
        while (node := made_by.get(value)) is not None and node.op.is_view and len(node.inputs) == 1:
            value = node.inputs[0]
        return value

    def done(node: Node) -> Hashable:
        weights = tuple(node.weight(local) for local in node.op.weights(*file.input_types(node)))
        return node.op, tuple(map(root, node.reads)), weights

    counts: dict[Hashable, int] = {}
    for node in file.nodes:
        counts[done(node)] = counts.get(done(node), 0) + 1
    return lambda node: counts[done(node)] > 1


def _reasons(model: Graph) -> Callable[[Node], str]:
    """What says why an export leaves a layer of ``model`` out, "" where it has no reason to."""
    decided: set[str] = set(model.inputs)
    made: dict[str, str] = {}
    first: dict[Hashable, str] = {}
    for node in model.nodes:
        if node.op.is_random or decided.intersection(node.reads):
            decided.update(node.outputs)
        weights = tuple(node.weight(local) for local in node.op.weights(*model.input_types(node)))
        same = first.setdefault((node.op, tuple(made.get(v, v) for v in node.reads), weights), node.name)
        if same != node.name:
            made |= {v: f"{same}{v.removeprefix(node.name)}" for v in node.outputs}
    wanted = set(model.outputs)
    for node in reversed(model.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.reads)

    def reason(node: Node) -> str:
        if not wanted.intersection(node.outputs):
            return UNNEEDED
        if not decided.intersection(node.outputs):
            return WORKED_OUT
        if node.outputs[0] in made:
            return "done once with a layer that does the same"
        return ""

    return reason
