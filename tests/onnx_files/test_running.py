"""Running sums and products of ONNX files: forwards and backwards, with each element in its own result or not."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.receptive_fields import receptive_fields
from costcalc.backends.module import to_module
from costcalc.frontends.spec.write import write
from costcalc.ops.scan import Scan
from tests.onnx_files.onnx_writer import Graph, node, saved, scalar, value

np = pytest.importorskip("numpy")
HOW = [*product((0, 1), (0, 1))]


def running(path: Path, operator: str, exclusive: int, reverse: int) -> Path:
    nodes = [node(operator, ["x", "a"], ["y"], exclusive=exclusive, reverse=reverse)]
    shape = [1, 2, 5]
    saved(path, Graph(nodes, [value("x", shape)], [value("y", shape)], [scalar("a", 2)]))
    return path


@pytest.mark.parametrize(("exclusive", "reverse"), HOW)
def test_a_written_spec_is_the_function_that_onnx_runtime_runs(exclusive: int, reverse: int, tmp_path: Path) -> None:
    ort, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    file = running(tmp_path / "net.onnx", "CumSum", exclusive, reverse)
    spec = tmp_path / "net.yaml"
    spec.write_text(write(load(str(file))), encoding="utf-8")
    x = np.arange(10, dtype=np.float32).reshape(1, 2, 5) + 1
    (theirs,) = ort.InferenceSession(str(file)).run(None, {"x": x})
    assert np.array_equal(to_module(load(str(spec)))(torch.from_numpy(x)).numpy(), theirs)


@pytest.mark.parametrize(("exclusive", "reverse"), HOW)
def test_a_product_is_no_sum(exclusive: int, reverse: int, tmp_path: Path) -> None:
    (only,) = load(str(running(tmp_path / "net.onnx", "CumProd", exclusive, reverse))).nodes
    assert only.op == Scan(2, function="cumprod", reverse=bool(reverse), exclusive=bool(exclusive))


@pytest.mark.parametrize("reverse", [False, True])
def test_what_no_result_holds_is_not_seen(reverse: bool, tmp_path: Path) -> None:
    """Of 5 places 4 are in the fullest result, and a convolution of 3 before it sees one more at either end."""
    path = tmp_path / "net.yaml"
    running = f"scan(2, exclusive=true, reverse={str(reverse).lower()})"
    path.write_text(f"inputs: {{x: [2, 5]}}\nlayers:\n- a: conv(2, 1)\n- b: {running}\n", encoding="utf-8")
    graph = load(str(path))
    field = receptive_fields(graph).of[graph.outputs[0]]
    assert isinstance(field, ReceptiveField) and field.size == (4,)
