"""Gradients reach just the inputs that an op says its outputs see.

One output place is a function of the input; where its gradient is not zero for some input values,
it depends on that element. Over several draws of inputs this shows what a maximum or a ReLU looks
at, too. Nothing may lie outside the stated window, and each bound must be reached by some place.
"""

from __future__ import annotations

from itertools import product
from math import ceil, floor
from typing import Any

import pytest
import torch
from uses import USES, module_of, outputs_of

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import Follow, Window

DRAWS = 40
REAL = [use for use in USES if all(t.dtype.startswith("float") for t in use.values[1])]
Span = tuple[int, int]


def reached(op: Op, types: list[TensorType]) -> dict[tuple[int, ...], list[Any]]:
    """For each output place, where each input's gradient was ever non-zero."""
    torch.manual_seed(0)
    module = module_of(op, types)
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(0.5, 1.5)
    found: dict[tuple[int, ...], list[Any]] = {}
    draws = DRAWS if outputs_of(op, types)[0].size <= 64 else DRAWS // 4
    for _ in range(draws):
        inputs = [torch.randn(t.shape, dtype=torch.float64, requires_grad=True) for t in types]
        y = module(*inputs)
        y = y if torch.is_tensor(y) else y[0]
        for place in product(*map(range, y.shape)):
            grads = torch.autograd.grad(y[place], inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
            seen = found.setdefault(place, [torch.zeros(t.shape, dtype=torch.bool) for t in types])
            for mask, grad in zip(seen, grads, strict=True):
                mask |= grad != 0
    return found


def stated(window: Window, o: int, size: int) -> Span:
    """First and last input that output ``o`` is said to see, of those that exist."""
    return max(0, ceil(window.stride * o + window.lo)), min(size - 1, floor(window.stride * o + window.hi))


@pytest.mark.parametrize(("op", "types"), REAL)
def test_gradients_span_just_what_is_seen(op: Op, types: list[TensorType]) -> None:
    found = reached(op, types)
    sights = op.sights(*types, y=outputs_of(op, types)[0])
    assert len(sights) == len(types)

    for i, sight in enumerate(sights):
        follows = [(a, f) for a, f in enumerate(sight) if isinstance(f, Follow)] if isinstance(sight, tuple) else []
        for axis, (source, window) in follows:
            size = types[i].shape[source]
            spans: dict[int, Span] = {}
            for place, masks in found.items():
                for at in masks[i].nonzero()[:, source].tolist():
                    low, high = spans.get(place[axis], (at, at))
                    spans[place[axis]] = min(low, at), max(high, at)
            said = {o: stated(window, o, size) for o in spans}
            assert spans, f"nothing reaches input {i}"
            assert all(said[o][0] <= low and high <= said[o][1] for o, (low, high) in spans.items()), (axis, said)
            assert any(said[o][0] == low for o, (low, _) in spans.items()), (axis, said)
            assert any(said[o][1] == high for o, (_, high) in spans.items()), (axis, said)
