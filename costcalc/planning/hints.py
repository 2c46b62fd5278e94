"""What one change would save, proved by planning the changed network by the same engine's rules.

Tried are: to write over an input that dies, in a layer that treats each element by itself, first in each such layer at
the peak alone, then in all of them; another order of the layers; and the batch norms folded into the weights before
them. A change that saves nothing is not told. An engine that finds the order of its steps itself is given the layers
written in other orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from costcalc.classes import replace
from costcalc.ir.graph import Graph, Node
from costcalc.planning.engines import Plan, Question, known, needed
from costcalc.planning.jobs import Job, Jobs, loads
from costcalc.planning.mcu import EACH
from costcalc.planning.records import Hint
from costcalc.planning.sizes import ValueSizes


def hints(graph: Graph, engine: str, bits: int | None = None) -> tuple[Hint, ...]:
    """The changes that would make ``graph`` take less in ``engine``, the one that saves most first.

    Empty where the engine does not plan by jobs: PyTorch models whose own Python was run.
    """
    sizes = ValueSizes(graph, bits)
    made = known(engine)(Question(sizes, patches=False))
    ordered = _written(graph, engine, bits, made) if made.orders_itself else _ordered(made)
    found = (*_in_place(sizes, made), *ordered, *_folded(graph, engine, bits, made))
    return tuple(sorted((hint for hint in found if hint.saves > 0), key=lambda hint: -hint.saves))


def _takes(made: Plan, jobs: Jobs) -> int:
    assert made.planned is not None
    return needed(made.planned(jobs), jobs, has_arena=made.has_arena)


def _hint(made: Plan, jobs: Jobs, description: str, layers: tuple[str, ...]) -> Hint:
    takes = _takes(made, jobs)
    return Hint(description, made.needed - takes, takes, layers)


def _in_place(sizes: ValueSizes, made: Plan) -> Iterator[Hint]:
    """Each layer at the peak that could write over an input that dies; all such layers, where no single one helps."""
    if made.planned is None:
        return
    jobs = made.jobs
    bytes_of = dict(jobs.inputs) | {name: count for job in jobs.steps for name, count in job.makes}
    could = {i: over for i, job in enumerate(jobs.steps) if (over := _over(sizes.graph, job, bytes_of))}
    steps = loads(made.tensors, jobs)
    most = max((step.bytes for step in steps), default=0)
    single = [i for i in could if steps[i].bytes == most]
    helped = False
    for i in single:
        hint = _hint(made, _changed(jobs, {i: could[i]}), f"{jobs.steps[i].layer} in place", (jobs.steps[i].layer,))
        helped = helped or hint.saves > 0
        yield hint
    if not helped and could:
        layers = tuple(jobs.steps[i].layer for i in could)
        yield _hint(made, _changed(jobs, could), f"all {len(layers)} layers in place that could be", layers)


def _changed(jobs: Jobs, over: dict[int, tuple[str, ...]]) -> Jobs:
    steps = (job._replace(over=over[i]) if i in over else job for i, job in enumerate(jobs.steps))
    return jobs._replace(steps=tuple(steps))


def _over(graph: Graph, job: Job, bytes_of: Mapping[str, int]) -> tuple[str, ...]:
    """The inputs that ``job`` could write over and does not: of a layer that treats each element by itself."""
    if job.over or not job.layers or len(job.makes) != 1 or graph.node(job.layers[0]).op.name not in EACH:
        return ()
    return tuple(v for v in job.reads if bytes_of.get(v) == job.makes[0][1])


def _ordered(made: Plan) -> Iterator[Hint]:
    """Another order of the same steps, where none is tied to its number."""
    if made.planned is None or made.jobs.held:
        return
    from costcalc.planning.ordering import best_order, reordered

    order = best_order(made.jobs)
    if order.steps == tuple(range(len(made.jobs.steps))):
        return
    jobs = reordered(made.jobs, order.steps)
    first = next(i for i, step in enumerate(order.steps) if step != i)
    before, after = jobs.steps[first].layer, made.jobs.steps[first].layer
    yield _hint(made, jobs, f"another order of the layers, {before} before {after}", tuple(j.layer for j in jobs.steps))


def _written(graph: Graph, engine: str, bits: int | None, made: Plan) -> Iterator[Hint]:
    """The layers written in another order, each branch to its end; of several such the one that takes least."""
    best: tuple[int, Node, Node] | None = None
    for last_first in (False, True):
        nodes = _by_branches(graph, last_first=last_first)
        takes = known(engine)(Question(ValueSizes(replace(graph, nodes=nodes), bits), patches=False)).needed
        if takes < made.needed and (best is None or takes < best[0]):
            best = takes, *next(pair for pair in zip(nodes, graph.nodes, strict=True) if pair[0] is not pair[1])
    if best is not None:
        takes, first, before = best
        description = f"the layers written in another order, {first.name} before {before.name}"
        yield Hint(description, made.needed - takes, takes, (first.name, before.name))


def _by_branches(graph: Graph, *, last_first: bool) -> tuple[Node, ...]:
    """The nodes as a search from the results meets them, of several inputs the first or the last one first."""
    maker = {value: node for node in graph.nodes for value in node.outputs}
    order: dict[str, Node] = {}
    turn = 1 if last_first else -1
    stack = [(node, False) for node in (graph.nodes if last_first else graph.nodes[::-1])]
    while stack:
        node, whole = stack.pop()
        if whole:
            order[node.name] = node
        elif node.name not in order:
            stack.append((node, True))
            stack += [(maker[v], False) for v in node.reads[::turn] if v in maker and maker[v].name not in order]
    return tuple(order.values())


def _folded(graph: Graph, engine: str, bits: int | None, made: Plan) -> Iterator[Hint]:
    """Batch norms folded into the weights before them, of engines that do not do so themselves."""
    from costcalc.transforms.fold_norm import fold_norm

    folded = fold_norm(graph)
    if len(folded.nodes) == len(graph.nodes):
        return
    takes = known(engine)(Question(ValueSizes(folded, bits), patches=False)).needed
    kept = {node.name for node in folded.nodes}
    layers = tuple(node.name for node in graph.nodes if node.name not in kept)
    yield Hint(f"--apply fold_norm, {len(layers)} norms in the weights before them", made.needed - takes, takes, layers)
