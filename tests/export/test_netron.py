"""The attachment that Netron reads: its keys are those of its own source (9.3.3, ``metadata.Attachment``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.errors import OptionError
from tests.onnx_files.onnx_writer import Graph, node, saved, tensor, value
from tests.tflite.twins import resnet50

NCNN = """7767517
4 4
Input in 0 1 in 0=8 1=8 2=3
Convolution c::error::1 1 1 in a 0=4 1=3 4=1 5=1 6=108
ReLU r"2 1 1 a b
Convolution third 1 1 b out 0=2 1=1 5=0 6=8
"""


def _metrics(path: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Node → its metrics, and by which key Netron finds it."""
    written = json.loads(costcalc.export("netron", str(path)).text)
    assert written["signature"] == "netron:attachment" and written["metadata"] == []
    (key,) = {key for entry in written["metrics"] for key in ("target", "identifier") if key in entry}
    found: dict[str, dict[str, Any]] = {}
    for entry in written["metrics"]:
        assert entry.keys() == {"kind", key, "name", "value"} and entry["kind"] == "node"
        found.setdefault(entry[key], {})[entry["name"]] = entry["value"]
    return found, key


def test_layers_of_ncnn_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text(NCNN)
    found, key = _metrics(tmp_path / "net.param")
    assert key == "target" and found.keys() == {"c::error::1", 'r"2', "third"}
    # 3×3 over 3 channels to 4 of 8×8 places; 1×1 over 4 to 2. Params: with a bias.
    assert found["c::error::1"]["MACs"] == 8 * 8 * 4 * 27 and found["third"]["MACs"] == 8 * 8 * 8
    assert found["c::error::1"]["share of MACs"] == "93.10 %" and found["c::error::1"]["params"] == 112


def test_nodes_of_onnx_are_found_by_their_names_and_nameless_ones_are_said(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="/first/Conv"),
        node("Relu", ["a"], ["b"]),
        node("Gelu", ["b"], ["y"], name="act"),  # of several layers, where it is none of ours
    ]
    graph = Graph(nodes, [value("x", [1, 2, 5, 5])], [value("y", None)], [tensor("w", [3, 2, 3, 3])])
    path = saved(tmp_path / "net.onnx", graph, opset=20)
    found, key = _metrics(Path(path))
    assert key == "target" and found.keys() == {"/first/Conv", "act"}
    assert found["/first/Conv"]["MACs"] == 9 * 3 * 18
    (note,) = costcalc.export("netron", path).notes
    assert note.endswith("whose operator has no name in the file")


def test_operators_of_tflite_are_found_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(resnet50())
    found, key = _metrics(tmp_path / "net.tflite")
    assert key == "identifier" and all(number.isdecimal() for number in found)
    macs = costcalc.analyze(str(tmp_path / "net.tflite")).total.macs
    assert sum(figures.get("MACs", 0) for figures in found.values()) == macs
    assert list(map(int, found)) == sorted(map(int, found)) and min(map(int, found)) == 0


def test_what_is_no_file_of_operators_is_refused() -> None:
    with pytest.raises(OptionError, match="lenet5 is not an ONNX, TFLite or ncnn file"):
        costcalc.export("netron", "lenet5")


def test_a_file_after_transforms_still_knows_its_operators(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text(NCNN)
    plain = costcalc.export("netron", str(tmp_path / "net.param")).text
    assert costcalc.export("netron", str(tmp_path / "net.param"), fold_norm=True).text == plain
