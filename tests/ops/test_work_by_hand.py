"""The work of ops that no equation and no other counter proves, counted by hand from what each op says it counts.

``docs/counting.md`` has the rules, and its own table the layers that do the same for each output element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import costcalc
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(shape, dtype)


ENDS = t(3, dtype="int32")
WORK: dict[str, tuple[Any, int, int]] = {
    # use: (op and its inputs, MACs, ops)
    "no bias adds nothing to a linear layer": ([find_op("linear")(5, bias=False), t(2, 3)], 2 * 5 * 3, 0),
    "nor to a transposed convolution": ([find_op("conv_transpose")(2, 2, bias=False), t(1, 3, 4)], 4 * 3 * 2 * 2, 0),
    # Scores: 2 images × 2 heads × 3 × 3. Biases: of query, key, value and output 2 × 3 × 4 elements each.
    "attention to itself": (
        [find_op("multi_head_attention")(2), t(2, 3, 4)],
        4 * (6 * 4 * 4) + 2 * (2 * 3 * 3 * 4),
        6 * 36 + 4 * 24,
    ),
    # Of 5 keys of width 6, keys and values are 2 × 5 × 4 each.
    "attention to a memory": (
        [find_op("multi_head_attention")(2), t(2, 3, 4), t(2, 5, 6)],
        2 * (6 * 4 * 4) + 2 * (10 * 6 * 4) + 2 * (2 * 3 * 5 * 4),
        6 * (2 * 2 * 3 * 5) + 2 * 24 + 2 * 40,
    ),
    "attention to a memory, without biases": (
        [find_op("multi_head_attention")(2, bias=False), t(2, 3, 4), t(2, 5, 6)],
        2 * (6 * 4 * 4) + 2 * (10 * 6 * 4) + 2 * (2 * 3 * 5 * 4),
        6 * (2 * 2 * 3 * 5),
    ),
    # Each of 2 × 5 outputs: W · b is 3 × 4, a times that 3.
    "a bilinear form": ([find_op("bilinear")(5), t(2, 3), t(2, 4)], 10 * (3 * 4 + 4), 10),
    "a bilinear form without bias": ([find_op("bilinear")(5, bias=False), t(2, 3), t(2, 4)], 10 * (3 * 4 + 4), 0),
    # Pairs: 2 × 4 × 5, of 3 coordinates each.
    "distances pair by pair": ([find_op("distances")(), t(2, 4, 3), t(2, 5, 3)], 0, 3 * 40 * 3),
    # A product of (4, 3 + 2) with (3 + 2, 5).
    "distances by a product": (
        [find_op("distances")(by_product=True), t(4, 3), t(5, 3)], 4 * 5 * (3 + 2), 3 * 12 + 2 * 15,
    ),
    "rows with a matrix for each group": ([find_op("grouped_matmul")(), t(6, 4), t(3, 4, 5), ENDS], 6 * 4 * 5, 0),
    "a product for each group": ([find_op("grouped_matmul")(), t(6, 4), t(4, 5), ENDS], 6 * 4 * 5, 0),
    # 5 steps × 2 sequences × 4 elements of the state; facts of the cells in each op's docstring.
    "an LSTM": ([find_op("lstm")(4), t(5, 2, 3)], 10 * 4 * 4 * (3 + 4), 10 * 4 * (22 + 8)),
    "an LSTM without biases": ([find_op("lstm")(4, bias=False), t(5, 2, 3)], 10 * 4 * 4 * (3 + 4), 10 * 4 * 22),
    "a GRU both ways": (
        [find_op("gru")(4, bidirectional=True), t(5, 2, 3)], 2 * 10 * 3 * 4 * (3 + 4), 2 * 10 * 4 * (17 + 6),
    ),
    # The second layer's input is the first one's state, 4 wide.
    "an RNN of two layers": (
        [find_op("rnn")(4, 2), t(5, 2, 3)], 10 * 4 * (3 + 4) + 10 * 4 * (4 + 4), 2 * 10 * 4 * (2 + 2),
    ),
    # 5 boxes are 10 pairs.
    "boxes that overlap": ([find_op("nms")(3), t(5, 4), t(5)], 0, 13 * 10),
    # 3 regions × 8 channels × 2 × 2 bins, 3 × 3 points each.
    "regions by interpolation": ([find_op("roi_align")(2, 3), t(1, 8, 6, 6), t(3, 5)], 0, 96 * 9 * 8),
    "regions sampled by their size count 2 × 2 points": (
        [find_op("roi_align")(2, 0), t(1, 8, 6, 6), t(3, 5)], 0, 96 * 4 * 8,
    ),
    # A region is half of 6 × 8 along each axis.
    "regions by their maximum": ([find_op("roi_pool")(2), t(1, 8, 6, 8), t(3, 5)], 0, 3 * 8 * (3 * 4)),
    "weights of a length": ([find_op("weight_norm")(), t(4, 3), t(4, 1)], 0, 4 * 12),
    # A sum of 4, 8 and 16 weighted elements; the nearest one is chosen.
    "sampling between 4 pixels": ([find_op("grid_sample")(), t(2, 3, 4, 5), t(2, 6, 7, 2)], 0, 252 * 7),
    "sampling between 8 voxels": ([find_op("grid_sample")(), t(1, 2, 4, 4, 4), t(1, 3, 3, 3, 3)], 0, 54 * 15),
    "sampling between 16 pixels": ([find_op("grid_sample")("bicubic"), t(1, 2, 5, 5), t(1, 3, 3, 2)], 0, 18 * 31),
    "sampling the nearest pixel": ([find_op("grid_sample")("nearest"), t(2, 3, 4, 5), t(2, 6, 7, 2)], 0, 0),
    # 5·n·log₂ n for 3 rows of 8, half of it for real ones; and of 3 columns, rounded up to 2 doublings.
    "a transform of complex rows": ([find_op("fourier")((-1,)), t(3, 8, dtype="complex64")], 0, 3 * 5 * 8 * 3),
    "a transform of real rows": ([find_op("fourier")((-1,)), t(3, 8)], 0, 3 * 5 * 8 * 3 // 2),
    "a transform back to real rows": (
        [find_op("fourier")((-1,), 8), t(3, 5, dtype="complex64")], 0, 3 * 5 * 8 * 3 // 2,
    ),
    "a transform of real rows and columns": ([find_op("fourier")((0, 1)), t(3, 8)], 0, 5 * 24 * (2 + 3) // 2),
    "putting elements somewhere": ([find_op("scatter")(), t(4, 5), t(2, 5)], 0, 0),
    "adding 3 × 5 elements somewhere": (
        [find_op("scatter")(adds=True), t(4, 5), t(3, dtype="int64"), t(3, 5)], 0, 15,
    ),
    # n·⌈log₂ n⌉ for each of 2 rows; of the largest 3 n·2; of the largest one n.
    "sorting": ([find_op("sort")(), t(2, 8)], 0, 2 * 8 * 3),
    "the largest three": ([find_op("sort")(1, 3), t(2, 9)], 0, 2 * 9 * 2),
    "the largest one": ([find_op("sort")(1, 1), t(2, 9)], 0, 2 * 9),
    "a running sum": ([find_op("scan")(1), t(2, 9)], 0, 18),
    # 3 results of 8 elements each.
    "extrema": ([find_op("reduction")("amax", (0, 2)), t(2, 3, 4)], 0, 24 - 3),
    "both extrema": ([find_op("reduction")("aminmax", (0, 2)), t(2, 3, 4)], 0, 2 * (24 - 3)),
    "variance": ([find_op("reduction")("var", (0, 2)), t(2, 3, 4)], 0, 4 * 24),
    "norms": ([find_op("reduction")("norm", (0, 2)), t(2, 3, 4)], 0, 2 * 24),
    "an elementary function": ([find_op("elementwise")("exp"), t(2, 3)], 0, 6),
    "a complex one": ([find_op("elementwise")("multiply", times=6), t(2, 3), t(2, 3)], 0, 6 * 6),
    "a norm of groups without scale and shift": ([find_op("group_norm")(3, affine=False), t(2, 6)], 0, 5 * 12),
    # Equations without a sum over what both have do no MACs.
    "an outer product": ([find_op("einsum")("i,j->ij"), t(3), t(4)], 0, 12),
    "sums of rows": ([find_op("einsum")("ij->i"), t(3, 4)], 0, 12 - 3),
    # k is of the first alone: 2·3·4 elements become 2·3, and their product sums over j.
    "a sum before a product": ([find_op("einsum")("ijk,jl->il"), t(2, 3, 4), t(3, 5)], 2 * 3 * 5, 24 - 6),
    # 32 targets, and the sum and division of the mean; PyTorch's formulas.
    "negative log-likelihood, the mean": (
        [find_op("loss")("nll_loss"), t(2, 5, 4, 4), t(2, 4, 4, dtype="int64")], 0, 32 + 32,
    ),
    "squared errors, the sum": ([find_op("loss")("mse_loss", "sum"), t(2, 3), t(2, 3)], 0, 2 * 6 + 5),
    "smooth errors, each": ([find_op("loss")("smooth_l1_loss", "none"), t(4, 4), t(4, 4)], 0, 6 * 16),
    "cross-entropy of logits with weights, the mean": (
        [find_op("loss")("binary_cross_entropy_with_logits"), t(2, 3), t(2, 3), t(3)], 0, (9 + 1) * 6 + 6,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("use", "macs", "ops"), WORK.values(), ids=WORK)
def test_the_work_is_what_counting_by_hand_gives(use: list[Any], macs: int, ops: int) -> None:
    op, *types = use
    assert all(holds for holds, _ in op.requires(*types))
    made = op.infer(*types)
    y = made if isinstance(made, TensorType) else made[0]

    assert (op.macs(*types, y=y), op.ops(*types, y=y)) == (macs, ops)


COMPLEX: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    # of a complex and a complex or real number, for each of 6 elements
    "a product of both is 4 products and 2 sums": (lambda z, x: z * z, 6),
    "one with a real number is 2 products": (lambda z, x: z * x, 2),
    "a sum is 2 sums": (lambda z, x: z + z, 2),
}


@pytest.mark.parametrize(("function", "each"), COMPLEX.values(), ids=COMPLEX)
def test_complex_numbers_take_the_work_of_their_parts(function: Callable[[Any, Any], Any], each: int) -> None:
    class Complex(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return function(torch.complex(x, x), x)

    assert costcalc.analyze(Complex(), (2, 3)).layers[-1].ops == 6 * each
