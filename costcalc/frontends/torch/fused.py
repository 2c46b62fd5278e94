"""Operators that do the work of a whole layer at once, as a strict export keeps them: run as their parts.

``nn.TransformerEncoderLayer`` and ``nn.MultiheadAttention`` call them in evaluation mode without gradients. The parts
are those of the modules' own forward, so that the figures are those of the live module.
Source: ``aten/src/ATen/native/transformers`` of PyTorch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor
from torch.nn import functional as F

Within = Callable[[Tensor], AbstractContextManager[None]]
"""While open, what runs is in the module that has this weight."""


def encoder_layer(
    within: Within,
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """``_transformer_encoder_layer_fwd``."""

    def normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, (embed_dim,), weight, bias, eps)

    x = normed(src, norm_weight_1, norm_bias_1) if norm_first else src
    weights = qkv_weight, qkv_bias, proj_weight, proj_bias
    with within(qkv_weight):
        y = attention(within, x, x, x, embed_dim, num_heads, *weights, mask, False, mask_type=mask_type)[0]
    x = src + y
    x = x if norm_first else normed(x, norm_weight_1, norm_bias_1)
    y = normed(x, norm_weight_2, norm_bias_2) if norm_first else x
    y = F.linear(y, ffn_weight_1, ffn_bias_1)
    y = F.linear(F.gelu(y) if use_gelu else F.relu(y), ffn_weight_2, ffn_bias_2)
    return x + y if norm_first else normed(x + y, norm_weight_2, norm_bias_2)


def attention(
    within: Within,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor]:
    """``_native_multi_head_attention``; without weights the second tensor is empty."""
    if query is key and key is value:
        parts = F.linear(query, qkv_weight, qkv_bias).chunk(3, -1)
    else:
        weights, biases = qkv_weight.chunk(3), qkv_bias.chunk(3)
        parts = tuple(F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    q, k, v = (x.unflatten(-1, (num_head, -1)).transpose(1, 2) for x in parts)
    hidden = None if mask is None else _aligned(mask, mask_type)
    scores = query.new_empty(0)
    if need_weights:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = (scores if hidden is None else scores.masked_fill(hidden, float("-inf"))).softmax(-1)
        made = scores @ v
        scores = scores.mean(1) if average_attn_weights else scores
    else:
        made = F.scaled_dot_product_attention(q, k, v, attn_mask=None if hidden is None else ~hidden)
    return F.linear(made.transpose(1, 2).flatten(2), proj_weight, proj_bias), scores


def _aligned(mask: Tensor, mask_type: int | None) -> Tensor:
    """A mask of queries × keys (0), samples × keys (1) or all axes (2), as one of samples × heads × queries × keys."""
    return mask[:, None, None, :] if mask_type == 1 else mask


FUSED: Mapping[str, Callable[..., Any]] = {
    "_transformer_encoder_layer_fwd": encoder_layer,
    "_native_multi_head_attention": attention,
}
"""By operator what runs its parts."""
