"""An overlay for Google's Model Explorer: a figure of each node, as its own JSON (ai-edge-model-explorer 0.1.34).

Nodes are found by the ids of ``model_explorer``, and those of a file by its operators too, as other adapters have them:
ONNX's by their names, TFLite's by their numbers. What is in no graph is ignored.
"""

from __future__ import annotations

from typing import Any

from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.backends.export.model_explorer import coloured, ids

GRADIENT = (("#ffffff", 0.0), ("#fdbe85", 0.25), ("#e6550d", 1.0))


def write(exported: Exported) -> str:
    """JSON, for whatever graph is open."""
    return json(overlay(exported)) + "\n"


def overlay(exported: Exported) -> dict[str, Any]:
    """What ``write`` writes, as a dict."""
    colours = coloured(exported)
    named = ids(exported.graph)
    values: dict[str, int | float] = {}
    for layer, value in colours.values.items():
        values[named[layer]] = value
    sums: dict[str, int | float] = {}
    for layer, operator in exported.graph.operators.items():
        if layer in colours.values:
            sums[operator] = sums.get(operator, 0) + colours.values[layer]
    results: dict[str, dict[str, Any]] = {key: {"value": value} for key, value in (values | sums).items()}
    if len(set(colours.values.values())) == 1:  # a gradient has no colour where the least is the most
        for result in results.values():
            result["bgColor"] = GRADIENT[-1][0] if result["value"] else GRADIENT[0][0]
    gradient = [{"stop": stop, "bgColor": colour} for colour, stop in GRADIENT]
    return {"name": colours.title, "results": results, "gradient": gradient}
