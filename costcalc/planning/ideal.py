"""No engine: what liveness alone asks for, in the best order of the layers.

Every layer is a step, views share, nothing is joined or written in place, kernels need nothing beside, and a value
goes as soon as nothing needs it. No order of the same steps holds less.
"""

from __future__ import annotations

from costcalc.planning.jobs import Job, Jobs
from costcalc.planning.sizes import ValueSizes


def jobs(sizes: ValueSizes) -> Jobs:
    """A step a layer that makes something of its own, in the graph's order."""
    graph, root = sizes.graph, sizes.root
    steps = []
    for node in sizes.nodes():
        reads = tuple(dict.fromkeys(root[v] for v in sizes.read(node)))
        makes = tuple((v, sizes.of(v)) for v in node.outputs if root[v] == v)
        if makes:
            steps.append(Job(node.name, reads, makes, 0, (), (node.name,)))
    read = {root[v] for node in graph.nodes for v in node.reads} | {root[v] for v in graph.outputs}
    inputs = {v: sizes.of(v) for v in graph.inputs if v in read}
    return Jobs(inputs, tuple(steps), tuple(root[v] for v in graph.outputs if v not in sizes.settled))
