"""No engine: what liveness alone asks for, in the best order of the layers.

Every layer is a step, or every group that ``fuse`` made of them; views share, nothing else is joined or written in
place, kernels need nothing beside, and a value goes as soon as nothing needs it. No order of the same steps holds less.
"""

from __future__ import annotations

from costcalc.analysis.storage import inside
from costcalc.ir.graph import Graph, Node
from costcalc.planning.jobs import Job, Jobs
from costcalc.planning.sizes import ValueSizes


def jobs(sizes: ValueSizes) -> Jobs:
    """A step a kernel that makes something of its own, in the graph's order: a layer, or those that are in a group.

    What passes between the layers of one group alone is in no memory.
    """
    graph, root = sizes.graph, sizes.root
    within = inside(graph, root)
    run = {node.name for node in sizes.nodes()}
    steps = []
    for kernel in graph.kernels:
        nodes = [node for node in kernel if node.name in run]
        made = {v for node in nodes for v in node.outputs if root[v] == v}
        reads = (root[v] for node in nodes for v in sizes.read(node))
        makes = tuple((v, sizes.of(v)) for node in nodes for v in node.outputs if v in made and v not in within)
        if makes:
            needed = tuple(v for v in dict.fromkeys(reads) if v not in made)
            steps.append(Job(_name(graph, kernel), needed, makes, 0, (), tuple(node.name for node in nodes)))
    read = {root[v] for node in graph.nodes for v in node.reads} | {root[v] for v in graph.outputs}
    inputs = {v: sizes.of(v) for v in graph.inputs if v in read}
    return Jobs(inputs, tuple(steps), tuple(root[v] for v in graph.outputs if v not in sizes.settled))


def _name(graph: Graph, kernel: tuple[Node, ...]) -> str:
    group = graph.group_of.get(kernel[0].name)
    return group.name if group else kernel[0].name
