"""What exporting a model to a file did to its elements: norms folded, biases left out, tensors merged or copied.

Elements in a file are no parameters of the model. Layers are found again by their names, which exporters keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from costcalc.classes import NamedTuple
from costcalc.frontends.sources import SOURCES, SPEC, source_of
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import Weight

NORMS = ("batch_norm", "instance_norm")
"""Norms by statistics that are known, which fold into the layer before them."""


class Held(NamedTuple):
    """One weight of a layer: its name in the model, its elements, whether it is trained."""

    name: str
    size: int
    trained: bool


def remarks(old: Graph | None, new: Graph | None) -> Iterator[str]:
    """Why a file and the model that it was exported from do not hold the same elements; nothing for other pairs."""
    if old is None or new is None or _is_exported(old) == _is_exported(new):
        return
    model, file = (old, new) if _is_exported(new) else (new, old)
    before, after = _held(model), _held(file)
    common = before.keys() & after.keys()
    if not common:
        return
    explained = 0

    def change(one: str, many: str, count: int, elements: int) -> str:
        nonlocal explained
        explained += elements
        what = f"1 {one}" if count == 1 else f"{count:,} {many}"
        return f"{file.name}: {what}: {elements:+,} elements".replace(": -", ": −")

    gone = [n for n in model.nodes if n.op.name in NORMS and n.name not in after and before[n.name]]
    if gone:
        yield change(
            "norm is folded into the layer before it",
            "norms are folded into the layers before them",
            len(gone),
            -_sum(before[n.name] for n in gone),
        )
    added = [after[k]["bias"].size for k in common if "bias" in after[k] and "bias" not in before[k]]
    if added:
        yield change("bias is there instead", "biases are there instead", len(added), sum(added))
    lost = [before[k]["bias"].size for k in common if "bias" in before[k] and "bias" not in after[k]]
    if lost:
        yield change("bias of zeros is left out", "biases of zeros are left out", len(lost), -sum(lost))
    copied, merged = _copies(before, after, common), _copies(after, before, common)
    if copied:
        yield change("shared weight is copied", "shared weights are copied", len(copied), sum(copied))
    if merged:
        yield change(
            "tensor that equals another is kept once",
            "tensors that equal others are kept once",
            len(merged),
            -sum(merged),
        )
    rest = _distinct(after) - _distinct(before) - explained
    if rest:
        yield f"{file.name}: {rest:+,} elements besides, of tensors that no layer of both has".replace(": -", ": −")


def _is_exported(graph: Graph) -> bool:
    """Whether it is of a file that another tool wrote of a model: of one that runs no code, and is not a spec."""
    source = source_of(graph.source)
    return source.is_file and not source.runs_code and source is not SOURCES[SPEC]


def _held(graph: Graph) -> dict[str, dict[str, Held]]:
    """The trained and kept tensors of each layer, by the layer's name and the op's names for them; no counters."""
    return {node.name: _of(node, node.op.weights(*graph.input_types(node))) for node in graph.nodes}


def _of(node: Node, weights: Mapping[str, Weight]) -> dict[str, Held]:
    found = {}
    for local, weight in node.stored(weights).items():
        if isinstance(weight.type.size, int) and local != "num_batches_tracked":
            found[local] = Held(node.weight(local), weight.type.size, weight.trained)
    return found


def _sum(layers: Iterator[dict[str, Held]]) -> int:
    return sum(held.size for layer in layers for held in layer.values())


def _distinct(layers: Mapping[str, dict[str, Held]]) -> int:
    return sum({held.name: held.size for layer in layers.values() for held in layer.values()}.values())


def _copies(one: Mapping[str, dict[str, Held]], other: Mapping[str, dict[str, Held]], common: set[str]) -> list[int]:
    """The sizes of tensors that layers of ``one`` have in common and those of ``other`` each for themselves."""
    found = []
    met: dict[str, str] = {}
    for layer in sorted(common):
        for local, held in one[layer].items():
            there = other[layer].get(local)
            if there is None:
                continue
            first = met.setdefault(held.name, there.name)
            if first != there.name:
                found.append(there.size)
    return found
