"""``verify`` of a TFLite file: a run of it, and its own elements."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc.errors import CostcalcError
from costcalc.frontends.sources import Request
from costcalc.verification import tflite_file
from tests.tflite.writing_tflite import File


def _net(folder: Path) -> str:
    """A convolution of eight-bit weights, then a dense layer."""
    f = File()
    x, a = f.tensor("x", 1, 8, 8, 3), f.tensor("a", 1, 4, 4, 5)
    f.operator(
        "CONV_2D", [x, f.weight("w", 5, 3, 3, 3), f.weight("b", 5)], [a],
        {0: ("byte", 0), 1: ("int", 2), 2: ("int", 2), 3: ("byte", 1)},
    )  # fmt: skip
    y = f.tensor("y", 1, 7)
    f.operator("FULLY_CONNECTED", [a, f.weight("v", 7, 80), -1], [y], {})
    path = folder / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    return str(path)


def test_a_run_has_our_shapes_and_the_file_our_elements(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the test extra brings it on Linux")
    (shapes, differ), (elements, others) = tflite_file.witnessed(_net(tmp_path), Request(batch=3))
    assert (shapes.compared, shapes.of, shapes.note, differ) == (2, 2, "", [])
    assert (elements.compared, others) == (3, [])


def test_a_shape_that_differs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_file, "missing", lambda: False)
    monkeypatch.setattr(tflite_file, "run", lambda path, inputs: {0: (1, 8, 8, 3), 1: (1, 4, 3, 5), 4: (1, 7)})
    (shapes, differ), _ = tflite_file.witnessed(_net(tmp_path), Request())
    assert shapes.compared == 2
    assert [(d.layer, d.ours, d.theirs, d.witness) for d in differ] == [("a", "1×4×4×5", "1×4×3×5", "LiteRT")]


def test_an_engine_that_is_not_there_or_breaks_off_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_file, "missing", lambda: True)
    (shapes, differ), _ = tflite_file.witnessed(_net(tmp_path), Request())
    assert not shapes.compared and "costcalc[tflite]" in shapes.note and differ == []
    monkeypatch.setattr(tflite_file, "missing", lambda: False)
    monkeypatch.setattr(tflite_file, "_RUN", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (shapes, _), _ = tflite_file.witnessed(_net(tmp_path), Request())
    assert not shapes.compared and shapes.note == "LiteRT does not run it: signal 9 ended it"
    monkeypatch.setattr(tflite_file, "_RUN", "raise ValueError('no such operator')")
    with pytest.raises(CostcalcError, match="LiteRT does not run it: ValueError: no such operator"):
        tflite_file.run("net.tflite", {})


def test_elements_that_no_layer_holds_are_said(tmp_path: Path) -> None:
    """Of a file with a table that an operator reads by its shape alone."""
    f = File()
    x, y = f.tensor("x", 2, 3), f.tensor("y", 2, dtype="int32")
    f.operator("SHAPE", [f.weight("table", 2, 3)], [y], {0: ("byte", 2)})
    z = f.tensor("z", 2, 3)
    f.operator("RELU", [x], [z])
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [z]))
    _, (elements, differ) = tflite_file.witnessed(str(path), Request())
    assert elements.compared == 1
    assert [(d.ours, d.theirs) for d in differ] == [("0 in 0 tensors", "6 in 1 tensors")]
