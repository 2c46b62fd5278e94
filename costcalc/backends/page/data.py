"""What the page's scripts draw from: columns of a model's rows, and what pictures show, in plain lists and numbers.

Rows are told by their position. Texts that repeat stand once, in a list of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costcalc.analysis.explain import explained_alike
from costcalc.analysis.figures import BITS, PAGE, Figure, figures_in
from costcalc.analysis.records import Report
from costcalc.backends.columns import columns, without_batch
from costcalc.backends.escape import visible
from costcalc.backends.explain.layer import value_of_line
from costcalc.backends.rows import Row, TableOptions, tree
from costcalc.ir.graph import Graph
from costcalc.pictures.growth import growth
from costcalc.pictures.roofline import roofline
from costcalc.pictures.timeline import timeline
from costcalc.planning.records import Memory

BOUNDS = ("nothing", "memory", "compute")
MOST_EXPLAINED = 3000
"""Different layers of which the page tells formulas; those after them have their figures alone."""


class Words:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of ``text``."""
        return self.known.setdefault(text, len(self.known))

    def texts(self) -> list[str]:
        """All of them, harmless where they are read."""
        return [visible(text) for text in self.known]


def rows_of(report: Report) -> list[Row]:
    """The blocks and layers of ``report`` as a tree: those that the page has rows of, in that order."""
    return [row for row in tree(report, TableOptions()) if row.role in ("heading", "layer")]


def positions(rows: Sequence[Row]) -> dict[str, int]:
    """Layer → its row."""
    return {row.name: i for i, row in enumerate(rows) if row.role == "layer"}


def model_data(
    report: Report, rows: Sequence[Row], graph: Graph | None = None, memory: Memory | None = None
) -> dict[str, Any]:
    """All that scripts know of one model; the graph gives its edges and its formulas, the memory its timeline."""
    at = positions(rows)
    figures = [figure for figure in figures_in(PAGE) if _is_there(figure, report)]
    kinds, shapes, fields, modules = Words(), Words(), Words(), Words()
    output, field = columns()["output"], columns()["field"]
    modules.number("")
    data: dict[str, Any] = {
        "model": visible(report.name),
        "figures": [
            {"name": f.name, "title": f.title, "unit": f.unit, "says": f.description} for f in figures
        ],
        "order": [at[layer.name] for layer in report.layers if layer.name in at],
        "total": {f.name: _number(f.of(report.total)) for f in figures},
        "rows": {
            "label": [visible(row.label) for row in rows],
            "level": [row.level for row in rows],
            "block": [int(row.role == "heading") for row in rows],
            "layers": [row.figures.layers if row.role == "heading" else 1 for row in rows],  # type: ignore[attr-defined]
            "kind": [kinds.number(getattr(row.figures, "kind", "")) for row in rows],
            "module": [modules.number(getattr(row.figures, "module", None) or "") for row in rows],
            "shape": [shapes.number(_text(output, row)) for row in rows],
            "field": [fields.number(_text(field, row)) for row in rows],
            "bound": [_bound(row) for row in rows],
            "values": {f.name: [_number(f.of(row.figures)) for row in rows] for f in figures},
            "explanation": [-1] * len(rows),
        },
        "explanations": [],
    }  # fmt: skip
    if graph is not None:
        told, where = _explanations(report, graph, at)
        data["explanations"] = told
        data["rows"]["explanation"] = [where.get(i, -1) for i in range(len(rows))]
        data["graph"] = _edges(graph, at, len(rows), shapes)
    data |= {"kinds": kinds.texts(), "shapes": shapes.texts(), "fields": fields.texts(), "modules": modules.texts()}
    if report.machine and report.total.time:
        found = roofline(report)
        data["roofline"] = {
            "title": visible(report.machine.title), "peak": found.peak, "bandwidth": found.bandwidth,
            "points": [at[p.name] for p in found.points if p.name in at],
        }  # fmt: skip
    if memory is not None:
        data["memory"] = _memory(memory, at)
        data["mapped"] = [
            {"name": "alive", "title": "memory at the peak", "unit": BITS, "says": "what the engine holds there"}
        ]
        data["rows"]["values"]["alive"] = _alive(memory, at, len(rows))
    if (grown := growth(report)).layers:
        seen = [s for s in grown.layers if s.name in at]
        data["growth"] = {
            "image": list(grown.image), "exceeds": at.get(grown.exceeds, -1),
            "layers": {
                "at": [at[s.name] for s in seen], "size": [list(s.size) for s in seen],
                "seen": [list(s.seen) for s in seen], "stride": [[_short(v) for v in s.stride] for s in seen],
                "everything": [int(s.everything) for s in seen], "bound": [int(s.bound) for s in seen],
            },
        }  # fmt: skip
    return data


def _is_there(figure: Figure, report: Report) -> bool:
    value = figure.of(report.total)
    return (value is not None and value != 0) or figure.name == "macs"


def _number(value: Any) -> Any:
    """A number as JSON has it; text for a formula, and for what no browser's number can hold."""
    if value is None or (isinstance(value, (int, float)) and abs(value) < 1e300):
        return float(f"{value:.6g}") if isinstance(value, float) else value
    return visible(str(value))


def _short(value: float) -> float:
    return int(value) if value == int(value) else value


def _text(column: Any, row: Row) -> str:
    value = column.value(row.figures)
    return "" if value is None else str(column.shows(value))


def _bound(row: Row) -> int:
    time = getattr(row.figures, "time", None)
    return BOUNDS.index(time.bound) if time is not None else 0


def _explanations(report: Report, graph: Graph, at: Mapping[str, int]) -> tuple[list[list[list[str]]], dict[int, int]]:
    """The formulas of layers, those of like layers once, and row → which of them is its."""
    told: list[list[list[str]]] = []
    where: dict[int, int] = {}
    for name, explained in explained_alike(graph, report, MOST_EXPLAINED):
        if name not in at:
            continue
        if explained.number == len(told):
            told.append(
                [
                    [visible(v) for v in (line.name, line.letters, line.numbers, value_of_line(line))]
                    for line in explained.lines
                ]
            )
        where[at[name]] = explained.number
    return told, where


def _edges(graph: Graph, at: Mapping[str, int], rows: int, shapes: Words) -> dict[str, Any]:
    """Row → rows whose values it reads, an input by its number below 0. Values of layers without a row have none."""
    given = [shapes.number(without_batch(graph.types[name].shape)) for name in graph.inputs]
    made: dict[str, int] = {name: -1 - k for k, name in enumerate(graph.inputs)}
    reads: list[Any] = [0] * rows
    for node in graph.nodes:
        row = at.get(node.name)
        if row is None:
            continue
        made.update(dict.fromkeys(node.outputs, row))
        reads[row] = list(dict.fromkeys(made[v] for v in node.reads if v in made))
    inputs = [visible(name) for name in graph.inputs]
    return {"inputs": inputs, "given": given, "reads": reads, "layers": len(at)}


def _memory(memory: Memory, at: Mapping[str, int]) -> dict[str, Any]:
    found = timeline(memory)
    has_places = found.arena is not None and all(t.offset is not None for t in found.bars)
    return {
        "steps": _rows_or_names(found.layers, at),
        "held": list(found.held),
        "peak": found.peak,
        "names": [visible(t.name) for t in found.bars],
        "tensors": {
            "bytes": [t.bytes for t in found.bars], "first": [t.first for t in found.bars],
            "last": [t.last for t in found.bars],
            "offset": [t.offset for t in found.bars] if has_places else [],
        },
    }  # fmt: skip


def _alive(memory: Memory, at: Mapping[str, int], rows: int) -> list[int]:
    """Row → bits of what its layer has made and the engine holds at the peak. Inputs have no row."""
    found = [0] * rows
    for tensor in memory.alive(memory.peak_step) if memory.steps else ():
        name = tensor.name.partition(" ")[0]  # "conv1 (padded)" is a copy of it
        row = at.get(name, at.get(name.rpartition(".")[0]))
        if row is not None:
            found[row] += 8 * tensor.bytes
    return found


def _rows_or_names(names: Iterable[str], at: Mapping[str, int]) -> Sequence[int | str]:
    return [at[name] if name in at else visible(name) for name in names]
