"""Verdicts as GitLab's code quality report: a list of issues that a merge request shows at their lines."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import TYPE_CHECKING

from costcalc.backends.budget.github import annotated
from costcalc.backends.budget.verdicts import because_lines
from costcalc.backends.escape import finding, json

if TYPE_CHECKING:
    from costcalc.budget.outcome import Outcome

SEVERITIES = {"fail": "major", "warn": "minor", "unchecked": "info"}


def gitlab(outcome: Outcome, stops: Collection[str] = ("fail",)) -> str:
    """The JSON of GitLab's "Code Quality": description, check_name, fingerprint, severity, location. Verdicts of a
    status in ``stops`` are as severe as failures."""
    issues = []
    for v in outcome.having(*SEVERITIES):
        location = annotated(v)
        causes = "; ".join(f"{amount} {description}" for amount, description, _ in because_lines(v))
        issues.append(
            {
                "description": finding(f"{v.subject}: {v.description}" + (f" ({causes})" if causes else "")),
                "check_name": f"costcalc/{v.budget.figure.name}/{v.rule}",
                "fingerprint": sha256(f"{v.subject}/{v.rule}".encode()).hexdigest(),
                "severity": SEVERITIES["fail" if v.status in stops else v.status],
                # GitLab wants a file: without a spec in the repository it is the config.
                "location": {"path": location.file, "lines": {"begin": location.line}}
                if location
                else {"path": v.budget.location.file, "lines": {"begin": v.budget.location.line or 1}},
            }
        )
    return json(issues, indent=1) + "\n"
