"""What a step of training holds, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from costcalc.amounts.units import count, grouped, percent, size
from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.json import written
from costcalc.backends.markdown import figures_table
from costcalc.backends.markdown import table as markdown_table
from costcalc.backends.memory.text import figures
from costcalc.backends.paint import painted, plain
from costcalc.planning.training import STEP, Recomputed, Saved, Training

MOST = 10


def title(found: Training) -> str:
    """``a step of training, PyTorch, autocast to bfloat16``."""
    return "a step of training, PyTorch" + (f", autocast to {found.autocast}" if found.autocast else "")


def parts(found: Training, width: int, paint: Callable[[str, str], str]) -> list[str]:
    """What adds up to the total, for a terminal."""
    added = ("weights", "batch", "state", "peak")
    return list(figures([fact for fact in facts(found) if fact[0] in added], 9, width, paint))


def facts(found: Training) -> Iterator[tuple[str, str, str]]:
    """Each figure by its name, as text, and what it says."""
    yield "weights", _bytes(found.weights_bytes), "parameters and buffers"
    yield "batch", _bytes(found.inputs_bytes), "the inputs"
    yield "state", _bytes(found.optimizer_bytes), f"of the optimizer, {found.optimizer}"
    more = "≥ " if found.untold else ""
    yield (
        "peak",
        f"{more}{_bytes(found.peak_bytes)}",
        f"{grouped(found.peak_bytes)} bytes of activations and gradients, in {found.at}"
        if found.at != STEP
        else f"{grouped(found.peak_bytes)} bytes of gradients, results and what the step makes, in {found.at}",
    )
    yield "total", f"{more}{_bytes(found.total_bytes)}", "all of these"
    yield "saved", f"{more}{_bytes(found.saved_bytes)}", "kept by the forward pass for the backward pass"
    yield "gradients", _bytes(found.gradient_bytes), "of all parameters that are trained"
    least = "≥ " if found.unknown else ""
    both = count(found.forward_macs + found.backward_macs)
    parts = f"MACs: forward {count(found.forward_macs)}, backward {least}{count(found.backward_macs)}"
    yield "work", f"{least}{both}", parts
    if found.recomputed is not None:
        yield from _again(found, found.recomputed)


def _again(found: Training, again: Recomputed) -> Iterator[tuple[str, str, str]]:
    kept = found.total_bytes - found.peak_bytes + again.kept_bytes
    share = percent(again.extra_macs, found.forward_macs)
    yield "again", count(again.extra_macs), f"MACs more, done again: {share} of the forward pass"
    yield "kept", _bytes(kept), "total where nothing is done again"
    yield "bound", _bytes(found.total_bytes - found.peak_bytes + again.lower_bound_bytes), _proved(again)


def _proved(again: Recomputed) -> str:
    best = "no other choice" if again.optimal else "hardly a choice"
    what = "is better" if again.optimal else "would be better, which is not proved"
    return f"below any total; of the {again.blocks} blocks between which one value passes {best} {what}"


def runs(found: Training) -> list[tuple[str, str]]:
    """The layers that are done again: the first and the last of each run."""
    return list(found.recomputed.segments) if found.recomputed else []


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
    lines = [f"{paint(visible(found.name), 'bold')}  {title(found)}", ""]
    lines += figures(list(facts(found)), 9, width, paint)
    rows = most(found)[:MOST]
    columns = {
        "size": [_bytes(s.bytes) for s in rows],
        "share": [percent(s.bytes, found.saved_bytes) for s in rows],
        "name": [visible(s.title) for s in rows],
    }
    lines += ["", paint("most is saved by", "cyan")]
    lines += ["  " + GAP.join(row).rstrip() for row in grid(columns, width - 2, ("name",), {"name": 12}, ("name",))]
    if len(found.saved) > MOST:
        rest = found.saved_bytes - sum(s.bytes for s in rows)
        lines.append(f"  {_bytes(rest)} in {len(found.saved) - MOST} more")
    if found.recomputed is not None:
        lines += ["", paint("done again", "cyan")]
        lines += [f"  {visible(_run(*run))}" for run in runs(found)] or ["  nothing"]
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
        f"**{escape.markdown(found.name)}** · {title(found)}",
        "",
        *figures_table(facts(found)),
        "",
        *markdown_table(["most is saved by", "bytes"], "<>", [[s.title, grouped(s.bytes)] for s in most(found)[:MOST]]),
    ]
    if found.recomputed is not None:
        lines += ["", "| done again |", "| --- |", *(f"| {escape.markdown(_run(*run))} |" for run in runs(found))]
    for note in notes(found):
        lines += ["", f"{escape.markdown(note)}."]
    return "\n".join(lines) + "\n"


def _run(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _bytes(count: int) -> str:
    return size(8 * count)
