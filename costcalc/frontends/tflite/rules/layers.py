"""Convolutions, dense layers and products."""

from __future__ import annotations

from typing import Any

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import SAME, finish, options_of, rule, sliding, weights_of
from costcalc.ir.call import once
from costcalc.ir.dims import Dim


def _groups(b: TFLiteBuilder, o: TFLiteOperator, channels: int) -> int:
    """How often the ``channels`` of the filter go into those of the input."""
    given = b.type_of(o.inputs[0]).shape[-1]
    if not isinstance(given, int) or not channels or given % channels:
        raise Unlike(f"its filter has {channels} channels, its input {given}")
    return given // channels


@rule("CONV_2D")
def conv_2d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Groups have no field: they are how often the filter's channels go into the input's."""
    t = options_of(o)
    out, height, width, channels = b.sizes(o.inputs[1])
    groups, slides = _groups(b, o, channels), sliding(t, (2, 1), (5, 4))
    if not b.is_constant(o.inputs[1]):
        finish(b, o, _with_computed(b, o, (0, 3, 1, 2), groups, slides), t.byte(3))
        return
    weights = weights_of(b, o)
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once((height, width)), groups=groups,
        bias="bias" in weights, **slides,
    )  # fmt: skip
    finish(b, o, y, t.byte(3))


def _with_computed(
    b: TFLiteBuilder, o: TFLiteOperator, order: tuple[int, ...], groups: Dim, slides: dict[str, Any]
) -> Value:
    """A convolution whose filter is computed while it runs: its axes in PyTorch's ``order``, and a bias after it."""
    slides = {name: value for name, value in slides.items() if name != "channels_last"}
    rank = len(order)
    x = b.make("permute", o.inputs[0], axes=(0, rank - 1, *range(1, rank - 1)))
    y = b.make("dynamic_conv", x, b.make("permute", o.inputs[1], axes=order), groups=groups, **slides)
    y = b.make("permute", y, axes=(0, *range(2, rank), 1))
    return b.make("add", y, o.inputs[2]) if len(o.inputs) > 2 and o.inputs[2] >= 0 else y


@rule("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The filter is (1, height, width, channels × multiplier)."""
    t = options_of(o)
    _, height, width, out = b.sizes(o.inputs[1])
    groups, slides = b.type_of(o.inputs[0]).shape[-1], sliding(t, (2, 1), (6, 5))
    if not b.is_constant(o.inputs[1]):
        finish(b, o, _with_computed(b, o, (3, 0, 1, 2), groups, slides), t.byte(4))
        return
    weights = weights_of(b, o)
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once((height, width)), groups=groups,
        bias="bias" in weights, **slides,
    )  # fmt: skip
    finish(b, o, y, t.byte(4))


@rule("CONV_3D")
def conv_3d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The filter is (depth, height, width, channels in, out)."""
    t = options_of(o)
    *kernel, channels, out = b.sizes(o.inputs[1])
    groups, slides = _groups(b, o, channels), sliding(t, (1, 3, 2), (5, 7, 6))
    if not b.is_constant(o.inputs[1]):
        finish(b, o, _with_computed(b, o, (4, 3, 0, 1, 2), groups, slides), t.byte(4))
        return
    weights = weights_of(b, o)
    y = b.make(
        "conv", o.inputs[0], weights=weights, out_channels=out, kernel=once(tuple(kernel)), groups=groups,
        bias="bias" in weights, **slides,
    )  # fmt: skip
    finish(b, o, y, t.byte(4))


def _transposed(
    b: TFLiteBuilder, o: TFLiteOperator, kernel: tuple[int, ...], out: int, stride: tuple[int, ...], same: bool
) -> Value:
    """A transposed convolution, whose output's size is an input; what is laid beyond it is cut off."""
    weights = weights_of(b, o, 1, 3)
    size = b.known(o.inputs[0]) or list(b.declared(o.outputs[0]).shape)
    padding, extra = [], []
    for given, wanted, k, s in zip(b.type_of(o.inputs[2]).shape[1:-1], size[1:-1], kernel, stride, strict=True):
        if not b.as_written or not isinstance(given, int) or not isinstance(wanted, int):
            # Resized: as much is laid as the padding says.
            padding.append(((max(k - s, 0)) // 2, max(k - s, 0) - max(k - s, 0) // 2) if same else (0, 0))
            extra.append(max(s - k, 0))
            continue
        beyond = (given - 1) * s + k - wanted
        before = max(beyond, 0) // 2 if same else 0
        padding.append((before, max(beyond, 0) - before))
        extra.append(max(-beyond, 0))
    return b.make(
        "conv_transpose", o.inputs[2], weights=weights, out_channels=out, kernel=once(kernel), stride=once(stride),
        padding=tuple(padding), output_padding=once(tuple(extra)), bias="bias" in weights, channels_last=True,
    )  # fmt: skip


@rule("TRANSPOSE_CONV")
def transpose_conv(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Inputs are the output's size, the filter (out, height, width, in), and the map."""
    t = options_of(o)
    out, height, width, _ = b.sizes(o.inputs[1])
    stride = t.whole(2, 1) or 1, t.whole(1, 1) or 1
    finish(b, o, _transposed(b, o, (height, width), out, stride, t.byte(0) == SAME), t.byte(3))


@rule("CONV_3D_TRANSPOSE")
def conv_3d_transpose(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The filter is (depth, height, width, out, in)."""
    t = options_of(o)
    *kernel, out, _ = b.sizes(o.inputs[1])
    stride = t.whole(1, 1) or 1, t.whole(3, 1) or 1, t.whole(2, 1) or 1
    finish(b, o, _transposed(b, o, tuple(kernel), out, stride, t.byte(0) == SAME), t.byte(4))


@rule("FULLY_CONNECTED")
def fully_connected(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Weights are (out, in); all axes of the input but those of its last features are one, unless they are kept."""
    t = options_of(o)
    x: int | Value = o.inputs[0]
    out, features = b.type_of(o.inputs[1]).shape
    shape = b.type_of(x).shape
    if len(shape) != 2 and not (t.flag(2) and shape[-1:] == (features,)):
        x = b.make("reshape", x, shape=(-1, features), keep_batch=False)
    if b.is_constant(o.inputs[1]):
        weights = weights_of(b, o)
        y = b.make("linear", x, weights=weights, out_features=out, bias="bias" in weights)
    else:
        y = b.make("matmul", x, b.make("transpose", o.inputs[1]))
        if len(o.inputs) > 2 and o.inputs[2] >= 0:
            y = b.make("add", y, o.inputs[2])
    finish(b, o, y, t.byte(0))


@rule("BATCH_MATMUL")
def batch_matmul(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Either side may be transposed."""
    t = options_of(o)
    x, y = (b.make("transpose", i) if t.flag(k) else b.value(i) for k, i in enumerate(o.inputs[:2]))
    finish(b, o, b.make("matmul", x, y))
