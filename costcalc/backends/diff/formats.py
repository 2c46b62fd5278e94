"""A diff of two models: for terminals, as JSON, as CSV, as Markdown. Verdict first, then causes, then layers."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from costcalc.amounts.formatting import percent, show, signed, told_apart
from costcalc.amounts.units import size
from costcalc.analysis.figures import DIFFERENCE, FIGURES, Figure, attributed, figures_in
from costcalc.backends import escape
from costcalc.backends.escape import html, visible
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.markdown import table
from costcalc.backends.paint import painted, plain
from costcalc.backends.report.csv import figure_cells, figure_heads
from costcalc.backends.report.summary import after, marked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from costcalc.difference.records import Change, Diff

MARKS = {"+": "green", "-": "red", "~": "yellow"}


def headline(found: Diff, by: str) -> str:
    """The change in one line: ``resnet50: MACs 4.09 G → 7.80 G (+90.8 %), params …``."""
    if found.old is None or found.new is None:
        side = found.new or found.old
        word = "added" if found.new else "removed"
        figures = (
            ", ".join(f"{f.title} {marked(side, f.name, show(f, f.value(side)))}" for f in _pair(by)) if side else ""
        )
        return f"{found.name}: {word}, {figures}"
    if found.same:
        renamed = sum(c.mark == "~" for c in found.layers)
        return f"{found.name}: nothing changed" + (f" but the names of {renamed} layers" if renamed else "")
    parts = []
    for f in _pair(by):
        before, after = found.figure(f.name)
        (was, now), moved = _told_apart(found, f)
        if before == after and was == now:
            parts.append(f"{f.title} {now} as before")
        else:
            parts.append(f"{f.title} {was} → {now} ({moved})")
    return f"{found.name}: {', '.join(parts)}"


def _pair(by: str) -> list[Any]:
    return [FIGURES[name] for name in dict.fromkeys((by, "macs", "params"))]


def _told_apart(found: Diff, figure: Figure) -> tuple[tuple[str, str], str]:
    """Both values as text, with the signs of those that are no more than bounds, and the change in percent."""
    before, after = found.figure(figure.name)
    if before is None or after is None:
        texts, moved = (show(figure, before), show(figure, after)), "new"
    else:
        texts, moved = told_apart(figure, before, after), percent(after - before, before)
    signs = zip(found.marks(figure.name), texts, (before, after), strict=True)
    was, now = (text if value is None else f"{mark} {text}".lstrip() for mark, text, value in signs)
    return (was, now), moved


def figure_rows(found: Diff, also: Collection[str] = ()) -> list[tuple[str, str, str, str, str]]:
    """Title, old, new, change and percent of every figure that either side has."""
    rows = []
    for figure in figures_in(DIFFERENCE, also):
        before, after = found.figure(figure.name)
        if before is None and after is None:
            continue
        (was, now), moved = _told_apart(found, figure)
        change = signed(figure, after - before) if before is not None and after is not None else ""
        rows.append((figure.title, was, now, change, moved if change and after != before else ""))
    return rows


def legend(found: Diff) -> list[str]:
    """What the row of receptive fields says, where there is one."""
    field = FIGURES["receptive_field"]
    there = any(value is not None for value in found.figure(field.name))
    return [f"{field.title}: receptive field of the last layer that does not see the whole image"] if there else []


def _second(by: str) -> Figure:
    return FIGURES["params" if by != "params" else "macs"]


def cause_rows(found: Diff, by: str, most: int | None = None) -> list[tuple[str, str, str, str, str]]:
    """Change of ``by`` and of a second figure, kind, words and place of each cause; what is left out is summed."""
    figure, second = FIGURES[by], _second(by)
    causes = found.by(by)
    rows = [
        (signed(figure, c.of(by)), signed(second, c.of(second.name)), c.kind, visible(c.description),
         visible(c.location.short) if c.location else "")
        for c in causes[:most]
    ]  # fmt: skip
    rest = causes[most:] if most is not None else []
    if rest:
        left = sum(c.of(by) for c in rest), sum(c.of(second.name) for c in rest)
        rows.append((signed(figure, left[0]), signed(second, left[1]), "", f"{len(rest)} more causes", ""))
    if len(causes) > 1:
        total = found.change(by), found.change(second.name)
        rows.append((signed(figure, total[0]), signed(second, total[1]), "total", "", ""))
    return rows


def changed_layers(found: Diff) -> list[Change]:
    """The layers that are not as they were."""
    return [c for c in found.layers if c.mark != "="]


def layer_cells(change: Change, by: str) -> tuple[str, str, str, str, str]:
    """Mark, name, change of ``by``, what changed, and place of one layer."""
    effect = signed(FIGURES[by], change.effect(by))
    return (change.mark, visible(change.name), effect, visible(change.description),
            visible(change.location.short) if change.location else "")  # fmt: skip


def applied_lines(found: Diff) -> list[str]:
    """Which transforms the two models are shown after, in a line; nothing where there are none."""
    before, now = found.applied
    if before == now:
        return [after(now)] if now else []
    return [f"transforms: {', '.join(before) or 'none'} → {', '.join(now) or 'none'}"]


def parameter_lines(found: Diff) -> list[str]:
    """The parameters of the spec that differ; one that a side does not have is a dash."""
    sides = [(name, *("–" if value is None else value for value in both)) for name, *both in found.parameters]
    return [f"parameter {name}: {before} → {after}" for name, before, after in sides]


def text(
    diffs: Sequence[Diff],
    by: str,
    *,
    width: int = 80,
    colour: bool = False,
    most: int | None = 20,
    also: Collection[str] = (),
) -> str:
    """For a terminal; ``most`` causes and layers of each model, None for all; ``also`` figures on demand."""
    paint = painted if colour else plain
    lines: list[str] = []
    for found in diffs:
        lines += [paint(visible(headline(found, by)), "bold"), *map(visible, applied_lines(found)), ""]
        if found.old is None or found.new is None or found.same:
            continue
        lines += _aligned(figure_rows(found, also), "<>>>>", width, "  ")
        lines += [paint(f"  {line}", "dim") for one in legend(found) for line in wrap(one, max(width, 40) - 2)]
        lines += [visible(f"  {line}") for line in parameter_lines(found)]
        lines += ["", paint(f"Causes, largest change of {FIGURES[by].title} first", "bold")]
        rows = [(FIGURES[by].title, _second(by).title, "kind", "what", "where"), *cause_rows(found, by, most)]
        lines += _aligned(rows, ">><<<", width, "  ")
        held = held_rows(found, most)
        if held:
            lines += ["", paint(held_headline(found), "bold"), *_aligned(held, "><<", width, "  ")]
        layers = changed_layers(found)
        lines += ["", paint("Layers: + added, - removed, ~ changed", "bold")]
        largest = sorted(layers, key=lambda c: -abs(c.effect(by)))[:most]
        cells = [layer_cells(c, by) for c in layers if c in largest]
        for line, cell in zip(_aligned(cells, "<<><<", width, ""), cells, strict=True):
            lines.append(paint(line, MARKS[cell[0]]))
        if most is not None and len(layers) > most:
            lines.append(paint(f"  {len(layers) - most} more; --all shows them", "dim"))
        lines += [visible(note) for note in found.notes]
        lines.append("")
    return "\n".join(lines or ["no model changed", ""])


def held_headline(found: Diff) -> str:
    """The peak in an engine, before and after: ``Memory in tflm: 6.24 MiB → 4.68 MiB``; "" if none was asked."""
    memory = found.memory
    if memory is None:
        return ""
    sizes = " → ".join(size(8 * n) for n in (memory.old_bytes, memory.new_bytes))
    where = f", at {memory.new_at}" if memory.new_at == memory.old_at else f", at {memory.old_at} → {memory.new_at}"
    return f"Memory in {memory.engine}: {sizes}{where}"


def held_rows(found: Diff, most: int | None = None) -> list[tuple[str, str, str]]:
    """Each tensor that has another part in the peak: by how much, which, and why."""
    if found.memory is None:
        return []
    shown = found.memory.causes[:most]
    rows = [(f"{'+' if c.effect > 0 else '-'}{size(8 * abs(c.effect))}", visible(c.name), c.description) for c in shown]
    rest = found.memory.causes[len(shown) :]
    if rest:
        rows.append((f"{sum(c.effect for c in rest):+,} B", f"{len(rest)} more", ""))
    return rows or [("0 B", "nothing", "the same tensors live at the peak")]


def _aligned(rows: Sequence[Sequence[str]], sides: str, width: int, indent: str) -> list[str]:
    """``rows`` in columns, ``<`` to the left and ``>`` to the right; the widest are cut to make lines fit."""
    if not rows:
        return []
    wide = [max(len(row[i]) for row in rows) for i in range(len(sides))]
    over = len(indent) + sum(wide) + 2 * (len(sides) - 1) - width
    for i in sorted(range(len(wide)), key=lambda i: -wide[i])[:2]:
        cut = max(0, min(over, wide[i] - 24))
        wide[i], over = wide[i] - cut, over - cut
    lines = []
    for row in rows:
        cells = []
        for cell, side, w in zip(row, sides, wide, strict=True):
            cell = cell if len(cell) <= w else cell[: w - 1] + "…"
            cells.append(cell.rjust(w) if side == ">" else cell.ljust(w))
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def json(diffs: Sequence[Diff], also: Collection[str] = ()) -> str:
    """A list, one object per model, as ``docs/diff.md`` describes it."""
    return escape.json([found.to_dict(also) for found in diffs], indent=1) + "\n"


def csv(diffs: Sequence[Diff]) -> str:
    """A line for each changed layer, and the transforms, if any: exact numbers in the units that the heads say, storage
    in bits and in bytes."""
    figures = [figure for figure in attributed() if figure.asks != "machine"]
    applied = any(any(found.applied) for found in diffs)
    transforms = ["old_apply", "new_apply"] * applied
    heads = [head for figure in figures for head in figure_heads(figure)]
    lines: list[list[Any]] = [["model", *transforms, "mark", "name", "old_name", "op", "what", "source",
                    *(f"{side}_{head}" for head in heads for side in ("old", "new"))]]  # fmt: skip
    for found in diffs:
        for c in changed_layers(found):
            sides = (c.before, c.after)
            numbers = []
            for figure in figures:
                old, new = (figure_cells(figure, side.get(figure.name, 0) if side else None) for side in sides)
                numbers += [value for pair in zip(old, new, strict=True) for value in pair]
            transforms = [",".join(side) for side in found.applied] if applied else []
            words = [
                found.name,
                *transforms,
                c.mark,
                c.name,
                c.old_name,
                c.op,
                c.description,
                c.location.short if c.location else "",
            ]
            lines.append([*words, *numbers])
    return escape.csv(lines)


def markdown(diffs: Sequence[Diff], by: str, also: Collection[str] = ()) -> str:
    """A section per model, its layers folded."""
    lines = []
    for found in diffs:
        lines += [f"**{escaped(headline(found, by))}**", ""]
        lines += [text for line in applied_lines(found) for text in (escaped(line), "")]
        if found.old is None or found.new is None or found.same:
            continue
        lines += table(["figure", "old", "new", "change", ""], "<>>>>", figure_rows(found, also))
        lines += [
            "",
            *(text for line in legend(found) for text in (escaped(line), "")),
            *(f"- {escaped(line)}" for line in parameter_lines(found)),
            *([""] if found.parameters else []),
            *table([FIGURES[by].title, _second(by).title, "cause", "what", "where"], ">><<<", cause_rows(found, by)),
            "",
        ]
        if found.memory is not None:
            rows = [tuple(map(escaped, row)) for row in held_rows(found)]
            lines += [*table([escaped(held_headline(found)), "tensor", "why"], "><<", rows), ""]
        lines += [*folded_layers(found, by), *(f"{escaped(note)}\n" for note in found.notes)]
    return "\n".join(lines or ["no model changed"]) + "\n"


def folded_layers(found: Diff, by: str, most: int | None = None) -> list[str]:
    """The changed layers behind a line to click on; past ``most`` the ones in the middle are left out."""
    return folded(found.name, [layer_cells(c, by) for c in changed_layers(found)], by, most)


def folded(name: str, rows: list[tuple[str, str, str, str, str]], by: str, most: int | None = None) -> list[str]:
    """The same of the model ``name``, from the cells of ``layer_cells``."""
    marks = {mark: sum(row[0] == mark for row in rows) for mark in MARKS}
    if most is not None and len(rows) > most:
        gap = ("", f"… {len(rows) - most} more layers …", "", "", "")
        rows = [*rows[: (most + 1) // 2], gap, *rows[len(rows) - most // 2 :]]
    summary = f"{marks['~']} layer{'s' * (marks['~'] != 1)} changed, {marks['+']} added, {marks['-']} removed"
    head = ["", "layer", FIGURES[by].title, "what", "where"]
    return [f"<details><summary>{html(name)}: {summary}</summary>", "", *table(head, "<<><<", rows), "",
            "</details>", ""]  # fmt: skip
