"""What a step of training holds, as text."""

from __future__ import annotations

from collections.abc import Iterator

from costcalc.amounts.units import count, grouped, percent, size
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.json import written
from costcalc.backends.memory.text import figures
from costcalc.backends.paint import painted, plain
from costcalc.planning.training import Saved, Training

MOST = 10


def facts(found: Training) -> Iterator[tuple[str, str, str]]:
    """Each figure by its name, as text, and what it says."""
    yield "weights", _bytes(found.weights_bytes), "parameters and buffers"
    yield "batch", _bytes(found.inputs_bytes), "the inputs"
    yield "state", _bytes(found.optimizer_bytes), f"of the optimizer, {found.optimizer}"
    yield (
        "peak",
        _bytes(found.peak_bytes),
        f"{grouped(found.peak_bytes)} bytes of activations and gradients, in {found.at}",
    )
    yield "total", _bytes(found.total_bytes), "all of these"
    yield "saved", _bytes(found.saved_bytes), "kept by the forward pass for the backward pass"
    yield "gradients", _bytes(found.gradient_bytes), "of all parameters that are trained"
    least = "≥ " if found.unknown else ""
    both = count(found.forward_macs + found.backward_macs)
    parts = f"MACs: forward {count(found.forward_macs)}, backward {least}{count(found.backward_macs)}"
    yield "work", f"{least}{both}", parts


def most(found: Training) -> list[Saved]:
    """The layers of which most is kept, the largest first."""
    return sorted(found.saved, key=lambda s: -s.bytes)


def notes(found: Training) -> list[str]:
    """What is to be known of the figures."""
    more = [f"no rule for the gradients of {', '.join(found.unknown[:5])}"] if found.unknown else []
    return [*found.notes, *more]


def table(found: Training, width: int, colour: bool) -> str:
    """For a terminal."""
    from textwrap import wrap

    paint = painted if colour else plain
    lines = [f"{paint(visible(found.name), 'bold')}  a step of training, PyTorch", ""]
    lines += figures(list(facts(found)), 9, width, paint)
    rows = most(found)[:MOST]
    columns = {
        "size": [_bytes(s.bytes) for s in rows],
        "share": [percent(s.bytes, found.saved_bytes) for s in rows],
        "name": [visible(s.layer) for s in rows],
    }
    lines += ["", paint("most is saved by", "cyan")]
    lines += ["  " + GAP.join(row).rstrip() for row in grid(columns, width - 2, ("name",), {"name": 12}, ("name",))]
    if len(found.saved) > MOST:
        rest = found.saved_bytes - sum(s.bytes for s in rows)
        lines.append(f"  {_bytes(rest)} in {len(found.saved) - MOST} more")
    for note in notes(found):
        lines += ["", *wrap(visible(note), max(width, 40))]
    return "\n".join([*lines, ""])


def json(found: Training) -> str:
    """The contract of ``docs/memory.md``."""
    return written(found.to_dict())


def csv(found: Training) -> str:
    """A line a layer."""
    return escape.csv([["layer", "saved_bytes"], *map(list, found.saved)])


def markdown(found: Training) -> str:
    """The figures, and the layers of which most is kept."""
    lines = [
        f"**{escape.markdown(found.name)}** · a step of training, PyTorch",
        "",
        "| figure | | |",
        "| --- | --: | --- |",
    ]
    lines += [f"| {name} | {figure} | {escape.markdown(says)} |" for name, figure, says in facts(found)]
    lines += ["", "| most is saved by | bytes |", "| --- | --: |"]
    lines += [f"| {escape.markdown(s.layer)} | {grouped(s.bytes)} |" for s in most(found)[:MOST]]
    for note in notes(found):
        lines += ["", f"{escape.markdown(note)}."]
    return "\n".join(lines) + "\n"


def _bytes(count: int) -> str:
    return size(8 * count)
