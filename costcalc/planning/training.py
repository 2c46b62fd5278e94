"""What a step of training holds: what is kept for the backward pass, gradients, the optimizer's state, and the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.analysis.backward import backward
from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import OptionError, listing, near
from costcalc.ir.allocations import ObservedStep
from costcalc.ir.fields import ints
from costcalc.planning.autocast import check as check_autocast
from costcalc.planning.jobs import alive

if TYPE_CHECKING:
    from costcalc.ir.graph import Graph


class Optimizer(NamedTuple):
    """What an optimizer keeps of a parameter, and makes of it in its step.

    copies    of the parameter, that it keeps
    counter   bytes that it keeps besides
    makes     tensors of the parameter's size that its step makes one after the other, parameter by parameter; the last
              one is there until the next parameter's are made
    """

    copies: int
    counter: int = 0
    makes: int = 0

    def bytes(self, parameters: Sequence[int]) -> int:
        """Of all ``parameters``, each in bytes."""
        return self.copies * sum(parameters) + self.counter * len(parameters)

    def made(self, parameters: Sequence[int]) -> int:
        """The most bytes that its step makes besides, of ``parameters`` in their order, each in bytes."""
        if not self.makes:
            return 0
        return max(
            (left + self.makes * size for left, size in zip((0, *parameters), parameters, strict=False)), default=0
        )


OPTIMIZERS: Mapping[str, Optimizer] = {
    "sgd": Optimizer(0),
    "momentum": Optimizer(1),
    "adam": Optimizer(2, 4, makes=2),
    "adamw": Optimizer(2, 4, makes=2),
}
"""Of torch.optim 2.13 on the CPU, where parameters are stepped one by one: a momentum is a copy of the parameter; Adam
has two and a step of four bytes, and makes the root of the second one and that over its correction (``denom``)."""

STEP = "the optimizer's step"


class StepAsked(NamedTuple):
    """How a model is trained.

    optimizer    of ``OPTIMIZERS``
    checkpoint   ``"none"``; ``"auto"``, layers are done again for the least memory; or the bytes that all may take
    autocast     ``"bfloat16"`` or ``"float16"``: products are taken in that type; "" for none
    """

    optimizer: str = "sgd"
    checkpoint: int | str = "none"
    autocast: str = ""

    def check(self) -> StepAsked:
        """Itself. Raises ``OptionError`` for what there is not."""
        optimizer(self.optimizer)
        checkpointing(self.checkpoint)
        check_autocast(self.autocast)
        return self


class Recomputed(NamedTuple):
    """Runs of layers that are done again in the backward pass instead of keeping what they keep.

    asked              ``"auto"``, for the least memory, or the bytes that all may take together
    segments           the first and the last layer of each
    extra_macs         MACs that are done again
    kept_bytes         the peak where nothing is done again
    lower_bound_bytes  below which no choice of layers can bring the peak
    blocks             of how many blocks it could choose, between which one value alone passes
    optimal            whether no other runs of these blocks hold less, or no more and do less again
    """

    asked: int | str
    segments: tuple[tuple[str, str], ...]
    extra_macs: int
    kept_bytes: int
    lower_bound_bytes: int
    blocks: int
    optimal: bool


class Saved(NamedTuple):
    """A layer, and the bytes that are kept for its backward pass, each storage at the first layer that keeps it.

    layer   "" is what the model's own forward does beside its modules
    """

    layer: str
    bytes: int

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.layer or "the model's own forward"


@dataclass(frozen=True)
class Training:
    """What one step of training holds; ``to_dict`` is the JSON of ``docs/memory.md``. All sizes are bytes.

    weights_bytes     parameters and buffers
    inputs_bytes      the batch
    optimizer_bytes   the optimizer's state, from the second step on
    saved_bytes       kept by the forward pass for the backward pass: no weights, but the batch if it is needed
    gradient_bytes    gradients of all trained parameters
    peak_bytes        the most of activations, gradients and what the optimizer's step makes at once
    at                where that is: ``backward of layer4.1.conv2``, or ``the optimizer's step``
    total_bytes       weights, batch, state and peak: what a device must hold
    forward_macs, backward_macs   the arithmetic of the step
    saved             by layer, in the order of the forward pass
    unknown           layers whose gradients are not counted, so that ``backward_macs`` is a lower bound
    untold            layers that keep more than is known, so that ``saved_bytes``, peak and total are lower bounds
    recomputed        what is done again, if that was asked for
    autocast          the narrower type in which products are taken; "" for none
    """

    name: str
    optimizer: str
    weights_bytes: int
    inputs_bytes: int
    optimizer_bytes: int
    saved_bytes: int
    gradient_bytes: int
    peak_bytes: int
    at: str
    forward_macs: int
    backward_macs: int
    saved: tuple[Saved, ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    recomputed: Recomputed | None = None
    autocast: str = ""

    @property
    def lower_bounds(self) -> tuple[str, ...]:
        """The figures that are no more than lower bounds."""
        memory = ("saved_bytes", "peak_bytes", "total_bytes") if self.untold else ()
        return (*memory, *(("backward_macs",) if self.unknown else ()))

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return self.weights_bytes + self.inputs_bytes + self.optimizer_bytes + self.peak_bytes

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        return {
            "schema": 1,
            "model": self.name,
            "optimizer": self.optimizer,
            **({"autocast": self.autocast} if self.autocast else {}),
            "weights_bytes": self.weights_bytes,
            "inputs_bytes": self.inputs_bytes,
            "optimizer_bytes": self.optimizer_bytes,
            "saved_bytes": self.saved_bytes,
            "gradient_bytes": self.gradient_bytes,
            "peak_bytes": self.peak_bytes,
            "at": self.at,
            "total_bytes": self.total_bytes,
            "forward_macs": self.forward_macs,
            "backward_macs": self.backward_macs,
            "lower_bounds": list(self.lower_bounds),
            "saved": [s._asdict() for s in self.saved],
            "uncounted": list(self.unknown),
            "untold": list(self.untold),
            **({"checkpoint": self._recomputed(self.recomputed)} if self.recomputed else {}),
            "notes": list(self.notes),
        }

    @staticmethod
    def _recomputed(found: Recomputed) -> dict[str, Any]:
        segments = [{"first": first, "last": last} for first, last in found.segments]
        return {**found._asdict(), "segments": segments}


def optimizer(name: str) -> Optimizer:
    """The optimizer of that name; ``OptionError`` if there is none."""
    if name not in OPTIMIZERS:
        hint = f"{near(str(name), OPTIMIZERS)}; there are {listing(OPTIMIZERS)}"
        raise OptionError(f"no optimizer called '{str(name)[:40]}'{hint}")
    return OPTIMIZERS[name]


def checkpointing(asked: int | str) -> None:
    """Raise ``OptionError`` where this is nothing that can be asked of recomputation."""
    if asked in ("auto", "none") or (type(asked) is int and asked > 0):
        return
    raise OptionError(f"checkpoint must be 'auto', 'none' or a number of bytes above 0, not {str(asked)[:40]!r}")


def train(graph: Graph, asked: StepAsked, seen: ObservedStep | None = None) -> Training:
    """What a step of training of ``graph`` holds and multiplies.

    seen   what a run of the model's own code held; without it, and where layers are done again, each op says what it
           keeps

    Raises ``OptionError`` where no choice of layers to do again takes as little as is asked.
    """
    notes, recomputed, step = [], None, seen
    if asked.checkpoint != "none":
        if seen is not None:
            notes.append("with layers done again it is the layers of its trace that are told, by their rules")
        step, recomputed = recomputing(graph, asked.checkpoint, optimizer(asked.optimizer), asked.autocast)
    elif step is None:
        from costcalc.planning.autograd import step as by_rules

        step = by_rules(graph, asked.autocast)
        notes.append("by the rules of its layers, each value dropped after its last use")
    return _training(graph, step, asked, notes, recomputed)


def _training(
    graph: Graph, step: ObservedStep, asked: StepAsked, notes: list[str], recomputed: Recomputed | None
) -> Training:
    """The record of ``step``."""
    rule = optimizer(asked.optimizer)
    state = rule.bytes(step.parameters)
    run = step.run
    held = alive(run.stored, len(run.steps))
    peak = max(held, default=0)
    at = ""
    if held:
        where = held.index(peak)
        at = f"{'backward' if where >= step.backward_from else 'forward'} of {run.steps[where]}"
    stepping = step.after + rule.made(step.parameters)
    if stepping > peak:
        peak, at = stepping, STEP
    saved: dict[str, int] = {}
    for kept in step.saved:
        saved[kept.layer] = saved.get(kept.layer, 0) + kept.bytes
    macs = backward(graph)
    forward, back = sum(ints(macs.forward.values())), sum(ints(macs.backward.values()))
    if step.unknown:
        layers = ", ".join(step.unknown[:5])
        more = f" and {len(step.unknown) - 5} more" if len(step.unknown) > 5 else ""
        notes = [*notes, f"saved and peak are lower bounds: how much {layers}{more} keeps is not known"]
    batch = sum(s.bytes for s in run.inputs)
    return Training(
        graph.name, asked.optimizer, step.weights, batch, state, sum(saved.values()), step.gradients, peak, at,
        forward, back, tuple(Saved(*pair) for pair in saved.items()), macs.unknown, tuple(notes), step.unknown,
        recomputed, asked.autocast,
    )  # fmt: skip


def recomputing(
    graph: Graph, asked: int | str, state: Optimizer, autocast: str = ""
) -> tuple[ObservedStep, Recomputed]:
    """The step of ``graph`` with the best layers done again, and which these are.

    asked   ``"auto"`` or the bytes that all may take

    Raises ``OptionError`` where no choice takes so little.
    """
    from costcalc.planning import checkpoint
    from costcalc.planning.autograd import Autograd
    from costcalc.planning.blocks import chain
    from costcalc.planning.gradient_plan import GradientPlan

    plan = GradientPlan(graph, autocast)
    blocks = chain(plan)
    others = plan.weights + plan.batch + state.bytes(plan.parameters)
    after = Autograd(plan).step().after + state.made(plan.parameters)  # whatever is done again
    if isinstance(asked, str):
        best: checkpoint.CheckpointChoice | None = checkpoint.least(blocks, after)
    else:
        best = checkpoint.within(blocks, asked - others) if asked - others >= after else None
    if best is None:
        least = max(checkpoint.least(blocks).peak, after) + others
        raise OptionError(f"checkpoint: {asked:,} bytes are too few; doing layers again, it takes at least {least:,}")
    step = Autograd(plan, best.segments).step()
    names = tuple((plan.layers[s.start].node.name, plan.layers[s.stop - 1].node.name) for s in best.segments)
    found = Recomputed(
        asked, names, best.extra_macs, max(checkpoint.kept(blocks), after), max(checkpoint.lower_bound(plan), after),
        len(blocks.blocks), best.optimal,
    )  # fmt: skip
    return step, found
