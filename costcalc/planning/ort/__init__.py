"""ONNX Runtime on a CPU of x86 at its highest level of optimisation.

``gone`` says of which layers nothing is left and what is done elsewhere, ``calls`` makes the nodes that are run of the
groups that ``fuse:ort`` joins, ``order`` puts them into the session's order, ``buffers`` plans their memory.
"""

from __future__ import annotations

from costcalc.planning.joining import joined
from costcalc.planning.ort.calls import Builder, SessionCalls
from costcalc.planning.ort.gone import Gone
from costcalc.planning.ort.order import ordered
from costcalc.planning.sizes import ValueSizes
from costcalc.transforms.fuse.ort import ONNXRuntime


def session(sizes: ValueSizes) -> SessionCalls:
    """What a session makes of the graph: its calls in their order."""
    graph = sizes.graph
    made, gone = ONNXRuntime(graph), Gone(sizes)
    groups = joined(sizes, made, gone.stand_in)
    builder = Builder(sizes, gone, {gone.stand_in[v] for v in made.blocked})
    for group in groups:
        builder.add(group)
    results = [gone.stand_in[v] for v in graph.outputs if v not in sizes.settled]
    outputs = tuple(dict.fromkeys(map(builder.plain, results)))
    return SessionCalls(tuple(ordered(sizes, made, groups, builder)), groups, tuple(graph.inputs), outputs)
