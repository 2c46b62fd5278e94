"""The comment on a pull request: verdict, table, causes, the diff folded, a ledger, and what to do next.

It is made of the JSON of ``costcalc check`` and of nothing else. So the workflow that may write comments can make it
anew from what a workflow that may not has left, and trusts no text of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from costcalc.amounts.formatting import in_unit, percent, show, signed
from costcalc.amounts.parsing import UNITS
from costcalc.analysis.figures import COMMENT, FIGURES, figures_in
from costcalc.backends.budget.verdicts import counted
from costcalc.backends.diff.formats import folded
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.escape import visible
from costcalc.backends.markdown import row, table

MARKER = "<!-- costcalc check -->"
"""By this line the comment of an earlier run is found, to be updated."""
MOST = 60_000
"""Characters; GitHub takes 65,536 and GitLab more."""
SIGNS = {"fail": "❌", "warn": "⚠️", "unchecked": "⚠️"}
MOST_CAUSES = 5
Record = dict[str, Any]


def comment(record: Record, report: str = "") -> str:
    """GitHub's Markdown of the JSON of a check, below ``MOST`` characters: folded layers are cut first.

    report   the address of the page that the run has left; linked if there is one, and it is an address
    """
    if record["exit_code"] == 2:
        description = "A config or a model cannot be read; the log of this run says which and where."
        return f"{MARKER}\n### ❌ costcalc could not check the models\n\n{description}\n"
    for layers in (None, 200, 60, 20, 0):
        text = _comment(record, layers, report)
        if len(text) < MOST:
            return text
    return cut(text, MOST - 1)


def _comment(record: Record, most_layers: int | None, report: str) -> str:
    models, verdicts = record["models"], record["verdicts"]
    worst = next((sign for status, sign in SIGNS.items() if _having(record, status)), "✅")
    lines = [MARKER, f"### {worst} costcalc: {counted([(v['status'], v['rule']) for v in verdicts])}", ""]
    changed = [m for m in models if m["diff"] is not None]
    shown = changed or models
    new = [m for m in models if m["without_baseline"] and m not in shown]
    if not changed and any(m["compared"] for m in models):
        lines += ["No model changed.", ""]
    lines += table(["model", *(figure.title for figure in figures_in(COMMENT))], "<>>>>", [])
    lines += [_row(verdicts, m) for m in [*shown, *new]]
    lines += ["", *_exceeded(record)]
    for model in changed:
        lines += _causes(model)
    for model in changed if most_layers != 0 else []:
        lines += folded(model["diff"]["name"], [_cells(c) for c in model["diff"]["layers"]], "macs", most_layers)
    return "\n".join([*lines, *_ledger(models), *_linked(report), *_next(record), ""])


def _having(record: Record, *statuses: str) -> list[Record]:
    """The verdicts of these statuses, those crossed most first."""
    found = [v for v in record["verdicts"] if v["status"] in statuses]
    return sorted(found, key=lambda v: -(v["over"] / v["limit"]) if v["limit"] else 0)


def _row(verdicts: Iterable[Record], model: Record) -> str:
    """One line of the table: each figure, its change, and what is left of its budget."""
    cells = [escaped(model["title"])]
    for figure in figures_in(COMMENT):
        name = figure.name
        value = model["figures"][name]
        cell = f"{model['marks'].get(name, '')} {show(figure, value)}".lstrip()
        if model["diff"] is not None:
            before = model["diff"]["figures"][name]["old"]
            is_moved = before is not None and value is not None and value != before
            cell += f" ({percent(value - before, before)})" if is_moved else " (±0)"
        for v in verdicts:
            mine = (v["model"], v["setup"], v["metric"]) == (model["name"], model["setup"], name)
            if mine and v["rule"] == "max" and v["layers"] is None and v["limit"] is not None and value is not None:
                left, unit = v["limit"] - value, v.get("unit", "")
                difference = in_unit(figure, abs(left), unit if unit in UNITS.get(figure.unit, {}) else "")
                cell += f"<br>{difference} left" if left >= 0 else f"<br>**{difference} over**"
        cells.append(cell)
    return row(cells)


def _exceeded(record: Record) -> list[str]:
    """What is exceeded, in words, each with its causes."""
    lines: list[str] = []
    changed = {(m["name"], m["setup"]) for m in record["models"] if m["diff"] is not None}
    for v in _having(record, "fail", "warn", "exempt"):
        lines.append(f"- {SIGNS.get(v['status'], '🕒')} **{escaped(v['subject'])}**: {escaped(v['says'])}")
        # Where the model changed, its causes follow below.
        explained = (v["model"], v["setup"]) in changed and v["layers"] is None
        figure = FIGURES.get(v["metric"], FIGURES["macs"])  # of what is not a figure, such as a lock, MACs are counted
        for cause in [] if explained else v["because"]:
            # Causes have a kind before a colon; without causes these are the largest layers.
            amount = (signed if ": " in cause["says"] else show)(figure, cause["amount"])
            location = f" — {escaped(cause['source'])}" if cause["source"] else ""
            lines.append(f"  - {escaped(amount)} {escaped(cause['says'])}{location}")
        lines += [f"  - {escaped(v['message'])}"] if v["message"] else []
    unchecked = _having(record, "unchecked")
    lines += [f"- {SIGNS['unchecked']} {escaped(v['subject'])}: {escaped(v['says'])}" for v in unchecked[:10]]
    lines += [f"- {SIGNS['unchecked']} {len(unchecked) - 10} more are not checked"] if len(unchecked) > 10 else []
    lines += [f"- {escaped(note)}" for note in record["notes"]]
    return [*lines, ""] if lines else []


def _causes(model: Record) -> list[str]:
    lines = [f"Why {escaped(model['title'])} changed, since {escaped(model['baseline'])}:", ""]
    macs, params = FIGURES["macs"], FIGURES["params"]
    causes = model["diff"]["causes"]
    for c in causes[:MOST_CAUSES]:
        amounts = f"{signed(macs, c['effect']['macs'])} MACs, {signed(params, c['effect']['params'])} params"
        location = f" — {escaped(c['source'])}" if c["source"] else ""
        lines.append(f"- **{amounts}** {escaped(c['kind'])}: {escaped(c['says'])}{location}")
    if len(causes) > MOST_CAUSES:
        rest = sum(c["effect"]["macs"] for c in causes[MOST_CAUSES:])
        lines.append(f"- {signed(macs, rest)} MACs in {len(causes) - MOST_CAUSES} more causes")
    return [*lines, ""]


def _cells(change: Record) -> tuple[str, str, str, str, str]:
    """Mark, name, change of MACs, what changed, and place of one layer."""
    old, new = ((side or {}).get("macs") or 0 for side in (change["old"], change["new"]))
    effect = signed(FIGURES["macs"], new - old)
    return change["mark"], visible(change["name"]), effect, visible(change["says"]), visible(change["source"])


def _ledger(models: list[Record]) -> list[str]:
    """What the numbers cover."""
    n = {key: sum(m["layers"][key] for m in models) for key in ("counted", "free", "uncounted")}
    description = f"{n['counted']:,} layers counted, {n['free']:,} free of arithmetic, {n['uncounted']:,} uncounted"
    return [
        f"<sub>{description}; not verified in this run (<code>costcalc verify</code> does it with PyTorch).</sub>",
        "",
    ]


ADDRESS = re.compile(r"https://[\w.:/-]{1,300}")


def _linked(report: str) -> list[str]:
    """The link to the page that the run has left, which is no safer than the code that was run."""
    if not ADDRESS.fullmatch(report):
        return []
    says = "as a page: treemaps, causes, changed layers in the graph"
    return [f"[The report]({report}) {says}. The run of this pull request made it: open it as you would run its code.",
            ""]  # fmt: skip


def _next(record: Record) -> list[str]:
    if _having(record, "fail", "warn"):
        return ["**What to do:** undo a cause above, or agree on a new budget in the config and commit it here. "
                "`costcalc check` says the same on your machine."]  # fmt: skip
    if _having(record, "unchecked"):
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
