"""Attention as one operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse
from costcalc.ir.call import Traced
from costcalc.ir.dims import Dim
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import add_bias, permuted, reshaped


def heads_apart(n: NodeUse, x: Traced, heads: Dim) -> Traced:
    """(batch, length, width) as (batch, heads, length, width of a head)."""
    batch, length, width = x.type.shape
    return permuted(n.call, reshaped(n.call, x, batch, length, heads, width // heads), 0, 2, 1, 3)


def heads_together(n: NodeUse, x: Traced) -> Traced:
    """And back."""
    batch, heads, length, width = x.type.shape
    return reshaped(n.call, permuted(n.call, x, 0, 2, 1, 3), batch, length, heads * width)


def attended(n: NodeUse, q: Traced, k: Traced, v: Traced, mask: Traced | None = None, causal: bool = False) -> Traced:
    """softmax(q · kᵀ) · v for (batch, heads, length, width); a mask says all that ``causal`` would."""
    grouped = q.type.shape[1] != k.type.shape[1]
    inputs = [q, k, v] + ([mask] if mask is not None else [])
    return n.add(  # type: ignore[no-any-return]
        "scaled_dot_product_attention", *inputs, options=(causal and mask is None, grouped)
    )


def joined(n: NodeUse, past: int, x: Traced) -> Traced:
    """``x`` after what is kept of the past in input ``past``."""
    if not n.has(past) or n.shape(past)[-2:-1] == (0,):
        return x
    return n.add("concat", n.x(past), x, options=(2,))  # type: ignore[no-any-return]


def attention(n: NodeUse) -> Any:
    """``Attention``: query, key, value, mask, past key and value. The presents are past and new together."""
    q, k, v = (n.x(i) for i in range(3))
    flat = len(q.type.shape) == 3
    if flat:
        heads, shared = n.attribute("q_num_heads"), n.attribute("kv_num_heads")
        if not heads or not shared:
            raise FileError("Attention of (batch, length, width) needs q_num_heads and kv_num_heads")
        q, k, v = heads_apart(n, q, heads), heads_apart(n, k, shared), heads_apart(n, v, shared)
    k, v = joined(n, 4, k), joined(n, 5, v)
    mask = n.x(3) if n.has(3) else None
    if mask is not None and mask.type.shape:
        keys, hidden = k.type.shape[2], mask.type.shape[-1]
        if isinstance(keys, int) and isinstance(hidden, int) and 1 < hidden < keys:  # the rest of the keys is hidden
            mask = n.add("pad", mask, options=(((0, keys - hidden),),), axes=(-1,))
    y = attended(n, q, k, v, mask, bool(n.attribute("is_causal", 0)))
    made = [heads_together(n, y) if flat else y, k, v]
    if n.wants(3):
        scores = (*q.type.shape[:3], k.type.shape[2])
        made.append(n.add("gather", q, k, options=(scores,)))
    return tuple(made)


def rotary(n: NodeUse) -> Traced:
    """Pairs of elements turned: two products and a sum for each."""
    return n.elementwise("multiply", n.x(0), times=3)


def causal_conv(n: NodeUse) -> Any:
    """A kernel for each channel over what is kept of the past and the new places."""
    x, kernel = n.x(0), n.shape(1)[-1]
    if not isinstance(kernel, int):
        raise FileError("CausalConvWithState has a kernel whose size stays open")
    channels = x.type.shape[1]
    kept = n.x(3) if n.has(3) else n.constant(x.type._replace(shape=(x.type.shape[0], channels, kernel - 1)), value=0)
    whole = n.add("concat", kept, x, options=(2,)) if kernel > 1 else x
    own = n.is_weight(1) and (not n.has(2) or n.is_weight(2))
    if own:
        weights = {"weight": n.weight(1)} | ({"bias": n.weight(2)} if n.has(2) else {})
        y = n.add("conv", whole, options=(channels, kernel), weights=weights, groups=channels, bias=n.has(2))
    else:
        y = n.add("dynamic_conv", whole, n.x(1), groups=channels)
        y = add_bias(n.call, y, n.x(2), 1) if n.has(2) else y
    if n.attribute("activation", "none") in ("silu", "swish"):
        y = n.add("silu", y)
    return y, n.add("slice", whole, options=(2, x.type.shape[2], None)) if kernel > 1 else kept


def linear_attention(n: NodeUse) -> Any:
    """A state of key by value for each head: every token adds its own product to it and is multiplied with it, and by
    the delta rules once more; as if done one token after another."""
    q, k, v = (n.x(i) for i in range(3))
    heads, shared = n.attribute("q_num_heads"), n.attribute("kv_num_heads")
    rule = n.attribute("update_rule", "gated_delta")
    if not heads or not shared:
        raise FileError("LinearAttention needs q_num_heads and kv_num_heads")
    q, k, v = heads_apart(n, q, heads), heads_apart(n, k, shared), heads_apart(n, v, shared)
    batch, _, length, wide = k.type.shape
    state = (
        n.x(3) if n.has(3) else n.constant(TensorType((batch, shared, wide, v.type.shape[3]), q.type.dtype), value=0)
    )
    if rule in ("delta", "gated_delta"):
        known = n.add("einsum", k, state, options=("bhtk,bhkv->bhtv",))
        v = n.add("subtract", v, known)
        v = n.elementwise("multiply", v)
    if rule in ("gated", "gated_delta") and n.has(4):
        state = n.elementwise("multiply", state, times=length if isinstance(length, int) else 1)
    state = n.add("add", state, n.add("einsum", k, v, options=("bhtk,bhtv->bhkv",)))
    read = state if heads == shared else n.add("repeat_interleave", state, options=(heads // shared, 1))
    y = n.elementwise("multiply", n.add("einsum", q, read, options=("bhtk,bhkv->bhtv",)))
    return heads_together(n, y), state


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Attention": attention, "RotaryEmbedding": rotary, "CausalConvWithState": causal_conv,
    "LinearAttention": linear_attention,
}  # fmt: skip
