"""Nodes before they are walked: their order, what functions come to, what is said of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costcalc.frontends.onnx.node_use import FileError
from costcalc.frontends.onnx.read import MOST_NODES, AttributeReference, OnnxModel, OnnxNode, SubGraph, walk


class Env(dict[str, Any]):
    """Values by name; those of the graph around are seen too."""

    def __init__(self, outer: Env | None = None) -> None:
        super().__init__()
        self.outer = outer

    def __missing__(self, name: str) -> Any:
        if self.outer is None:
            raise KeyError(name)
        return self.outer[name]


def weigh_functions(model: OnnxModel) -> None:
    """Raises ``FileError`` for functions that are made of themselves, or that come to too many nodes."""
    functions = model.functions
    counts: dict[tuple[str, str, str], int] = {}
    calls = {
        key: [
            k for n in walk(SubGraph(f.nodes, (), (), (), {})) if (k := (n.domain, n.operator, n.overload)) in functions
        ]
        for key, f in functions.items()
    }
    inside: set[tuple[str, str, str]] = set()
    for first in functions:
        stack = [first]
        while stack:
            key = stack[-1]
            missing = [k for k in calls[key] if k not in counts]
            if key in counts:
                stack.pop()
            elif not missing:
                counts[key] = len(functions[key].nodes) + sum(counts[k] for k in calls[key])
                inside.discard(stack.pop())
            elif key in inside and any(k in inside for k in missing):
                raise FileError(f"the function {shown_name(key[1])[:80]} is made of itself")
            else:
                inside.add(key)
                stack.append(missing[0])
    used = (counts.get((n.domain, n.operator, n.overload), 0) + 1 for n in walk(model.graph))
    if sum(used) > MOST_NODES:
        raise FileError(f"with its functions written out it has more than {MOST_NODES:,} nodes")


def shown_name(name: str) -> str:
    """A name of the file without what cannot be seen; never empty."""
    return "".join(c if c.isprintable() else "_" for c in name[:200]) or "unnamed"


def in_order(nodes: Sequence[OnnxNode]) -> Iterable[OnnxNode]:
    """``nodes``, each after those that make what it reads. Raises ``FileError`` for a circle."""
    made: set[str] = set()
    makers = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    for i, node in enumerate(nodes):
        if any(makers.get(name, -1) >= i for name in node.inputs):
            break
        made.update(node.outputs)
    else:
        return nodes
    waits = [sum(name in makers for name in set(node.inputs)) for node in nodes]
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        for name in set(node.inputs):
            if name in makers:
                readers.setdefault(name, []).append(i)
    ready = [i for i, count in enumerate(waits) if not count][::-1]
    order: list[OnnxNode] = []
    while ready:
        i = ready.pop()
        order.append(nodes[i])
        for name in nodes[i].outputs:
            for reader in readers.get(name, ()):
                waits[reader] -= 1
                if not waits[reader]:
                    ready.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waits, strict=True) if count)
        raise FileError(f"{at(stuck)} needs what is made from it: the nodes stand in a circle")
    return order


def filled(node: OnnxNode, attributes: Mapping[str, Any]) -> OnnxNode:
    """A node of a function with the attributes that the function is given, in graphs inside it too."""
    found = {}
    for name, value in node.attributes.items():
        if isinstance(value, AttributeReference):
            if attributes.get(value.name) is not None:
                found[name] = attributes[value.name]
        elif isinstance(value, SubGraph):
            found[name] = value._replace(nodes=tuple(filled(n, attributes) for n in value.nodes))
        else:
            found[name] = value
    return node._replace(attributes=found)


def at(node: OnnxNode) -> str:
    if node.name:
        return f"{node.kind[:80]} '{shown_name(node.name)[:80]}'"
    made = shown_name(node.outputs[0])[:80] if node.outputs else "nothing"
    return f"{node.kind[:80]} that makes '{made}'"
