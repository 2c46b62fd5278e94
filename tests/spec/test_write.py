"""A graph written out as a flat spec loads to an equal graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import costcalc
from costcalc import zoo
from costcalc.errors import CostcalcError, SpecError
from costcalc.frontends.spec.write import write
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType

Build = Callable[..., Graph]

FAMILIES = {entry["family"]: name for name, entry in zoo.models().items()}


def alike(graph: Graph) -> object:
    """All of a graph but where it was written and with which parameters."""
    return replace(graph, nodes=tuple(n._replace(location=None) for n in graph.nodes), parameters={})


def again(graph: Graph, folder: Path) -> Graph:
    path = folder / "flat.yaml"
    path.write_text(write(graph), encoding="utf-8")
    return costcalc.load(path)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_a_shipped_model_survives(name: str, tmp_path: Path) -> None:
    graph = costcalc.load(name)
    assert alike(again(graph, tmp_path)) == alike(graph)


def test_all_that_a_graph_can_hold_survives(build: Build, tmp_path: Path) -> None:
    graph = build(
        """
        name: odd
        source: "a: 'b', \\"c\\" # d"
        inputs: {image: [4, 8, 8], t: {shape: [77], dtype: int64}, table: {shape: [9, 4], batch: False}}
        layers:
          - halves: split(2, axis=1)
          - a-b: conv(4, (3, 1), padding=[[0, 2], [0, 0]], bias=False)
          - from: halves.1
          - relu
          - add: [halves.0, []]
          - parameter([1, 2, 1, 1])
          - s: {multiply: [add, parameter]}
          - twin: conv(2, 1)
          - twin2: conv(2, 1, weights='twin')
          - tied: "conv(2, 1, weights={'weight': 'twin.weight'})"
        outputs: [twin, s, halves]
    """.replace("[halves.0, []]", "[halves.0, halves.1]").replace("[add, parameter]", "[halves.0, halves.1]")
    )
    assert alike(again(graph, tmp_path)) == alike(graph)
    assert alike(again(build("- relu", batch=3), tmp_path)) == alike(build("- relu", batch=3))


def test_it_reads_as_one_layer_a_line(build: Build) -> None:
    graph = build("""
        inputs: {image: [8, 14, 14]}
        layers:
          - conv1: conv(8, 3, padding=1)
          - act: relu
          - sum: {add: [act, image]}
    """)
    assert write(graph).splitlines() == [
        "name: net",
        "inputs:",
        "  image: [8, 14, 14]",
        "layers:",
        '  - conv1: {"conv(8, 3, padding=1)": [image]}',
        "  - act: {relu: [conv1]}",
        "  - sum: {add: [act, image]}",
        "outputs: [sum]",
    ]


def test_symbols_cannot_be_written(build: Build) -> None:
    with pytest.raises(SpecError, match="the sizes depend on h, n; only a model with numbers can be written out"):
        write(build("- relu", symbols={"batch", "height"}))


def test_a_name_that_no_spec_can_hold_is_refused(build: Build) -> None:
    graph = build("- relu")
    odd = replace(graph, nodes=(graph.nodes[0]._replace(name="a b"),))
    with pytest.raises(SpecError, match="no spec can have a layer called 'a b'"):
        write(odd)


def test_a_graph_without_layers_is_no_spec() -> None:
    graph = GraphBuilder("nothing", {"x": TensorType((1, 3))}).build(["x"])
    with pytest.raises(SpecError, match="nothing does nothing that counts, and a spec has at least one layer"):
        write(graph)


def test_a_spec_for_one_batch_says_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("net.yaml")
    path.write_text(
        "inputs: {x: [4, 6]}\nlayers:\n- token: {'parameter([1, 1, 6])': []}\n- all: {concat(1): [token, x]}\n",
        encoding="utf-8",
    )
    assert costcalc.load(str(path)).types["all"].shape == (1, 5, 6)
    says = (
        r"net.yaml has layers that are written for a batch of 1, and cannot have 4: .*concat along axis 1: .*--batch 4`"
    )
    with pytest.raises(CostcalcError, match=says):
        costcalc.load(str(path), batch=4)
