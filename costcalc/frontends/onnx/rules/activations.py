"""Activation functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import NodeUse, axis_of, is_number
from costcalc.ir.call import Traced
from costcalc.ir.fields import finite

PLAIN = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Mish": "mish", "Selu": "selu",
    "HardSwish": "hardswish", "HardSigmoid": "hardsigmoid",
}  # fmt: skip


def plain(n: NodeUse) -> Traced:
    return n.add(PLAIN[n.node.operator], n.x(0))  # type: ignore[no-any-return]


def leaky_relu(n: NodeUse) -> Traced:
    return n.add("leaky_relu", n.x(0), options=(finite(n.attribute("alpha", 0.01)),))  # type: ignore[no-any-return]


def with_alpha(n: NodeUse) -> Traced:
    return n.add(n.node.operator.lower(), n.x(0), options=(finite(n.attribute("alpha", 1.0)),))  # type: ignore[no-any-return]


def gelu(n: NodeUse) -> Traced:
    word = n.attribute("approximate", "none")
    return n.add("gelu", n.x(0), options=(word if word in ("none", "tanh") else "none",))  # type: ignore[no-any-return]


def swish(n: NodeUse) -> Traced:
    """x · sigmoid(alpha · x)."""
    x = n.x(0)
    if n.attribute("alpha", 1.0) == 1.0:
        return n.add("silu", x)  # type: ignore[no-any-return]
    return n.add("multiply", x, n.add("sigmoid", n.elementwise("multiply", x)))  # type: ignore[no-any-return]


def swiglu(n: NodeUse) -> Traced:
    """A gate, swished, times the second input."""
    return n.add("multiply", swish(n), n.x(1))  # type: ignore[no-any-return]


def softsign(n: NodeUse) -> Traced:
    x = n.x(0)
    return n.add("divide", x, n.elementwise("add", n.elementwise("abs", x)))  # type: ignore[no-any-return]


def prelu(n: NodeUse) -> Traced:
    """One slope, one a channel, or any tensor of slopes."""
    x, slope = n.x(0), n.held(1)
    sizes, shape = slope.type.shape, x.type.shape
    if n.is_weight(1):
        if slope.type.size == 1:
            return n.add("prelu", x, weights={"weight": n.weight(1, (1,))})  # type: ignore[no-any-return]
        by_channel = (
            len(shape) > 1 and len(sizes) >= len(shape) - 1 and sizes[len(sizes) - len(shape) + 1 :][:1] == shape[1:2]
        )
        if by_channel and slope.type.size == shape[1]:
            return n.add("prelu", x, options=(True,), weights={"weight": n.weight(1, (shape[1],))})  # type: ignore[no-any-return]
    return n.elementwise("where", x, n.add("multiply", x, n.x(1)), dtype=x.type.dtype)


def thresholded_relu(n: NodeUse) -> Traced:
    return n.elementwise("threshold", n.x(0))


def shrink(n: NodeUse) -> Traced:
    return n.elementwise("softshrink" if n.attribute("bias", 0.0) else "hardshrink", n.x(0))


def clip(n: NodeUse) -> Traced:
    """ReLU6 or ReLU where the bounds say so."""
    x = n.x(0)
    bounds: list[Any] = []
    for index, name in ((1, "min"), (2, "max")):
        if name in n.node.attributes:
            bounds.append(float(n.attribute(name)))
        elif n.has(index):
            known = n.numbers(index)
            bounds.append(float(known[0]) if known and isinstance(known[0], (int, float)) else math.nan)
        else:
            bounds.append(None)
    low, high = bounds
    low = None if low is not None and low <= -3.4e38 else low
    high = None if high is not None and high >= 3.4e38 else high
    if low is None and high is None:
        return x
    if low == 0 and high in (6, None):
        return n.add("relu6" if high == 6 else "relu", x)  # type: ignore[no-any-return]
    if low is None or high is None:
        return n.elementwise("clamp_min" if high is None else "clamp_max", x)
    if math.isnan(low) or math.isnan(high):
        others = [n.x(i) for i in (1, 2) if n.has(i) and not is_number(n.held(i))]
        return n.elementwise("clamp", x, *others)
    return n.add("hardtanh", x, options=(low, high))  # type: ignore[no-any-return]


def softmax(n: NodeUse) -> Traced:
    """Along an axis; before opset 13 along all from that one on, together."""
    from costcalc.ir.dims import prod
    from costcalc.ops.traced_steps import reshaped

    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "softmax"}[n.node.operator]
    x = n.x(0)
    rank = len(x.type.shape)
    axis = axis_of(n.attribute("axis", -1 if n.opset >= 13 else 1), rank)
    if n.node.operator == "Hardmax":
        top = n.add("reduction", x, options=("argmax", axis, True))
        return n.elementwise("eq", x, top, dtype=x.type.dtype)
    if n.opset >= 13 or axis == rank - 1 or all(d == 1 for d in x.type.shape[axis + 1 :]):
        return n.add(op, x, options=(axis,))  # type: ignore[no-any-return]
    flat = reshaped(n.call, x, *x.type.shape[:axis], prod(x.type.shape[axis:]))
    return reshaped(n.call, n.add(op, flat, options=(axis,)), *x.type.shape)


RULES: dict[str, Callable[[NodeUse], Any]] = {
    **dict.fromkeys(PLAIN, plain), **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), softmax),
    "LeakyRelu": leaky_relu, "Elu": with_alpha, "Celu": with_alpha, "Gelu": gelu, "Swish": swish, "SwiGLU": swiglu,
    "Softsign": softsign,
    "PRelu": prelu, "ThresholdedRelu": thresholded_relu, "Shrink": shrink, "Clip": clip,
}  # fmt: skip
