"""A graph as plain lists, dicts, strings and numbers, and back: for the lock, and between processes.

Ops are told as they are written, ``conv(64, 3, stride=2)``, and read as data: nothing runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, Location
from costcalc.ir.graph import Graph, GraphBuilder, Group, Joining, Node
from costcalc.ir.group import grouped
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import ELEMENT_BITS, TensorType
from costcalc.ir.value_size import ValueSize

DAMAGED = (CostcalcError, KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError)
"""What reading a record raises that is none."""


def record_of(graph: Graph) -> dict[str, Any]:
    """All of ``graph`` but its open sizes. Sizes must be numbers."""
    return {
        "name": graph.name, "inputs": inputs_of(graph), "outputs": list(graph.outputs),
        "layers": [row_of(node) | {"place": locations_of(node)} for node in graph.nodes],
        "parameters": {name: _plain(value) for name, value in graph.parameters.items()}, "source": graph.source,
        "assumed": list(graph.assumed), "sizes": [list(size) for size in graph.sizes], "layouts": dict(graph.layouts),
        "applied": list(graph.applied), "groups": [[group.name, list(group.layers)] for group in graph.groups],
        "joinings": {name: list(joining) for name, joining in graph.joinings.items()},
    }  # fmt: skip


def graph_of(record: Mapping[str, Any]) -> Graph:
    """The graph that ``record_of`` told; raises one of ``DAMAGED`` if there is none."""
    graph = built(record["name"], record["inputs"], record["layers"], record["outputs"])
    nodes = (
        n._replace(location=location_of(row["place"])) for n, row in zip(graph.nodes, record["layers"], strict=True)
    )
    groups = [Group(name, tuple(layers)) for name, layers in record["groups"]]
    joinings = {name: Joining(*why) for name, why in record["joinings"].items()}
    return replace(
        grouped(graph, groups, joinings), nodes=tuple(nodes), parameters=record["parameters"], source=record["source"],
        assumed=tuple(record["assumed"]), sizes=sizes_of(record["sizes"]), layouts=record["layouts"],
        applied=tuple(record["applied"]),
    )  # fmt: skip


def inputs_of(graph: Graph) -> dict[str, list[Any]]:
    """Name → element type and shape."""
    return {name: [graph.types[name].dtype, list(graph.types[name].shape)] for name in graph.inputs}


def row_of(node: Node) -> dict[str, Any]:
    """One layer, without its place."""
    row: dict[str, Any] = {"name": node.name, "op": repr(node.op), "from": list(node.inputs)}
    row |= {"called": dict(node.called)} if node.called else {}
    row |= {"prepared": dict(node.prepared)} if node.prepared else {}
    row |= {"frozen": sorted(node.frozen)} if node.frozen else {}
    return row | ({"stored_as": dict(node.stored_as)} if node.stored_as else {})


def built(
    name: str, inputs: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], outputs: Iterable[str]
) -> Graph:  # fmt: skip
    """The graph of ``rows``, every op asked again whether it accepts its inputs."""
    types = {key: TensorType(tuple(shape), dtype) for key, (dtype, shape) in inputs.items()}
    if not all(t.dtype in ELEMENT_BITS for t in types.values()):
        raise ValueError(inputs)
    builder = GraphBuilder(name, types)
    for row in rows:
        called = row.get("called") or row.get("shares")  # as older locks have it
        more = {"called": called, "prepared": row.get("prepared"), "frozen": row.get("frozen", ())}
        stored_as = row.get("stored_as") or {}
        if not all(dtype in ELEMENT_BITS for dtype in stored_as.values()):
            raise ValueError(stored_as)
        builder.add(row["name"], op_of(row["op"]), row["from"], **more, stored_as=stored_as)
    return builder.build(outputs)


def op_of(text: str) -> Op:
    """The op that ``text``, ``conv(64, 3, stride=2)``, says. Nothing is executed."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(text)
    kwargs = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    return find_op(call.func.id)(*map(ast.literal_eval, call.args), **kwargs)


def locations_of(node: Node) -> list[list[Any]]:
    """File and line of each place that led to ``node``, the innermost first."""
    return [[location.file, location.line] for location in node.location.chain] if node.location else []


def location_of(locations: Iterable[tuple[str, int]]) -> Location | None:
    """The place that ``locations_of`` told."""
    found: Location | None = None
    for file, line in reversed([*locations]):
        if not isinstance(file, str) or type(line) is not int:
            raise TypeError(file)
        found = Location(file, line, within=found)
    return found


def sizes_of(rows: Iterable[list[Any]]) -> tuple[ValueSize, ...]:
    """The sizes that values decide."""
    return tuple(ValueSize._make([*row[:-1], tuple(row[-1])]) for row in rows)


def _plain(value: Any) -> Any:
    """``value`` as JSON has it; what it has not, as it is shown."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
