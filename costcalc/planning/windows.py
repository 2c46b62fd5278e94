"""The windows by which convolutions and pools see their input."""

from __future__ import annotations

from typing import Any

from costcalc.ir.channels_last import channels_second
from costcalc.ir.dims import Dim
from costcalc.ir.fields import pads, per_axis
from costcalc.ir.tensor import TensorType


def second(op: Any, t: TensorType) -> TensorType:
    """The type of an input or output of ``op`` with the channels second, wherever they lie."""
    return channels_second(t) if getattr(op, "channels_last", False) and len(t.shape) > 1 else t


def window(op: Any, x: TensorType) -> list[tuple[Dim, Dim, Dim, tuple[Dim, Dim]]]:
    """Per spatial axis of a convolution or pool: input size, taps from first to last, stride, padding; else nothing."""
    padding = getattr(op, "padding", None)
    kernel = getattr(op, "kernel", None)
    if not op.slides or padding is None or kernel is None or op.name == "conv_transpose" or len(x.shape) < 3:
        return []
    x = second(op, x)
    n = len(x.spatial)
    stride = kernel if op.stride is None else op.stride
    kernels, strides, dilations = (per_axis(value, n) for value in (kernel, stride, getattr(op, "dilation", 1)))
    padded = pads(padding, kernels, strides, dilations, x.spatial)
    found = zip(x.spatial, kernels, strides, dilations, padded, strict=True)
    return [(size, d * (k - 1) + 1, s, p) for size, k, s, d, p in found]
