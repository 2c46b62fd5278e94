"""The known faults of the witnesses, one table for each.

A witness counts some things that are no MACs, and misses some that are. Each row names one such habit
and says exactly what it makes of a layer, so that a count is either explained to the last unit or ours
to answer for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.ir.dims import prod
from costcalc.ir.fields import ints
from costcalc.ir.graph import Node
from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    from torch import nn


class WitnessedLayer(NamedTuple):
    """A layer as a witness meets it.

    macs     ours
    output   type of the first output
    module   the submodule of the layer's name, if there is one
    used     whether an output of the model depends on it
    """

    node: Node
    inputs: tuple[TensorType, ...]
    output: TensorType
    macs: int
    module: nn.Module | None
    used: bool


class Omission(NamedTuple):
    """A habit of miscounting MACs: what it adds to the count of a layer, negative for what it misses."""

    reason: str
    amount: Callable[[WitnessedLayer], int]


class Extra(NamedTuple):
    """An operator whose count is in a witness's total and is not a MACs.

    per      what it counts for one element; the second for norms without scale and shift
    ops      ours that are counted so
    of       the elements: those of the ``input`` or of the ``output``
    mode     of an op with several modes the one that is counted so
    """

    reason: str
    per: tuple[int, ...]
    ops: tuple[str, ...]
    of: str = "input"
    mode: str = ""

    def counts(self, use: WitnessedLayer) -> bool:
        """Whether it is the layer of ``use`` that is counted so."""
        op = use.node.op
        return op.name in self.ops and (not self.mode or getattr(op, "mode", "") == self.mode)


def _all(*ops: str) -> Callable[[WitnessedLayer], int]:
    return lambda use: -use.macs if use.node.op.name in ops else 0


DECOMPOSITIONS = (
    "cholesky", "cholesky_inverse", "cholesky_solve", "determinant", "eig", "eigh", "householder_multiply",
    "householder_product", "householder_qr", "inverse", "ldl", "ldl_solve", "least_squares", "lu", "lu_solve",
    "pseudo_inverse", "qr", "solve", "solve_triangular", "svd",
)  # fmt: skip
"""What works on a matrix step by step; ``matrix_exp`` is of products, which a run shows."""


GRADIENTS = ("conv_weight_gradient", "attention_gradient")
"""Operators of the backward pass alone."""


def _as_one_group(use: WitnessedLayer) -> int:
    """The gradient of a grouped convolution's kernel as if every filter met all channels."""
    op: Any = use.node.op
    return use.macs * (op.groups - 1) if op.name == "conv_weight_gradient" else 0


def _by_vector(use: WitnessedLayer) -> int:
    return -use.macs if use.node.op.name == "matmul" and len(use.inputs[1].shape) == 1 else 0


def _whole_numbers(use: WitnessedLayer) -> int:
    """Kernels of quantised modules, whose weights are packed, or whose inputs are whole numbers."""
    stored = any(not dtype.startswith("float") for dtype in use.node.stored_as.values())
    return -use.macs if stored or all(t.dtype in ("int8", "uint8") for t in use.inputs[:1]) else 0


def _sparse_as_dense(use: WitnessedLayer) -> int:
    """A product of a sparse matrix as if it were dense: its shape is all that is looked at."""
    op: Any = use.node.op
    return int(use.inputs[-1].size * op.size) - use.macs if op.name == "sparse_matmul" else 0


def _affine_grid(use: WitnessedLayer) -> int:
    """Places (x, y, 1) times the transform of each image, as ``affine_grid`` has it: one operator to PyTorch."""
    if use.node.op.name != "matmul" or len(use.inputs[0].shape) != 2 or len(use.inputs[1].shape) != 3:
        return 0
    size = use.inputs[0].shape[1]
    return -use.macs if size in (3, 4) and use.inputs[1].shape[1:] == (size, size - 1) else 0


def _left_operand_once(use: WitnessedLayer) -> int:
    """The left operand's elements times the right operand's columns, whatever the broadcasting."""
    if use.node.op.name != "matmul" or len(use.inputs) != 2:
        return 0
    left, right = use.inputs
    return int(prod(left.shape) * right.shape[-1]) - use.macs  # type: ignore[arg-type]


def _numpys_einsum(use: WitnessedLayer) -> int:
    """Half of what numpy's report says of its best order, which has four digits and counts products that sum nothing.

    Two equations are exact, since fvcore knows them: products of matrices in stacks.
    """
    op: Any = use.node.op
    if op.name != "einsum":
        return 0
    from numpy import broadcast_to, einsum_path

    letters = dict.fromkeys(c for c in op.equation if c.isalpha())
    known = op.equation.translate({ord(c): 97 + i for i, c in enumerate(letters)})
    if known in ("abc,abd->acd", "abc,adc->adb"):
        return 0
    said = einsum_path(op.equation, *(broadcast_to(0.0, ints(t.shape)) for t in use.inputs), optimize="optimal")[1]
    flops = next(line for line in str(said).splitlines() if "optimized flop" in line.lower()).rpartition(":")[2]
    return int(float(flops) / 2) - use.macs


def _four_digits(use: WitnessedLayer) -> int:
    """An einsum that is a product of matrices here goes through the same report."""
    return int(float(f"{2 * use.macs:.3e}") // 2) - use.macs if use.node.op.name == "matmul" else 0


def _torchs_einsum(use: WitnessedLayer) -> int:
    """What an index that two operands share takes where it is 1 for either: torch adds the other one up first, and
    multiplies element by element where no index is left to add over."""
    op: Any = use.node.op
    if op.name != "einsum":
        return 0
    labels, out = op.labels(use.inputs)
    terms: list[dict[str, Any]] = [
        dict(zip(names, t.shape, strict=True)) for names, t in zip(labels, use.inputs, strict=True)
    ]
    macs: Any = 0
    for i, j in op.order(len(terms)):
        b, a = terms.pop(max(i, j)), terms.pop(min(i, j))
        later = set(out) | {c for term in terms for c, size in term.items() if size > 1}
        ends = (a.keys() | b.keys()) - later
        summed = {c for c in ends if a.get(c, 1) > 1 and b.get(c, 1) > 1}
        sizes = {c: max(a.get(c, 1), b.get(c, 1)) for c in a.keys() | b.keys() if c not in ends - summed}
        if summed:
            macs = macs + prod(sizes.values())
        terms.append({c: size for c, size in sizes.items() if c not in summed})
    return int(macs) - use.macs


def _named_padding(use: WitnessedLayer) -> int:
    return -use.macs if isinstance(getattr(use.module, "padding", None), str) else 0


def _fused_products(use: WitnessedLayer) -> int:
    """The two products of attention; the projections around them are counted."""
    if use.node.op.name == "multi_head_attention":
        query, key = use.inputs[0], use.inputs[-1]
        return -int(2 * query.size * key.shape[-2])  # type: ignore[arg-type]
    return -use.macs if use.node.op.name == "scaled_dot_product_attention" else 0


# fvcore's operator → why its count is not a MACs.
FVCORE_EXTRAS = {
    "batch_norm": Extra("batch norm", (2, 1, 5, 4), ("batch_norm",)),  # 5 and 4 without running statistics
    "layer_norm": Extra("layer norm", (5, 4), ("layer_norm",)),
    "group_norm": Extra("group norm", (5, 4), ("group_norm",)),
    "instance_norm": Extra("instance norm", (5, 4), ("instance_norm",)),
    "adaptive_avg_pool2d": Extra("adaptive pooling", (1,), ("adaptive_avg_pool", "global_avg_pool")),
    "upsample_nearest2d": Extra("nearest upsampling", (1,), ("upsample",), "output", "nearest"),
    "upsample_bilinear2d": Extra("bilinear upsampling", (4,), ("upsample",), "output", "bilinear"),
    "grid_sampler": Extra("grid sampling", (4,), ("grid_sample",), "output"),
}

OF_BOTH = (
    Omission("deformable convolution, counted 0", _all("deform_conv")),
    Omission("products of groups, counted 0", _all("grouped_matmul")),
    Omission("quantised layers, counted 0", _whole_numbers),
    Omission("sparse products, counted as dense ones", _sparse_as_dense),
    Omission("sparse products, counted 0", _all("sparse_matmul")),
    Omission("decompositions of matrices, counted 0", _all(*DECOMPOSITIONS, "matrix_exp")),
)

FVCORE_OMISSIONS = (
    Omission("unused results, pruned from the trace", lambda use: 0 if use.used else -use.macs),
    Omission("convolution with padding given by name, counted 0", _named_padding),
    Omission("fused attention, counted 0", _fused_products),
    Omission("recurrent layers, counted 0", _all("lstm", "gru", "rnn")),
    *OF_BOTH,
    Omission("matmul with a broadcast left operand, counted for the operand once", _left_operand_once),
    Omission("baddbmm, counted 0", _all("matmul")),
    Omission("bilinear forms, counted 0", _all("bilinear")),
    Omission("pairwise distances, counted 0", _all("distances")),
    Omission("gradients of kernels and of fused attention, counted 0", _all(*GRADIENTS)),
    Omission("einsum, half of what numpy reports: to four digits, in its own order", _numpys_einsum),
    Omission("einsum, to four digits", _four_digits),
)

TORCH_OMISSIONS = (
    Omission("matrix times vector, counted 0", _by_vector),
    Omission("einsum over an index of size 1, of either operand: elements multiplied", _torchs_einsum),
    Omission("grids from affine maps, counted 0", _affine_grid),
    Omission("gradients of grouped kernels, as of one group", _as_one_group),
    Omission("bilinear forms, counted 0", _all("bilinear")),
    Omission("pairwise distances, counted 0", _all("distances")),
    *OF_BOTH,
)
