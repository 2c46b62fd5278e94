"""``verify`` of an ONNX file: a run of it, and its own elements."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc.frontends.sources import Request
from costcalc.verification import onnx_file
from tests.onnx_files.onnx_page_example import write
from tests.onnx_files.onnx_writer import Graph, node, saved, tensor, value

SIZES = Request(parameters={"height": 20, "width": 17})


def test_a_file_without_its_weights_is_run_with_ones(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the test extra brings it")
    pytest.importorskip("onnx", reason="the test extra brings it")
    write(tmp_path)
    (shapes, differ), (elements, others) = onnx_file.witnessed(str(tmp_path / "net.onnx"), SIZES)
    assert (shapes.compared, shapes.of, differ) == (5, 5, [])
    assert (elements.compared, others) == (4, [])


def test_a_shape_that_differs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setattr(onnx_file, "missing", list)
    monkeypatch.setattr(onnx_file, "run", lambda name, inputs: {"a": (1, 16, 10, 10), "y": (1, 10)})
    (_, differ), _ = onnx_file.witnessed(str(tmp_path / "net.onnx"), SIZES)
    assert [(d.layer, d.ours, d.theirs) for d in differ] == [("a", "1×16×10×9", "1×16×10×10")]


def test_a_tensor_that_no_layer_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nothing reads is a layer of its own, so that all elements are there; a table that is looked at is none."""
    graph = Graph([node("Relu", ["x"], ["y"])], [value("x", [2])], [value("y", None)], [tensor("idle", [3, 4])])
    file = saved(tmp_path / "net.onnx", graph)
    monkeypatch.setattr(onnx_file, "missing", lambda: ["onnx"])
    (shapes, _), (elements, others) = onnx_file.witnessed(file, Request())
    assert shapes.note == "onnx missing" and others == []
    assert elements.compared == 1
