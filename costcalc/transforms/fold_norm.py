"""Fold batch norms into the layer before them, as every deployed network does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from costcalc.ir.graph import Graph, GraphBuilder, Node

FOLDABLE = frozenset({"conv", "depthwise", "pointwise", "conv_transpose", "deform_conv", "linear"})
"""The ops that can take a batch norm in: an affine map of each output channel."""


def fold_norm(graph: Graph) -> Graph:
    """``graph`` without the batch norms that directly follow a convolution or linear layer.

    At inference a batch norm is Y = (α/σ)·X + (β − αμ/σ) per channel: the factor goes into the weights of the layer
    before it and the rest into its bias, which it has from then on. Afterwards the norm costs nothing. A norm stays
    where something else reads its input too, where its layer shares weights with another layer, or where it keeps no
    running statistics: μ and σ are then those of the images.

    Source: facts of the field; Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3.2.
    """
    readers = Counter(value for node in graph.nodes for value in node.reads)
    readers.update(graph.outputs)
    maker = {value: node for node in graph.nodes for value in node.outputs}

    folded: dict[str, Node] = {}
    for node in graph.nodes:
        if node.op.name == "batch_norm" and getattr(node.op, "track_running_stats", False):
            before = maker.get(node.inputs[0])
            if before and _takes_norm(graph, before, readers):
                folded[node.name] = before
    taking = {before.name for before in folded.values()}

    builder = GraphBuilder(graph.name, {value: graph.types[value] for value in graph.inputs})
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        if node.name in folded:
            renamed[node.outputs[0]] = renamed.get(node.inputs[0], node.inputs[0])
            continue
        op = type(node.op)(**{**vars(node.op), "bias": True}) if node.name in taking else node.op
        builder.add(
            node.name, op, [renamed.get(v, v) for v in node.inputs], node.called, node.place,
            {local: renamed.get(v, v) for local, v in node.prepared.items()},
        )  # fmt: skip
    outputs = [renamed.get(v, v) for v in graph.outputs]
    made = builder.build(outputs, graph.parameters, graph.source)
    names = {node.name for node in made.nodes}
    sizes = (s._replace(layers=tuple(name for name in s.layers if name in names)) for s in graph.sizes)
    assumed = tuple(dict.fromkeys((*graph.assumed, *made.assumed)))
    return replace(made, layouts=graph.layouts, assumed=assumed, sizes=tuple(sizes))


def _takes_norm(graph: Graph, node: Node, readers: Counter[str]) -> bool:
    on_channels = node.op.name != "linear" or len(graph.types[node.outputs[0]].shape) == 2
    weights = node.stored(node.op.weights(*graph.input_types(node)))
    alone = readers[node.outputs[0]] == 1 and all(len(graph.users[node.weight(w)]) == 1 for w in weights)
    return node.op.name in FOLDABLE and on_channels and alone
