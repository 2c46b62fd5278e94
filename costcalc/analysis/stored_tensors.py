"""Which tensors the storage of a block, or of a whole model, consists of."""

from __future__ import annotations

from costcalc.analysis.records import Figures, Report
from costcalc.analysis.storage import Storage, distinct_values
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, total
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType


class StoredTensor(NamedTuple):
    """One tensor. ``role``: ``reads`` from outside, ``weight``, ``keeps`` between its layers, ``makes`` for others."""

    role: str
    name: str
    shape: tuple[Dim, ...]
    bits: Dim


class StoredTensors(NamedTuple):
    """The tensors of some layers, each once.

    figures   the block's or the model's row in the report
    views     values that need no storage of their own
    apart     bits of the same layers when each is taken by itself
    applied   the transforms that the graph has been through
    """

    name: str
    figures: Figures
    layers: int
    tensors: list[StoredTensor]
    views: int
    apart: Dim
    applied: tuple[str, ...] = ()


def stored_tensors(graph: Graph, report: Report, name: str = "") -> StoredTensors | None:
    """The tensors of the block called ``name``, or of the model; None if there is no such block."""
    figures: Figures | None = report.total
    if name:
        figures = next((block for block in report.blocks if block.name == name), None)
    if figures is None:
        return None
    width = report.settings.bits
    storage = Storage(graph, width)
    root = storage.root
    nodes = [node for node in graph.nodes if not name or node.name.startswith(f"{name}.")]
    inside = {value for node in nodes for value in node.outputs}
    members = {node.name for node in nodes}
    used_later = {v for node in graph.nodes if node.name not in members for v in storage.touched(node)[0]} | set(
        graph.outputs
    )

    weights: dict[str, TensorType] = {}
    values: dict[str, str] = {}
    for node in nodes:
        for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items():
            weights.setdefault(node.weight(local), weight.type)
        reads, makes = storage.touched(node)
        for value in (*reads, *makes):
            values[value] = "reads" if value not in inside else "makes" if value in used_later else "keeps"
    alone, views_of = distinct_values(values, root, weights)
    stored = {value: values[value] for value in alone}
    for kept, views in views_of.items():
        whole, seen = storage.bits[kept], total(storage.bits[v] for v in views)
        if isinstance(whole, int) and isinstance(seen, int) and seen > whole:
            stored[kept] = "reads"  # together they are no more than what they are views of
        else:
            stored |= {value: values[value] for value in views}
    for value, role in values.items():
        if role == "makes" and stored.get(root[value]) == "keeps":
            stored[root[value]] = "makes"  # by a view of it

    tensors = [StoredTensor(role, v, graph.types[v].shape, storage.bits[v]) for v, role in stored.items()]
    tensors += [StoredTensor("weight", w, t.shape, t.bits(width)) for w, t in weights.items()]
    apart: Dim = 0
    for layer in report.layers:
        if layer.name in members:
            apart = apart + layer.storage_bits
    return StoredTensors(
        name or graph.name, figures, len(nodes), tensors, len(values.keys() - stored.keys()), apart, graph.applied
    )
