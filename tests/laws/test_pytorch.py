"""PyTorch has the same opinion: shapes, names of weights, and the work that its counter and fvcore see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from uses import WITH_MODULE, module_of, outputs_of, tensors

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.matrices import OfMatrices

FVCORE_MACS = {"conv", "linear", "matmul", "addmm", "bmm", "einsum"}
"""What fvcore counts with one per multiply-accumulate, bias left out."""

ATTENTION = "fvcore counts the fused attention as 0"
RECURRENT = "fvcore counts LSTM, GRU and RNN as 0"
BLIND = {
    "scaled_dot_product_attention": ATTENTION,
    "multi_head_attention": ATTENTION,
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "rnn": RECURRENT,
    "conv_weight_gradient": "gradients count as 0",
}
"""Ops whose work fvcore does not see, with the reason."""


def misses(op: Op, types: list[TensorType]) -> str:
    """Why both witnesses are wrong about this product, if they are."""
    if op.name == "sparse_matmul":
        return "sparse products count as dense ones, or as 0"
    if isinstance(op, OfMatrices):
        return "decompositions of matrices count as 0"
    if op.name == "bilinear":
        return "bilinear counts as 0"
    if op.name == "conv_weight_gradient" and op.groups != 1:  # type: ignore[attr-defined]
        return "gradients of grouped kernels count as of one group"
    if op.name == "distances":
        return "distances by a product are one operator to both, without work"
    if op.name == "einsum" and op.path:  # type: ignore[attr-defined]
        return "PyTorch takes an order of its own unless opt_einsum is installed"
    vectors = op.name == "matmul" and any(len(t.shape) == 1 for t in types)
    return "products with a vector count as 0 or fail" if vectors else ""


def fvcore_misses(op: Op, types: list[TensorType]) -> str:
    """Why fvcore is wrong about this product, if it is."""
    if op.name == "matmul" and types[0].shape[:-2] != types[1].shape[:-2]:
        return "fvcore counts a matmul whose left operand broadcasts once"
    if op.name == "einsum" and not op.macs(*types, y=outputs_of(op, types)[0]):
        return "fvcore counts an einsum that adds nothing up"
    return BLIND.get(op.name, "") or misses(op, types)


@pytest.mark.parametrize(("op", "types"), WITH_MODULE)
def test_the_module_makes_the_shapes_that_are_inferred(op: Op, types: list[TensorType]) -> None:
    y = module_of(op, types)(*tensors(types))

    made = (y,) if torch.is_tensor(y) else tuple(y)
    assert [t.shape for t in outputs_of(op, types)] == [tuple(t.shape) for t in made]
    for ours, theirs in zip(outputs_of(op, types), made, strict=True):
        if ours.dtype in ("float32", "complex64"):  # of inputs in double precision
            assert theirs.is_floating_point() or (ours.dtype == "complex64" and theirs.is_complex())
        else:
            assert theirs.dtype == getattr(torch, ours.dtype)


@pytest.mark.parametrize(("op", "types"), WITH_MODULE)
def test_the_module_has_the_parameters_and_buffers_that_are_named(op: Op, types: list[TensorType]) -> None:
    module, weights = module_of(op, types), op.weights(*types)

    def shapes(named: Any) -> dict[str, tuple[int, ...]]:
        return {name: tuple(t.shape) for name, t in named}

    assert {n: w.type.shape for n, w in weights.items() if w.trained} == shapes(module.named_parameters())
    assert {n: w.type.shape for n, w in weights.items() if not w.trained} == shapes(module.named_buffers())


@pytest.mark.parametrize(("op", "types"), WITH_MODULE)
def test_the_flop_counter_of_pytorch_sees_two_per_mac(op: Op, types: list[TensorType]) -> None:
    if reason := misses(op, types):
        pytest.skip(reason)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module_of(op, types)(*tensors(types))

    assert 2 * op.macs(*types, y=outputs_of(op, types)[0]) == counter.get_total_flops()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("op", "types"), WITH_MODULE)
def test_fvcore_sees_as_many_macs(op: Op, types: list[TensorType]) -> None:
    from fvcore.nn import FlopCountAnalysis

    if reason := fvcore_misses(op, types):
        pytest.skip(reason)
    analysis = FlopCountAnalysis(module_of(op, types), tuple(tensors(types)))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")

    counted = sum(n for name, n in analysis.by_operator().items() if name in FVCORE_MACS)
    assert op.macs(*types, y=outputs_of(op, types)[0]) == counted
