"""Attention as ONNX Runtime's own operators have it, and experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule
from costcalc.frontends.onnx.rules.attention import attended, heads_apart, heads_together, rotary
from costcalc.ir.call import Traced
from costcalc.ops.traced_steps import permuted, reshaped


def packed(n: NodeUse) -> Any:
    """``Attention``: one product makes query, key and value; input, weights, bias, mask, past, bias of the scores."""
    return _packed(n, n.x(0), 1, 2, past=4, scores=5)


def _packed(n: NodeUse, x: Traced, weight: int, bias: int, *, past: int, scores: int) -> Any:
    heads = n.attribute("num_heads")
    inner, out = n.shape(weight)
    sizes = n.attribute("qkv_hidden_sizes") or (out // 3,) * 3
    if not heads or len(sizes) != 3:
        raise FileError(f"{n.node.operator} needs num_heads, and three widths")
    if n.is_weight(weight) and (not n.has(bias) or n.is_weight(bias)):
        weights = {"weight": n.weight(weight, (out, inner))} | ({"bias": n.weight(bias)} if n.has(bias) else {})
        y = n.add("linear", x, options=(out, n.has(bias)), weights=weights)
    else:
        y = n.add("matmul", x, n.x(weight))
        y = n.add("add", y, n.x(bias)) if n.has(bias) else y
    q, k, v = n.add("split", y, options=(tuple(sizes) if len(set(sizes)) > 1 else 3, 2))
    q, k, v = (heads_apart(n, t, heads) for t in (q, k, v))
    if n.has(past) and n.shape(past)[-2:-1] != (0,):
        before = n.add("unbind", n.x(past), options=(0,))
        k, v = (n.add("concat", old, new, options=(2,)) for old, new in zip(before, (k, v), strict=True))
    given = n.x(scores) if n.has(scores) else None
    y = heads_together(n, attended(n, q, k, v, given, bool(n.attribute("unidirectional", 0))))
    if not n.wants(1):
        return y
    both = [n.add("unsqueeze", t, options=(0,)) for t in (k, v)]
    return y, n.add("concat", *both, options=(0,))


def multi_head(n: NodeUse) -> Any:
    """``MultiHeadAttention``: query, key, value, bias, padding, bias of the scores, past key and value."""
    heads = n.attribute("num_heads")
    q = n.x(0)
    width = n.shape(0)[-1]
    if len(q.type.shape) == 5:  # (batch, length, heads, 3, width): all three together
        parts = n.add("unbind", q, options=(3,))
        q, k, v = (permuted(n.call, t, 0, 2, 1, 3) for t in parts)
    else:
        if not n.has(1):
            q, k, v = n.add("split", q, options=(3, 2))
        elif len(n.shape(1)) == 5:
            k, v = (reshaped(n.call, t, *t.type.shape[:2], width) for t in n.add("unbind", n.x(1), options=(3,)))
        else:
            k, v = n.x(1), n.x(2)
        if n.has(3):  # one bias for all three, of which each has its part
            q = n.elementwise("add", q)
            k, v = (n.elementwise("add", t) if len(t.type.shape) == 3 else t for t in (k, v))
        q, k, v = (heads_apart(n, t, heads) if len(t.type.shape) == 3 else t for t in (q, k, v))
    if n.has(6) and n.has(7):
        k, v = n.add("concat", n.x(6), k, options=(2,)), n.add("concat", n.x(7), v, options=(2,))
    scores = n.x(5) if n.has(5) else None
    y = heads_together(n, attended(n, q, k, v, scores, bool(n.attribute("unidirectional", 0))))
    return y, k, v


def grouped(n: NodeUse) -> Any:
    """``GroupQueryAttention``: query (or all three together), key, value, past key and value, lengths, rotation.

    Of the keys that are kept all are counted: those of the past and the new ones, or as many as a known total says.
    """
    heads, shared = n.attribute("num_heads"), n.attribute("kv_num_heads")
    if not heads or not shared:
        raise FileError(f"{n.node.operator} needs num_heads and kv_num_heads")
    q = n.x(0)
    if n.has(1):
        k, v = n.x(1), n.x(2)
    else:
        each = q.type.shape[-1] // (heads + 2 * shared)
        q, k, v = n.add("split", q, options=((heads * each, shared * each, shared * each), 2))
    q, k, v = heads_apart(n, q, heads), heads_apart(n, k, shared), heads_apart(n, v, shared)
    if n.attribute("do_rotary", 0):
        q, k = n.elementwise("multiply", q, times=3), n.elementwise("multiply", k, times=3)
    total = n.numbers(6) if n.has(6) else None
    if n.has(3) and n.has(4):
        room = n.shape(3)[2]
        known = total[0] if total and isinstance(total[0], int) else None
        if known is not None and isinstance(room, int) and known <= room:
            k, v = (
                n.add("scatter", n.x(i), new) for i, new in ((3, k), (4, v))
            )  # new keys lie in the room kept for them
        elif not (isinstance(room, int) and room == 0):
            k, v = (n.add("concat", n.x(i), new, options=(2,)) for i, new in ((3, k), (4, v)))
    y = heads_together(n, attended(n, q, k, v, None, causal=True))
    return y, k, v


def quantised(n: NodeUse) -> Any:
    """``QAttention``: input, weights, bias, scales, mask, zero points, past."""
    n.beside(3, 4, 6, 7)
    return _packed(n, n.x(0), 1, 2, past=8, scores=len(n.given))


def experts(n: NodeUse) -> Any:
    """``MoE``: each token through ``k`` experts of two products, or three."""
    x = n.x(0)
    k = n.attribute("k", 1)
    shape = n.shape(2)
    if len(shape) != 3 or len(n.given) < 5:
        raise NoRule("experts of this form")
    tokens = reshaped(n.call, x, x.type.size // x.type.shape[-1], x.type.shape[-1])
    many = n.add("repeat_interleave", tokens, options=(k, 0)) if k != 1 else tokens
    ends = n.constant(x.type._replace(shape=shape[:1], dtype="int32"))

    def product(rows: Traced, index: int) -> Traced:
        weight = n.x(index)
        if weight.type.shape[1] != rows.type.shape[-1]:
            weight = n.add("transpose", weight)
        return n.add("grouped_matmul", rows, weight, ends)  # type: ignore[no-any-return]

    up = product(many, 2)
    acts = {"relu": "relu", "gelu": "gelu", "silu": "silu", "swiglu": "silu", "identity": "identity"}
    hidden = n.add(acts.get(n.attribute("activation_type", "relu"), "gelu"), up)
    if len(n.given) > 6 and n.has(6):
        hidden = n.add("multiply", hidden, product(many, 6))
    down = n.shape(4)
    if hidden.type.shape[-1] not in down[1:]:  # both halves of a gate in one product
        hidden = n.add("glu", up)
    y = product(hidden, 4)
    if k != 1:
        y = n.add("sum", reshaped(n.call, y, y.type.shape[0] // k, k, y.type.shape[1]), options=(1,))
    return reshaped(n.call, y, *x.type.shape)


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Attention": packed, "MultiHeadAttention": multi_head, "DecoderMaskedMultiHeadAttention": multi_head,
    "GroupQueryAttention": grouped, "SparseAttention": grouped, "RotaryEmbedding": rotary, "QAttention": quantised,
    "MoE": experts,
}  # fmt: skip
