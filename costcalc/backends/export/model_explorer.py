"""A graph for Google's Model Explorer, as its own JSON: layers in their blocks, coloured by a figure, with all figures.

The keys are those of ``graph_builder`` of ai-edge-model-explorer 0.1.34. Ids of nodes are found by ``node_data`` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from costcalc.amounts.formatting import exact, field_text
from costcalc.analysis.figures import ASKED, BITS, FIGURES, JOULES, SECONDS, VIEWER, Figure, figures_in
from costcalc.analysis.records import Layer
from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.classes import NamedTuple
from costcalc.errors import OptionError, listing, near
from costcalc.ir.graph import Graph

LITTLE, MOST = (140, 146, 160), (232, 102, 34)
"""Colours of a node that has hardly any of the figure and of the one that has the most. Both are of middle lightness: a
graph cannot say the colour of a node's text, which is dark or light as the page is."""
PALE, DEEP, TEXT = (255, 250, 244), (253, 208, 162), "#1f1f1f"
"""The same of blocks, behind their nodes, and the colour of their text."""
OF_OBJECTS = frozenset(
    ("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf")
)
"""Names that every object of JavaScript knows, and that its tables therefore seem to have."""


class Coloured(NamedTuple):
    """A figure of each layer; of those without a rule there is none.

    title    what it is, with its unit: ``weights (bytes)``
    values   layer → value
    total    of all of them
    """

    title: str
    values: dict[str, int | float]
    total: int | float


def write(exported: Exported) -> str:
    """JSON: a collection of one graph."""
    return json(collection(exported)) + "\n"


def collection(exported: Exported) -> dict[str, Any]:
    """What ``write`` writes, as a dict."""
    name = exported.graph.name
    return {"label": name, "graphs": [{"id": name, "nodes": list(_nodes(exported)), **_about(exported)}]}


def figures_of_layers() -> list[Figure]:
    """Those of which there are colours."""
    return [figure for figure in FIGURES.values() if figure.is_summed]


def coloured(exported: Exported) -> Coloured:
    """The figure that was asked for, of each layer. Raises ``OptionError`` for one that is no number of layers."""
    name = exported.by or "macs"
    figure = FIGURES.get(name)
    if figure is None or not figure.is_summed:
        known = [one.name for one in figures_of_layers()]
        raise OptionError(f"no layer has {name[:40]} of its own{near(name, known)}; there are {listing(known)}")
    if figure.asks in ASKED and getattr(exported, figure.asks) is None:
        raise OptionError(f"{name} needs --{figure.asks}, {ASKED[figure.asks][1]} say")
    values: dict[str, int | float] = {}
    for layer in exported.report.layers:
        value = figure.part(layer) if layer.counted else None
        if value is not None:
            values[layer.name] = _in_unit(figure, value)
    missing = len(exported.report.layers) - len(values)
    if missing:
        exported.notes.append(
            f"layers without a colour, since it is unknown of them: {missing} of {len(exported.report.layers)}"
        )
    exported.say_unset()
    units = {BITS: " (bytes)", SECONDS: " (µs)", JOULES: " (µJ)"}
    return Coloured(f"{figure.title}{units.get(figure.unit, '')}", values, sum(values.values()))


def _in_unit(figure: Figure, value: Any) -> int | float:
    if figure.unit in (SECONDS, JOULES):
        return float(value) * 1e6
    if figure.unit == BITS and value % 8 == 0:
        return int(value) // 8
    return float(value) / 8 if figure.unit == BITS else value


def ids(graph: Graph) -> dict[str, str]:
    """Layer → the id of its node: its name, unless that is another operator's name in the file."""
    layers: dict[str, list[str]] = {}
    for layer, operator in graph.operators.items():
        layers.setdefault(operator, []).append(layer)
    taken = {node.name for node in graph.nodes} | layers.keys()
    found: dict[str, str] = {}
    for node in graph.nodes:
        name = node.name
        while name in OF_OBJECTS or name == "__proto__" or (name in taken and _is_others(name, node.name, layers)):
            name = f"{name} [layer]"
        found[node.name] = name
    return found


def _is_others(name: str, layer: str, layers: dict[str, list[str]]) -> bool:
    return name != layer or layers.get(name, [layer]) != [layer]


def _nodes(exported: Exported) -> Iterator[dict[str, Any]]:
    graph, report = exported.graph, exported.report
    named = ids(graph)
    colours = coloured(exported)
    most = max(colours.values.values(), default=0)
    made_by: dict[str, tuple[str, str]] = {}
    for name in graph.inputs:
        made_by[name] = (f"[input] {name}", "0")
        yield {
            "id": f"[input] {name}", "label": name, "namespace": "", "attrs": [], "incomingEdges": [],
            "outputsMetadata": [_tensor(0, graph.types[name])],
        }  # fmt: skip
    layers = {layer.name: layer for layer in report.layers}
    for node in graph.nodes:
        for at, value in enumerate(node.outputs):
            made_by[value] = (named[node.name], str(at))
        *blocks, last = node.name.split(".")
        layer = layers[node.name]
        edges = [(*made_by[value], str(at)) for at, value in enumerate(node.inputs)]
        made: dict[str, Any] = {
            "id": named[node.name],
            "label": last if last == layer.kind else f"{last} ({layer.kind})",
            "namespace": _space(".".join(blocks)),
            "attrs": [_pair(*pair) for pair in _attributes(exported, layer, colours)],
            "incomingEdges": [
                {"sourceNodeId": source, "sourceNodeOutputId": out, "targetNodeInputId": into}
                for source, out, into in edges
            ],
            "outputsMetadata": [_tensor(at, type) for at, type in enumerate(graph.output_types(node))],
        }
        if part := colours.values.get(layer.name):
            made["style"] = {"backgroundColor": _mixed(LITTLE, MOST, part / most)}
        yield made


def _tensor(at: int, type: Any) -> dict[str, Any]:
    shape = "×".join(map(str, type.shape)) or "scalar"
    return {"id": str(at), "attrs": [_pair("shape", shape), _pair("dtype", type.dtype)]}


def _pair(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def _attributes(exported: Exported, layer: Layer, colours: Coloured) -> Iterator[tuple[str, str]]:
    yield "kind", layer.kind
    if layer.module:
        yield "module", layer.module
    if operator := exported.graph.operators.get(layer.name):
        yield "operator of the file", operator
    if not layer.counted:
        yield "not counted", "there is no rule for it"
    else:
        yield from _figures(layer).items()
        if colours.total and layer.name in colours.values:
            yield f"share of {colours.title}", f"{100 * colours.values[layer.name] / colours.total:.2f} %"
    if field := layer.receptive_field:
        yield "receptive field", field if isinstance(field, str) else field_text(field)
    for name, value in layer.options.items():
        yield f"option {name}", str(value)
    if layer.source:
        yield "source", layer.source


def _figures(record: Any) -> dict[str, str]:
    values = {figure: figure.part(record) for figure in figures_in(VIEWER)}
    return {figure.title: exact(figure, value) for figure, value in values.items() if value is not None}


def _about(exported: Exported) -> dict[str, Any]:
    """What is said of blocks, and their colours: each by what the largest block beside it, equally deep, has."""
    report, figure = exported.report, FIGURES[exported.by or "macs"]
    marks = {figure.title: report.mark(figure.name) for figure in figures_in(VIEWER)}
    totals = {title: f"{marks[title]}{text}" for title, text in _figures(report.total).items()}
    most: dict[int, Any] = {}
    parts = {block.name: figure.part(block) or 0 for block in report.blocks}
    for name, part in parts.items():
        most[name.count(".")] = max(most.get(name.count("."), 0), part)
    return {
        "groupNodeAttributes": {"": totals, **{_space(block.name): _figures(block) for block in report.blocks}},
        "groupNodeConfigs": [
            {
                "namespaceRegex": f"^{_LIVE.sub(_quoted, _space(name))}$",
                "backgroundColor": _mixed(PALE, DEEP, part / most[name.count(".")]),
                "textColor": TEXT,
            }
            for name, part in parts.items()
            if part
        ],
    }


_LIVE = re.compile(r"[$()*+./?\[\\\]^{|}-]")
"""What means more than itself in a regular expression of JavaScript."""


def _quoted(found: re.Match[str]) -> str:
    return f"\\x{ord(found.group()):02x}"


def _space(block: str) -> str:
    """The path of a block; a stroke in a name is another sign that looks like it."""
    return block.replace("/", "∕").replace(".", "/")


def _mixed(least: tuple[int, ...], most: tuple[int, ...], part: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(least, most, strict=True))
