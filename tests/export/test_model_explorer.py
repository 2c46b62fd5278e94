"""Graphs and overlays for Model Explorer, by the keys of its ``graph_builder`` and ``node_data_builder`` (0.1.34)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from tests.onnx_files import onnx_writer as onnx
from tests.tflite.twins import resnet50

NODE = {"id", "label", "namespace", "attrs", "incomingEdges", "outputsMetadata"}


def _graph(model: Any, **options: Any) -> dict[str, Any]:
    collection = json.loads(costcalc.export("model-explorer", model, **options).text)
    (graph,) = collection["graphs"]
    assert graph["id"] == collection["label"]
    ids = [node["id"] for node in graph["nodes"]]
    assert len(set(ids)) == len(ids)
    for at, node in enumerate(graph["nodes"]):
        assert node.keys() - {"style"} == NODE
        for edge in node["incomingEdges"]:
            assert edge["sourceNodeId"] in ids[:at] and edge["sourceNodeOutputId"].isdecimal()
        pairs = [*node["attrs"], *(pair for one in node["outputsMetadata"] for pair in one["attrs"])]
        assert all(pair.keys() == {"key", "value"} and type(pair["value"]) is str for pair in pairs)
    return graph  # type: ignore[no-any-return]


def _overlay(model: Any, **options: Any) -> dict[str, Any]:
    written = json.loads(costcalc.export("node-data", model, **options).text)
    assert written.keys() == {"name", "results", "gradient"}
    assert written["gradient"][0]["stop"] == 0 and written["gradient"][-1]["stop"] == 1
    return written  # type: ignore[no-any-return]


def _attributes(node: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in node["attrs"]}


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v2", "vit_b_16", "unet"])
def test_a_graph_has_all_layers_with_their_figures(model: str) -> None:
    report = costcalc.analyze(model)
    graph = _graph(model)
    layers = {node["id"]: node for node in graph["nodes"] if not node["id"].startswith("[input]")}
    assert list(layers) == [layer.name for layer in report.layers]
    for layer in report.layers:
        attributes = _attributes(layers[layer.name])
        assert attributes["MACs"].replace(",", "") == str(layer.macs) and attributes["kind"] == layer.kind
        assert layers[layer.name]["namespace"] == "/".join(layer.name.split(".")[:-1])
        assert ("style" in layers[layer.name]) == bool(layer.macs)
    groups = graph["groupNodeAttributes"]
    assert groups[""]["MACs"].replace(",", "") == str(report.total.macs)
    for block in report.blocks:
        space = block.name.replace(".", "/")
        assert groups[space]["MACs"].replace(",", "") == str(block.macs)
        matching = [one for one in graph["groupNodeConfigs"] if re.search(one["namespaceRegex"], space)]
        assert len(matching) == bool(block.macs)


def test_the_layer_with_the_most_has_the_strongest_colour() -> None:
    graph = _graph("lenet5")
    report = costcalc.analyze("lenet5")
    most = max(report.layers, key=lambda layer: layer.macs)
    colours = {node["id"]: node["style"]["backgroundColor"] for node in graph["nodes"] if "style" in node}
    assert colours[most.name] == "#e86622" and list(colours.values()).count("#e86622") == 1


@pytest.mark.parametrize(
    ("by", "title", "unit"), [("macs", "MACs", 1), ("params", "params", 1), ("traffic", "traffic (bytes)", 8)]
)
def test_an_overlay_adds_up_to_the_total(by: str, title: str, unit: int) -> None:
    report = costcalc.analyze("mobilenet_v2")
    written = _overlay("mobilenet_v2", by=by)
    assert written["name"] == title
    values = {name: result["value"] for name, result in written["results"].items()}
    assert values.keys() == {layer.name for layer in report.layers}
    of = {"macs": report.total.macs, "params": report.total.params, "traffic": report.total.traffic_bits}
    assert sum(values.values()) * unit == of[by]


def test_an_overlay_of_time_is_in_microseconds() -> None:
    total = costcalc.analyze("resnet18", machine="a100").total.time
    written = _overlay("resnet18", by="time", machine="a100")
    assert written["name"] == "time (µs)" and total is not None
    assert sum(r["value"] for r in written["results"].values()) == pytest.approx(1e6 * total.seconds)


def test_operators_of_onnx_and_our_layers_are_both_found(tmp_path: Path) -> None:
    nodes = [
        onnx.node("Conv", ["x", "w"], ["a"], name="/first/Conv"),
        onnx.node("Conv", ["a", "v"], ["b"]),
        onnx.node("Gelu", ["b"], ["y"], name="act"),
    ]
    weights = [onnx.tensor("w", [3, 2, 3, 3]), onnx.tensor("v", [4, 3, 1, 1])]
    graph = onnx.Graph(nodes, [onnx.value("x", [1, 2, 5, 5])], [onnx.value("y", None)], weights)
    path = onnx.saved(tmp_path / "net.onnx", graph, opset=20)
    results = _overlay(path)["results"]
    report = costcalc.analyze(path)
    assert results["/first/Conv"]["value"] == 9 * 3 * 18
    ids = [node["id"] for node in _graph(path)["nodes"] if not node["id"].startswith("[input]")]
    assert sum(results[name]["value"] for name in ids) == report.total.macs and len(ids) == len(report.layers)


def test_an_operator_that_is_several_layers_is_their_sum_and_keeps_its_name() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 3, 8, 8))})
    b.add("a", find_op("conv")(4, 1), ["x"])
    b.add("c", find_op("conv")(2, 1), ["a"])
    b.add("toString", find_op("conv")(2, 1), ["c"])
    b.operators |= {"a": "c", "c": "c", "toString": "7"}
    results = {key: result["value"] for key, result in _overlay(b.build(["toString"]))["results"].items()}
    assert results == {
        "a": 768, "c [layer]": 512, "toString [layer]": 256, "c": 768 + 512, "7": 256,
    }  # fmt: skip


def test_operators_of_tflite_are_found_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(resnet50())
    results = _overlay(str(tmp_path / "net.tflite"))["results"]
    macs = costcalc.analyze(str(tmp_path / "net.tflite")).total.macs
    assert sum(result["value"] for key, result in results.items() if key.isdecimal()) == macs


def test_layers_without_a_rule_have_no_colour_and_that_is_said() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 3, 8, 8))})
    b.add("odd", find_op("uncounted")("mystery", ((1, 3, 8, 8),), ("float32",)), ["x"])
    b.add("conv", find_op("conv")(4, 3), ["odd"])
    graph = b.build(["conv"])
    written = costcalc.export("node-data", graph)
    assert json.loads(written.text)["results"].keys() == {"conv"}
    assert written.notes == ("layers without a colour, since it is unknown of them: 1 of 2",)
    # A gradient from the least to the most has no colour where these are equal.
    assert json.loads(written.text)["results"]["conv"]["bgColor"] == "#e6550d"
    drawn = _graph(graph)
    odd = next(node for node in drawn["nodes"] if node["id"] == "odd")
    assert "style" not in odd and "not counted" in _attributes(odd) and "MACs" not in _attributes(odd)
    assert drawn["groupNodeAttributes"][""]["MACs"] == "≥3,888"


HOSTILE = (
    "a/b",
    "<img src=x>",
    "::error::x",
    "##[error]",
    "line\nbreak",
    "(a+)+$",
    "[x]",
    "constructor",
    "__proto__",
    "a",
)


def _strange() -> Graph:
    b = GraphBuilder("strange", {"image": TensorType((1, 3, 8, 8))})
    value = "image"
    for name in HOSTILE:
        (value,) = b.add(f"{name}.{name}", find_op("conv")(3, 1), [value])
    for name in HOSTILE:
        (value,) = b.add(b.free_name(name), find_op("conv")(3, 1), [value])
    return b.build([value])


def test_names_stay_names() -> None:
    graph = _strange()
    drawn = _graph(graph)
    ids = [node["id"] for node in drawn["nodes"]][1:]
    assert [name.removesuffix(" [layer]") for name in ids] == [node.name for node in graph.nodes]
    assert not {"constructor", "__proto__"} & set(ids)
    for one in drawn["groupNodeConfigs"]:  # each matches the block that it is of, and nothing else
        found = [name for name in HOSTILE if re.search(one["namespaceRegex"], name.replace("/", "∕"))]
        assert len(found) == 1
    assert _overlay(graph)["results"].keys() == set(ids)
    for kind in ("model-explorer", "node-data"):
        assert not re.search(r"^\s*::|##[a-z]*\[", costcalc.export(kind, graph).text, re.MULTILINE)


def test_sizes_that_are_open_are_refused() -> None:
    b = GraphBuilder("net", {"x": TensorType((Expr.symbol("n"), 3))})
    b.add("fc", find_op("linear")(4), ["x"])
    with pytest.raises(CostcalcError, match="is a formula"):
        costcalc.export("node-data", b.build(["fc"]))


# -- the extension ---------------------------------------------------------------------------------


def test_model_explorer_loads_the_extension_and_runs_it(tmp_path: Path) -> None:
    pytest.importorskip("model_explorer", reason="Model Explorer is not installed")
    from model_explorer.extension_manager import ExtensionManager

    manager = ExtensionManager(["costcalc"])
    manager.load_extensions()
    names = {ext.metadata.id: ext for ext in manager.extensions}
    assert names["costcalc"].metadata.fileExts == ["onnx", "param", "yaml", "yml"] and "costcalc_figures" in names
    nodes = [onnx.node("Conv", ["x", "w"], ["y"], name="/c/Conv")]
    path = onnx.saved(
        tmp_path / "net.onnx",
        onnx.Graph(nodes, [onnx.value("x", [1, 2, 5, 5])], [onnx.value("y", None)], [onnx.tensor("w", [3, 2, 3, 3])]),
    )
    command = {"cmdId": "convert", "extensionId": "costcalc", "modelPath": path, "settings": {}}
    (graph,) = manager.run_cmd(command | {"deleteAfterConversion": False})["graphs"]
    ids = [node["id"] for node in graph["nodes"]]
    for by, value in (("macs", 9 * 3 * 18), ("params", 54)):
        ask = {"cmdId": "run", "extensionId": "costcalc_figures", "modelPath": path, "graphId": graph["id"]}
        found = manager.run_cmd(ask | {"configValues": {"by": by, "machine": "", "bits": ""}, "graph": graph})
        assert {key: one["value"] for key, one in found["result"]["results"].items()} == {ids[1]: value}
    for values, says in (
        ({"by": "time"}, "time needs --machine"),
        ({"bits": "many"}, "bits are a whole number, not many"),
        ({"machine": "nowhere"}, "nowhere"),
    ):
        found = manager.run_cmd(ask | {"configValues": values, "graph": graph})
        assert says in found["error"] and found["result"] is None
    found = manager.run_cmd(ask | {"modelPath": str(tmp_path / "net.py"), "configValues": {}, "graph": graph})
    assert found["error"] == f"{tmp_path}/net.py is no ONNX, TFLite or ncnn file and no spec"[-len(found["error"]) :]
