"""ONNX Runtime's operators of language models' decoders: gates, norms and products that are joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule
from costcalc.frontends.onnx.rules import norms
from costcalc.frontends.onnx.rules.microsoft import few_bits
from costcalc.ir.call import Traced

_ACTIVATIONS = {"silu": "silu", "swish": "silu", "sigmoid": "sigmoid", "gelu": "gelu", "relu": "relu"}


def _activated(n: NodeUse, x: Traced, default: str) -> Traced:
    word = n.attribute("activation", default) or default
    if word not in _ACTIVATIONS:
        raise NoRule(f"the activation {word[:40]}")
    return n.add(_ACTIVATIONS[word], x)  # type: ignore[no-any-return]


def _normalised(n: NodeUse) -> tuple[Traced, Traced]:
    """The input with what is added to it, if there is that, and the RMS norm of both, if there is one."""
    x = n.x(0)
    if n.has(1):
        x = n.add("add", x, n.x(1))
    return x, norms.over_last(n, x, -1, 2, len(n.given), rms=True) if n.has(2) else x


def gated_product(n: NodeUse) -> Any:
    """``MatMulNBitsMlp``: a gate and a value by weights of few bits, one activated and times the other."""
    inner, out = n.attribute("K"), n.attribute("N")
    total, x = _normalised(n)
    gate = few_bits(n, x, 3, 5, inner, out, (4,))
    made = n.add("multiply", _activated(n, gate, "silu"), few_bits(n, x, 6, 8, inner, out, (7,)))
    return made, total


def query_key_value(n: NodeUse) -> Any:
    """``MatMulNBitsQkv``: three products of one norm, by weights of few bits."""
    inner, wide, narrow = n.attribute("K"), n.attribute("Nq"), n.attribute("Nkv")
    total, x = _normalised(n)
    made = [few_bits(n, x, i, i + 2, inner, out, (i + 1,)) for i, out in ((3, wide), (6, narrow), (9, narrow))]
    return (*made, total)


def gated_rms_norm(n: NodeUse) -> Traced:
    """``GatedRMSNorm``: an RMS norm times an activated gate."""
    y = norms.over_last(n, n.x(0), -1, 1, len(n.given), rms=True)
    return n.add("multiply", y, _activated(n, n.x(2), "silu"))  # type: ignore[no-any-return]


def gated(n: NodeUse) -> Traced:
    """``SwiGLU``: an activated gate times the rest."""
    return n.add("multiply", n.add("silu", n.x(0)), n.x(1))  # type: ignore[no-any-return]


def scaled_silu(n: NodeUse) -> Traced:
    """``ScaledSiLU``: x · sigmoid(x), times a scale."""
    return n.elementwise("multiply", n.add("silu", n.x(0)))


def attention_of_scores(n: NodeUse, env: Any) -> Traced:
    """``FlexAttention``: what graphs of the node make of the scores before and after the softmax."""
    q, k, v = (n.x(i) for i in range(3))
    if not len(q.type.shape) == len(k.type.shape) == len(v.type.shape) == 4:
        raise FileError("FlexAttention takes (batch, heads, length, width)")
    batch, heads, length, width = q.type.shape
    shared, keys = k.type.shape[1:3]
    if not isinstance(heads, int) or not isinstance(shared, int) or not shared or heads % shared:
        raise FileError(f"FlexAttention has {heads} heads of queries and {shared} of keys")
    rows = length * (heads // shared)  # queries that share keys, one after another
    q = n.add("reshape", q, options=((batch, shared, rows, width),), keep_batch=False)
    scores = n.elementwise("multiply", n.add("matmul", q, n.add("transpose", k)))
    scores = n.add("reshape", scores, options=((batch, heads, length, keys),), keep_batch=False)
    scores = _modified(n, "score_mod", scores, env)
    weights = _modified(n, "prob_mod", n.add("softmax", scores, options=(-1,)), env)
    weights = n.add("reshape", weights, options=((batch, shared, rows, keys),), keep_batch=False)
    made = n.add("matmul", weights, v)
    return n.add("reshape", made, options=((batch, heads, length, v.type.shape[3]),), keep_batch=False)  # type: ignore[no-any-return]


attention_of_scores.walks = True  # type: ignore[attr-defined]


def _modified(n: NodeUse, attribute: str, scores: Traced, env: Any) -> Traced:
    graph = n.attribute(attribute)
    if graph is None:
        return scores
    # What was made so far comes before the nodes of the graph inside.
    n.build.lowering.keep(n.call, n.build._scope(n.node), operator=n.build.operator)
    n.call.steps.clear()
    (made,) = n.build.body(n, graph, [scores], env, attribute)
    if made.type.shape != scores.type.shape:
        raise FileError(f"{attribute} makes {made.type} of {scores.type}")
    return made  # type: ignore[no-any-return]


RULES: dict[str, Callable[..., Any]] = {
    "MatMulNBitsMlp": gated_product, "MatMulNBitsQkv": query_key_value, "GatedRMSNorm": gated_rms_norm,
    "SwiGLU": gated, "ScaledSiLU": scaled_silu, "FlexAttention": attention_of_scores,
}  # fmt: skip
