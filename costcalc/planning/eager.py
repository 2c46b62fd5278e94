"""PyTorch as it runs by itself.

What a model's own Python holds is seen in a run of it without values. A spec has no Python, and the rule is that a
block is a call: it holds what it was given until it returns, since the frame of its caller and its own do. The model's
caller holds the inputs to the end. Views share, nothing is written in place, and what an operator makes beside its
result (the places of a maximum) is there while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from costcalc.ir.allocations import Allocation, ObservedRun
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import ELEMENT_BITS, FLOATING_BITS
from costcalc.planning.jobs import Job, Jobs, loads
from costcalc.planning.records import ArenaTensor
from costcalc.planning.sizes import ValueSizes


def jobs(sizes: ValueSizes) -> Jobs:
    """A step a layer that makes something of its own."""
    graph, root = sizes.graph, sizes.root
    steps, step_of = [], {}
    for node in sizes.nodes():
        reads = tuple(dict.fromkeys(root[v] for v in sizes.read(node)))
        types = graph.input_types(node)
        makes = tuple((v, sizes.occupied(node, v)) for v in node.outputs if root[v] == v)
        if makes:
            beside = node.op.discards(*types, y=graph.types[node.outputs[0]])
            steps.append(Job(node.name, reads, makes, sum(map(sizes.of_type, beside)), (), (node.name,)))
        step_of[node.name] = max(len(steps) - 1, 0)
    held = held_by_calls(graph, root, step_of)
    inputs = {v: sizes.of(v) for v in graph.inputs}
    end = max(len(steps) - 1, 0)
    held.update(dict.fromkeys(graph.inputs, end))
    return Jobs(inputs, tuple(steps), tuple(root[v] for v in graph.outputs if v not in sizes.settled), held)


def held_by_calls(graph: Graph, root: Mapping[str, str], step_of: Mapping[str, int]) -> dict[str, int]:
    """For each buffer that a block was given, the step at which the outermost one returns that did not make it.

    step_of   the step at which each node runs
    """
    returns: dict[str, int] = {}
    for node in graph.nodes:
        if node.name in step_of:
            for block in _blocks(node.name):
                returns[block] = step_of[node.name]
    maker = {v: node.name for node in graph.nodes for v in node.outputs}
    held: dict[str, int] = {}
    for node in graph.nodes:
        if node.name not in step_of:
            continue
        blocks = _blocks(node.name)
        for value in node.inputs:
            inside = f"{maker.get(value, '')}."
            entered = next((block for block in blocks if not inside.startswith(f"{block}.")), None)
            if entered is not None:
                held[root[value]] = max(held.get(root[value], 0), returns[entered])
    return held


def _blocks(name: str) -> list[str]:
    """The blocks that a layer is in, the outermost first, and the layer."""
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def seen(run: ObservedRun, bits: int | None) -> tuple[Jobs, list[ArenaTensor], int]:
    """The steps and tensors of a run, and the most bytes with what kernels may take besides.

    bits   width of floating-point elements in place of their own
    """

    def scaled(stored: Allocation) -> int:
        if bits is None or stored.dtype not in FLOATING_BITS:
            return stored.bytes
        return -(-stored.bytes * bits // ELEMENT_BITS[stored.dtype])

    names: dict[str, int] = {}
    tensors = []
    for one in (*run.inputs, *run.stored):
        if one.bytes:
            count = names[one.layer] = names.get(one.layer, 0) + 1
            name = one.layer if count == 1 else f"{one.layer} ({count})"
            tensors.append(ArenaTensor(name, scaled(one), one.first, one.last))
    jobs = Jobs({}, tuple(Job(layer, (), ()) for layer in run.steps), ())
    kernels = run.kernels or (0,)
    most = max(step.bytes + besides for step, besides in zip(loads(tensors, jobs), kernels, strict=True))
    return jobs, tensors, most
