"""Whether a model fits into a machine's memory, and what of it would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import CostcalcError
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph
from costcalc.planning.records import ArenaTensor, Memory
from costcalc.planning.training import OPTIMIZERS, StepAsked, Training

WIDTHS = ("width", "width_multiplier", "width_mult", "alpha", "multiplier")
"""Parameters of specs that scale the channels of all layers."""
STEP = 0.05
"""By which a width is made smaller."""
SMALLER = (0.75, 0.5, 0.35, 0.25, 0.1)
"""Parts of a width that are tried together with smaller images, where neither alone is enough."""
MOST_BATCH = 1 << 16
MOST_LARGER = 4
"""How many times the side of an image that fits is looked at."""
SIDES, SMALL = 16, 64
"""Images are tried at sides that are multiples of so many pixels, small ones at all: whether an even padding is the
engine's own changes with the side, and with it the memory, so that 102 pixels may take less than 100."""


class Room(NamedTuple):
    """What there is, in bytes. Without ``flash`` the weights are in RAM too."""

    ram: int
    flash: int | None = None


class Would(NamedTuple):
    """A change by which the model fits, or the furthest that it does: ``batch 12``, and what it then needs."""

    change: str
    ram_bytes: int
    flash_bytes: int


@dataclass(frozen=True)
class Fits:
    """Whether ``memory`` fits into ``room``; ``to_dict`` is the JSON. All sizes are bytes.

    memory  what an engine holds, or a step of training
    would   the largest batch, width and resolution that fit, and of training other ways to take the step
    tried   whether any were looked for
    """

    memory: Memory | Training
    room: Room
    would: tuple[Would, ...] = ()
    tried: bool = False

    @property
    def ram_bytes(self) -> int:
        """What is needed of RAM."""
        return ram_needed(self.memory, self.room)

    @property
    def flash_bytes(self) -> int:
        """What is needed of flash; 0 where there is none."""
        return self.memory.weights_bytes if self.room.flash is not None else 0

    @property
    def fits(self) -> bool | None:
        """Whether both do; None where no more than a lower bound of it is known, and that would fit."""
        if not _fits(self.memory, self.room):
            return False
        return None if is_lower_bound(self.memory) else True

    @property
    def makes_the_peak(self) -> list[ArenaTensor]:
        """What lives at the peak, the largest first; nothing of a step of training, whose parts ``memory`` has."""
        return self.memory.alive(self.memory.peak_step) if isinstance(self.memory, Memory) else []

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        held = self.memory
        verdict = {
            "fits": self.fits,
            "ram": {"needed": self.ram_bytes, "there": self.room.ram},
            "flash": None if self.room.flash is None else {"needed": self.flash_bytes, "there": self.room.flash},
        }
        would = {"would_fit": [w._asdict() for w in self.would], "notes": list(held.notes)}
        if isinstance(held, Training):
            step = {key: value for key, value in held.to_dict().items() if key not in ("schema", "model", "notes")}
            return {"schema": 1, "model": held.name, "engine": "eager", **verdict, "training": step, **would}
        return {
            "schema": 1,
            "model": held.name,
            "engine": held.engine,
            "bits": held.bits,
            **({"apply": list(held.applied)} if held.applied else {}),
            **verdict,
            "peak_bytes": held.peak_bytes,
            "arena_bytes": held.arena_bytes,
            "weights_bytes": held.weights_bytes,
            "at": held.at,
            "makes_the_peak": [t._asdict() for t in self.makes_the_peak],
            **would,
        }


def ram_needed(memory: Memory | Training, room: Room) -> int:
    """Bytes of RAM: activations, and without flash weights; of a step of training all."""
    if isinstance(memory, Training):
        return memory.total_bytes
    return memory.needed_bytes + (memory.weights_bytes if room.flash is None else 0)


def is_lower_bound(memory: Memory | Training) -> bool:
    """Whether it may need more than is known."""
    return isinstance(memory, Training) and bool(memory.untold)


def _taken(memory: Memory | Training, room: Room) -> float:
    """What part of the room is taken: of RAM, or of flash where that is scarcer; above 1 there is too little."""
    asked = [(ram_needed(memory, room), room.ram)]
    if room.flash is not None:
        asked.append((memory.weights_bytes, room.flash))
    return max(needed / there if there else math.inf if needed else 0.0 for needed, there in asked)


def _fits(memory: Memory | Training, room: Room) -> bool:
    return _taken(memory, room) <= 1  # a quotient of whole numbers below 2⁵³ is at most 1 just where they say so


class FitChoices(NamedTuple):
    """What of a model can be chosen: its batch, the shape of its one image without the batch, a width; and how it is
    trained, if that is meant."""

    batch: int
    image: tuple[int, ...] | None
    width: tuple[str, float] | None
    step: StepAsked | None = None


class Other(NamedTuple):
    """Another choice of a model; what is None or empty is as it was."""

    batch: int | None = None
    image: tuple[int, ...] | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    step: StepAsked | None = None


def choices(graph: Graph, batch: int, step: StepAsked | None = None) -> FitChoices:
    """What of the spec that ``graph`` was built from can be chosen: its batch, the size of its one image, a width."""
    shapes = [ints(graph.types[value].shape) for value in graph.inputs]
    image = shapes[0][1:] if len(shapes) == 1 and len(shapes[0]) == 4 else None
    named = ((name, graph.parameters.get(name)) for name in WIDTHS)
    width = next(((name, float(w)) for name, w in named if isinstance(w, (int, float)) and w), None)
    return FitChoices(batch, image, width, step)


def fits(
    memory: Memory | Training, room: Room, choices: FitChoices | None, plan: Callable[[Other], Memory | Training]
) -> Fits:
    """``memory`` against ``room``, and the largest that would fit.

    choices   what can be chosen; None if nothing is looked for
    plan      the memory of the model with another choice
    """
    looked = choices is not None and not is_lower_bound(memory)
    would = tuple(_would(memory, room, choices, plan)) if choices is not None and looked else ()
    return Fits(memory, room, would, looked)


def _would(
    memory: Memory | Training, room: Room, choices: FitChoices, plan: Callable[[Other], Memory | Training]
) -> Iterator[Would]:
    known: dict[Other, Memory | Training | None] = {}

    def planned(other: Other) -> Memory | Training | None:
        """The memory with this choice; None where there is no such model: of too small an image, say."""
        if other not in known:
            try:
                known[other] = plan(other)
            except CostcalcError:
                known[other] = None
        return known[other]

    def told(other: Other, description: str) -> list[Would]:
        found = planned(other)
        if found is None or not _fits(found, room):
            return []
        return [Would(description, ram_needed(found, room), found.weights_bytes if room.flash is not None else 0)]

    def largest(
        low: int,
        most: int,
        other: Callable[[int], Other],
        description: Callable[[int], str],
        there: Memory | Training | None = memory,
    ) -> list[Would]:
        """The largest number above ``low`` and up to ``most`` that fits.

        low     a number of which it is known, so that it is no news, or 0
        there   what it then is
        """

        def taken(n: int) -> float | None:
            found = there if n == low else planned(other(n))
            return _taken(found, room) if found is not None else None

        n = _last_within(low, most, taken)
        furthest = n == most and there is not None and _fits(there, room)  # else more of it is known not to
        return told(other(n), description(n) + " or more" * furthest) if n > low else []

    fits_now, batch, shape, width = _fits(memory, room), choices.batch, choices.image, choices.width
    yield from largest(
        batch if fits_now else 0, MOST_BATCH if fits_now else batch - 1, lambda n: Other(n), lambda n: f"batch {n}"
    )
    side = max(shape[1:]) if shape is not None else 0
    step = 1 if side < SMALL else SIDES

    def image(n: int) -> tuple[int, ...]:
        return (shape[0], *(max(s * n * step // side, 1) for s in shape[1:])) if shape is not None else ()

    def image_text(n: int) -> str:
        return f"image {'×'.join(map(str, image(n)))}"

    found: list[Would] = []
    if shape is not None:
        bounds = (side // step, MOST_LARGER * side // step) if fits_now else (0, (side - 1) // step)
        found += largest(*bounds, lambda n: Other(image=image(n)), image_text)
    if width is not None and not fits_now:
        name, most = width[0], round(width[1] / STEP) - 1

        def narrower(n: int) -> tuple[tuple[str, float], ...]:
            return ((name, round(n * STEP, 4)),)

        found += largest(0, most, lambda n: Other(parameters=narrower(n)), lambda n: f"{name} {round(n * STEP, 4):g}")
        for part in SMALLER if shape is not None and not found else ():
            found += _narrower(round(width[1] * part, 4), name, side // step, image, largest)
            if found:
                break
    yield from found
    if choices.step is not None:
        if not fits_now:
            yield from _with_less_state(choices.step, told)
        if not fits_now and choices.step.checkpoint in ("none", "auto") and not choices.step.autocast:
            yield from told(Other(step=choices.step._replace(autocast="bfloat16")), "autocast bfloat16")
        if choices.step.checkpoint == "none":
            again = choices.step._replace(checkpoint="auto")
            found = told(Other(step=again), "checkpoint auto")
            yield from found if not fits_now else ()
            low, most = (batch, MOST_BATCH) if found else (0, batch - 1)
            yield from largest(
                low, most, lambda n: Other(n, step=again), lambda n: f"batch {n}, checkpoint auto",
                planned(Other(step=again)),
            )  # fmt: skip


def _with_less_state(asked: StepAsked, told: Callable[[Other, str], list[Would]]) -> list[Would]:
    """Of the optimizers that keep less the one that keeps most."""
    copies = {
        name: rule.copies for name, rule in OPTIMIZERS.items() if rule.copies < OPTIMIZERS[asked.optimizer].copies
    }
    for name in sorted(copies, key=lambda name: -copies[name]):
        found = told(Other(step=asked._replace(optimizer=name)), f"optimizer {name}")
        if found:
            return found
    return []


def _narrower(
    width: float,
    name: str,
    most: int,
    image: Callable[[int], tuple[int, ...]],
    largest: Callable[..., list[Would]],
) -> list[Would]:
    """The largest image that fits at a ``width``."""
    return largest(
        0,
        most,
        lambda n: Other(image=image(n), parameters=((name, width),)),
        lambda n: f"{name} {width:g}, image {'×'.join(map(str, image(n)))}",
    )


def _last_within(low: int, most: int, taken: Callable[[int], float | None]) -> int:
    """The last number from ``low`` to ``most`` that takes at most 1, where more never takes less.

    Each is a plan of a whole network, so the next to try lies where a straight line through what is known reaches 1,
    which for batches is nearly right at once; and halfway where that twice has not halved what is left. What
    ``taken`` does not know is taken for small enough.

    >>> tried = []
    >>> _last_within(1, 65536, lambda n: tried.append(n) or (7 + 3 * n) / 10000), len(tried)
    (3331, 5)
    >>> _last_within(0, 100, lambda n: n * n / 1400), _last_within(5, 9, lambda n: 0.0)
    (37, 9)
    """
    within, beyond = (taken(low) if low else None) or 0.0, None
    high, slope = most + 1, within / low if low else 0.0
    while low < most and beyond is None:
        ahead = min(max(2 * low, 1, low + math.floor((1 - within) / slope) if slope else 0), most)
        found = taken(ahead) or 0.0
        if found > 1:
            high, beyond = ahead, found
        else:
            low, within, slope = ahead, found, (found - within) / (ahead - low)
    slow = 0
    while high - low > 1 and beyond is not None:
        before = high - low
        line = low + math.floor(before * (1 - within) / (beyond - within))
        n = (low + high) // 2 if slow == 2 else min(max(line, low + 1), high - 1)
        found = taken(n) or 0.0
        if found > 1:
            high, beyond = n, found
        else:
            low, within = n, found
        slow = slow + 1 if slow < 2 and 2 * (high - low) > before else 0
    return low
