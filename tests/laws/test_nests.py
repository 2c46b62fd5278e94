"""What an op says of its loops: they run as often as it has MACs, and a convolution's compute what PyTorch does."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from uses import USES, outputs_of

from costcalc.ir.nest import Nest
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.ops.conv_transpose import ConvTranspose

NO_NESTS = {
    "bilinear": "its products have three factors",
    **dict.fromkeys(
        (
            "cholesky",
            "cholesky_inverse",
            "cholesky_solve",
            "determinant",
            "eig",
            "eigh",
            "householder_multiply",
            "householder_product",
            "householder_qr",
            "inverse",
            "ldl",
            "ldl_solve",
            "least_squares",
            "lu",
            "lu_solve",
            "matrix_exp",
            "pseudo_inverse",
            "qr",
            "solve",
            "solve_triangular",
            "svd",
        ),
        "each step works on what the ones before have left of the matrix",
    ),
    "attention_gradient": "its products work on what others of them make",
    "conv_weight_gradient": "no engine's tiles are known of it",
    "distances": "of norms and products together",
    "grouped_matmul": "values say where a group ends",
    "simple_rnn": "its two products a step are one layer",
    "sparse_matmul": "values say where its elements stand",
    "split_lstm": "its gates are separate weights, step by step",
    "svdf": "its filters over features and over time are one layer",
}
"""Ops with MACs that are no nest of loops, with the reason."""
CASES = 60


@pytest.mark.parametrize(("op", "types"), [(use.values[0], use.values[1:][0]) for use in USES])
def test_loops_run_as_often_as_there_are_macs(op: Op, types: list[TensorType]) -> None:
    y = outputs_of(op, types)[0]
    nests, macs = op.nests(*types, y=y), op.macs(*types, y=y)
    if nests is None:
        assert op.name in NO_NESTS
        return
    assert sum(nest.macs for nest in nests) == macs  # type: ignore[misc]
    parts: list[str] = []
    for nest in nests:
        assert nest.reads and all(r in parts if isinstance(r, str) else 0 <= r < len(types) for r in nest.reads)
        assert not nest.weight or nest.weight in op.weights(*types)
        assert bool(nest.weight) == (len(nest.reads) == 1)
        parts.append(nest.part)
    assert len(set(parts)) == len(parts)


def test_every_op_with_macs_that_has_no_nests_is_named() -> None:
    found = {
        op.name for op, types in (use.values for use in USES) if op.nests(*types, y=outputs_of(op, types)[0]) is None
    }
    assert found == NO_NESTS.keys()


def _run(nest: Nest, x: Any, weight: Any, y: Any) -> Any:
    """The statement of ``Nest`` at every turn of its loops, into ``y``."""
    axes = len(nest.places)
    ranges = [range(n) for n in (nest.groups, nest.batch, nest.out, nest.into, *nest.places, *nest.taps)]  # type: ignore[arg-type]
    for g, n, k, c, *rest in product(*ranges):
        places, taps = rest[:axes], rest[axes:]
        along = zip(places, taps, nest.stride, nest.dilation, nest.padding, strict=True)
        there = [s * p + d * r - before for p, r, s, d, (before, _) in along]  # type: ignore[operator]
        bounds = y.shape[2:] if nest.transposed else x.shape[2:]
        if not all(0 <= t < size for t, size in zip(there, bounds, strict=True)):
            continue
        into, out = g * nest.into + c, g * nest.out + k
        if nest.transposed:
            y[(n, out, *there)] += x[(n, into, *places)] * weight[(into, k, *taps)]
        else:
            y[(n, out, *places)] += x[(n, into, *there)] * weight[(out, c, *taps)]
    return y


def test_loops_of_convolutions_compute_what_pytorch_computes() -> None:
    torch = pytest.importorskip("torch")
    draw = random.Random(17)
    ran = 0
    while ran < CASES:
        axes, groups = draw.randint(1, 3), draw.choice((1, 1, 2, 3))
        kernel = tuple(draw.randint(1, 3) for _ in range(axes))
        stride, dilation = (tuple(draw.randint(1, 2) for _ in range(axes)) for _ in "sd")
        padding = tuple(draw.randint(0, 1) for _ in range(axes))
        x = TensorType((draw.randint(1, 2), groups * draw.randint(1, 2), *(draw.randint(2, 5) for _ in range(axes))))
        kind: Any = draw.choice((Conv, ConvTranspose))
        op = kind(groups * draw.randint(1, 2), kernel, stride=stride, padding=padding, dilation=dilation,
                  groups=groups, bias=False)  # fmt: skip
        if not all(fine for fine, _ in op.requires(x)):
            continue
        y = op.infer(x)
        (nest,) = op.nests(x, y=y)
        module = op.to_torch(x).double()
        data = torch.randn(x.shape, dtype=torch.double)
        weight = module.weight.detach()
        wanted = module(data)
        made = _run(nest, data.numpy(), weight.numpy(), torch.zeros(y.shape, dtype=torch.double).numpy())
        assert torch.allclose(torch.from_numpy(made), wanted), (op, x)
        ran += 1
