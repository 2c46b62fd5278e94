"""Verdicts as SARIF 2.1.0, which code scanning reads (OASIS, "Static Analysis Results Interchange Format", 2020)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from costcalc import __version__
from costcalc.backends.budget.github import annotated, message
from costcalc.backends.escape import finding, json

if TYPE_CHECKING:
    from costcalc.budget.outcome import Outcome, Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"fail": "error", "warn": "warning", "unchecked": "warning", "exempt": "note"}


def sarif(outcome: Outcome, stops: Collection[str] = ("fail",)) -> str:
    """One run whose rules are the budgets' bounds, with a result for each that is crossed or could not be checked.
    Verdicts of a status in ``stops`` are errors."""
    told = outcome.having(*LEVELS)
    rules = sorted({_rule(v) for v in told})
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "costcalc",
                "version": __version__,
                "rules": [{"id": rule, "shortDescription": {"text": f"budget of {rule}"}} for rule in rules],
            }
        },
        "results": [_result(v, rules, "fail" if v.status in stops else v.status) for v in told],
        "columnKind": "unicodeCodePoints",
    }
    return json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(verdict: Verdict) -> str:
    return f"{verdict.budget.figure.name}/{verdict.rule}"


def _result(verdict: Verdict, rules: list[str], status: str) -> dict[str, Any]:
    from hashlib import sha256

    location = annotated(verdict)
    identity = f"{verdict.subject}/{verdict.rule}"
    result: dict[str, Any] = {
        "ruleId": _rule(verdict),
        "ruleIndex": rules.index(_rule(verdict)),
        "level": LEVELS[status],
        "message": {"text": finding(f"{verdict.subject}: {message(verdict)}")},
        "partialFingerprints": {"budget/v1": sha256(identity.encode()).hexdigest()},
    }
    if verdict.status == "exempt":
        result["suppressions"] = [{"kind": "external", "justification": finding(verdict.description)}]
    if location:
        where = {
            "artifactLocation": {"uri": quote(location.file.replace("\\", "/"))},
            "region": {"startLine": location.line},
        }
        result["locations"] = [{"physicalLocation": where}]
    return result
