"""Windows along any axes, whose elements become one; and elements that are drawn apart."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import copied, finish, rule
from costcalc.ir.call import once

_FUNCTIONS = ("", "sum", "prod", "amin", "amax", "all", "any")
"""By their numbers in the options."""
_PADDED = 3
"""Axes that one layer pads."""


@rule("REDUCE_WINDOW")
def reduce_window(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Sizes, steps and dilations of the windows are inputs; older files have those of the input and a padding too."""
    if o.options2 is None or not 0 < o.options2.whole(0) < len(_FUNCTIONS):
        raise Unlike("it does not say what it makes of a window")
    size, step, *rest = (b.wanted(i) for i in o.inputs[2:])
    stretched, dilation, flat = rest if len(rest) == 3 else ([1] * len(size), *rest, [0, 0] * len(size))
    function = _FUNCTIONS[o.options2.whole(0)]
    finish(b, o, windowed(b, b.value(o.inputs[0]), function, size, step, stretched, dilation, pairs_of(flat)))


@rule("DILATE")
def dilate(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A number between any two neighbours along an axis, as often as its step says less one."""
    finish(b, o, copied(b, spread(b, b.value(o.inputs[0]), b.wanted(o.inputs[1]))))


def pairs_of(flat: Sequence[int]) -> list[tuple[int, int]]:
    """What is before and after each axis, of a list of all in turn."""
    return list(zip(flat[::2], flat[1::2], strict=True))


def spread(b: TFLiteBuilder, x: Value, steps: Sequence[int]) -> Value:
    """``x`` with ``steps`` from each place along an axis to the next, what is between them filled."""
    if any(step < 1 for step in steps):
        raise Unlike("it draws elements together")
    for axis, step in enumerate(steps):
        shape = b.type_of(x).shape
        if step == 1 or shape[axis] == 1:
            continue
        x = b.make("reshape", x, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]), keep_batch=False)
        x = b.make("pad", x, amount=((0, step - 1),), axes=(axis + 1,))
        x = b.make("reshape", x, shape=(*shape[:axis], shape[axis] * step, *shape[axis + 1 :]), keep_batch=False)
        x = b.make("slice", x, axis=axis, stop=1 - step)
    return x


def padded(b: TFLiteBuilder, x: Value, amounts: Sequence[tuple[int, int]]) -> Value:
    """``x`` with so much before and after each axis; less than nothing cuts off."""
    for axis, (before, after) in enumerate(amounts):
        if before < 0 or after < 0:
            x = b.make("slice", x, axis=axis, start=max(-before, 0), stop=after if after < 0 else None)
    wanted = [(axis, (max(p, 0), max(q, 0))) for axis, (p, q) in enumerate(amounts) if p > 0 or q > 0]
    for at in range(0, len(wanted), _PADDED):
        some = wanted[at : at + _PADDED]
        x = b.make("pad", x, amount=tuple(pair for _, pair in some), axes=tuple(axis for axis, _ in some))
    return x


def windowed(
    b: TFLiteBuilder, x: Value, function: str, size: Sequence[int], step: Sequence[int], stretched: Sequence[int],
    dilation: Sequence[int], amounts: Sequence[tuple[int, int]],
) -> Value:  # fmt: skip
    """What ``function`` makes of each window: a pooling where it is one, else a reduction of views of the input."""
    rank = len(b.type_of(x).shape)
    if not all(len(given) == rank for given in (size, step, stretched, dilation, amounts)):
        raise Unlike(f"its windows do not have the {rank} axes of its input")
    if any(n < 1 for n in (*size, *step, *dilation)):
        raise Unlike("its windows or steps are empty")
    found = _pooled(b, x, function, size, step, stretched, dilation, amounts)
    if found is not None:
        return found
    dtype, x = b.type_of(x).dtype, padded(b, spread(b, x, stretched), amounts)
    inner = 0
    for axis, (n, s, d) in enumerate(zip(size, step, dilation, strict=True)):
        if n == 1:
            x = x if s == 1 else b.make("slice", x, axis=axis, step=s)
            continue
        x, inner = b.make("windows", x, axis=axis, size=(n - 1) * d + 1, step=s), inner + 1
        x = x if d == 1 else b.make("slice", x, axis=-1, step=d)
    if not inner:
        return copied(b, x)
    axes = tuple(range(rank, rank + inner))
    if function == "sum":
        return b.make("sum", x, axes=axes)
    return b.make("reduction", x, function=function, axes=axes, dtype=dtype)


def _pooled(
    b: TFLiteBuilder, x: Value, function: str, size: Sequence[int], step: Sequence[int], stretched: Sequence[int],
    dilation: Sequence[int], amounts: Sequence[tuple[int, int]],
) -> Value | None:  # fmt: skip
    """The same as max pooling of places, if it is that."""
    rank = len(size)
    if function != "amax" or not 3 <= rank <= 5 or any(s != 1 for s in stretched):
        return None
    for last in (True, False):
        places = range(1, rank - 1) if last else range(2, rank)
        others = [axis for axis in range(rank) if axis not in places]
        is_plain = all(size[a] == step[a] == 1 and amounts[a] == (0, 0) for a in others)
        if is_plain and all(p >= 0 and 2 * p <= size[a] for a in places for p in amounts[a]):
            return b.make(
                "max_pool", x, kernel=once(tuple(size[a] for a in places)), stride=once(tuple(step[a] for a in places)),
                dilation=once(tuple(dilation[a] for a in places)), padding=tuple(amounts[a] for a in places),
                channels_last=last,
            )  # fmt: skip
    return None
