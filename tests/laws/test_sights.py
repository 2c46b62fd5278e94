"""Gradients reach just the inputs that an op says its outputs see.

One output place is a function of the input; where its gradient is not zero for some input values,
it depends on that element. Over several draws of inputs this shows what a maximum or a ReLU looks
at, too. Nothing may lie outside the stated window, and some place must reach each bound of it inside the
input: a bound that lies in the padding for every place could be any.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

import pytest
import torch
from uses import WITH_MODULE, module_of, outputs_of

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import Follow, Sight, Window

DRAWS = 40
REAL = [use for use in WITH_MODULE if use.values[1] and all(t.dtype.startswith("float") for t in use.values[1])]
Span = tuple[int, int]


def reached(op: Op, types: list[TensorType]) -> Iterator[list[Any]]:
    """For each input a mask, (*output shape, *input shape): where the gradient was non-zero in some draw so far."""
    torch.manual_seed(0)
    module = module_of(op, types)
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(0.5, 1.5)
    y_shape = outputs_of(op, types)[0].shape
    places = torch.eye(outputs_of(op, types)[0].size, dtype=torch.float64).reshape(-1, *y_shape)
    masks: list[Any] = [False for _ in types]
    for _ in range(DRAWS):
        inputs = [torch.randn(t.shape, dtype=torch.float64, requires_grad=True) for t in types]
        y = module(*inputs)
        y = y if torch.is_tensor(y) else y[0]
        grads = torch.autograd.grad(
            y, inputs, places, is_grads_batched=True, allow_unused=True, materialize_grads=True
        )  # fmt: skip
        # The zeros that stand for an unused input come without the batch of places.
        whole = [g.expand(len(places), *x.shape) for g, x in zip(grads, inputs, strict=True)]
        masks = [mask | (g != 0).reshape(*y_shape, *x.shape) for mask, g, x in zip(masks, whole, inputs, strict=True)]
        yield masks


def spans(mask: Any, axis: int, source: int, rank: int) -> dict[int, Span]:
    """For each output index along ``axis``, the first and last input index along ``source`` that it depends on."""
    found: dict[int, Span] = {}
    for o, i in mask.movedim((axis, rank + source), (0, 1)).flatten(2).any(2).nonzero().tolist():
        low, high = found.get(o, (i, i))
        found[o] = min(low, i), max(high, i)
    return found


def stated(window: Window, o: int) -> Span:
    """First and last input that output ``o`` is said to see, also where they lie in the padding."""
    return ceil(window.stride * o + window.lo), floor(window.stride * o + window.hi)


def gaps(sights: tuple[Sight, ...], masks: list[Any], rank: int) -> list[str]:
    """Where no output reaches a stated bound; an ``AssertionError`` where one reaches beyond."""
    open_ = []
    for n, (sight, mask) in enumerate(zip(sights, masks, strict=True)):
        follows = [(a, f) for a, f in enumerate(sight) if isinstance(f, Follow)] if isinstance(sight, tuple) else []
        for axis, (source, window, _) in follows:
            found = spans(mask, axis, source, rank)
            said = {o: stated(window, o) for o in found}
            where = f"axis {axis} of the output, input {n}: {found} but said to be {said}"
            assert all(said[o][0] <= low and high <= said[o][1] for o, (low, high) in found.items()), where
            if not any(said[o][0] == low for o, (low, _) in found.items()):
                open_.append(where)
            if not any(said[o][1] == high for o, (_, high) in found.items()):
                open_.append(where)
    return open_


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize(("op", "types"), REAL)
def test_gradients_span_just_what_is_seen(op: Op, types: list[TensorType]) -> None:
    y = outputs_of(op, types)[0]
    sights = op.sights_of(0, *types, y=y)
    assert len(sights) == len(types)

    for masks in reached(op, types):
        still_open = gaps(sights, masks, len(y.shape))
        if not still_open:
            break

    assert not still_open
