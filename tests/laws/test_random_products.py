"""Linear, matmul and einsum on random shapes: PyTorch has the same shapes, weights, work and refusals."""

from __future__ import annotations

import torch
from against import agrees, both_accept_or_refuse, refused, shapes, some, tensor, widths
from hypothesis import given
from hypothesis import strategies as st
from uses import outputs_of

from costcalc.ops.einsum import Einsum
from costcalc.ops.linear import Linear
from costcalc.ops.matmul import MatMul

STACK = shapes(0, 3, st.integers(1, 4))


@some
@given(shapes(), widths, widths, st.booleans())
def test_linear_of_any_rank(places: list[int], width: int, features: int, bias: bool) -> None:
    agrees(Linear(features, bias), tensor(*places, width))


@some
@given(STACK, st.data(), st.tuples(widths, widths, widths))
def test_matmul_of_stacks_that_stretch_on_either_side(
    stack: list[int], data: st.DataObject, mkn: tuple[int, int, int]
) -> None:
    m, k, n = mkn

    def side() -> list[int]:
        kept = [d if data.draw(st.booleans()) else 1 for d in stack]
        return kept[data.draw(st.integers(0, len(kept))) :]

    agrees(MatMul(), tensor(*side(), m, k), tensor(*side(), k, n))


@some
@given(STACK, widths, widths, st.booleans())
def test_matmul_with_a_vector_is_that_with_a_matrix_of_one_row_or_column(
    stack: list[int], k: int, n: int, left: bool
) -> None:
    # PyTorch's counter does not know matrix times vector, so the work is that of the matrix product.
    vector, matrix = tensor(k), tensor(*stack, k, n) if left else tensor(*stack, n, k)
    types = [vector, matrix] if left else [matrix, vector]
    as_matrix = [tensor(1, k), matrix] if left else [matrix, tensor(k, 1)]

    (y,), (full,) = outputs_of(MatMul(), types), outputs_of(MatMul(), as_matrix)

    agrees(MatMul(), *as_matrix)
    assert MatMul().macs(*types, y=y) == MatMul().macs(*as_matrix, y=full)
    assert y.shape == tuple(torch.matmul(*(torch.empty(t.shape, device="meta") for t in types)).shape)


@some
@given(shapes(2, 4, st.integers(1, 3)), shapes(2, 4, st.integers(1, 3)))
def test_matmul_takes_what_pytorch_takes(a: list[int], b: list[int]) -> None:
    both_accept_or_refuse(MatMul(), tensor(*a), tensor(*b))


@some
@given(
    st.sampled_from(["ij,jk->ik", "...i,ij->...j", "...ij,...jk->...ik", "i...,i...->...", "ij,kj"]),
    shapes(1, 3, st.integers(1, 3)),
    shapes(1, 3, st.integers(1, 3)),
)
def test_einsum_takes_what_pytorch_takes(equation: str, a: list[int], b: list[int]) -> None:
    op, types = Einsum(equation), (tensor(*a), tensor(*b))
    try:
        made = torch.einsum(equation, *(torch.empty(shape, device="meta") for shape in (a, b)))
    except RuntimeError:
        assert refused(op, *types)
    else:
        assert not refused(op, *types)
        assert outputs_of(op, list(types))[0].shape == tuple(made.shape)
