"""ONNX Runtime on a CPU of x86 at its highest level of optimisation.

``gone`` says of which layers nothing is left and what is done elsewhere, ``channels_last`` which maps are not turned,
``calls`` makes the nodes that are run of the groups that ``fuse:ort`` joins, ``order`` puts them into the session's
order, ``buffers`` plans their memory.
"""

from __future__ import annotations

from costcalc.planning.joining import JoinedGroup, joined
from costcalc.planning.ort.calls import Builder, KernelCall, SessionCalls
from costcalc.planning.ort.gone import Gone, made_beforehand
from costcalc.planning.ort.order import ordered
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.ort import ONNXRuntime


def session(sizes: ValueSizes) -> SessionCalls:
    """What a session makes of the graph: its calls in their order."""
    made, groups, builder, outputs = _built(sizes)
    return SessionCalls(tuple(ordered(sizes, made, groups, builder)), groups, tuple(sizes.graph.inputs), outputs)


def copies(sizes: ValueSizes) -> list[KernelCall]:
    """The calls of a session that only copy a map into blocks of channels or out of them."""
    return [call for call in _built(sizes)[2].calls.values() if call.is_copy]


def _built(sizes: ValueSizes) -> tuple[ONNXRuntime, list[JoinedGroup], Builder, tuple[str, ...]]:
    """The engine, its groups of layers, the calls that it makes of them, and the values that are its results."""
    graph = sizes.graph
    sizes.settled = made_beforehand(graph)
    made, gone = ONNXRuntime(graph), Gone(sizes)
    groups = joined(sizes, made, gone.stand_in)
    builder = Builder(sizes, gone, {gone.stand_in[v] for v in made.blocked})
    for group in groups:
        builder.add(group)
    results = [gone.stand_in[v] for v in graph.outputs if v not in sizes.settled]
    return made, groups, builder, tuple(dict.fromkeys(map(builder.plain, results)))
