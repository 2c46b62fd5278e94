"""What exporting a model to a file did to its elements: norms folded, biases left out, tensors merged or copied.

Elements in a file are no parameters of the model. Which layers do the same is told by ``export_matching``, and by
names, which exporters keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple
from costcalc.difference.export_matching import UNNEEDED, WORKED_OUT, Match, Rewriting, rewritten
from costcalc.frontends.sources import SOURCES, SPEC, source_of
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import Weight

NORMS = ("batch_norm", "instance_norm")
"""Norms by statistics that are known, which fold into the layer before them."""


class LayerWeight(NamedTuple):
    """One weight of a layer: its name in the model, its elements, whether it is trained."""

    name: str
    size: int
    trained: bool


class ExportEffect(NamedTuple):
    """One thing that an export did to the elements of a model.

    rule       as a clause, with how often: ``2 norms are folded into the layers before them``
    elements   in the file beyond those of the model
    """

    rule: str
    elements: int


def remarks(old: Graph | None, new: Graph | None, reports: Sequence[Report | None]) -> Iterator[str]:
    """Why a file and the model that it was exported from do not cost or hold the same; nothing for other pairs."""
    if old is None or new is None or is_exported(old) == is_exported(new):
        return
    (model, of_model), (file, of_file) = sorted(zip((old, new), reports, strict=True), key=lambda p: is_exported(p[0]))
    assert of_model is not None and of_file is not None
    found = rewritten(model, file, of_model, of_file)
    changes = list(elements(model, file, found))
    if not found.matches and not changes:
        return
    for rule in rewritings(found):
        yield f"{file.name}: {rule}"
    for change in changes:
        yield f"{file.name}: {change.rule}: {change.elements:+,} elements".replace(": -", ": −")
    rest = held_by(file) - held_by(model) - sum(change.elements for change in changes)
    if rest:
        yield f"{file.name}: {rest:+,} elements besides, of tensors that no layer of both has".replace(": -", ": −")


def rewritings(found: Rewriting) -> Iterator[str]:
    """How the work of the model is written in the file, as clauses with how often; and what of it is not there."""
    counts: dict[tuple[str, str], int] = {}
    for match in found.matches:
        if match.rewriting is not None:
            counts[match.rewriting] = counts.get(match.rewriting, 0) + 1
    yield from (_counted(*rule, count) for rule, count in counts.items())
    for sign, sides in (("−", found.lost), ("+", found.new)):
        by_reason: dict[str, list[int]] = {}
        for work, reason in sides:
            by_reason.setdefault(reason, []).append(work.macs)
        for reason, macs in by_reason.items():
            layers = "1 layer is" if len(macs) == 1 else f"{len(macs):,} layers are"
            said = reason or ("not in the file" if sign == "−" else "not in the model")
            yield f"{layers} {said}: {sign}{sum(macs):,} MACs"


def elements(model: Graph, file: Graph, found: Rewriting) -> Iterator[ExportEffect]:
    """What became of the elements of ``model`` in ``file``, one kind after another."""
    before, after = _held(model), _held(file)
    pairs = [*found.matches, *_by_name(model, file, before, after, found)]
    if not pairs:
        return
    fate = _Fates(before, after)
    for match in pairs:
        fate.follow(match)
    norms = [n for n in model.nodes if n.op.name in NORMS and any(h.name in fate.gone for h in before[n.name].values())]
    yield from _one(
        ("norm is folded into the layer before it", "norms are folded into the layers before them"),
        [-fate.lose(before[n.name].values()) for n in norms],
    )
    added = fate.biases([after[node.name] for match in pairs for node in match.file], fate.new)
    yield from _one(("bias is there instead", "biases are there instead"), added)
    lost = fate.biases([before[node.name] for match in pairs for node in match.model], fate.gone)
    yield from _one(("bias of zeros is left out", "biases of zeros are left out"), [-size for size in lost])
    yield from _one(("shared weight is copied", "shared weights are copied"), fate.copied)
    fate.by_size()
    read = {value for node in model.nodes for value in node.reads} | {*model.outputs}
    idle = [node for node in model.nodes if not read.intersection(node.outputs)]
    idle += [work.node for work, reason in found.lost if reason == UNNEEDED]
    yield from _one(
        ("tensor that nothing reads is left out", "tensors that nothing reads are left out"),
        [-size for node in idle for held in before[node.name].values() if (size := fate.lose([held]))],
    )
    known = [work.node for work, reason in found.lost if reason == WORKED_OUT]
    worked = [size for node in known for held in before[node.name].values() if (size := fate.lose([held]))]
    differ = {h.name for work, why in found.lost if not why for h in before[work.node.name].values()}
    merged = [held for held in fate.gone.values() if held.size in fate.sizes_kept and held.name not in differ]
    yield from _one(
        ("tensor that equals another is kept once", "tensors that equal others are kept once"),
        [*(-size for size in fate.merged), *(-fate.lose([held]) for held in merged)],
    )
    numbers = [held for held in fate.gone.values() if held.size == 1]
    yield from _one(
        ("number is not a tensor of the file", "numbers are not tensors of the file"),
        [-fate.lose([h]) for h in numbers],
    )
    others = [
        held
        for node in model.nodes
        if node.op.name.endswith("_norm")
        for held in before[node.name].values()
        if held.name in fate.gone
    ]
    yield from _one(
        ("norm's scale or shift goes into another layer", "norms' scales and shifts go into other layers"),
        [-fate.lose([held]) for held in others],
    )
    unexplained = {h.name for work, why in found.new if not why for h in after[work.node.name].values()}
    if fate.new.keys() - unexplained:
        prepared = _prepared(model)
        worked += [fate.lose([held]) for held in list(fate.gone.values()) if held.name in prepared]
    yield from _one(("tensor is worked out at export", "tensors are worked out at export"), [-size for size in worked])
    yield from _one(
        ("tensor of the file was worked out at export", "tensors of the file were worked out at export"),
        [held.size for held in fate.new.values() if held.name not in unexplained],
    )


def _one(rule: tuple[str, str], sizes: Sequence[int]) -> Iterator[ExportEffect]:
    if sizes:
        yield ExportEffect(_counted(*rule, len(sizes)), sum(sizes))


def _by_name(
    model: Graph,
    file: Graph,
    before: Mapping[str, dict[str, LayerWeight]],
    after: Mapping[str, dict[str, LayerWeight]],
    found: Rewriting,
) -> Iterator[Match]:
    """Layers without MACs that have tensors and the same name in both."""
    there = {node.name: node for node in file.nodes if after[node.name]}
    here, others = ({node.name for match in found.matches for node in match[side]} for side in (0, 1))
    here |= {work.node.name for work, why in found.lost if not why}
    for node in model.nodes:
        if before[node.name] and node.name in there and node.name not in here and node.name not in others:
            yield Match((node,), (there[node.name],))


def _prepared(model: Graph) -> set[str]:
    """Tensors of the model of which other values are made without any input."""
    decided, found = set(model.inputs), set[str]()
    for node in model.nodes:
        if node.op.is_random or decided.intersection(node.reads):
            decided.update(node.outputs)
        else:
            found.update(node.weight(local) for local in node.op.weights(*model.input_types(node)))
    return found


class _Fates:
    """What became of each tensor of the model, and where each of the file came from.

    gone, new   those that no other answers to, by name
    copied      elements of the file's further copies of one tensor; merged, of the model's that became one
    """

    def __init__(
        self, before: Mapping[str, dict[str, LayerWeight]], after: Mapping[str, dict[str, LayerWeight]]
    ) -> None:
        self.before, self.after = before, after
        self.gone, self.new = (
            {held.name: held for layer in side.values() for held in layer.values()} for side in (before, after)
        )
        self.copied: list[int] = []
        self.merged: list[int] = []
        self.sizes_kept: set[int] = set()
        self._became: dict[str, str] = {}
        self._was: dict[str, str] = {}

    def follow(self, match: Match) -> None:
        """Tensors of layers that do the same are the same, each by its name in the op or all together."""
        ours, theirs = (
            [side[node.name] for node in nodes] for side, nodes in zip((self.before, self.after), match, strict=True)
        )
        if len(ours) == len(theirs) == 1:
            for local in ours[0].keys() & theirs[0].keys():
                self._same(ours[0][local], theirs[0][local])
            return
        for biases in (False, True):
            mine, others = (
                [h for layer in side for local, h in layer.items() if local.startswith("bias") == biases]
                for side in (ours, theirs)
            )
            if sum(h.size for h in mine) == sum(h.size for h in others):
                self.lose(mine)
                self._gain(others)

    def _same(self, mine: LayerWeight, other: LayerWeight) -> None:
        if mine.size != other.size:
            return
        if self._became.setdefault(mine.name, other.name) != other.name and other.name in self.new:
            self.copied.append(other.size)
        elif self._was.setdefault(other.name, mine.name) != mine.name and mine.name in self.gone:
            self.merged.append(mine.size)
        self.sizes_kept.add(mine.size)
        self.lose([mine])
        self._gain([other])

    def lose(self, tensors: Iterable[LayerWeight]) -> int:
        """Their elements, of those that were not told of yet; they are now."""
        return sum(held.size for held in list(tensors) if self.gone.pop(held.name, None) is not None)

    def _gain(self, tensors: Iterable[LayerWeight]) -> int:
        return sum(held.size for held in list(tensors) if self.new.pop(held.name, None) is not None)

    def biases(self, layers: Iterable[Mapping[str, LayerWeight]], among: dict[str, LayerWeight]) -> list[int]:
        """The sizes of biases of ``layers`` that are ``among`` those without a fate, which they have now."""
        named = {h.name for layer in layers for local, h in layer.items() if local.startswith("bias")}
        return [among.pop(name).size for name in sorted(named) if name in among]

    def by_size(self) -> None:
        """Of those that are left, tensors of one size are the same."""
        sizes: dict[int, list[LayerWeight]] = {}
        for held in self.new.values():
            sizes.setdefault(held.size, []).append(held)
        for held in list(self.gone.values()):
            if sizes.get(held.size):
                self._same(held, sizes[held.size].pop(0))


def held_by(graph: Graph) -> int:
    """The elements of its distinct tensors, but for counters of steps."""
    return sum({held.name: held.size for layer in _held(graph).values() for held in layer.values()}.values())


def _counted(one: str, many: str, count: int) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {many}"


def is_exported(graph: Graph) -> bool:
    """Whether it is of a file that another tool wrote of a model: of one that runs no code, and is not a spec."""
    source = source_of(graph.source)
    return source.is_file and not source.runs_code and source is not SOURCES[SPEC]


def _held(graph: Graph) -> dict[str, dict[str, LayerWeight]]:
    """The trained and kept tensors of each layer, by the layer's name and the op's names for them; no counters."""
    return {node.name: _of(node, node.op.weights(*graph.input_types(node))) for node in graph.nodes}


def _of(node: Node, weights: Mapping[str, Weight]) -> dict[str, LayerWeight]:
    found = {}
    for local, weight in node.stored(weights).items():
        if isinstance(weight.type.size, int) and local != "num_batches_tracked":
            found[local] = LayerWeight(node.weight(local), weight.type.size, weight.trained)
    return found
