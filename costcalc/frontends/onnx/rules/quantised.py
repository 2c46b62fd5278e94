"""Quantised tensors: to and from whole numbers, and layers that compute in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costcalc.frontends.onnx.node_use import NodeUse, QuantisedTensor, axis_of, dtype_named
from costcalc.frontends.onnx.rules import channels
from costcalc.frontends.onnx.rules.elementwise import met
from costcalc.frontends.onnx.rules.layers import convolved, multiplied, recurrent
from costcalc.frontends.onnx.rules.pools import pooled
from costcalc.ir.call import Traced, once
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.ops.traced_steps import add_bias, converted, swapped


def quantize(n: NodeUse) -> Traced:
    n.beside(1, 2)
    given = n.attribute("output_dtype", 0)
    dtype = n.type(2).dtype if n.has(2) else dtype_named(given) if given else "uint8"
    return n.elementwise("quantize_per_tensor", n.x(0), dtype=dtype)


def dequantize(n: NodeUse) -> Traced:
    """Of a tensor of the file: that tensor, as it is stored."""
    n.beside(1, 2)
    x = n.held(0)
    dtype = n.type(1).dtype
    if x.weight and dtype in FLOATING_BITS:
        return QuantisedTensor(TensorType(x.type.shape, dtype), x)
    return n.elementwise("dequantize", n.x(0), dtype=dtype)


def dynamic_quantize(n: NodeUse) -> tuple[Traced, ...]:
    """By the range of the values themselves."""
    x = n.x(0)
    axes = once(tuple(range(len(x.type.shape)))) if x.type.shape else 0
    low, _ = n.add("reduction", x, options=("aminmax", axes)) if x.type.shape else (x, x)
    scale = n.elementwise("divide", low)
    zero = n.elementwise("round", low, dtype="uint8")
    return n.elementwise("quantize_per_tensor", x, dtype="uint8"), scale, zero


def conv(n: NodeUse) -> Traced:
    """``QLinearConv``: x, scale, zero, w, scale, zero, y's scale and zero, bias."""
    n.beside(1, 2, 4, 5, 6, 7)
    x = n.x(0)
    last = bool(n.attribute("channels_last", 0))
    y = _as_type(n, convolved(n, channels.second(n, x) if last else x, 3, 8), 7)
    return channels.last(n, y) if last else y


def _as_type(n: NodeUse, y: Traced, zero: int) -> Traced:
    return converted(n.call, y, n.type(zero).dtype) if n.has(zero) else y


def matmul(n: NodeUse) -> Traced:
    """``QLinearMatMul``."""
    n.beside(1, 2, 4, 5, 6, 7)
    return _as_type(n, multiplied(n, n.held(0), 3), 7)


def conv_integer(n: NodeUse) -> Traced:
    """``ConvInteger``, whose sums have 32 bits."""
    n.beside(2, 3)
    return converted(n.call, convolved(n, n.x(0), 1, len(n.given)), "int32")


def matmul_integer(n: NodeUse) -> Traced:
    n.beside(2, 3)
    return converted(n.call, multiplied(n, n.held(0), 1), "int32")


def matmul_to_float(n: NodeUse) -> Traced:
    """``MatMulIntegerToFloat``: A, B, their scales and zero points, bias."""
    n.beside(2, 3, 4, 5)
    y = converted(n.call, multiplied(n, n.held(0), 1), n.type(3).dtype)
    return add_bias(n.call, y, n.x(6)) if n.has(6) else y


def dynamic_matmul(n: NodeUse) -> Traced:
    """``DynamicQuantizeMatMul``: A in floating point, quantised first; B, its scale and zero point, bias."""
    n.beside(2, 3)
    x = n.elementwise("quantize_per_tensor", n.x(0), dtype="uint8")
    y = converted(n.call, multiplied(n, x, 1), n.type(0).dtype)
    return add_bias(n.call, y, n.x(4)) if n.has(4) else y


def gemm(n: NodeUse) -> Traced:
    """``QGemm``: A, scale, zero, B, scale, zero, C, y's scale and zero."""
    n.beside(1, 2, 4, 5, 7, 8)
    a, shape = n.x(0), n.shape(3)
    if n.attribute("transA", 0):
        a = swapped(n.call, a)
    rows = bool(n.attribute("transB", 0))
    out, inner = shape if rows else (shape[1], shape[0])
    if not n.is_weight(3):
        y = n.add("matmul", a, swapped(n.call, n.x(3)) if rows else n.x(3))
        y = add_bias(n.call, y, n.x(6)) if n.has(6) else y
    else:
        own = n.has(6) and n.is_weight(6) and n.shape(6) == (out,)
        weights = {"weight": n.weight(3, (out, inner))} | ({"bias": n.weight(6)} if own else {})
        y = n.add("linear", a, options=(out, own), weights=weights)
        y = add_bias(n.call, y, n.x(6)) if n.has(6) and not own else y
    return _as_type(n, y, 8)


def two(n: NodeUse) -> Traced:
    """``QLinearAdd`` and ``QLinearMul``: A, scale, zero, B, scale, zero, y's scale and zero."""
    n.beside(1, 2, 4, 5, 6, 7)
    return met(n, "add" if n.node.operator == "QLinearAdd" else "multiply", n.held(0), n.held(3))


def one(n: NodeUse) -> Any:
    """Functions of one quantised tensor."""
    n.beside(1, 2, 3, 4)
    x, operator = n.x(0), n.node.operator
    rank = len(x.type.shape)
    if operator == "QLinearSigmoid":
        return n.add("sigmoid", x)
    if operator == "QLinearLeakyRelu":
        return n.add("leaky_relu", x, options=(n.attribute("alpha", 0.01),))
    if operator == "QLinearSoftmax":
        return n.add("softmax", x, options=(axis_of(n.attribute("axis", -1), rank),))
    if operator == "QLinearReduceMean":
        axes = tuple(axis_of(a, rank) for a in n.attribute("axes") or range(rank))
        return n.add("mean", x, options=(once(axes), bool(n.attribute("keepdims", 1))))
    last = bool(n.attribute("channels_last", 0))
    x = channels.second(n, x) if last else x
    y = n.add("global_avg_pool", x) if operator == "QLinearGlobalAveragePool" else pooled(n, x, "AveragePool")
    return channels.last(n, y) if last else y


def concat(n: NodeUse) -> Traced:
    """``QLinearConcat``: y's scale and zero, then each tensor with its scale and zero."""
    tensors: Sequence[Traced] = [n.x(i) for i in range(2, len(n.given), 3)]
    for i in range(2, len(n.given), 3):
        n.beside(i + 1, i + 2)
    axis = axis_of(n.attribute("axis", 0), len(tensors[0].type.shape))
    return n.add("concat", *tensors, options=(axis,))  # type: ignore[no-any-return]


def where(n: NodeUse) -> Traced:
    n.beside(2, 3, 5, 6, 7, 8)
    return n.elementwise("where", n.x(0), n.x(1), n.x(4), dtype=n.type(1).dtype)


RULES: dict[Any, Callable[[NodeUse], Any]] = {
    "QuantizeLinear": quantize, "DequantizeLinear": dequantize, "DynamicQuantizeLinear": dynamic_quantize,
    "QLinearConv": conv, "QLinearMatMul": matmul, "ConvInteger": conv_integer, "MatMulInteger": matmul_integer,
    "MatMulIntegerToFloat": matmul_to_float, "DynamicQuantizeMatMul": dynamic_matmul, "QGemm": gemm,
    "QLinearAdd": two, "QLinearMul": two, "QLinearConcat": concat, "QLinearWhere": where,
    "DynamicQuantizeLSTM": recurrent,
    **dict.fromkeys(
        (
            "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearReduceMean", "QLinearGlobalAveragePool",
            "QLinearAveragePool",
        ),
        one,
    ),
}  # fmt: skip
