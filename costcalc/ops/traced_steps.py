"""Steps that several ops need when they are made from traced calls of PyTorch."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.fields import UNKNOWN
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def reshaped(call: Call, x: Traced, *shape: Dim, copies: bool = False) -> Traced:
    """``x`` under another shape; itself if it has that shape."""
    if x.shape == shape:
        return x
    keeps = bool(shape) and x.shape[:1] == shape[:1]
    op = find_op("reshape")(shape[1:] if keeps else shape, keeps, copies)
    return call.add(op, x)  # type: ignore[no-any-return]


def permuted(call: Call, x: Traced, *order: int) -> Traced:
    """``x`` with its axes in another order; itself if that is theirs."""
    same = order == tuple(range(len(order)))
    return x if same else call.add(find_op("permute")(order), x)


def expanded(call: Call, x: Traced, *shape: Dim) -> Traced:
    """``x`` stretched to ``shape``; itself if it has that shape."""
    return x if x.shape == shape else call.add(find_op("expand")(shape), x)


def swapped(call: Call, x: Traced) -> Traced:
    """``x`` with its last two axes swapped."""
    return call.add(find_op("transpose")(), x)  # type: ignore[no-any-return]


def images(call: Call, x: Traced, axes: int, layer: Callable[[Traced], Traced]) -> Traced:
    """``layer`` applied to images with ``axes`` spatial axes; to a single one as a batch of one."""
    if len(x.shape) != axes + 1:
        return layer(x)
    y = layer(reshaped(call, x, 1, *x.shape))
    return reshaped(call, y, *y.shape[1:])


def add_bias(call: Call, y: Traced, bias: Traced, axes: int = 0) -> Traced:
    """``y`` plus one number a channel, where ``axes`` spatial axes follow the channels."""
    return call.add(find_op("add")(), y, reshaped(call, bias, *bias.shape, *(1,) * axes))  # type: ignore[no-any-return]


def scaled(call: Call, y: Traced, weight: Traced | None, bias: Traced | None) -> Traced:
    """``y`` times ``weight`` plus ``bias``, either of which may be missing, in the element type of ``y``."""
    for name, other in (("multiply", weight), ("add", bias)):
        if other is not None:
            dtype = y.type.dtype
            alike = other.type.dtype == dtype
            y = call.add(find_op(name)() if alike else find_op("elementwise")(name, dtype), y, other)
    return y


def linear_combination(call: Call, x: Traced, y: Traced) -> Traced:
    """``beta`` · x + ``alpha`` · y, the factors being 1 unless the call has others."""
    if call.get("beta", 1) == 0:
        return y
    factors = [call.get("beta", 1), call.get("alpha", 1)]
    x, y = (
        t if factor == 1 else call.add(find_op("elementwise")("multiply"), t)
        for t, factor in zip((x, y), factors, strict=True)
    )
    return call.add(find_op("add")(), x, y)  # type: ignore[no-any-return]


def beside(call: Call, y: Traced) -> Traced | tuple[Traced, ...]:
    """``y`` with what else the operator returns, which training wants: taken as known."""
    if len(call.made) == 1:
        return y
    return (y, *(call.add(find_op("constant")(t.shape, t.dtype)) for t in call.made[1:]))


def unread(call: Call, *made: Traced) -> tuple[Traced, ...]:
    """``made``, and what else the operator returns, which models seldom read: pivots, whether it succeeded."""
    return (*made, *(unknown(call, t) for t in call.made[len(made) :]))


def unknown(call: Call, made: TensorType) -> Traced:
    """A tensor of which nobody says what is in it."""
    return call.add(find_op("constant")(made.shape, made.dtype, value=UNKNOWN))  # type: ignore[no-any-return]


def copied(call: Call, x: Traced) -> Traced:
    """``x`` in memory of its own."""
    return call.add(find_op("elementwise")("copy"), x)  # type: ignore[no-any-return]


def converted(call: Call, x: Traced, dtype: str) -> Traced:
    """``x`` in another element type; itself if it has that."""
    return x if x.type.dtype == dtype else call.add(find_op("elementwise")("copy", dtype), x)


def own(*tensors: Traced | None, like: Traced | None = None) -> bool:
    """Whether all of ``tensors`` that are given can be weights: of the model, or made of such beforehand.

    like    they must also have its element type
    """
    given = [t for t in tensors if t is not None]
    return all(t.settled and (like is None or t.type.dtype == like.type.dtype) for t in given)
