"""Convolutions, products, recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule, QuantisedTensor
from costcalc.ir.call import Traced, once
from costcalc.ir.dims import Dim, ceil_div, maximum
from costcalc.ops.traced_steps import add_bias, permuted, reshaped, swapped


def window(n: NodeUse, sizes: Sequence[Dim], kernel: Sequence[Dim]) -> dict[str, Any]:
    """Stride, dilation and padding of a window, as ops have them."""
    axes = len(kernel)
    strides = _per_axis(n, "strides", axes, 1)
    dilations = _per_axis(n, "dilations", axes, 1)
    padding = paddings(n, sizes, kernel, strides, dilations)
    return {"stride": once(strides), "dilation": once(dilations), "padding": written(padding)}


def paddings(
    n: NodeUse, sizes: Sequence[Dim], kernel: Sequence[Dim], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[Dim, Dim]]:
    """Padding before and after, by axis."""
    axes = len(kernel)
    how = n.attribute("auto_pad", "NOTSET") or "NOTSET"
    if how == "VALID":
        return [(0, 0)] * axes
    if how in ("SAME_UPPER", "SAME_LOWER"):
        found: list[tuple[Dim, Dim]] = []
        for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
            needed = maximum((ceil_div(size, s) - 1) * s + d * (k - 1) + 1 - size, 0)
            less, more = needed // 2, needed - needed // 2
            found.append((less, more) if how == "SAME_UPPER" else (more, less))
        return found
    given = _per_axis(n, "pads", 2 * axes, 0)
    return list(zip(given[:axes], given[axes:], strict=True))


def written(padding: Sequence[tuple[Dim, Dim]]) -> Any:
    """Padding as ops and specs write it."""
    if all(a == b for a, b in padding):
        return once(tuple(a for a, _ in padding))
    return tuple(padding)


def _per_axis(n: NodeUse, name: str, axes: int, default: int) -> tuple[int, ...]:
    given = n.attribute(name)
    if not given:
        return (default,) * axes
    if len(given) != axes:
        raise FileError(f"{n.node.operator}: {name} has {len(given)} numbers for {axes}")
    return tuple(given)


def activated(n: NodeUse, y: Traced, name: str = "activation") -> Traced:
    """``y`` after the activation that a fused operator names."""
    word = n.attribute(name)
    if not word:
        return y
    params: Any = n.attribute("activation_params") or ()
    if word == "Clip" and len(params) == 2:
        low, high = params
        if low == 0 and high == 6:
            return n.add("relu6", y)  # type: ignore[no-any-return]
        return n.add("hardtanh", y, options=(float(low), float(high)))  # type: ignore[no-any-return]
    ops = {
        "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "LeakyRelu": "leaky_relu", "HardSigmoid": "hardsigmoid",
        "HardSwish": "hardswish", "Gelu": "gelu", "QuickGelu": "silu", "Softplus": "softplus", "Elu": "elu",
    }  # fmt: skip
    if word not in ops:
        raise NoRule(f"the activation {word[:40]}")
    options = (float(params[0] if params else n.attribute("alpha", 0.01)),) if word == "LeakyRelu" else ()
    return n.add(ops[word], y, options=options)  # type: ignore[no-any-return]


def conv(n: NodeUse) -> Traced:
    """By a kernel of the file, or by one that the network makes."""
    return activated(n, convolved(n, n.x(0), 1, 2))


def convolved(n: NodeUse, x: Traced, weight: int, bias: int) -> Traced:
    """``Conv`` of ``x`` by input ``weight``, with input ``bias`` if it is there."""
    kernel = n.shape(weight)[2:]
    if len(kernel) != len(x.type.shape) - 2 or not kernel:
        raise FileError(f"{n.node.operator} has a kernel of {len(kernel)} axes and an input of {len(x.type.shape) - 2}")
    if len(kernel) > 3:
        raise NoRule("more than three spatial axes")
    options = window(n, x.type.spatial, kernel) | {"groups": n.attribute("group", 1)}
    has_bias = n.has(bias)
    if not n.is_weight(weight):
        y = n.add("dynamic_conv", x, n.x(weight), **options)
        return add_bias(n.call, y, n.x(bias), len(kernel)) if has_bias else y
    own = has_bias and n.is_weight(bias)
    weights = {"weight": n.weight(weight)} | ({"bias": n.weight(bias)} if own else {})
    y = n.add(
        "conv", x, options=(n.shape(weight)[0], once(kernel)), weights=weights, **options, bias=own
    )  # fmt: skip
    return add_bias(n.call, y, n.x(bias), len(kernel)) if has_bias and not own else y


def conv_transpose(n: NodeUse) -> Traced:
    """With ``output_shape`` the padding follows: SAME_UPPER crops the end, the others the start, as when it is run."""
    x, shape = n.x(0), n.shape(1)
    kernel = shape[2:]
    axes, groups = len(kernel), n.attribute("group", 1)
    if axes > 3:
        raise NoRule("more than three spatial axes")
    strides, dilations = _per_axis(n, "strides", axes, 1), _per_axis(n, "dilations", axes, 1)
    extra = _per_axis(n, "output_padding", axes, 0)
    how = n.attribute("auto_pad", "NOTSET") or "NOTSET"
    wanted = n.attribute("output_shape")
    reached = not wanted  # SAME only crops
    if wanted:
        wanted = wanted[-axes:]
    elif how in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(size * s for size, s in zip(x.type.spatial, strides, strict=True))
    beyond: list[tuple[Dim, Dim]] = []
    if wanted:
        padding: list[tuple[Dim, Dim]] = []
        for size, k, s, d, e, out in zip(x.type.spatial, kernel, strides, dilations, extra, wanted, strict=True):
            whole = (size - 1) * s + d * (k - 1) + 1 + e
            crop = maximum(whole - out, 0)
            beyond.append((0, out - whole) if not reached and isinstance(whole, int) and whole < out else (0, 0))
            if isinstance(whole, int) and not reached and out - whole >= max(s, d):
                raise FileError(
                    f"ConvTranspose: output_shape is {out}, but {whole + max(s, d) - 1} is the most there can be"
                )
            less, more = crop // 2, crop - crop // 2
            padding.append((less, more) if how == "SAME_UPPER" else (more, less))
    else:
        padding = paddings(n, x.type.spatial, kernel, strides, dilations)
    options: dict[str, Any] = {
        "stride": once(strides), "padding": written(padding), "output_padding": once(extra),
        "dilation": once(dilations), "groups": groups,
    }  # fmt: skip
    has_bias = n.has(2)
    if not n.is_weight(1):
        y = n.add("dynamic_conv", x, n.x(1), **options, transposed=True)
        y = _lengthened(n, y, beyond)
        return add_bias(n.call, y, n.x(2), axes) if has_bias else y
    own = has_bias and n.is_weight(2)
    weights = {"weight": n.weight(1)} | ({"bias": n.weight(2)} if own else {})
    y = n.add("conv_transpose", x, options=(shape[1] * groups, once(kernel)), weights=weights, **options, bias=own)
    y = _lengthened(n, y, beyond)
    return activated(n, add_bias(n.call, y, n.x(2), axes) if has_bias and not own else y)


def _lengthened(n: NodeUse, y: Traced, beyond: Sequence[tuple[Dim, Dim]]) -> Traced:
    """``y`` with places after its last, where ``output_shape`` asks for more than there are."""
    more = any(not isinstance(after, int) or after for _, after in beyond)
    return n.add("pad", y, options=(tuple(beyond),)) if more else y


def deform_conv(n: NodeUse) -> Traced:
    """``DeformConv``: x, weight, offset, then perhaps bias and mask."""
    shape = n.shape(1)
    x, others = n.x(0), [n.x(i) for i in (2, 4) if n.has(i)]
    if not n.is_weight(1) or len(shape) != 4:
        raise NoRule("a kernel that is computed, or not of two axes")
    options = window(n, x.type.spatial, shape[2:]) | {"groups": n.attribute("group", 1)}
    own = n.has(3) and n.is_weight(3)
    weights = {"weight": n.weight(1)} | ({"bias": n.weight(3)} if own else {})
    return n.add(  # type: ignore[no-any-return]
        "deform_conv", x, *others, options=(shape[0], once(shape[2:])), weights=weights, **options, bias=own
    )


def matmul(n: NodeUse) -> Traced:
    """A product; with a matrix of the file on the right a linear layer, and its bias where a sum with one follows."""
    return multiplied(n, n.held(0), 1)


def multiplied(n: NodeUse, a: Traced, index: int) -> Traced:
    """``a`` times input ``index``."""
    b = n.held(index)
    if len(b.type.shape) != 2 or not n.is_weight(index) or not a.type.shape or a.settled:
        return n.add("matmul", n.real(a), n.x(index))  # type: ignore[no-any-return]
    inner, out = b.type.shape
    if a.type.shape[-1] != inner:
        raise FileError(f"the last axis of the left input is {a.type.shape[-1]}, the axis that it meets is {inner}")
    weights = {"weight": n.weight(index, (out, inner))}
    bias = _bias_after(n, out)
    if bias is not None:
        weights["bias"] = bias
    y = n.add("linear", n.real(a), options=(out, bias is not None), weights=weights)
    if bias is not None:
        follower = n.build.follower(n.node.outputs[0], "Add")
        assert follower is not None
        n.build.absorb(follower, y)
    return y  # type: ignore[no-any-return]


def _bias_after(n: NodeUse, out: Dim) -> Traced | None:
    """The bias that the one node adds which reads the product."""
    follower = n.build.follower(n.node.outputs[0], "Add")
    if follower is None or len(follower.inputs) != 2:
        return None
    other = follower.inputs[1 if follower.inputs[0] == n.node.outputs[0] else 0]
    found = n.build.seen(other)
    if found is None or not found.weight or found.type.shape != (out,):
        return None
    return Traced(found.type, found.weight, True)


def gemm(n: NodeUse) -> Traced:
    """alpha · A · B + beta · C, either of A and B perhaps transposed."""
    a, shape = n.x(0), n.shape(1)
    if len(a.type.shape) != 2 or len(shape) != 2:
        raise FileError(f"Gemm takes matrices, not {a.type} and {n.type(1)}")
    if n.attribute("transA", 0):
        a = swapped(n.call, a)
    rows = bool(n.attribute("transB", 0))
    out, inner = shape if rows else (shape[1], shape[0])
    scaled_by = n.attribute("alpha", 1.0)
    beta = n.attribute("beta", 1.0)
    has_bias = n.has(2) and beta != 0
    bias_shape = n.shape(2) if has_bias else ()
    flat = tuple(d for d in bias_shape if d != 1) in ((out,), ()) and bias_shape[-1:] == (out,)
    own = has_bias and n.is_weight(2) and flat and scaled_by == 1 and beta == 1
    if n.is_weight(1):
        weights = {"weight": n.weight(1, (out, inner))} | ({"bias": n.weight(2, (out,))} if own else {})
        y = n.add("linear", a, options=(out, own), weights=weights)
    else:
        own = False
        b = n.x(1)
        y = n.add("matmul", a, swapped(n.call, b) if rows else b)
    if scaled_by != 1:
        y = n.elementwise("multiply", y)
    if has_bias and not own:
        c = n.x(2)
        y = n.add("add", y, n.elementwise("multiply", c) if beta != 1 else c)
    return activated(n, y)


def einsum(n: NodeUse) -> Traced:
    equation = n.attribute("equation", "").replace(" ", "")
    return n.add("einsum", *n.all(), options=(equation,))  # type: ignore[no-any-return]


def recurrent(n: NodeUse) -> tuple[Any, ...]:
    """LSTM, GRU and RNN: (steps, batch, width), the gates' weights of each direction together.

    ONNX Runtime's results are (steps, directions, batch, hidden) and (directions, batch, hidden); with ``layout`` 1
    the batch is first.
    """
    quantised = n.node.operator == "DynamicQuantizeLSTM"  # whose weights lie the other way
    op = "lstm" if quantised else n.node.operator.lower()
    batch_first = bool(n.attribute("layout", 0))
    x = n.x(0)
    if batch_first:
        x = permuted(n.call, x, 1, 0, 2)
    directions, *sides = n.shape(1)
    width = sides[0] if quantised else sides[-1]
    hidden = n.attribute("hidden_size") or (n.shape(2)[1] if quantised else n.shape(2)[-1])
    both = n.attribute("direction", "forward") == "bidirectional"
    if len(x.type.shape) != 3 or not isinstance(directions, int) or directions != 1 + both:
        raise FileError(f"{n.node.operator} takes (steps, batch, width), and weights of {1 + both} directions")
    states = 2 if op == "lstm" else 1
    if op == "lstm" and n.has(7):
        raise NoRule("peepholes")
    own = n.is_weight(1) and n.is_weight(2) and (not n.has(3) or n.is_weight(3))
    if not own:
        raise NoRule("weights that are computed")
    start = [n.x(i) for i in range(5, 5 + states) if n.has(i)]
    if 0 < len(start) < states:
        missing = n.constant(start[0].type, value=0)
        start = [start[0], missing] if n.has(5) else [missing, start[0]]
    if batch_first:
        start = [permuted(n.call, t, 1, 0, 2) for t in start]
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[op]
    weights: dict[str, Traced] = {}
    for local, index, shape in (
        ("weight_ih", 1, (gates * hidden, width)), ("weight_hh", 2, (gates * hidden, hidden)),
        ("bias_ih", 3, (gates * hidden,)), ("bias_hh", 3, (gates * hidden,)),
    ):  # fmt: skip
        if not n.has(index):
            continue
        for direction, suffix in enumerate(("", "_reverse")[: 1 + both]):
            name = f"{local}_l0{suffix}"
            weights[name] = _part(n, index, name, direction, shape)
    if quantised:
        n.beside(*range(8, len(n.given)))
    y, *last = n.add(op, x, *start, weights=weights, hidden=hidden, bidirectional=both, bias=n.has(3))
    steps, batch = y.type.shape[:2]
    y = reshaped(n.call, y, steps, batch, 1 + both, hidden) if n.wants(0) else y
    if n.wants(0):
        y = permuted(n.call, y, *((1, 0, 2, 3) if batch_first else (0, 2, 1, 3)))
    last = [permuted(n.call, t, 1, 0, 2) if batch_first and n.wants(1 + i) else t for i, t in enumerate(last)]
    return (y, *last)


def _part(n: NodeUse, index: int, local: str, direction: int, shape: tuple[Dim, ...]) -> Traced:
    """One direction's part of a tensor that is kept together; both kinds of bias lie in one."""
    value = n.held(index)
    name = n.weight(index).weight if not isinstance(value, QuantisedTensor) else ""
    if name:
        # One tensor of the file is several of the layer's: each has its own share of the elements, and its own name.
        n.build.looked_at(value)
        return Traced(value.type._replace(shape=shape), f"{name}.{local}", True)
    whole = n.real(value)
    part: Traced = n.add("select", whole, options=(0, direction))
    if local.startswith("bias"):
        half = part.type.shape[0] // 2
        part = n.add("slice", part, options=(0, 0, half) if local.startswith("bias_ih") else (0, half))
    return part


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "DeformConv": deform_conv, "MatMul": matmul, "Gemm": gemm,
    "Einsum": einsum, "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent,
}  # fmt: skip
