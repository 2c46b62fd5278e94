"""Steps that several ops need when they are made from traced calls of PyTorch."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.ir.call import Call, Traced
from costcalc.ir.op import find_op


def reshaped(call: Call, x: Traced, *shape: int) -> Traced:
    """``x`` under another shape; itself if it has that shape."""
    return x if x.shape == shape else call.add(find_op("reshape")(shape), x)  # type: ignore[no-any-return]


def permuted(call: Call, x: Traced, *order: int) -> Traced:
    """``x`` with its axes in another order; itself if that is theirs."""
    return x if order == tuple(range(len(order))) else call.add(find_op("permute")(order), x)  # type: ignore[no-any-return]


def swapped(call: Call, x: Traced) -> Traced:
    """``x`` with its last two axes swapped."""
    last = len(x.shape) - 1
    return permuted(call, x, *range(last - 1), last, last - 1)


def images(call: Call, x: Traced, axes: int, layer: Callable[[Traced], Traced]) -> Traced:
    """``layer`` applied to images with ``axes`` spatial axes; to a single one as a batch of one."""
    if len(x.shape) != axes + 1:
        return layer(x)
    y = layer(reshaped(call, x, 1, *x.shape))
    return reshaped(call, y, *y.shape[1:])


def add_bias(call: Call, y: Traced, bias: Traced, axes: int = 0) -> Traced:
    """``y`` plus one number a channel, where ``axes`` spatial axes follow the channels."""
    add = find_op("add")()
    return call.add(add, y, reshaped(call, bias, *bias.shape, *(1,) * axes))  # type: ignore[no-any-return]


def scaled(call: Call, y: Traced, weight: Traced | None, bias: Traced | None) -> Traced:
    """``y`` times ``weight`` plus ``bias``, either of which may be missing."""
    if weight is not None:
        y = call.add(find_op("multiply")(), y, weight)
    return y if bias is None else call.add(find_op("add")(), y, bias)  # type: ignore[no-any-return]


def own(*tensors: Traced | None) -> bool:
    """Whether all of ``tensors`` that are given are weights of the model."""
    return all(t is None or bool(t.weight) for t in tensors)
