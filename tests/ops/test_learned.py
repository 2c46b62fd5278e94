"""Tokens and embeddings of position, against the counts of the models that use them."""

from __future__ import annotations

from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def test_vit_b_16_prepends_one_token_and_adds_197_positions() -> None:
    # Dosovitskiy et al. 2020, section 3.1: 14² patches and a class token, width 768.
    token, embedding = find_op("class_token")(), find_op("position_embedding")()
    patches = TensorType((8, 14 * 14, 768))
    sequence = token.infer(patches)

    assert sequence == TensorType((8, 197, 768))
    assert token.weights(patches)["weight"].type.size == 768
    assert embedding.weights(sequence)["weight"].type.shape == (1, 197, 768)  # type: ignore[arg-type]


def test_swins_bias_has_a_row_for_each_relative_position() -> None:
    # Liu et al. 2021, section 3.2: (2·7 - 1)² rows, here for the 3 heads of Swin-T's first stage; each of the
    # 49² pairs of places in a window looks one up.
    bias = find_op("relative_position_bias")(3, 7)
    weights = bias.weights()

    assert bias.infer() == TensorType((1, 3, 49, 49))
    assert weights["relative_position_bias_table"].type.shape == (169, 3)
    assert weights["relative_position_index"].type.size == 2401
    assert not weights["relative_position_index"].trained


def test_a_table_of_sines_is_a_buffer() -> None:
    x = TensorType((2, 5, 4))

    assert find_op("position_embedding")(trained=True).weights(x)["weight"].trained
    assert not find_op("position_embedding")(trained=False).weights(x)["weight"].trained
