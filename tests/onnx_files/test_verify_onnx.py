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


def test_a_tensor_of_an_inner_graph_is_not_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime would, since it is handed bytes: what lies there would show in a shape. Beside the file it is."""
    pytest.importorskip("onnxruntime", reason="the test extra brings it")
    onnx = pytest.importorskip("onnx", reason="the test extra brings it")
    helper, types = onnx.helper, onnx.TensorProto
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    elsewhere = types(name="s", data_type=types.INT64, dims=[2], data_location=types.EXTERNAL)
    for key, said in (("location", "sizes.bin"), ("length", "16")):
        entry = elsewhere.external_data.add()
        entry.key, entry.value = key, said
    casts = [helper.make_node("Cast", ["s"], ["f"], to=1), helper.make_node("Cast", ["f"], ["t"], to=7)]
    branch = helper.make_graph(
        [*casts, helper.make_node("ConstantOfShape", ["t"], ["z"])], "branch", [],
        [helper.make_tensor_value_info("z", 1, None)], initializer=[elsewhere],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)], "graph",
        [helper.make_tensor_value_info("c", types.BOOL, [])], [helper.make_tensor_value_info("y", 1, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    file = tmp_path / "there" / "net.onnx"
    file.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "sizes.bin").write_bytes(bytes([7, *[0] * 7, 5, *[0] * 7]))
    assert onnx_file.run(str(file), {"c": ()}) == {"y": (1, 1)}
    (tmp_path / "there" / "sizes.bin").write_bytes(bytes([2, *[0] * 7, 3, *[0] * 7]))
    assert onnx_file.run(str(file), {"c": ()}) == {"y": (2, 3)}
