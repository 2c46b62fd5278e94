"""Verdicts for people at a terminal: what failed first, then the rest in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costcalc.amounts.formatting import in_unit, own_unit, show, signed
from costcalc.backends.escape import visible
from costcalc.backends.paint import painted, plain

if TYPE_CHECKING:
    from costcalc.budget.outcome import Because, Outcome, Verdict

STYLES = {"fail": "red", "warn": "yellow", "exempt": "cyan", "unchecked": "yellow", "ok": "green"}
LABELS = {"fail": "FAIL", "warn": "warn", "exempt": "exempt", "unchecked": "⚠", "ok": "ok"}
INDENT = 8


def verdict_line(outcome: Outcome) -> str:
    """The outcome in one line: ``1 budget exceeded, 1 warning, 8 met``."""
    return counted([(v.status, v.rule) for v in outcome.verdicts])


def counted(verdicts: Sequence[tuple[str, str]]) -> str:
    """The same from the status and the rule of each verdict."""
    counts = {status: sum(s == status for s, _ in verdicts) for status in STYLES}
    stale = sum(rule == "locked" for _, rule in verdicts)
    failed, warned = counts["fail"] - stale, counts["warn"]
    parts = [f"{failed} budget{'s' * (failed != 1)} exceeded"] if failed else []
    parts += ["the lock is stale"] if stale else []
    parts += [f"{warned} warning{'s' * (warned != 1)}"] if warned else []
    parts += [f"{counts['exempt']} exempt"] if counts["exempt"] else []
    parts += [f"{counts['unchecked']} not checked"] if counts["unchecked"] else []
    met = counts["ok"]
    parts += [f"{met} met" if parts else f"all {met} budgets met" if met != 1 else "the budget is met"] if met else []
    return ", ".join(parts) or "no budgets to check"


def because_lines(verdict: Verdict) -> list[tuple[str, str, str]]:
    """For each cause its amount, its words, and its place."""
    return [
        (_amount(verdict, b), visible(b.description), b.location.short if b.location else "") for b in verdict.because
    ]


def _amount(verdict: Verdict, because: Because) -> str:
    budget, figure = verdict.budget, verdict.budget.figure
    bound = budget.max if verdict.rule == "max" else budget.min if verdict.rule == "min" else None
    unit = own_unit(figure, bound.amount, bound.whole) if bound else ""
    # Causes have a kind before a colon; without causes these are the largest layers.
    is_cause = ": " in because.description
    if not unit:
        return signed(figure, because.amount) if is_cause else show(figure, because.amount)
    return "+" * (is_cause and because.amount > 0) + in_unit(figure, because.amount, unit)


def verdicts(outcome: Outcome, *, colour: bool = False) -> str:
    """All verdicts and notes as text."""
    paint = painted if colour else plain
    lines: list[str] = []
    for status in STYLES:
        subjects: dict[tuple[str, str], int] = {}  # the widest of each model and setup
        for v in outcome.having(status):
            subjects[v.model, v.setup] = max(subjects.get((v.model, v.setup), 0), len(visible(v.subject)))
        for verdict in outcome.having(status):
            label = paint(LABELS[status].ljust(INDENT), STYLES[status])
            subject = visible(verdict.subject)
            if status in ("ok", "unchecked"):
                subject = subject.ljust(subjects[verdict.model, verdict.setup])
                lines.append(f"{label}{subject}  {paint(visible(verdict.description), 'dim')}")
                continue
            lines += [f"{label}{paint(subject, 'bold')}", f"{' ' * INDENT}{visible(verdict.description)}"]
            told = because_lines(verdict)
            wide, long = (max((len(line[i]) for line in told), default=0) for i in (0, 1))
            for amount, description, location in told:
                at = f"{' ' * (long - len(description))}  {paint(location, 'cyan')}" if location else ""
                lines.append(f"{' ' * INDENT}  {amount.rjust(wide)}  {description}{at}")
            if verdict.message and status != "exempt":
                lines.append(f"{' ' * INDENT}{visible(verdict.message)}")
    lines += [f"{paint('note'.ljust(INDENT), 'yellow')}{visible(note)}" for note in outcome.notes]
    worst = next((status for status in ("fail", "warn", "unchecked") if outcome.having(status)), "ok")
    return "\n".join([*lines, "", paint(verdict_line(outcome), STYLES[worst]), ""]).lstrip("\n")
