"""Operators that ONNX Runtime's optimiser makes: several of ONNX's in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule
from costcalc.frontends.onnx.rules import channels, layers, moves, norms, pools, reductions, shapes
from costcalc.frontends.onnx.rules.channels import in_channels_last
from costcalc.ir.call import Traced
from costcalc.ir.dims import Dim
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import add_bias, scaled, swapped


def fused_conv(n: NodeUse) -> Traced:
    """A convolution, a sum with a fourth input, an activation."""
    return convolved_and_added(n, n.x(0))


def convolved_and_added(n: NodeUse, x: Traced) -> Traced:
    """``fused_conv`` of ``x``."""
    y = layers.convolved(n, x, 1, 2)
    if n.has(3):
        y = n.add("add", y, n.x(3))
    return layers.activated(n, y)


def _nhwc_conv(n: NodeUse, x: Traced) -> Traced:
    y = layers.convolved(n, x, 1, 2)
    if n.has(3):
        y = n.add("add", y, channels.second(n, n.x(3)))
    return layers.activated(n, y)


def fused_matmul(n: NodeUse) -> Traced:
    """alpha · A · B, either of them perhaps with its last two axes swapped, or its first one among the matrix's."""
    a = _with_batches_first(n, n.x(0), "transBatchA")
    if n.attribute("transA", 0):
        a = swapped(n.call, a)
    if n.attribute("transBatchB", 0) and len(n.shape(1)) > 2:
        b = _with_batches_first(n, n.x(1), "transBatchB")
        y: Traced = n.add("matmul", a, swapped(n.call, b) if n.attribute("transB", 0) else b)
    elif n.attribute("transB", 0) and len(n.shape(1)) > 1:
        if n.is_weight(1) and len(n.shape(1)) == 2:
            out = n.shape(1)[0]
            y = n.add("linear", a, options=(out, False), weights={"weight": n.weight(1)})
        else:
            y = n.add("matmul", a, swapped(n.call, n.x(1)))
    else:
        y = layers.multiplied(n, a, 1)
    if n.attribute("alpha", 1.0) != 1.0:
        y = n.elementwise("multiply", y)
    return layers.activated(n, y)


def _with_batches_first(n: NodeUse, x: Traced, attribute: str) -> Traced:
    """``x`` with its first axis, which is one of the matrix, behind the batches where ``attribute`` says so."""
    axes = len(x.type.shape)
    if not n.attribute(attribute, 0) or axes < 3:
        return x
    return n.add("permute", x, options=((*range(1, axes - 1), 0, axes - 1),))  # type: ignore[no-any-return]


def of_few_bits(n: NodeUse) -> Traced:
    """``MatMulNBits``: a linear layer whose weights have ``bits`` each, packed in blocks.

    Columns are padded to whole blocks; what is counted is what the layer computes.
    """
    return few_bits(n, n.x(0), 1, 5, n.attribute("K"), n.attribute("N"), (2, 3, 4))


def few_bits(
    n: NodeUse, x: Traced, index: int, bias: int, inner: Any, out: Any, beside: tuple[int, ...]
) -> Traced:  # fmt: skip
    """A linear layer of ``x`` by the packed weights of input ``index``; scales and zero points are ``beside``."""
    bits, block = n.attribute("bits", 4), n.attribute("block_size", 32)
    dtype = {2: "int2", 4: "int4", 8: "int8"}.get(bits)
    if not inner or not out or dtype is None:
        raise NoRule(f"weights of {bits} bits")
    weight = n.weight(index)
    if not weight.weight:
        raise NoRule("weights that are computed")
    n.beside(*beside)
    if block and inner % block:
        n.build.notes[
            f"{weight.weight} is stored in whole blocks of {block}: {-(-inner // block) * block} columns for {inner}"
        ] = None
    packed = Traced(TensorType((out, inner), dtype), weight.weight, True)
    own = n.has(bias) and n.is_weight(bias)
    weights = {"weight": packed} | ({"bias": n.weight(bias)} if own else {})
    return n.add("linear", x, options=(out, own), weights=weights)  # type: ignore[no-any-return]


def skip_norm(n: NodeUse, rms: bool = False) -> Any:
    """(Simplified) layer norm of a sum: input, skip, scale, bias of the norm, bias of the sum; the sum too."""
    x = n.add("add", n.x(0), n.x(1))
    last = 3 if rms else 4
    if n.has(last):
        x = n.add("add", x, n.x(last))
    y = norms.over_last(n, x, -1, 2, len(n.given) if rms else 3, rms=rms)
    beside = x.type._replace(shape=(*x.type.shape[:-1], 1))
    return y, n.constant(beside), n.constant(beside), x


def skip_rms_norm(n: NodeUse) -> Any:
    return skip_norm(n, rms=True)


def embedded_norm(n: NodeUse) -> Any:
    """Words, positions and segments looked up, added and normalised."""
    ids = n.x(0)
    found = [_row(n, ids, 2), _row(n, n.x(8) if n.has(8) else ids, 3)]
    if n.has(1) and n.has(4):
        found.append(_row(n, n.x(1), 4))
    total = n.add("add", *found)
    y = norms.over_last(n, total, -1, 5, 6)
    counts = n.constant(TensorType(ids.type.shape[:1], "int32"))
    return y, counts, total


def _row(n: NodeUse, ids: Traced, table: int) -> Traced:
    rows, width = n.shape(table)
    if not n.is_weight(table):
        return n.add("gather", n.x(table), ids, options=((*ids.type.shape, width),))  # type: ignore[no-any-return]
    options = (rows, width, n.type(table).dtype)
    return n.add("embedding", ids, options=options, weights={"weight": n.weight(table)})  # type: ignore[no-any-return]


def gelu(n: NodeUse) -> Traced:
    x = n.x(0)
    if n.has(1):
        x = add_bias(n.call, x, n.x(1))
    return n.add("gelu", x, options=("tanh" if n.node.operator == "FastGelu" else "none",))  # type: ignore[no-any-return]


def quick_gelu(n: NodeUse) -> Traced:
    """x · sigmoid(alpha · x)."""
    x = n.x(0)
    return n.add("multiply", x, n.add("sigmoid", n.elementwise("multiply", x)))  # type: ignore[no-any-return]


def split_gelu(n: NodeUse) -> Traced:
    """Half of x + bias times the GELU of the other half."""
    x = add_bias(n.call, n.x(0), n.x(1))
    first, second = n.add("split", x, options=(2, len(x.type.shape) - 1))
    return n.add("multiply", first, n.add("gelu", second))  # type: ignore[no-any-return]


def bias_add(n: NodeUse) -> Traced:
    return n.add("add", n.x(0), n.x(1), n.x(2))  # type: ignore[no-any-return]


def bias_softmax(n: NodeUse) -> Traced:
    axis = n.attribute("axis", 1)
    if not n.attribute("is_inner_broadcast", 0) and axis == 0:
        raise NoRule("a softmax of all")
    return n.add("softmax", n.add("add", n.x(0), n.x(1)), options=(-1,))  # type: ignore[no-any-return]


def group_norm(n: NodeUse) -> Any:
    """Channels last or first, with an activation; ``SkipGroupNorm`` adds first."""
    x = n.x(0)
    total = x
    if n.node.operator == "SkipGroupNorm":
        total = n.add("add", x, n.x(3))
        total = n.add("add", total, n.x(4)) if n.has(4) else total
    last = bool(n.attribute("channels_last", 1))
    inner = channels.second(n, total) if last else total
    weights = {"weight": n.weight(1), "bias": n.weight(2)} if n.is_weight(1) and n.is_weight(2) else None
    if weights and n.type(1).dtype == x.type.dtype:
        y = n.add("group_norm", inner, options=(n.attribute("groups", 1),), weights=weights)
    else:
        y = n.add("group_norm", inner, options=(n.attribute("groups", 1), False))
        each = (1,) * (len(x.type.shape) - 2)
        y = scaled(n.call, y, *(n.add("reshape", n.x(i), options=((n.shape(i)[0], *each), False)) for i in (1, 2)))
    y = n.add("silu", y) if n.attribute("activation", 0) else y
    y = channels.last(n, y) if last else y
    return y, total


def bias_dropout(n: NodeUse) -> Any:
    x = add_bias(n.call, n.x(0), n.x(1))
    x = n.add("add", x, n.x(2)) if n.has(2) else x
    return (x, n.constant(x.type._replace(dtype="bool"))) if n.wants(1) else x


def inverse_fft(n: NodeUse) -> Traced:
    """``Irfft`` along the last ``signal_ndim`` axes before the one of real and imaginary parts."""
    x = n.x(0)
    shape = x.type.shape[:-1]
    axes = tuple(range(len(shape) - n.attribute("signal_ndim", 1), len(shape)))
    last: Dim = (shape[-1] - 1) * 2
    z = n.add("part", x, options=(shape, "complex64"))
    return n.add("fourier", z, options=(axes if len(axes) > 1 else axes[0], last))  # type: ignore[no-any-return]


def fft(n: NodeUse) -> Traced:
    x = n.x(0)
    rank = len(x.type.shape)
    axes = tuple(range(rank - n.attribute("signal_ndim", 1), rank))
    y = n.add("fourier", x, options=(axes if len(axes) > 1 else axes[0],))
    return n.add("part", y, options=((*y.type.shape, 2), x.type.dtype))  # type: ignore[no-any-return]


def gather_quantised(n: NodeUse) -> Traced:
    """Rows of a table in few bits, widened."""
    if n.attribute("gather_axis", 0) != 0 or len(n.shape(0)) != 2:
        raise NoRule("another axis than rows")
    rows, width = n.shape(0)
    bits = n.attribute("bits", 4)
    if n.type(0).dtype in ("uint8", "int8") and bits < 8:
        width = width * (8 // bits)
    dtype = {2: "int2", 4: "int4", 8: "int8"}.get(bits, "int8")
    table = n.weight(0)
    if not table.weight:
        raise NoRule("a table that is computed")
    n.beside(2, 3)
    held = Traced(TensorType((rows, width), dtype), table.weight, True)
    found = n.add("embedding", n.x(1), options=(rows, width, n.type(2).dtype), weights={"weight": held})
    return n.elementwise("dequantize", found)


def expand_dims(n: NodeUse) -> Traced:
    return n.add("unsqueeze", n.x(0), options=(n.known(1, "the axis")[0],))  # type: ignore[no-any-return]


def matmul_gelu(n: NodeUse) -> Traced:
    y = layers.multiplied(n, n.held(0), 1)
    return n.add("gelu", add_bias(n.call, y, n.x(2)) if n.has(2) else y, options=("tanh",))  # type: ignore[no-any-return]


def nhwc_pool(n: NodeUse, x: Traced) -> Traced:
    made = pools.pooled(n, x, "MaxPool")
    if isinstance(made, tuple):
        raise FileError("NhwcMaxPool has one output")
    return made  # type: ignore[no-any-return]


def unique(n: NodeUse) -> Any:
    """The distinct elements of a vector, which of them each is, and how often each is there."""
    x = n.x(0)
    found = reductions.chosen(n, "distinct elements", x.type.size)
    ordered, places = n.add("sort", x, options=(0, None))
    y = n.add("gather", ordered, options=((found,),))
    return y, *(n.add("gather", places, options=((size,), "int64")) for size in (x.type.size, found))


def torch_embedding(n: NodeUse) -> Any:
    """Rows of a table that is the first input."""
    made = (*n.shape(1), *n.shape(0)[1:])
    if n.is_weight(0) and len(n.shape(0)) == 2:
        rows, width = n.shape(0)
        dtype = n.type(0).dtype
        return n.add("embedding", n.x(1), options=(rows, width, dtype), weights={"weight": n.weight(0)})
    return n.add("gather", n.x(0), n.x(1), options=(made,))


def distances(n: NodeUse) -> Traced:
    """``CDist``: of each row of one to each row of another, by a product of both."""
    x, y = n.x(0), n.x(1)
    crossed = n.add("matmul", x, n.add("transpose", y))
    lengths = [n.add("sum", n.elementwise("square", t), options=(-1, True)) for t in (x, y)]
    total = n.add("add", n.add("add", crossed, lengths[0]), n.add("transpose", lengths[1]))
    return total if n.attribute("metric", "sqeuclidean") == "sqeuclidean" else n.elementwise("sqrt", total)


def complex_product(n: NodeUse) -> Traced:
    """Pairs of a real and an imaginary part: four products and two sums for each pair."""
    return n.elementwise("multiply", n.x(0), n.x(1), times=3)


def all_finite(n: NodeUse) -> Traced:
    """Whether each element of all inputs is a number."""
    found = [
        n.add("reduction", n.elementwise("isfinite", x, dtype="bool"), options=("all", tuple(range(len(x.type.shape)))))
        if x.type.shape
        else n.elementwise("isfinite", x, dtype="bool")
        for x in n.all()
    ]
    for other in found[1:]:
        found[0] = n.elementwise("logical_and", found[0], other, dtype="bool")
    return found[0]


def sum_of_whole(n: NodeUse) -> Traced:
    """``ReduceSumInteger``: sums in 32 bits."""
    x = n.elementwise("copy", n.x(0), dtype="int32")
    axes = tuple(sorted(a % len(x.type.shape) for a in n.attribute("axes") or range(len(x.type.shape))))
    return n.add("sum", x, options=(axes, bool(n.attribute("keepdims", 1))))  # type: ignore[no-any-return]


def product_of_whole(n: NodeUse) -> Traced:
    """``MulInteger``: products in 32 bits."""
    n.beside(1, 3)
    x, y = n.x(0), n.x(2)
    return n.elementwise("multiply", x, y, dtype="int32")


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Unique": unique, "TorchEmbedding": torch_embedding, "CDist": distances, "ComplexMul": complex_product,
    "ComplexMulConj": complex_product, "IsAllFinite": all_finite, "ReduceSumInteger": sum_of_whole,
    "MulInteger": product_of_whole, "NhwcConv": in_channels_last(_nhwc_conv), "Range": shapes.counted,
    "Inverse": lambda n: n.add("inverse", n.x(0)),
    "FusedConv": fused_conv, "NhwcFusedConv": in_channels_last(_nhwc_conv), "NhwcMaxPool": in_channels_last(nhwc_pool),
    "FusedGemm": layers.gemm, "FusedMatMul": fused_matmul, "FusedMatMulActivation": fused_matmul,
    "TransposeMatMul": fused_matmul, "MatMulNBits": of_few_bits, "MatMulBnb4": of_few_bits,
    "SkipLayerNormalization": skip_norm, "SkipSimplifiedLayerNormalization": skip_rms_norm,
    "SimplifiedLayerNormalization": norms.rms_norm, "EmbedLayerNormalization": embedded_norm, "GroupNorm": group_norm,
    "SkipGroupNorm": group_norm, "BiasGelu": gelu, "FastGelu": gelu, "Gelu": gelu, "QuickGelu": quick_gelu,
    "BiasSplitGelu": split_gelu, "BiasAdd": bias_add, "BiasSoftmax": bias_softmax, "BiasDropout": bias_dropout,
    "Pad": shapes.pad, "Trilu": shapes.triangle, "GridSample": moves.grid_sample, "GatherND": moves.gather_nd,
    "Rfft": fft, "Irfft": inverse_fft, "GatherBlockQuantized": gather_quantised, "ExpandDims": expand_dims,
    "GemmFastGelu": matmul_gelu,
}  # fmt: skip
