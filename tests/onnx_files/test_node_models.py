"""The models that the package onnx tests its backends with, one operator each: our shapes against its results.

Small inputs that say shapes, axes and counts are written into each file as constants, as exporters have them. All 1,884
of onnx 1.23.2 are tried, in the long run alone, since the package takes seconds to make them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError
from costcalc.frontends.onnx.rules import NO_RULE, OPERATORS
from tests.onnx_files.onnx_writer import FLOAT, UINT8, Graph, node, saved, tensor, value

onnx = pytest.importorskip("onnx")
numpy = pytest.importorskip("numpy")
ASKED = (
    "so that nothing can be counted from it", "say what they are: --set", "it has no outputs",
    "the file does not say the shape of its output", "elements do not fit into 3×4×0",
)  # fmt: skip
"""What may be said of a file: it takes texts or sequences, or leaves open what its input would say."""
WITHOUT = {
    # Weights that are inputs; sizes that the first input says; regions that are cut out first; a scan of opset 8.
    "GRU", "LSTM", "RNN", "ConstantOfShape", "BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix",
    "Resize", "Col2Im", "DeformConv", "Scan",
}  # fmt: skip


def _cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():  # casts that overflow are what some are about
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases("") if case.model is not None and case.data_sets]


def _with_constants(case: Any) -> Any:
    """The model with the small inputs after its first as constants."""
    made = onnx.ModelProto()
    made.CopyFrom(case.model)
    inputs, _ = case.data_sets[0]
    for declared, given in list(zip(made.graph.input, inputs, strict=False))[1:]:
        if not isinstance(given, (numpy.ndarray, numpy.generic)) or not declared.type.HasField("tensor_type"):
            continue
        elements = numpy.asarray(given)
        if elements.size <= 64 and (elements.dtype.kind in "iub" or elements.size <= 4):
            held = onnx.numpy_helper.from_array(elements, declared.name)
            if held.data_type == declared.type.tensor_type.elem_type:
                made.graph.initializer.append(held)
    return made


def _tried(cases: list[Any], path: Path) -> int:
    compared = 0
    known = {name for names in NO_RULE.values() for name in names.split()}
    for case in cases:
        path.write_bytes(_with_constants(case).SerializeToString())
        try:
            graph = load(str(path))
        except CostcalcError as error:
            assert any(words in error.message for words in ASKED), (case.name, error.message)
            continue
        uncounted = {n.op.kind(*graph.input_types(n)).rpartition("::")[2] for n in graph.nodes if not n.op.is_counted}
        assert uncounted <= known | WITHOUT, case.name
        _, outputs = case.data_sets[0]
        if graph.sizes or len(outputs) != len(graph.outputs) or "allowzero" in case.name:
            continue  # values decide, or a sequence is its elements
        for made, wanted in zip(graph.outputs, outputs, strict=True):
            if hasattr(wanted, "shape") and 0 not in wanted.shape:
                assert graph.types[made].shape == tuple(wanted.shape), case.name
                compared += 1
    return compared


@pytest.mark.long
def test_shapes_of_all_single_operators(tmp_path: Path) -> None:
    assert _tried(_cases(), tmp_path / "net.onnx") > 1700


def test_each_operator_of_the_newest_opset_has_a_rule_or_a_reason() -> None:
    known = {name for names in NO_RULE.values() for name in names.split()}
    missing = [
        (schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas()
        if (schema.domain, schema.name) not in OPERATORS and schema.name not in known
    ]
    assert not missing


def test_why_an_operator_is_not_counted_is_told(tmp_path: Path) -> None:
    nodes = [node("BeamSearch", ["x"], ["y"], domain="com.microsoft", name="search")]
    net = saved(tmp_path / "net.onnx", Graph(nodes, [value("x", [1, 4])], [value("y", [1, 4])]))
    assert "BeamSearch is not counted: it runs a network as often as what that makes decides" in load(net).assumed


def test_products_of_few_bits_that_are_joined(tmp_path: Path) -> None:
    def weights(name: str, out: int, inner: int) -> list[bytes]:
        blocks = -(-inner // 32)
        return [tensor(f"{name}.w", [out, blocks, 16], kind=UINT8), tensor(f"{name}.s", [out, blocks], kind=FLOAT)]

    norm = tensor("norm", [64])
    mlp = node(
        "MatMulNBitsMlp", ["x", "", "norm", "gate.w", "gate.s", "", "up.w", "up.s"], ["y"], domain="com.microsoft",
        name="mlp", K=64, N=160, bits=4, block_size=32,
    )  # fmt: skip
    tensors = [norm, *weights("gate", 160, 64), *weights("up", 160, 64)]
    graph = load(saved(tmp_path / "mlp.onnx", Graph([mlp], [value("x", [1, 5, 64])], [value("y", None)], tensors)))
    assert report(graph).total.macs == 5 * 2 * 160 * 64
    assert graph.types[graph.outputs[0]].shape == (1, 5, 160)
    qkv = node(
        "MatMulNBitsQkv", ["x", "", "norm", "q.w", "q.s", "", "k.w", "k.s", "", "v.w", "v.s"], ["q", "k", "v"],
        domain="com.microsoft", name="qkv", K=64, Nq=64, Nkv=32, bits=4, block_size=32,
    )  # fmt: skip
    tensors = [norm, *weights("q", 64, 64), *weights("k", 32, 64), *weights("v", 32, 64)]
    outputs = [value(name, None) for name in "qkv"]
    graph = load(saved(tmp_path / "qkv.onnx", Graph([qkv], [value("x", [1, 5, 64])], outputs, tensors)))
    assert report(graph).total.macs == 5 * 64 * (64 + 32 + 32)
    assert [graph.types[v].shape[-1] for v in graph.outputs] == [64, 32, 32]


def test_distances_are_a_product_and_lengths(tmp_path: Path) -> None:
    nodes = [node("CDist", ["x", "y"], ["d"], domain="com.microsoft", name="far", metric="euclidean")]
    net = saved(tmp_path / "net.onnx", Graph(nodes, [value("x", [7, 3]), value("y", [5, 3])], [value("d", None)]))
    graph = load(net)
    assert report(graph).total.macs == 7 * 5 * 3
    assert graph.types[graph.outputs[0]].shape == (7, 5)


def test_scores_that_a_graph_changes(tmp_path: Path) -> None:
    halved = Graph([node("Mul", ["s", "half"], ["t"], name="half")], [value("s", None)], [value("t", None)])
    nodes = [node("FlexAttention", ["q", "k", "v"], ["y"], domain="ai.onnx.preview", name="attn", score_mod=halved)]
    inputs = [value("q", [2, 6, 5, 8]), value("k", [2, 3, 7, 8]), value("v", [2, 3, 7, 4])]
    graph = load(saved(tmp_path / "net.onnx", Graph(nodes, inputs, [value("y", None)], [tensor("half", [1, 6, 1, 1])])))
    assert report(graph).total.macs == 2 * 6 * 5 * 7 * (8 + 4)  # shared keys are multiplied by all heads of queries
    assert graph.types[graph.outputs[0]].shape == (2, 6, 5, 4)


def test_averages_of_windows_that_lie_apart(tmp_path: Path) -> None:
    nodes = [node("AveragePool", ["x"], ["y"], name="pool", kernel_shape=[3, 3], dilations=[2, 2], strides=[1, 2])]
    graph = load(saved(tmp_path / "net.onnx", Graph(nodes, [value("x", [1, 4, 9, 9])], [value("y", None)])))
    found = report(graph)
    assert graph.types[graph.outputs[0]].shape == (1, 4, 5, 3)
    assert found.total.ops == 4 * 5 * 3 * 9
