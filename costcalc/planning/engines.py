"""The engines: for each the rules by which it holds memory, from a graph to a ``Memory``."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import UnknownName, listing, near
from costcalc.ir.allocations import ObservedRun
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import FLOATING_BITS
from costcalc.planning.jobs import Job, Jobs, lifetimes, loads, peak
from costcalc.planning.joining import guesses, joined, weights
from costcalc.planning.placing import arena, best_fit, first_fit, packed
from costcalc.planning.records import ArenaTensor, Memory, PatchPlan
from costcalc.planning.sizes import ValueSizes


class Question(NamedTuple):
    """What an engine is asked: it takes of this what its rules need.

    sizes     the bytes of the graph's values
    run       what a run of the model's own code holds; or why there is none, "" of what has no code
    patches   whether an engine that can is asked what it holds with its first layers by patches
    """

    sizes: ValueSizes
    run: ObservedRun | str = ""
    patches: bool = True


@dataclass(frozen=True)
class Plan:
    """What an engine's rules make of a graph.

    tensors         with offsets where the engine has one arena
    lower_bound     bytes below which no plan goes; None for the peak itself
    upper_bound     bytes with the copies that kernels may make; None where no rule says
    planned         the tensors that the engine's own planner makes of other jobs; None where it does not go by jobs
    orders_itself   whether the engine finds the order of its steps, by that in which the layers are written
    """

    jobs: Jobs
    tensors: list[ArenaTensor]
    weights: int
    notes: tuple[str, ...] = ()
    has_arena: bool = True
    lower_bound: int | None = None
    upper_bound: int | None = None
    patches: tuple[PatchPlan, ...] = ()
    planned: Callable[[Jobs], list[ArenaTensor]] | None = None
    orders_itself: bool = False

    @property
    def needed(self) -> int:
        """Bytes that it takes: the arena, or where there is none what lives at the peak."""
        return needed(self.tensors, self.jobs, has_arena=self.has_arena)


def needed(tensors: list[ArenaTensor], jobs: Jobs, *, has_arena: bool) -> int:
    """Bytes that ``tensors`` take: their arena, or where there is none what lives at the peak."""
    return arena(tensors) if has_arena else max(step.bytes for step in loads(tensors, jobs))


def plan(
    graph: Graph, engine: str, bits: int | None = None, run: ObservedRun | str = "", *, patches: bool = True
) -> Memory:
    """What ``engine`` holds while it runs ``graph`` once.

    bits   width of floating-point elements in place of their own
    run    what a run of the model's own code holds, for ``eager``; or why there is none, "" of what has no code
    patches  whether an engine that can is asked what it holds with its first layers by patches

    Raises ``UnknownName`` for an engine that there is not, ``OptionError`` where a size is a symbol.
    """
    made = known(engine)(Question(ValueSizes(graph, bits), run, patches))
    steps = loads(made.tensors, made.jobs)
    at = max(steps, key=lambda step: step.bytes)
    bound = at.bytes if made.lower_bound is None else made.lower_bound
    block = arena(made.tensors) if made.has_arena else None
    return Memory(
        name=graph.name,
        engine=engine,
        bits=bits,
        peak_bytes=at.bytes,
        at=at.layer,
        lower_bound_bytes=bound,
        optimal=block == bound,
        arena_bytes=block,
        weights_bytes=made.weights,
        tensors=tuple(made.tensors),
        steps=tuple(steps),
        upper_bound_bytes=made.upper_bound,
        patches=made.patches,
        applied=graph.applied,
        notes=made.notes,
    )


def _ideal(asked: Question) -> Plan:
    from costcalc.planning import ideal
    from costcalc.planning.ordering import best_order, reordered

    sizes = asked.sizes
    given = ideal.jobs(sizes)
    order = best_order(given)
    jobs = reordered(given, order.steps)
    notes = []
    before = peak(given)
    if order.peak < before:
        notes.append(f"in the order in which the layers are written, {before:,} bytes live at once")
    if order.peak > order.bound:
        gap = f"{order.peak - order.bound:,} bytes above what every order needs"
        notes.append(f"the search for the best order ended early: this one is at most {gap}")
    lives = lifetimes(jobs)
    packed_slots, _ = packed(lives.merged())  # what is proved of it says nothing of other orders
    return Plan(jobs, lives.at(packed_slots), sizes.weights(), tuple(notes), lower_bound=order.bound)


def _eager(asked: Question) -> Plan:
    from costcalc.planning import eager

    sizes, run = asked.sizes, asked.run
    if not isinstance(run, str):
        jobs, tensors, bound = eager.seen(run, sizes.bits)
        counted = "one thread" if run.threads == 1 else f"{run.threads} threads"
        note = f"the bound with kernels' copies is for {counted}, as many as PyTorch has here"
        notes = (note,) if any(run.kernels) else ()
        return Plan(jobs, tensors, sizes.weights(), notes, has_arena=False, upper_bound=bound)
    jobs = eager.jobs(sizes)

    def planned(jobs: Jobs) -> list[ArenaTensor]:
        return lifetimes(jobs).tensors

    why = run or "a spec has no Python to run"
    description = f"a block holds what it was given until it returns, and nothing is written in place: {why}"
    return Plan(jobs, planned(jobs), sizes.weights(), (description,), has_arena=False, planned=planned)


def _tflite(asked: Question) -> Plan:
    return _of_tflite(asked.sizes, micro=False)


def _tflm(asked: Question) -> Plan:
    return _of_tflite(asked.sizes, micro=True)


def _of_tflite(sizes: ValueSizes, *, micro: bool) -> Plan:
    from costcalc.planning import tflite
    from costcalc.transforms.fuse.tflite import TFLite

    buffer = tflite.buffers(sizes, micro=micro)
    graph = sizes.graph
    groups = tflite.operators(sizes, buffer) if tflite.is_written(graph) else joined(sizes, TFLite(graph), buffer)
    jobs = tflite.jobs(sizes, groups, buffer, micro=micro)

    def planned(jobs: Jobs) -> list[ArenaTensor]:
        lives = lifetimes(jobs, align=tflite.MICRO_ALIGNMENT if micro else 1)
        if micro:
            return lives.at(first_fit(lives.merged()))
        return lives.at(best_fit(lives.merged(), tflite.ALIGNMENT, jobs.inputs))

    notes = () if tflite.is_written(graph) else guesses(groups, tflite.ONE)
    return Plan(jobs, planned(jobs), weights(sizes, groups), notes, planned=planned)


def _ort(asked: Question) -> Plan:
    from costcalc.planning import ort
    from costcalc.planning.ort.buffers import Planned
    from costcalc.planning.ort.calls import ONE

    sizes = asked.sizes
    session = ort.session(sizes)
    call_of = {call.makes[0].name: call for call in session.calls}

    def planned(jobs: Jobs) -> list[ArenaTensor]:
        calls = tuple(call_of[job.makes[0][0]]._replace(over=job.over) for job in jobs.steps)
        return Planned(session._replace(calls=calls)).placed()

    steps = tuple(
        Job(call.layer, call.reads, tuple((v.name, v.bytes) for v in call.makes), call.scratch, call.over, call.layers)
        for call in session.calls
    )  # fmt: skip
    notes = (*guesses(session.groups, ONE), *_not_measured(sizes))
    jobs = Jobs({}, steps, session.outputs)
    own = weights(sizes, session.groups)
    return Plan(jobs, planned(jobs), own, notes, planned=planned, orders_itself=True)


def _not_measured(sizes: ValueSizes) -> tuple[str, ...]:
    """That the rules of ``ort`` are those of float32, where another element type is asked for or there."""
    kinds = {kind.dtype for kind in sizes.graph.types.values()}
    floating = kinds & FLOATING_BITS.keys()
    other = sorted(kinds & {"int8", "uint8"}) if sizes.bits is None else []
    other += sorted(floating - {"float32"}) if sizes.bits is None else []
    if sizes.bits not in (None, FLOATING_BITS["float32"]) and floating:
        other = [f"{sizes.bits} bits"]
    if not other:
        return ()
    return (
        f"the rules were measured for float32 alone: with {', '.join(other)} ONNX Runtime has other kernels, "
        "which may join and copy otherwise",
    )


def _mcu(asked: Question) -> Plan:
    from costcalc.planning import mcu
    from costcalc.planning.patches import by_patches

    sizes = asked.sizes
    groups = joined(sizes, mcu.InPlace(sizes.graph), sizes.root)
    jobs = mcu.jobs(sizes, groups, sizes.root)
    lives = lifetimes(jobs)
    packed_slots, least = packed(lives.merged())

    def planned(jobs: Jobs) -> list[ArenaTensor]:
        lives = lifetimes(jobs)
        return lives.at(packed(lives.merged())[0])

    return Plan(
        jobs, lives.at(packed_slots), weights(sizes, groups), lower_bound=least if lives.fill_their_slots else None,
        patches=tuple(by_patches(sizes, groups, jobs)) if asked.patches else (), planned=planned,
    )  # fmt: skip


ENGINES: dict[str, Callable[[Question], Plan]] = {
    "eager": _eager,
    "ort": _ort,
    "tflite": _tflite,
    "tflm": _tflm,
    "mcu": _mcu,
    "ideal": _ideal,
}
"""Engine → its rules."""


def known(engine: str) -> Callable[[Question], Plan]:
    """The rules of ``engine``. Raises ``UnknownName`` with the nearest name."""
    if engine not in ENGINES:
        raise UnknownName(
            f"no engine called '{str(engine)[:40]}'{near(str(engine), ENGINES)}; there are {listing(ENGINES)}"
        )
    return ENGINES[engine]
