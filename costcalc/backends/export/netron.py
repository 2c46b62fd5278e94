"""An attachment for Netron: figures of each operator of a file, shown with its properties once the file is open there.

Netron 9.3.3 takes a JSON file whose ``signature`` is ``netron:attachment`` and adds each of its ``metrics`` to the node
with that name, or of a TFLite file with that number. The name is up to its first line break.
"""

from __future__ import annotations

from typing import Any

from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.backends.export.metrics import number
from costcalc.errors import OptionError

NUMBERED = ".tflite"
"""How files end whose operators Netron knows by number."""
FIGURES = {"macs": "MACs", "ops": "ops", "params": "params", "weights": "weight bytes", "read": "read bytes",
           "write": "written bytes"}  # fmt: skip
BITS = ("weights", "read", "write")
MOST_EXACT = 1 << 53
"""From there on a number of JavaScript is not each whole number; such figures are text."""


def write(exported: Exported) -> str:
    """JSON. Raises ``OptionError`` for a model that is no file with operators."""
    exported.say_uncounted()
    exported.say_unset()
    sums, names = _by_operator(exported)
    by = "identifier" if exported.graph.source.endswith(NUMBERED) else "target"
    total = sum(figures.get("macs", 0) for figures in sums.values())
    metrics = []
    for operator, figures in sums.items():
        entries: dict[str, Any] = {FIGURES[name]: _shown(name, value) for name, value in figures.items() if value}
        if total and figures["macs"]:
            entries["share of MACs"] = f"{100 * figures['macs'] / total:.2f} %"
        entries["costcalc layers"] = ", ".join(names[operator])
        metrics += [{"kind": "node", by: operator, "name": key, "value": value} for key, value in entries.items()]
    body = ",\n".join(map(json, metrics))
    return f'{{"signature": "netron:attachment", "metadata": [], "metrics": [\n{body}\n]}}\n'


def _by_operator(exported: Exported) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """Operator → the sums of its layers' figures, and which those are."""
    graph, report = exported.graph, exported.report
    if not graph.operators:
        raise OptionError(f"{graph.name[:80]} is not an ONNX, TFLite or ncnn file, or none of its operators has a name")
    sums: dict[str, dict[str, int]] = {}
    names: dict[str, list[str]] = {}
    for layer in report.layers:
        operator = graph.operators.get(layer.name, "").split("\n")[0]
        if not operator:
            if graph.node(layer.name).op.inputs != (0, 0):
                exported.notes.append(f"left out: {layer.name}, whose operator has no name in the file")
            continue
        row = sums.setdefault(operator, dict.fromkeys(FIGURES, 0))
        for name in FIGURES:
            row[name] += number(layer.amounts[name], "an attachment")
        names.setdefault(operator, []).append(layer.name)
    return sums, names


def _shown(name: str, value: int) -> int | float | str:
    whole, rest = divmod(value, 8 if name in BITS else 1)
    if rest:
        return whole + rest / 8
    return whole if whole < MOST_EXACT else str(whole)
