"""Whether a model fits into a machine's memory, and what of it would."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from costcalc.classes import NamedTuple, dataclass
from costcalc.errors import CostcalcError
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph
from costcalc.planning.records import ArenaTensor, Memory

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

    would   the largest batch, width and resolution that fit
    tried   whether any were looked for
    """

    memory: Memory
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
    def fits(self) -> bool:
        """Whether both do."""
        return _fits(self.memory, self.room)

    @property
    def makes_the_peak(self) -> list[ArenaTensor]:
        """What lives at the peak, the largest first."""
        return self.memory.alive(self.memory.peak_step)

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, dicts, strings and numbers."""
        return {
            "schema": 1,
            "model": self.memory.name,
            "engine": self.memory.engine,
            "bits": self.memory.bits,
            **({"apply": list(self.memory.applied)} if self.memory.applied else {}),
            "fits": self.fits,
            "ram": {"needed": self.ram_bytes, "there": self.room.ram},
            "flash": None if self.room.flash is None else {"needed": self.flash_bytes, "there": self.room.flash},
            "peak_bytes": self.memory.peak_bytes,
            "arena_bytes": self.memory.arena_bytes,
            "weights_bytes": self.memory.weights_bytes,
            "at": self.memory.at,
            "makes_the_peak": [t._asdict() for t in self.makes_the_peak],
            "would_fit": [w._asdict() for w in self.would],
            "notes": list(self.memory.notes),
        }


def ram_needed(memory: Memory, room: Room) -> int:
    """Bytes of RAM: activations, and without flash weights."""
    return memory.needed_bytes + (memory.weights_bytes if room.flash is None else 0)


def _taken(memory: Memory, room: Room) -> float:
    """What part of the room is taken: of RAM, or of flash where that is scarcer; above 1 there is too little."""
    asked = [(ram_needed(memory, room), room.ram)]
    if room.flash is not None:
        asked.append((memory.weights_bytes, room.flash))
    return max(needed / there if there else math.inf if needed else 0.0 for needed, there in asked)


def _fits(memory: Memory, room: Room) -> bool:
    return _taken(memory, room) <= 1  # a quotient of whole numbers below 2⁵³ is at most 1 just where they say so


class FitChoices(NamedTuple):
    """What of a model can be chosen: its batch, the shape of its one image without the batch, a width."""

    batch: int
    image: tuple[int, ...] | None
    width: tuple[str, float] | None


def choices(graph: Graph, batch: int) -> FitChoices:
    """What of the spec that ``graph`` was built from can be chosen: its batch, the size of its one image, a width."""
    shapes = [ints(graph.types[value].shape) for value in graph.inputs]
    image = shapes[0][1:] if len(shapes) == 1 and len(shapes[0]) == 4 else None
    named = ((name, graph.parameters.get(name)) for name in WIDTHS)
    width = next(((name, float(w)) for name, w in named if isinstance(w, (int, float)) and w), None)
    return FitChoices(batch, image, width)


def fits(memory: Memory, room: Room, choices: FitChoices | None, plan: Callable[[Mapping[str, Any]], Memory]) -> Fits:
    """``memory`` against ``room``, and the largest that would fit.

    choices   what can be chosen; None if nothing is looked for
    plan      the memory of the model with other choices: ``batch``, ``image``, or a parameter by its name
    """
    would = tuple(_would(memory, room, choices, plan)) if choices is not None else ()
    return Fits(memory, room, would, choices is not None)


def _would(
    memory: Memory, room: Room, choices: FitChoices, plan: Callable[[Mapping[str, Any]], Memory]
) -> Iterator[Would]:
    known: dict[str, Memory | None] = {}

    def planned(given: Mapping[str, Any]) -> Memory | None:
        """The memory with these choices; None where there is no such model: of too small an image, say."""
        key = repr(given)
        if key not in known:
            try:
                known[key] = plan(given)
            except CostcalcError:
                known[key] = None
        return known[key]

    def largest(
        low: int, most: int, given: Callable[[int], Mapping[str, Any]], description: Callable[[int], str]
    ) -> list[Would]:
        """The largest number up to ``most`` that fits; ``low`` is known to, or is 0."""

        def taken(n: int) -> float | None:
            found = memory if now and n == low else planned(given(n))
            return _taken(found, room) if found is not None else None

        n = _last_within(low, most, taken)
        found = planned(given(n)) if n > low or (n and not now) else None
        if found is None or not _fits(found, room):
            return []
        return [Would(description(n), ram_needed(found, room), found.weights_bytes if room.flash is not None else 0)]

    now, batch, shape, width = _fits(memory, room), choices.batch, choices.image, choices.width
    yield from largest(
        batch if now else 0, MOST_BATCH if now else batch - 1, lambda n: {"batch": n}, lambda n: f"batch {n}"
    )
    side = max(shape[1:]) if shape is not None else 0
    step = 1 if side < SMALL else SIDES

    def image(n: int) -> tuple[int, ...]:
        return (shape[0], *(max(s * n * step // side, 1) for s in shape[1:])) if shape is not None else ()

    def image_text(n: int) -> str:
        return f"image {'×'.join(map(str, image(n)))}"

    found: list[Would] = []
    if shape is not None:
        bounds = (side // step, MOST_LARGER * side // step) if now else (0, (side - 1) // step)
        found += largest(*bounds, lambda n: {"image": image(n)}, image_text)
    if width is not None and not now:
        name, most = width[0], round(width[1] / STEP) - 1
        found += largest(0, most, lambda n: {name: round(n * STEP, 4)}, lambda n: f"{name} {round(n * STEP, 4):g}")
        for part in SMALLER if shape is not None and not found else ():
            found += _narrower(round(width[1] * part, 4), name, side // step, image, largest)
            if found:
                break
    yield from found


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
        lambda n: {name: width, "image": image(n)},
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
