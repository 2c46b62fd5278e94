"""What ``explain`` and ``formula`` tell, as JSON for programs: ``docs/json.md``. All counts exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costcalc.analysis.explain import Explanation, ExplanationLine
from costcalc.analysis.fft import FourierConv
from costcalc.analysis.figures import BITS, COUNT, JOULES, SECONDS
from costcalc.analysis.formula import Formula
from costcalc.analysis.records import Report, plain
from costcalc.analysis.stored_tensors import StoredTensors
from costcalc.backends.json import written

SCHEMA = 1
"""The version of this JSON; it grows when a key changes its meaning or goes away."""


def layer(explained: Explanation) -> str:
    """A layer: its letters, its tensors in letters, and how each figure comes about."""
    node, row = explained.node, explained.layer
    tensors: list[dict[str, Any]] = [
        {"role": "makes" if value in node.outputs else "reads", "name": value, "shape": shape, "formula": letters}
        for value, shape, letters in explained.shapes
    ]
    tensors += [
        {"role": "weight", "name": w.name, "shape": w.shape, "formula": w.formula}
        | ({"called": w.called} if w.called not in ("", f"{node.name}.{w.name}") else {})
        | ({"prepared": w.prepared} if w.prepared else {})
        | ({"shared": w.shared} if w.shared else {})
        for w in explained.weights
    ]
    about = {key: getattr(row, key) for key in ("name", "op", "kind", "options", "source", "counted")}
    figures = [_figure(line) for line in explained.lines]
    return _text(
        {
            "apply": explained.applied,
            "layer": about,
            "letters": explained.letters,
            "tensors": tensors,
            "figures": figures,
        }
    )


def block(stored: StoredTensors) -> str:
    """A block, or the model: the tensors that its storage consists of."""
    tensors = [tensor._asdict() for tensor in stored.tensors]
    about = {"name": stored.name, "layers": stored.layers, "views": stored.views}
    bits = {"storage_bits": stored.figures.storage_bits, "apart_bits": stored.apart}
    return _text({"apply": stored.applied, "block": {**about, **bits}, "tensors": tensors})


def totals(
    report: Report,
    formulas: Sequence[Formula],
    values: Mapping[str, int],
    conditions: Sequence[str],
    notes: Sequence[str] = (),
) -> str:
    """Each total in closed form, with its terms and their values at ``values``, where ``report`` counts the model."""
    found = [
        {
            "name": formula.figure.key,
            "value": formula.at(values),
            "formula": str(formula.total),
            "terms": [{"value": value, "formula": str(term)} for term, value in formula.terms(values)],
        }
        for formula in formulas
    ]
    uncounted = [{"name": row.name, "op": row.kind} for row in report.uncounted]
    about = {
        "model": report.name,
        "apply": list(report.settings.apply),
        "at": dict(values),
        "uncounted": uncounted,
        "assumptions": list(conditions),
    }
    about["notes"] = list(notes)
    return _text({**about, "totals": found})


def _figure(line: ExplanationLine) -> dict[str, Any]:
    value = line.value
    if isinstance(value, FourierConv):
        value = value._asdict() | {"prepared": value.prepared}
    explained = {"name": _key(line.name, line.unit), "value": value}
    return explained | ({"formula": line.letters, "numbers": line.numbers} if line.letters else {})


def _key(name: str, unit: str = COUNT) -> str:
    """What JSON calls a figure: ``macs``, ``storage_bits``, ``compute_time_seconds``; sizes keep their letters."""
    end = f"_{unit}" if unit in (BITS, SECONDS, JOULES) else ""
    return name.lower().replace(" ", "_" if "," not in name else " ") + end


def _text(record: dict[str, Any]) -> str:
    return written({"schema": SCHEMA, **plain(record)})
