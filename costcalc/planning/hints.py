"""What one change would save, proved by planning the changed network by the same engine's rules.

Tried are: to write over an input that dies, in a layer that treats each element by itself, first in each such layer at
the peak alone, then in all of them; another order of the layers; and the batch norms folded into the weights before
them. A change that saves nothing is not told.
"""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.ir.graph import Graph
from costcalc.planning.engines import Plan, Question, known, needed
from costcalc.planning.jobs import Job, Jobs, loads
from costcalc.planning.mcu import EACH
from costcalc.planning.records import Hint
from costcalc.planning.sizes import ValueSizes


def hints(graph: Graph, engine: str, bits: int | None = None) -> tuple[Hint, ...]:
    """The changes that would make ``graph`` take less in ``engine``, the one that saves most first.

    Empty where the engine does not plan by jobs: ONNX Runtime, and PyTorch models whose own Python was run.
    """
    sizes = ValueSizes(graph, bits)
    made = known(engine)(Question(sizes, patches=False))
    found = (*_in_place(sizes, made), *_ordered(made), *_folded(graph, engine, bits, made))
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
    could = {i: over for i, job in enumerate(jobs.steps) if (over := _over(sizes, job))}
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


def _over(sizes: ValueSizes, job: Job) -> tuple[str, ...]:
    """The inputs that ``job`` could write over and does not: of a layer that treats each element by itself."""
    if job.over or not job.layers or len(job.makes) != 1:
        return ()
    graph = sizes.graph
    if graph.node(job.layers[0]).op.name not in EACH:
        return ()
    return tuple(v for v in job.reads if v in graph.types and sizes.of(v) == job.makes[0][1])


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
