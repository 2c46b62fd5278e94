"""Pooling, resizing, and what moves places to channels or batches."""

from __future__ import annotations

from typing import Any

from costcalc.frontends.compose import Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import copied, finish, options_of, rule, sliding
from costcalc.ir.call import once
from costcalc.ir.dims import prod


def _pooled(b: TFLiteBuilder, o: TFLiteOperator, op: str, x: int | Value, **more: Any) -> Value:
    t = options_of(o)
    return b.make(op, x, kernel=once((t.whole(4, 1), t.whole(3, 1))), **sliding(t, (2, 1)), **more)


@rule("AVERAGE_POOL_2D")
def average_pool_2d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """What lies outside is not counted."""
    finish(b, o, _pooled(b, o, "avg_pool", o.inputs[0], count_include_pad=False), options_of(o).byte(5))


@rule("MAX_POOL_2D")
def max_pool_2d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The largest of each window."""
    finish(b, o, _pooled(b, o, "max_pool", o.inputs[0]), options_of(o).byte(5))


@rule("L2_POOL_2D")
def l2_pool_2d(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The root of the mean of the squares."""
    squares = b.make("elementwise", o.inputs[0], function="square")
    mean = _pooled(b, o, "avg_pool", squares, count_include_pad=False)
    finish(b, o, b.make("elementwise", mean, function="sqrt"), options_of(o).byte(5))


@rule("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """To a size; without half_pixel_centers as old versions of TensorFlow do it, from the corners of pixels."""
    t, bilinear = options_of(o), o.name == "RESIZE_BILINEAR"
    align, half = (t.flag(2), t.flag(3)) if bilinear else (t.flag(0), t.flag(1))
    size = tuple(b.wanted(o.inputs[1]))
    if (not (align or half)) if bilinear else align:
        b.note("samples from the corners of pixels; its window is given as that from their centres")
    mode = "bilinear" if bilinear else "nearest-exact" if half else "nearest"
    y = b.make("upsample", o.inputs[0], size=size, mode=mode, align_corners=align and bilinear, channels_last=True)
    finish(b, o, y)


@rule("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def space_to_depth(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Blocks of pixels become channels, and back."""
    op = "pixel_shuffle" if o.name == "DEPTH_TO_SPACE" else "pixel_unshuffle"
    finish(b, o, b.make(op, o.inputs[0], factor=options_of(o).whole(0), channels_last=True))


@rule("SPACE_TO_BATCH_ND")
def space_to_batch(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The places of each residue become a sample of their own: how dilated convolutions are written."""
    block, flat = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    n = len(block)
    x: int | Value = o.inputs[0]
    if any(flat):
        pads = tuple(zip(flat[::2], flat[1::2], strict=True))
        x = b.make("pad", x, amount=pads, axes=tuple(range(1, n + 1)))
    batch, *rest = b.type_of(x).shape
    split = [d for size, k in zip(rest[:n], block, strict=True) for d in (size // k, k)]
    x = b.make("reshape", x, shape=(batch, *split, *rest[n:]), keep_batch=False)
    order = (*range(2, 2 * n + 1, 2), 0, *range(1, 2 * n, 2), *range(2 * n + 1, 1 + 2 * n + len(rest) - n))
    x = copied(b, b.make("permute", x, axes=order))
    small = [size // k for size, k in zip(rest[:n], block, strict=True)]
    finish(b, o, b.make("reshape", x, shape=(batch * prod(block), *small, *rest[n:]), keep_batch=False))


@rule("BATCH_TO_SPACE_ND")
def batch_to_space(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """The inverse: samples become the places of each residue; then the padding is cut off."""
    block, flat = b.wanted(o.inputs[1]), b.wanted(o.inputs[2])
    n = len(block)
    batch, *rest = b.type_of(o.inputs[0]).shape
    x = b.make("reshape", o.inputs[0], shape=(*block, batch // prod(block), *rest), keep_batch=False)
    order = [n]
    for i in range(n):
        order += [n + 1 + i, i]
    x = copied(b, b.make("permute", x, axes=(*order, *range(2 * n + 1, n + 1 + len(rest)))))
    large = [size * k for size, k in zip(rest[:n], block, strict=True)]
    x = b.make("reshape", x, shape=(batch // prod(block), *large, *rest[n:]), keep_batch=False)
    for axis, (before, after) in enumerate(zip(flat[::2], flat[1::2], strict=True), 1):
        if before or after:
            x = b.make("slice", x, axis=axis, start=before, stop=-after if after else None)
    finish(b, o, x)
