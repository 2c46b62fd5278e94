"""What an engine holds, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costcalc.amounts.units import grouped, percent, size
from costcalc.backends import escape
from costcalc.backends.chart import chart
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, cut_front, grid
from costcalc.backends.json import written
from costcalc.backends.markdown import figures_table, header, row
from costcalc.backends.paint import Paint, bar, painted, plain
from costcalc.backends.report.summary import after
from costcalc.planning.records import ArenaTensor, Memory

TITLES = {
    "eager": "PyTorch, operator by operator",
    "ort": "ONNX Runtime",
    "tflite": "TensorFlow Lite",
    "tflm": "TensorFlow Lite for Microcontrollers",
    "mcu": "an engine that writes in place",
    "ideal": "no engine: liveness alone",
}
BLOCKS = {"ort": "from the second run on, in one block and the results beside it"}
"""What the arena is, of engines that do not have one block from the first run on."""
MOST_ALIVE = 12
BAR = 24
LEAST_NAME = 12


def facts(memory: Memory) -> Iterator[tuple[str, str, str]]:
    """Each figure by its name, as text, and what it says."""
    many = len(memory.steps)
    where = f", at {memory.at}, step {memory.peak_step + 1} of {many}" if memory.at else ""
    yield "peak", _bytes(memory.peak_bytes), f"{_exact(memory.peak_bytes)} of activations at once{where}"
    if memory.upper_bound_bytes is not None:
        yield "kernels", f"≤ {_bytes(memory.upper_bound_bytes)}", "with the copies that kernels may make meanwhile"
    if memory.arena_bytes is not None:
        yield "arena", _bytes(memory.arena_bytes), _arena(memory)
    description = "in memory or in flash, from wherever they are read"
    yield "weights", _bytes(memory.weights_bytes), f"{_exact(memory.weights_bytes)}, {description}"


def line(memory: Memory) -> str:
    """The whole in a line: ``<Memory of kws in tflm: 15.6 KiB, 14 tensors>``."""
    held = f"{_bytes(memory.needed_bytes)}, {len(memory.tensors)} tensors"
    return f"<Memory of {visible(memory.name)} in {memory.engine}: {held}>"


def transformed(memory: Memory) -> str:
    """Which transforms were applied, as the end of a title; "" if none was."""
    return f", {visible(after(memory.applied))}" if memory.applied else ""


def _arena(memory: Memory) -> str:
    bound = memory.lower_bound_bytes
    block = f"{_exact(memory.arena_bytes or 0)} {BLOCKS.get(memory.engine, 'in one block for all of them')}"
    if memory.optimal:
        return f"{block}, the least possible"
    gap = percent((memory.arena_bytes or 0) - bound, memory.arena_bytes or 0)
    return f"{block}; at least {_bytes(bound)} are needed, {gap} less"


def table(memory: Memory, width: int, colour: bool, *, timeline: bool = False) -> str:
    """For a terminal."""
    from textwrap import wrap

    paint = painted if colour else plain
    bits = f", {memory.bits} bits" if memory.bits is not None else ""
    lines = [f"{paint(visible(memory.name), 'bold')}  {TITLES[memory.engine]}{bits}{transformed(memory)}", ""]
    lines += figures(list(facts(memory)), 7, width, paint)
    if timeline:
        lines += ["", *drawn(memory, width, paint), "", *_timeline(memory, width, paint)]
    lines += ["", *alive(memory, width, paint)]
    if memory.patches:
        lines += ["", *_patches(memory, width, paint)]
    if memory.hints:
        lines += ["", *_hints(memory, width, paint)]
    for note in memory.notes:
        lines += ["", *wrap(visible(note), max(width, 40))]
    return "\n".join([*lines, ""])


def figures(known: Sequence[tuple[str, str, str]], room: int, width: int, paint: Paint) -> Iterator[str]:
    """A line a figure, and more where what it says takes them; names have ``room`` characters."""
    from textwrap import wrap

    wide = max(len(figure) for _, figure, _ in known)
    before = room + 2 + wide + 2
    for name, figure, description in known:
        first, *more = wrap(visible(description), max(width - before, 24))
        yield f"{paint(name.ljust(room), 'bold')}  {figure.rjust(wide)}  {paint(first, 'dim')}"
        yield from (" " * before + paint(line, "dim") for line in more)


def alive(memory: Memory, width: int, paint: Paint) -> list[str]:
    """What lives at the peak, the largest first."""
    there = memory.alive(memory.peak_step)
    shown = there if len(there) <= MOST_ALIVE + 1 else there[:MOST_ALIVE]
    lines = [paint("alive at the peak", "cyan")]
    columns = {
        "size": [_bytes(t.bytes) for t in shown],
        "share": [percent(t.bytes, memory.peak_bytes) for t in shown],
        "name": [visible(t.name) for t in shown],
        "life": [_life(memory, t) for t in shown],
    }
    rows = grid(columns, width - 2, ("name", "life"), {"name": LEAST_NAME, "life": 8}, ("name",))
    lines += ["  " + GAP.join(row).rstrip() for row in rows]
    rest = there[len(shown) :]
    if rest:
        lines.append(f"  {_bytes(sum(t.bytes for t in rest))} in {len(rest)} more")
    return lines


def _patches(memory: Memory, width: int, paint: Paint) -> list[str]:
    """What lives if the first layers run patch by patch, and what is then done again."""
    once = [p.macs - p.again for p in memory.patches]
    columns = {
        "grid": [f"{p.grid}×{p.grid}" for p in memory.patches],
        "peak": [_bytes(p.peak_bytes) for p in memory.patches],
        "share": [percent(p.peak_bytes, memory.peak_bytes) for p in memory.patches],
        "again": [f"{percent(p.again, n)} of the MACs again" for p, n in zip(memory.patches, once, strict=True)],
        "layer": [f"up to {visible(p.layer)}" for p in memory.patches],
    }
    rows = grid(columns, width - 2, ("grid", "layer"), {"layer": LEAST_NAME}, ("layer",))
    return [paint("the first layers by patches", "cyan"), *("  " + GAP.join(row).rstrip() for row in rows)]


def _hints(memory: Memory, width: int, paint: Paint) -> list[str]:
    """What one change would save, and what it then takes."""
    columns = {
        "saves": [_bytes(h.saves) for h in memory.hints],
        "share": [percent(h.saves, memory.needed_bytes) for h in memory.hints],
        "says": [visible(h.description) for h in memory.hints],
        "then": [f"then {_bytes(h.bytes)}" for h in memory.hints],
    }
    rows = grid(columns, width - 2, ("says", "then"), {"says": LEAST_NAME, "then": 8}, ("says",))
    return [paint("one change would save", "cyan"), *("  " + GAP.join(row).rstrip() for row in rows)]


def _life(memory: Memory, tensor: ArenaTensor) -> str:
    """From when to when, as people say it."""
    if tensor.first == tensor.last:
        return f"at step {tensor.first + 1}"
    if (tensor.first, tensor.last) == (0, len(memory.steps) - 1):
        return "all the time"
    return f"steps {tensor.first + 1} to {tensor.last + 1}"


def drawn(memory: Memory, width: int, paint: Paint) -> list[str]:
    """The bytes that live at each step as a chart; where there are more steps than fit, the most of some together."""
    from textwrap import wrap

    held = [step.bytes for step in memory.steps]
    if not any(held):
        return []
    *lines, last = chart(held, _bytes(max(held)), width, 8, lambda some: max(n for n in some if n is not None))
    indent = last.index("┤") + 1
    room = max(width - indent, LEAST_NAME)
    axis = f"step 1 to {len(held):,}; the peak at {memory.peak_step + 1:,}, {cut_front(visible(memory.at), room)}"
    told = [f"{' ' * indent}{paint(part, 'dim')}" for part in wrap(axis, room)]
    return [*(paint(line, "cyan") for line in (*lines, last)), *told]


def _timeline(memory: Memory, width: int, paint: Paint) -> Iterator[str]:
    """A line a step: the layer, the bytes, and a bar; the peak marked."""
    sizes = [_bytes(step.bytes) for step in memory.steps]
    wide = max(map(len, sizes))
    names = [visible(step.layer) for step in memory.steps]
    room = max(min(max(map(len, names)), width - wide - BAR - 6), LEAST_NAME)
    length = max(min(BAR, width - wide - room - 6), 4)
    for i, (name, text, step) in enumerate(zip(names, sizes, memory.steps, strict=True)):
        share = step.bytes / memory.peak_bytes if memory.peak_bytes else 0.0
        at_peak = i == memory.peak_step
        mark = "> " if at_peak else "  "
        filled = bar(share, length).rstrip()
        line = f"{mark}{cut_front(name, room).ljust(room)}{GAP}{text.rjust(wide)}{GAP}"
        yield paint(line, "bold" if at_peak else "") + paint(filled, "red" if at_peak else "cyan")


def json(memory: Memory, *, timeline: bool = False) -> str:
    """The contract of ``docs/memory.md``; a tensor or a step a line."""
    return written(memory.to_dict())


def csv(memory: Memory, *, timeline: bool = False) -> str:
    """A line a tensor; with ``timeline`` a line a step."""
    if timeline:
        rows = [[i, step.layer, step.bytes, int(i == memory.peak_step)] for i, step in enumerate(memory.steps)]
        return escape.csv([["step", "layer", "bytes", "peak"], *rows])
    return escape.csv([["name", "bytes", "first", "last", "offset"], *map(list, memory.tensors)])


def markdown(memory: Memory, *, timeline: bool = False) -> str:
    """The figures, and what lives at the peak; with ``timeline`` the bytes of every step."""
    bits = f" · {memory.bits} bits" if memory.bits is not None else ""
    applied = f" · {escape.markdown(after(memory.applied))}" if memory.applied else ""
    lines = [f"**{escape.markdown(memory.name)}** · {TITLES[memory.engine]}{bits}{applied}", ""]
    lines += figures_table(facts(memory))
    if timeline:
        lines += ["", *header(["step", "layer", "alive"], "><>")]
        for i, step in enumerate(memory.steps):
            bold = "**" if i == memory.peak_step else ""
            lines.append(row([str(i + 1), escape.markdown(step.layer), f"{bold}{grouped(step.bytes)} B{bold}"]))
    lines += ["", *header(["alive at the peak", "bytes", "from step", "to"], "<>>>")]
    for t in memory.alive(memory.peak_step):
        lines.append(row([escape.markdown(t.name), grouped(t.bytes), str(t.first + 1), str(t.last + 1)]))
    if memory.patches:
        lines += ["", *header(["patches", "up to", "peak", "MACs done again"], "><>>")]
        for p in memory.patches:
            again = percent(p.again, p.macs - p.again)
            cells = [f"{p.grid}×{p.grid}", escape.markdown(p.layer), f"{grouped(p.peak_bytes)} B", again]
            lines.append(row(cells))
    if memory.hints:
        lines += ["", *header(["one change would save", "", "then"], "><>")]
        lines += [
            row([f"{grouped(h.saves)} B", escape.markdown(h.description), f"{grouped(h.bytes)} B"])
            for h in memory.hints
        ]
    for note in memory.notes:
        lines += ["", f"{escape.markdown(note)}."]
    return "\n".join(lines) + "\n"


def _bytes(count: int) -> str:
    return size(8 * count)


def _exact(count: int) -> str:
    return f"{grouped(count)} bytes"
