"""What an engine copies between kernels because they want other layouts; no layer of the model does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.analysis.estimate import whole
from costcalc.analysis.features import Features, together

if TYPE_CHECKING:
    from costcalc.ir.graph import Graph


def copies(graph: Graph, processor: str, bits: int | None = None) -> dict[str, Features]:
    """The features of the copies that a session makes, by the layer whose result it copies.

    ONNX Runtime copies maps into blocks of channels and out of them; of other processors none are known. A copy of an
    input of the model is that of its first layer. Raises ``OptionError`` where a size is a symbol.
    """
    if processor != "ort" or not graph.nodes:
        return {}
    from costcalc.planning import ort
    from costcalc.planning.sizes import ValueSizes

    makers = {value: node.name for node in graph.nodes for value in node.outputs}
    found: dict[str, Features] = {}
    for call in ort.copies(ValueSizes(graph, bits)):
        layer = makers.get(call.reads[0], graph.nodes[0].name)
        moved = Features(activations=2.0 * call.makes[0].bytes, kernels=1.0)
        found[layer] = found.get(layer, Features()).plus(moved)
    return found


def of_run(graph: Graph, joined: Graph, processor: str, bits: int | None = None) -> Features:
    """The features of a whole run of ``graph``: of its layers as ``joined`` has them, and of copies between kernels."""
    return together([whole(joined, processor, bits), *copies(graph, processor, bits).values()])
