"""``costcalc.lock``: what every model cost when the team last agreed, in a file that reviews can read.

For each model and each way of measuring it: a hash of the canonical graph, the figures, and a line per
layer from which the graph can be built again, so that a later diff knows as much as one of two specs.
"""

from __future__ import annotations

import hashlib
import json
from itertools import starmap
from pathlib import Path
from typing import Any

from costcalc import __version__
from costcalc.analysis.figures import LOCK, LOCK_LAYER, figures_in
from costcalc.analysis.records import Report
from costcalc.classes import NamedTuple, replace
from costcalc.errors import CostcalcError, Location
from costcalc.ir.graph import Graph, Group
from costcalc.ir.group import grouped
from costcalc.ir.serialization import DAMAGED, built, inputs_of, row_of
from costcalc.reading.files import contents
from costcalc.reading.reach import is_inside, reach_of

NAME = "costcalc.lock"
VERSION = 1
MADE_BY = "costcalc lock"
MAX_BYTES = 256 * 2**20
SIGNS = "≥≤≈"


class LockError(CostcalcError):
    """A lock that cannot be used."""


class LockEntry(NamedTuple):
    """One model measured in one way, as the lock has it.

    made_by    ``costcalc lock`` or ``pytest``: each rewrites only what it made
    apply      the transforms that made the graph of the model
    trace      what the trace of a model that is code depended on (``budget/dependencies``); None if that is unknown
    marks      what stands before figures that are no more than bounds, as ``Report.mark`` says; older locks have none
    """

    model: str
    setup: str
    graph: str
    figures: dict[str, int]
    inputs: dict[str, Any]
    outputs: list[str]
    layers: list[dict[str, Any]]
    made_by: str
    apply: tuple[str, ...] = ()
    trace: dict[str, Any] | None = None
    marks: dict[str, str] = {}


class Lock(NamedTuple):
    """All entries by (model's name, setup's label), and the version of costcalc that wrote them."""

    entries: dict[tuple[str, str], LockEntry]
    written_by: str = __version__


def entry(graph: Graph, report: Report, model: str, setup: str, made_by: str = MADE_BY) -> LockEntry:
    """What the lock keeps of ``graph``, whose report is ``report``."""
    figures = {figure.name: figure.value(report) for figure in figures_in(LOCK)}
    layers, of_layers = [], figures_in(LOCK_LAYER)
    for node, layer in zip(graph.nodes, report.layers, strict=True):
        row = row_of(node) | ({"group": layer.group} if layer.group else {})
        shapes = ["×".join(map(str, shape[1:])) for shape in layer.output_shapes]
        layers.append(row | {"to": ", ".join(shapes), **{figure.name: figure.part(layer) for figure in of_layers}})
    known = {name: value for name, value in figures.items() if value is not None}
    marks = {name: mark for name in known if (mark := report.mark(name))}
    made = graph_hash(graph), known, inputs_of(graph), list(graph.outputs), layers, made_by, graph.applied
    return LockEntry(model, setup, *made, marks=marks)


def graph_hash(graph: Graph) -> str:
    """A hash of what the graph computes, whatever its layers are called."""
    numbers = {value: i for i, value in enumerate(graph.inputs)}
    weights: dict[str, int] = {}
    rows: list[Any] = [[list(graph.types[v]) for v in graph.inputs]]
    for node in graph.nodes:
        own = [
            weights.setdefault(node.weight(w), len(weights))
            for w in node.stored(node.op.weights(*graph.input_types(node)))
        ]
        rows.append([repr(node.op), [numbers[v] for v in node.inputs], own])
        if node.prepared:
            rows[-1].append({w: numbers[v] for w, v in node.prepared.items()})
        if node.frozen:
            rows[-1].append(sorted(node.frozen))
        if node.stored_as:
            rows[-1].append(dict(node.stored_as))
        for value in node.outputs:
            numbers[value] = len(numbers)
    rows.append([numbers[v] for v in graph.outputs])
    if graph.groups:
        indices = {node.name: i for i, node in enumerate(graph.nodes)}
        rows.append([sorted(indices[layer] for layer in group.layers) for group in graph.groups])
    text = json.dumps(rows, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def graph_of(entry: LockEntry) -> Graph | None:
    """The graph that was locked; None if an op is no longer what it was."""
    try:
        groups: dict[str, tuple[str, ...]] = {}
        for row in entry.layers:
            if "group" in row:
                groups[row["group"]] = (*groups.get(row["group"], ()), row["name"])
        graph = built(entry.model, entry.inputs, entry.layers, entry.outputs)
        graph = replace(grouped(graph, starmap(Group, groups.items())), applied=entry.apply)
        return graph if graph_hash(graph) == entry.graph else None
    except DAMAGED:
        return None


def read_lock(path: str) -> Lock | None:
    """The lock at ``path``; None if there is none. ``LockError`` if it cannot be trusted."""
    if not Path(path).exists():
        return None
    if not is_inside(path, reach_of(path)):
        raise LockError(
            "the lock is a link that leads out of the repository or folder, and is not read", Location(path)
        )
    try:
        data = contents(path, kind="a lock", form="a JSON file", most=MAX_BYTES)
    except CostcalcError as error:
        raise LockError(error.message, error.location) from None
    return parse_lock(data, path)


def parse_lock(data: bytes, shown: str) -> Lock:
    """The lock in ``data``, which messages call ``shown``."""
    again = "write it again with `costcalc lock --update`"
    marks = 0 if data.startswith(b"<<<<<<<") else data.find(b"\n<<<<<<<") + 1
    if marks or data.startswith(b"<<<<<<<"):
        line = data.count(b"\n", 0, marks) + 1
        raise LockError(f"the lock has the marks of a merge conflict; {again}", Location(shown, line))
    try:
        whole = json.loads(data)
        version, made, checksum = whole["version"], whole["models"], whole["sha256"]
        if isinstance(version, int) and (version < 1 or version is True):
            raise ValueError(version)
    except json.JSONDecodeError as error:
        description = f"this is not a lock of costcalc: it is not JSON: {error.msg}; {again}"
        raise LockError(description, Location(shown, error.lineno, error.colno)) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LockError(f"this is not a lock of costcalc; {again}", Location(shown)) from None
    if not isinstance(version, int) or version > VERSION:
        raise LockError(
            f"the lock has version {str(version)[:20]} and this costcalc {__version__} reads up to {VERSION}; "
            "install a newer costcalc",
            Location(shown),
        )
    if checksum != _checksum(made):
        raise LockError(f"the lock was edited by hand, so that its checksum does not hold; {again}", Location(shown))
    try:
        entries = {(name, setup): _entry(setup, e) for name, setups in made.items() for setup, e in setups.items()}
    except (KeyError, TypeError, AttributeError):
        raise LockError(f"the lock lacks a part; {again}", Location(shown)) from None
    return Lock(entries, str(whole.get("costcalc", "")))


def _entry(setup: str, given: dict[str, Any]) -> LockEntry:
    """The entry that the lock has, if each part is what it should be; ``TypeError`` if one is not."""
    kinds = {
        "model": str,
        "graph": str,
        "figures": dict,
        "inputs": dict,
        "outputs": list,
        "layers": list,
        "made_by": str,
    }
    whole = all(type(figure) is int and figure >= 0 for figure in given["figures"].values())
    if not whole or not all(isinstance(given[part], kind) for part, kind in kinds.items()):
        raise TypeError
    # Locks of before had one transform, and said so in the setup alone.
    applied = given.get("apply", ["fold_norm"] if "norms folded" in setup.split(", ") else [])
    if not isinstance(applied, list) or not all(isinstance(word, str) for word in applied):
        raise TypeError
    trace, marks = given.get("trace"), given.get("marks", {})
    if trace is not None and not isinstance(trace, dict):
        raise TypeError
    if not isinstance(marks, dict) or not {*marks.values()} <= {*SIGNS}:
        raise TypeError
    return LockEntry(
        setup=setup, apply=tuple(applied), trace=trace, marks=marks, **{part: given[part] for part in kinds}
    )


def lock_text(lock: Lock) -> str:
    """The file: one layer a line, so that a changed layer is a changed line."""
    models: dict[str, dict[str, Any]] = {}
    for (name, setup), e in sorted(lock.entries.items()):
        models.setdefault(name, {})[setup] = {
            "model": e.model, "made_by": e.made_by, **({"apply": list(e.apply)} if e.apply else {}), "graph": e.graph,
            "figures": e.figures, **({"marks": e.marks} if e.marks else {}),
            "inputs": e.inputs, "outputs": e.outputs, "layers": e.layers,
            **({"trace": e.trace} if isinstance(e.trace, dict) else {}),
        }  # fmt: skip
    head = [f'"version": {VERSION}', f'"costcalc": {_dump(__version__)}', f'"sha256": {_dump(_checksum(models))}']
    blocks = []
    for name, setups in models.items():
        inner = []
        for setup, e in setups.items():
            rows = ",\n".join("     " + _dump(row) for row in e["layers"])
            parts = [f"    {_dump(key)}: {_dump(e[key])}" for key in e if key not in ("layers", "trace")]
            parts.append(f'    "layers": [\n{rows}\n    ]')
            if "trace" in e:
                told = ",\n".join(f"     {_dump(key)}: {_dump(value)}" for key, value in e["trace"].items())
                parts.append(f'    "trace": {{\n{told}\n    }}')
            inner.append(f"   {_dump(setup)}: {{\n" + ",\n".join(parts) + "\n   }")
        blocks.append(f"  {_dump(name)}: {{\n" + ",\n".join(inner) + "\n  }")
    body = "{\n" + ",\n".join(blocks) + "\n }" if blocks else "{}"
    return "{\n " + ",\n ".join([*head, f'"models": {body}']) + "\n}\n"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _checksum(models: Any) -> str:
    text = json.dumps(models, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
