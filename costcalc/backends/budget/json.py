"""An outcome for programs: the JSON of ``costcalc check``, described in ``docs/budgets.md``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from costcalc.amounts.formatting import own_unit
from costcalc.analysis.figures import FIGURES, Figure
from costcalc.budget.outcome import Outcome, Result, Verdict
from costcalc.errors import CostcalcError, Location
from costcalc.reading.files import contents

SCHEMA = 1
"""The version of the JSON."""
MOST = 16 * 2**20
"""Bytes of a record that somebody else wrote."""


def read_record(path: str) -> dict[str, Any]:
    """The JSON of a check that lies at ``path``, perhaps a stranger's, if it is what ``check.schema.json`` says.

    Needs ``jsonschema``. Raises ``CostcalcError`` without quoting the file.
    """
    import json

    from jsonschema import Draft202012Validator

    schema = json.loads(Path(__file__).with_name("check.schema.json").read_text(encoding="utf-8"))
    try:
        record = json.loads(contents(path, kind="the JSON of a check", form="a file", most=MOST))
        good = Draft202012Validator(schema).is_valid(record)
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise CostcalcError("this is not what `costcalc check --format json` writes", Location(path))
    return record  # type: ignore[no-any-return]


def to_dict(outcome: Outcome, *, fail_on_warn: bool = False, strict: bool = False) -> dict[str, Any]:
    """The verdicts, the figures and what changed, as plain lists, dicts, strings and numbers."""
    return {
        "schema": SCHEMA,
        "exit_code": outcome.exit_code(fail_on_warn=fail_on_warn, strict=strict),
        "models": [
            {
                "name": r.model.name, "model": r.model.model, "setup": r.setup.label, "title": r.title,
                "baseline": r.past.where, "without_baseline": r.past.reason, "compared": r.past.found is not None,
                "figures": {n: _number(f.value(r.now.report)) for n, f in _figures(r).items()
                            if f.asks not in ("machine", "energy")},
                "time": {name: _number(report.total.time.seconds) for name, report in r.now.by.items()
                         if report.total.time},
                "energy": {name: report.total.energy.joules for name, report in r.now.by.items()
                           if report.total.energy},
                "uncounted": [layer.name for layer in r.now.report.uncounted], "layers": _layers(r),
                "marks": {n: mark for n in _figures(r) if (mark := r.now.report.mark(n))},
                **({"unset": [size.name for size in r.now.report.unset]} if r.now.report.unset else {}),
                "diff": r.diff.to_dict(_asked(r)) if r.diff else None,
            }
            for r in outcome.results
        ],
        "verdicts": [_verdict(v) for v in outcome.verdicts],
        "notes": list(outcome.notes),
    }  # fmt: skip


def _asked(result: Result) -> list[str]:
    """The figures beside those that are always there of which the model has budgets."""
    return [budget.figure.name for budget in result.model.budgets if budget.figure.on_demand]


def _figures(result: Result) -> dict[str, Figure]:
    asked = _asked(result)
    return {name: figure for name, figure in FIGURES.items() if not figure.on_demand or name in asked}


def _layers(result: Result) -> dict[str, int]:
    """How many layers are counted, how many have nothing to count, how many have no rule."""
    layers = result.now.report.layers
    uncounted = sum(not layer.counted for layer in layers)
    free = sum(layer.counted and layer.macs == 0 and layer.ops == 0 for layer in layers)
    return {"counted": len(layers) - uncounted - free, "free": free, "uncounted": uncounted}


def _verdict(v: Verdict) -> dict[str, Any]:
    return {
        "subject": v.subject, "model": v.model, "setup": v.setup, "metric": v.budget.figure.name,
        "layers": v.budget.layers, "at": v.budget.at, "machine": v.budget.machine, "energy": v.budget.energy,
        "rule": v.rule, "status": v.status,
        "value": v.value if isinstance(v.value, str) else _number(v.value), "limit": _number(v.limit),
        "unit": _unit(v), "baseline": _number(v.base), "over": _number(v.over), "says": v.description,
        "message": v.message, "source": v.location.short if v.location else "",
        "because": [{"says": b.description, "source": b.location.short if b.location else "",
                     "amount": _number(b.amount)} for b in v.because],
    }  # fmt: skip


def _unit(v: Verdict) -> str:
    """The unit in which the limit is written, if figures would be shown in another."""
    bound = {"max": v.budget.max, "min": v.budget.min}.get(v.rule)
    return own_unit(v.budget.figure, bound.amount, bound.whole) if bound else ""


def _number(value: Any) -> Any:
    """An int where it is whole; JSON has no fractions."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return value
