"""What the tests of the spec language share."""

from __future__ import annotations

from textwrap import dedent

from costcalc.ir.graph import Graph


def whole(text: str) -> str:
    """``text`` with what a spec needs beside it: an image to start from, and ``layers:`` if all of it is layers."""
    text = dedent(text).strip("\n")
    if "layers:" not in text:
        text = "layers:\n" + text
    return text + "\n" if "inputs:" in text else f"{text}\ninputs: {{image: [3, 8, 8]}}\n"


def names(graph: Graph) -> list[str]:
    """The names of the layers, in order."""
    return [node.name for node in graph.nodes]


def wiring(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Which values each layer takes."""
    return {node.name: node.inputs for node in graph.nodes}
