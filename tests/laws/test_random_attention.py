"""Attention on random shapes: PyTorch, its fused paths off, has the same shapes, weights and work."""

from __future__ import annotations

from against import agrees, shapes, sizes, some, tensor, widths
from hypothesis import given
from hypothesis import strategies as st

from costcalc.ops.attention import MultiHeadAttention, ScaledDotProductAttention

lengths = st.integers(1, 70)


@some
@given(shapes(0, 3), st.tuples(lengths, lengths, widths, widths), st.sampled_from(["", "causal", "float32", "bool"]))
def test_scaled_dot_product_attention(stack: list[int], lsde: tuple[int, int, int, int], mask: str) -> None:
    length, s, d, e = lsde
    types = [tensor(*stack, length, d), tensor(*stack, s, d), tensor(*stack, s, e)]
    if mask in ("float32", "bool"):
        types.append(tensor(*(1 for _ in stack), length, s, dtype=mask))

    agrees(ScaledDotProductAttention(causal=mask == "causal"), *types)


@some
@given(sizes, st.integers(1, 4), st.integers(1, 4), st.tuples(lengths, lengths, widths))
def test_grouped_queries_share_heads(n: int, shared: int, each: int, lsd: tuple[int, int, int]) -> None:
    length, s, d = lsd
    key = tensor(n, shared, s, d)

    agrees(ScaledDotProductAttention(grouped=True), tensor(n, shared * each, length, d), key, key)


@some
@given(
    shapes(0, 1),
    st.integers(1, 8),
    st.integers(1, 16),
    st.tuples(lengths, lengths),
    widths,
    widths,
    st.integers(1, 3),
    st.booleans(),
)
def test_multi_head_attention(
    batch: list[int], heads: int, each: int, lengths: tuple[int, int], k: int, v: int, inputs: int, bias: bool
) -> None:
    length, s = lengths
    query = tensor(*batch, length, heads * each)
    memory = [tensor(*batch, s, k), tensor(*batch, s, v)][: inputs - 1]

    agrees(MultiHeadAttention(heads, bias), query, *memory)
