"""Verdicts as JUnit XML, which most CI servers show: a suite per model, a test case per budget."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from costcalc.backends.budget.github import annotated, message
from costcalc.backends.escape import xml

if TYPE_CHECKING:
    from costcalc.budget.outcome import Outcome


def junit(outcome: Outcome, stops: Collection[str] = ("fail",)) -> str:
    """One ``testsuites`` element; verdicts of a status in ``stops`` are failures. Another warning passes, with its text
    in ``system-out``, and what is not checked is skipped."""
    suites = []
    for result in outcome.results:
        own = [v for v in outcome.verdicts if (v.model, v.setup) == (result.model.name, result.setup.label)]
        cases = []
        for v in own:
            inner = ""
            if v.status in stops:
                inner = f'<failure type="budget" message="{xml(v.description)}">{xml(message(v))}</failure>'
            elif v.status in ("unchecked", "exempt"):
                inner = f'<skipped message="{xml(v.description)}"/>'
            elif v.status == "warn":
                inner = f"<system-out>{xml(message(v))}</system-out>"
            location = annotated(v) if v.status in stops else None
            file = f' file="{xml(location.file)}" line="{location.line}"' if location else ""
            name = f"{v.budget.description} {v.rule}"
            cases.append(f'  <testcase classname="{xml(result.title)}" name="{xml(name)}"{file}>{inner}</testcase>')
        failures = sum(v.status in stops for v in own)
        skipped = sum(v.status in ("unchecked", "exempt") and v.status not in stops for v in own)
        counts = f'tests="{len(own)}" failures="{failures}" errors="0" skipped="{skipped}"'
        suites += [f' <testsuite name="{xml(result.title)}" {counts}>', *cases, " </testsuite>"]
    failures = len(outcome.having(*stops))
    head = f'<testsuites name="costcalc" tests="{len(outcome.verdicts)}" failures="{failures}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])
