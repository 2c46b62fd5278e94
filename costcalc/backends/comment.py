"""The comment on a pull request: verdict, table, causes, the diff folded, a ledger, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costcalc.analysis.figures import COMMENT, FIGURES, figures_in
from costcalc.backends.differences import folded_layers, table
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.figures import percent, show, signed
from costcalc.backends.summary import marked
from costcalc.backends.verdicts import because_lines, verdict_line

if TYPE_CHECKING:
    from costcalc.budget.check import Outcome, Result

MARKER = "<!-- costcalc check -->"
"""By this line the comment of an earlier run is found, to be updated."""
MOST = 60_000
"""Characters; GitHub takes 65,536 and GitLab more."""
SIGNS = {"fail": "❌", "warn": "⚠️"}
MOST_CAUSES = 5


def comment(outcome: Outcome) -> str:
    """GitHub's Markdown, below ``MOST`` characters: the folded layers are cut in the middle first."""
    for layers in (None, 200, 60, 20, 0):
        text = _comment(outcome, layers)
        if len(text) < MOST:
            return text
    return cut(text, MOST - 1)


def _comment(outcome: Outcome, most_layers: int | None) -> str:
    worst = next((sign for status, sign in SIGNS.items() if outcome.having(status)), "✅")
    lines = [MARKER, f"### {worst} costcalc: {verdict_line(outcome)}", ""]
    changed = [r for r in outcome.results if r.diff is not None]
    shown = changed or outcome.results
    new = [r for r in outcome.results if r.past.found is None and not r.past.figures and r not in shown]
    if not changed and any(r.past.found for r in outcome.results):
        lines += ["No model changed.", ""]
    lines += table(["model", *(figure.title for figure in figures_in(COMMENT))], "<>>>>", [])
    lines += [_row(outcome, r) for r in [*shown, *new]]
    lines += ["", *_told(outcome)]
    for result in changed:
        lines += _causes(result)
    for result in changed if most_layers != 0 else []:
        assert result.diff is not None
        lines += folded_layers(result.diff, "macs", most_layers)
    return "\n".join([*lines, *_ledger(outcome), *_next(outcome), ""])


def _row(outcome: Outcome, result: Result) -> str:
    """One line of the table: each figure, its change, and what is left of its budget."""
    report, cells = result.now.report, [escaped(result.title)]
    for figure in figures_in(COMMENT):
        name = figure.name
        value = figure.value(report)
        cell = marked(report, name, show(figure, value))
        if result.diff is not None:
            before = result.diff.figure(name)[0]
            cell += f" ({percent(value - before, before)})" if before is not None and value != before else " (±0)"
        for v in outcome.verdicts:
            mine = (v.model, v.setup, v.budget.figure.name) == (result.model.name, result.setup.label, name)
            if mine and v.rule == "max" and v.budget.layers is None and v.limit is not None and value is not None:
                left = v.limit - value
                cell += f"<br>{show(figure, left)} left" if left >= 0 else f"<br>**{show(figure, -left)} over**"
        cells.append(cell)
    return "| " + " | ".join(cells) + " |"


def _told(outcome: Outcome) -> list[str]:
    """What is exceeded, in words, each with its causes."""
    lines: list[str] = []
    changed = {(r.model.name, r.setup.label) for r in outcome.results if r.diff is not None}
    for v in outcome.having("fail", "warn", "exempt"):
        lines.append(f"- {SIGNS.get(v.status, '🕒')} **{escaped(v.subject)}**: {escaped(v.says)}")
        # Where the model changed, its causes follow below.
        explained = (v.model, v.setup) in changed and v.budget.layers is None
        for amount, says, place in [] if explained else because_lines(v):
            lines.append(f"  - {escaped(amount)} {escaped(says)}" + (f" — {escaped(place)}" if place else ""))
        lines += [f"  - {escaped(v.message)}"] if v.message else []
    lines += [f"- {escaped(v.subject)}: {escaped(v.says)}" for v in outcome.having("unchecked")[:10]]
    lines += [f"- {escaped(note)}" for note in outcome.notes]
    return [*lines, ""] if lines else []


def _causes(result: Result) -> list[str]:
    assert result.diff is not None
    lines = [f"Why {escaped(result.title)} changed, since {escaped(result.past.where)}:", ""]
    macs, params = FIGURES["macs"], FIGURES["params"]
    causes = result.diff.by("macs")
    for c in causes[:MOST_CAUSES]:
        amounts = f"{signed(macs, c.of('macs'))} MACs, {signed(params, c.of('params'))} params"
        place = f" — {escaped(c.place.short)}" if c.place else ""
        lines.append(f"- **{amounts}** {c.kind}: {escaped(c.says)}{place}")
    if len(causes) > MOST_CAUSES:
        rest = sum(c.of("macs") for c in causes[MOST_CAUSES:])
        lines.append(f"- {signed(macs, rest)} MACs in {len(causes) - MOST_CAUSES} more causes")
    return [*lines, ""]


def _ledger(outcome: Outcome) -> list[str]:
    """What the numbers cover."""
    layers = [layer for r in outcome.results for layer in r.now.report.layers]
    uncounted = sum(not layer.counted for layer in layers)
    free = sum(layer.counted and layer.macs == 0 and layer.ops == 0 for layer in layers)
    counted = len(layers) - uncounted - free
    says = f"{counted:,} layers counted, {free:,} free of arithmetic, {uncounted:,} uncounted"
    return [f"<sub>{says}; not verified in this run (<code>costcalc verify</code> does it with PyTorch).</sub>", ""]


def _next(outcome: Outcome) -> list[str]:
    if outcome.having("fail", "warn"):
        return ["**What to do:** undo a cause above, or agree on a new budget in the config and commit it here. "
                "`costcalc check` says the same on your machine."]  # fmt: skip
    if outcome.having("unchecked"):
        return ["**What to do:** `costcalc lock` records today's figures, so that changes can be checked."]
    return []


def cut(text: str, most: int) -> str:
    """``text`` with whole lines left out in its middle, so that at most ``most`` characters remain.

    >>> print(cut("head\\n" + "x\\n" * 99 + "tail", 60))
    head
    x
    x
    <BLANKLINE>
    … 96 lines left out …
    <BLANKLINE>
    x
    tail
    """
    if len(text) <= most:
        return text
    lines = text.split("\n")
    head, tail = 0, len(lines)
    room = most - len("\n\n… 1,000,000 lines left out …\n\n") - len("</details>\n")
    while head < tail:
        first = head <= len(lines) - tail
        size = len(lines[head] if first else lines[tail - 1]) + 1
        if size > room:
            break
        room -= size
        head, tail = (head + 1, tail) if first else (head, tail - 1)
    begin, end = lines[:head], lines[tail:]
    # What the first part opened is closed there, not in what follows.
    is_open = sum(line.startswith("<details>") for line in begin) > begin.count("</details>")
    if is_open:
        begin.append("</details>")
        if "</details>" in end and not any(line.startswith("<details>") for line in end[: end.index("</details>")]):
            end.remove("</details>")
    return "\n".join([*begin, "", f"… {tail - head:,} lines left out …", "", *end])
