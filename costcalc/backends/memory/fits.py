"""Whether a model fits, as text in the units in which it was asked."""

from __future__ import annotations

from costcalc.amounts.units import percent, size
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.json import written
from costcalc.backends.memory.text import TITLES, alive, transformed
from costcalc.backends.memory.training import parts
from costcalc.backends.memory.training import title as training_title
from costcalc.backends.paint import painted, plain
from costcalc.classes import NamedTuple
from costcalc.planning.fits import Fits, is_lower_bound
from costcalc.planning.records import Memory
from costcalc.planning.training import Training

UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "kiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


class RoomAsAsked(NamedTuple):
    """What there is, in bytes, and the unit in which each was told; "" for whichever suits."""

    ram: int
    flash: int | None = None
    ram_unit: str = ""
    flash_unit: str = ""


def unit_of(text: str) -> str:
    """The unit at the end of ``text``, "" if it is none that is written with numbers.

    >>> unit_of("320KiB"), unit_of("1 MB"), unit_of("4096")
    ('KiB', 'MB', '')
    """
    unit = text.strip().lstrip("0123456789._ ")
    return unit if unit in UNITS else ""


def text(found: Fits, room: RoomAsAsked, width: int, colour: bool) -> str:
    """For a terminal: the verdict, what makes the peak, and what would fit."""
    from textwrap import wrap

    paint = painted if colour else plain
    memory = found.memory
    lines = [f"{paint(visible(memory.name), 'bold')}  {_title(memory)}", "", paint(*_verdict(found.fits))]
    of = "activations" if found.room.flash is not None else "activations and weights"
    if isinstance(memory, Training):
        of = "all of a step of training"
    least = "≥ " if is_lower_bound(memory) else ""
    rows = [("RAM", least + _in(found.ram_bytes, room.ram_unit), _in(found.room.ram, room.ram_unit), of)]
    shares = [percent(found.ram_bytes, found.room.ram)]
    if found.room.flash is not None:
        needed, there = _in(found.flash_bytes, room.flash_unit), _in(found.room.flash, room.flash_unit)
        rows.append(("flash", needed, there, "weights"))
        shares.append(percent(found.flash_bytes, found.room.flash))
    columns = {
        "what": [name for name, *_ in rows],
        "needed": [needed for _, needed, _, _ in rows],
        "of": [f"of {there}" for _, _, there, _ in rows],
        "share": shares,
        "says": [description for *_, description in rows],
    }
    lines += ["  " + GAP.join(row).rstrip() for row in grid(columns, width - 2, ("what", "of", "says"))]
    lines += ["", *(parts(memory, width, paint) if isinstance(memory, Training) else alive(memory, width, paint))]
    if found.would:
        description = "the largest that would fit, each by itself"
        lines += ["", paint(description, "cyan")]
        flash = found.room.flash is not None
        cells = {
            "change": [visible(w.change) for w in found.would],
            "ram": [f"RAM {_in(w.ram_bytes, room.ram_unit)}" for w in found.would],
            **({"flash": [f"flash {_in(w.flash_bytes, room.flash_unit)}" for w in found.would]} if flash else {}),
        }
        lines += ["  " + GAP.join(row).rstrip() for row in grid(cells, width - 2, ("change",))]
    elif not found.fits and found.tried:
        lines += ["", *wrap("no smaller batch, image or width of it that can be chosen fits", max(width, 40))]
    for note in memory.notes:
        lines += ["", *wrap(visible(note), max(width, 40))]
    return "\n".join([*lines, ""])


def _title(memory: Memory | Training) -> str:
    if isinstance(memory, Training):
        return training_title(memory)
    bits = f", {memory.bits} bits" if memory.bits is not None else ""
    return f"{TITLES[memory.engine]}{bits}{transformed(memory)}"


def _verdict(fits: bool | None) -> tuple[str, str]:
    """The words, and their colour."""
    if fits is None:
        return "may fit: no more than a lower bound is known", "yellow"
    return ("fits", "green") if fits else ("does not fit", "red")


def json(found: Fits) -> str:
    """The contract of ``docs/memory.md``."""
    return written(found.to_dict())


def _in(count: int, unit: str) -> str:
    """``count`` bytes in ``unit``.

    >>> _in(327680, "KiB"), _in(1404928, "KiB"), _in(1, "MiB"), _in(2_000_000, "")
    ('320 KiB', '1,372 KiB', '0.001 MiB', '1.91 MiB')
    """
    if not unit:
        return size(8 * count)
    value = count / UNITS[unit]
    if value == int(value):
        return f"{int(value):,} {unit}"
    return f"{max(value, 0.001):,.3f} {unit}" if value < 10 else f"{value:,.1f} {unit}"
