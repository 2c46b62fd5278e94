"""What is special about attention."""

from __future__ import annotations

import pytest
import torch

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops.attention import MultiHeadAttention, ScaledDotProductAttention


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(tuple(shape), dtype)


def test_a_block_of_vit_b_has_four_projections_and_two_products() -> None:
    # ViT-B/16 at 224 (Dosovitskiy et al. 2020, table 1): 197 tokens of width 768.
    projections, products = 4 * 197 * 768 * 768, 2 * 197 * 197 * 768
    x = t(1, 197, 768)

    assert MultiHeadAttention(12).macs(x, y=x) == projections + products == 524_391_936


def test_a_causal_mask_hides_of_more_queries_than_keys_what_is_above_its_diagonal() -> None:
    # torch's causal mask is the lower triangle of the scores, from the upper left.
    causal = ScaledDotProductAttention(causal=True)
    for queries, keys in ((6, 4), (4, 6), (1, 5), (5, 1), (3, 3)):
        q, k, v = t(1, 2, queries, 8), t(1, 2, keys, 8), t(1, 2, keys, 3)
        kept = int(torch.ones(queries, keys, dtype=torch.bool).tril().sum())
        hidden, _ = causal.skippable(q, k, v, y=causal.infer(q, k, v))
        assert hidden == 2 * (queries * keys - kept) * (8 + 3)


def test_the_number_of_heads_does_not_change_the_macs_but_the_scores() -> None:
    x = t(2, 10, 24)
    few, many = MultiHeadAttention(2, bias=False), MultiHeadAttention(8, bias=False)

    assert few.macs(x, y=x) == many.macs(x, y=x)
    assert 4 * few.ops(x, y=x) == many.ops(x, y=x) == 6 * 2 * 8 * 10 * 10


def test_a_causal_mask_is_counted_dense() -> None:
    types = [t(1, 4, 9, 8)] * 3
    whole, causal = ScaledDotProductAttention(), ScaledDotProductAttention(causal=True)

    assert whole.macs(*types, y=types[0]) == causal.macs(*types, y=types[0]) == 4 * 9 * 9 * (8 + 8)


@pytest.mark.parametrize(("dtype", "ops"), [("float32", 7), ("bool", 6)])
def test_a_mask_of_numbers_is_added_and_one_of_truths_chooses(dtype: str, ops: int) -> None:
    types = [t(2, 3, 4, 8)] * 3
    attention = ScaledDotProductAttention()

    assert attention.ops(*types, t(4, 4, dtype=dtype), y=types[0]) == ops * 2 * 3 * 4 * 4


def test_grouped_queries_do_the_work_of_as_many_heads() -> None:
    q, k, repeated = t(1, 8, 5, 4), t(1, 2, 7, 4), t(1, 8, 7, 4)
    grouped, plain = ScaledDotProductAttention(grouped=True), ScaledDotProductAttention()

    assert grouped.macs(q, k, k, y=q) == plain.macs(q, repeated, repeated, y=q)


def test_three_matrices_where_the_widths_differ_and_one_where_they_do_not() -> None:
    q, memory = t(1, 3, 8), t(1, 5, 6)
    op = MultiHeadAttention(2)

    assert op.weights(q)["in_proj_weight"].type.shape == (24, 8)
    assert [op.weights(q, memory)[f"{n}_proj_weight"].type.shape for n in "qkv"] == [(8, 8), (8, 6), (8, 6)]


def test_a_query_that_is_stretched_and_a_key_that_is_not_see_each_other() -> None:
    # Windows of an image share one query: PyTorch stretches it.
    types = [t(1, 3, 4), t(6, 5, 4), t(6, 5, 4)]
    op = ScaledDotProductAttention()

    assert op.infer(*types).shape == tuple(op.to_torch(*types)(*(torch.zeros(x.shape) for x in types)).shape)


@pytest.mark.parametrize(
    ("op", "types", "sentence"),
    [
        (MultiHeadAttention(5), [t(1, 4, 12)], "heads=5 must divide the query's width 12"),
        (MultiHeadAttention(2), [t(1, 4, 12), t(4, 12)], "each input with as many axes"),
        (
            MultiHeadAttention(2),
            [t(2, 4, 12), t(3, 4, 12)],
            "the batch of the query is 2, that of the keys or values 3",
        ),
        (MultiHeadAttention(2), [t(1, 4, 8), t(1, 5, 8), t(1, 6, 8)], "there are 5 keys and 6 values"),
        (ScaledDotProductAttention(), [t(4, 8), t(4, 6), t(4, 6)], "the query's width is 8, the key's 6"),
        (ScaledDotProductAttention(), [t(4, 8), t(4, 8), t(5, 8)], "there are 4 keys and 5 values"),
        (ScaledDotProductAttention(), [t(8), t(4, 8), t(4, 8)], "need at least 2 axes"),
        (ScaledDotProductAttention(causal=True), [*[t(4, 8)] * 3, t(4, 4)], "is causal or takes a mask, not both"),
        (ScaledDotProductAttention(), [*[t(4, 8)] * 3, t(3, 4)], "axis 0 of scores and mask is 4 and 3"),
        (
            ScaledDotProductAttention(grouped=True),
            [t(1, 6, 4, 8), t(1, 4, 4, 8), t(1, 4, 4, 8)],
            "the 4 key heads must divide the 6 query heads",
        ),
    ],
)
def test_what_does_not_fit_is_said(op: Op, types: list[TensorType], sentence: str) -> None:
    inputs = {f"x{i}": x for i, x in enumerate(types)}
    with pytest.raises(CostcalcError, match=sentence):
        GraphBuilder("g", inputs).add("attention", op, inputs)


def test_attention_takes_three_inputs() -> None:
    with pytest.raises(CostcalcError, match="takes 3 to 4 inputs, not 1"):
        GraphBuilder("g", {"x": t(1, 4, 8)}).add("a", find_op("scaled_dot_product_attention")(), ["x"])
