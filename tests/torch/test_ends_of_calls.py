"""How calls of PyTorch are read at the ends of what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import costcalc  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402


class Written(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def traced(function: Callable[[Tensor], Any], *shape: int) -> Graph:
    return costcalc.trace(Written(function), shape)


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("high, name", [(6.0, "relu6"), (7.0, "hardtanh"), (5.0, "hardtanh")])
def test_a_clip_from_0_to_6_is_a_relu6(high: float, name: str) -> None:
    assert ops(traced(lambda x: F.hardtanh(x, 0.0, high), 1, 3)) == [name]


def test_joining_makes_no_copies_of_what_has_another_type() -> None:
    assert ops(traced(lambda x: torch.cat([x, x * 2]), 2, 3)) == ["elementwise", "concat"]
    graph = traced(lambda x: torch.cat([x, (x * 2).double()]), 2, 3)
    assert ops(graph) == ["elementwise", "elementwise", "concat"]
    assert graph.types[graph.outputs[0]].dtype == "float64"


@pytest.mark.parametrize("sizes, cuts", [([0, 2, 3], 1), ([0, 5], 0), ([1, 2, 2], 1)])
def test_pieces_without_elements_cut_nothing(sizes: list[int], cuts: int) -> None:
    graph = traced(lambda x: [piece * 2 for piece in torch.split(x, sizes)], 5, 3)
    assert ops(graph).count("split") == cuts
    made = [graph.types[v].shape[0] for v in graph.outputs]
    assert made == sizes


@pytest.mark.parametrize("kernel", [2, 3])
def test_an_unpooling_has_the_kernel_that_was_pooled(kernel: int) -> None:
    pool, unpool = nn.MaxPool2d(kernel, return_indices=True), nn.MaxUnpool2d(kernel)
    graph = traced(lambda x: unpool(*pool(x)), 1, 2, 6, 12)
    (node,) = [n for n in graph.nodes if n.op.name == "max_unpool"]
    assert node.op.kernel == kernel  # type: ignore[attr-defined]
    assert graph.types[graph.outputs[0]].shape == (1, 2, 6, 12)
