"""Annotations of a GitHub workflow: each failing budget at the line of the spec that caused it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from costcalc.backends.budget.verdicts import because_lines
from costcalc.backends.escape import visible, workflow_data, workflow_property
from costcalc.errors import Location

if TYPE_CHECKING:
    from costcalc.budget.outcome import Outcome, Verdict

MOST = 10
"""GitHub shows so many annotations of one step."""
LEVELS = {"fail": "error", "warn": "warning", "unchecked": "warning"}


def github(outcome: Outcome, stops: Collection[str] = ("fail",)) -> str:
    """Workflow commands, those crossed most first, at most ``MOST``; errors before warnings, what is unchecked last.
    Verdicts of a status in ``stops`` are errors."""
    ranked = [v for status in LEVELS for v in outcome.having(status)]
    lines = []
    for verdict in ranked[:MOST]:
        location = annotated(verdict)
        file = f"file={workflow_property(location.file)},line={location.line or 1}," if location else ""
        title = workflow_property(verdict.subject)
        level = LEVELS["fail" if verdict.status in stops else verdict.status]
        lines.append(f"::{level} {file}title={title}::{workflow_data(message(verdict))}")
    if len(ranked) > MOST:
        lines.append(f"::notice title=costcalc::{len(ranked) - MOST} more are in the log and in the step summary")
    return "\n".join([*lines, ""]) if lines else ""


def annotated(verdict: Verdict) -> Location | None:
    """Where to show the verdict: where to change the model, else at the budget, if those are files here.

    The file is relative to the root of the repository, from wherever the command runs, as servers look for it there.
    """
    for location in (verdict.location, verdict.budget.location):
        if location and location.line and not Path(location.file).is_absolute() and Path(location.file).is_file():
            file = Path(location.file)
            folder, root = file.parent.resolve(), _root()
            if folder.is_relative_to(root):
                return Location((folder.relative_to(root) / file.name).as_posix(), location.line)
    return None


def _root() -> Path:
    """The root of the repository that the command runs in; outside of one, the folder that it runs in."""
    here = Path().resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def message(verdict: Verdict) -> str:
    """The verdict and its causes in lines of plain text."""
    lines = [visible(verdict.description)]
    lines += [
        f"{amount}  {description}" + (f"  ({location})" if location else "")
        for amount, description, location in because_lines(verdict)
    ]
    return "\n".join([*lines, visible(verdict.message)]).strip()
