"""Operators that engines make, by the products that they are: MACs by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costcalc import analyze
from tests.onnx_files.onnx_writer import INT8, INT32, UINT8, Graph, node, saved, scalar, tensor, value

MS, NCHWC = "com.microsoft", "com.microsoft.nchwc"
SCORES = 2 * (2 * 4 * 6 * 6 * 8)
"""Scores and mixing of 4 heads of width 8, for 2 sequences of 6."""

CASES: dict[str, tuple[list[bytes], list[int], list[bytes], int]] = {
    "a conv with a sum and an activation": (
        [node("FusedConv", ["x", "w", "b", "x"], ["y"], domain=MS, activation="Relu", pads=[1, 1, 1, 1])],
        [1, 4, 5, 5], [tensor("w", [4, 4, 3, 3]), tensor("b", [4])], 4 * 4 * 9 * 25,
    ),
    "a product with both sides transposed": (
        [node("FusedMatMul", ["x", "w"], ["y"], domain=MS, transA=1, transB=1, alpha=0.5)],
        [7, 5], [tensor("w", [6, 7])], 5 * 7 * 6,
    ),
    "attention that projects": (
        [node("Attention", ["x", "w", "b"], ["y"], domain=MS, num_heads=4)],
        [2, 6, 32], [tensor("w", [32, 96]), tensor("b", [96])], 2 * 6 * 32 * 96 + SCORES,
    ),
    "attention of three inputs": (
        [node("MultiHeadAttention", ["x", "x", "x"], ["y"], domain=MS, num_heads=4)], [2, 6, 32], [], SCORES,
    ),
    "grouped queries, all in one, after a past of 10": (
        [node("GroupQueryAttention", ["x", "", "", "k", "v", "n", "t"], ["y", "a", "b"], domain=MS, num_heads=4,
              kv_num_heads=2)],
        [2, 6, 64], [tensor("k", [2, 2, 10, 8]), tensor("v", [2, 2, 10, 8]), tensor("n", [2], None, INT32),
                     tensor("t", [1], None, INT32)],
        2 * (2 * 4 * 6 * 16 * 8),
    ),
    "ONNX's own attention, heads apart": (
        [node("Attention", ["x", "x", "x"], ["y"], q_num_heads=4, kv_num_heads=4)], [2, 6, 32], [], SCORES,
    ),
    "a norm of a sum": (
        [node("SkipLayerNormalization", ["x", "x", "g", "b", "c"], ["y", "", "", "s"], domain=MS)],
        [2, 6, 32], [tensor("g", [32]), tensor("b", [32]), tensor("c", [32])], 0,
    ),
    "blocks of 8 for 3 channels": (
        [node("Conv", ["x", "w"], ["a"], domain=NCHWC, pads=[1, 1, 1, 1]),
         node("ReorderOutput", ["a"], ["y"], domain=NCHWC, channels=3)],
        [1, 4, 5, 5], [tensor("w", [8, 4, 3, 3])], 8 * 4 * 9 * 25,
    ),
    "whole numbers": (
        [node("MatMulInteger", ["q", "w"], ["y"])], [3, 8], [tensor("q", [3, 8], None, UINT8),
                                                             tensor("w", [8, 5], None, INT8)], 0,
    ),
    "quantised while it runs": (
        [node("DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], domain=MS)],
        [3, 8], [tensor("w", [8, 5], None, INT8), scalar("s", 0.5, 1)], 3 * 8 * 5,
    ),
    "linear attention by the delta rule": (
        [node("LinearAttention", ["x", "x", "x"], ["y", "s"], q_num_heads=4, kv_num_heads=4, update_rule="delta")],
        [2, 6, 32], [], 3 * (2 * 4 * 6 * 8 * 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_macs_are_those_of_the_products(tmp_path: Path, name: str) -> None:
    nodes, x, tensors, macs = CASES[name]
    graph = Graph(nodes, [value("x", x)], [value("y", None)], tensors)
    report: Any = analyze(saved(tmp_path / "net.onnx", graph, opset=27, com__microsoft=1))
    assert report.total.macs == macs and not report.uncounted


def test_channels_that_only_fill_a_block_are_said(tmp_path: Path) -> None:
    nodes, x, tensors, _ = CASES["blocks of 8 for 3 channels"]
    file = saved(tmp_path / "net.onnx", Graph(nodes, [value("x", x)], [value("y", None)], tensors))
    assert analyze(file).assumptions == ("a has 3 channels, padded to 8, with which its layers compute",)
