"""Gradients reach just the inputs that an op says its outputs see.

One output place is a function of the input; where its gradient is not zero for some input values,
it depends on that element. Over several draws of inputs this shows what a maximum or a ReLU looks
at, too. Nothing may lie outside the stated window, and some place must reach each bound of it inside the
input: a bound that lies in the padding for every place could be any.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import ceil, floor, prod
from typing import Any

import pytest
import torch
from uses import WITH_MODULE, module_of, outputs_of

from costcalc.ir.index_map import AxisMap, AxisMaps, IndexMap, Regroup, Steps
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

DRAWS = 40


def has_gradient(op: Op, types: list[TensorType]) -> bool:
    """Whether PyTorch has a gradient of the first output by all inputs, which are numbers."""
    if op.name in ("ldl", "householder_qr", "eig", "histogram"):
        return False  # has none, or is complex, or counts
    if op.name == "qr":
        m, n = types[0].shape[-2:]
        return op.mode == "reduced" and m >= n  # type: ignore[attr-defined, operator]
    if op.name == "determinant":
        return not op.log  # type: ignore[attr-defined, no-any-return]  # a sign has none
    return bool(types) and all(t.dtype.startswith("float") for t in (*types, outputs_of(op, types)[0]))


REAL = [use for use in WITH_MODULE if has_gradient(*use.values)]
Span = tuple[int, int]
Index = tuple[int, ...]


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


def stated(index_map: AxisMaps, index: Index, x: tuple[int, ...]) -> list[Span] | None:
    """Along each input axis the first and last place that output ``index`` is said to see, also in the padding.

    None where it sees nothing of this input.
    """
    found: list[list[Any] | None] = [None] * len(x)
    for out, entry in enumerate(index_map):
        if isinstance(entry, AxisMap):
            at = out if entry.along is None else entry.along
            place = index[at] if at < len(index) else 0
            if entry.within is not None and not entry.within[0] <= place <= entry.within[1]:
                return None
            so_far = found[entry.axis] or [0, 0]
            step, lo, hi = entry.window
            found[entry.axis] = [so_far[0] + step * place + lo, so_far[1] + step * place + hi]
    return [(ceil(f[0]), floor(f[1])) if f else (0, n - 1) for f, n in zip(found, x, strict=True)]


def reach(index_map: IndexMap, index: Index, x: tuple[int, ...], y: tuple[int, ...]) -> set[Index]:
    """The elements of an input of shape ``x`` that output ``index`` is said to see."""
    if isinstance(index_map, Steps):
        shapes = (x, *(shape for _, shape in index_map.steps))
        seen = {index}
        for (step, made), before in zip(index_map.steps[::-1], shapes[-2::-1], strict=True):
            seen = {element for i in seen for element in reach(step, i, before, made)}
        return seen
    if isinstance(index_map, Regroup):
        flat = int(torch.arange(prod(y)).reshape(y)[index])
        return {tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), x))}
    spans = stated(index_map, index, x)
    if spans is None:
        return set()
    return set(product(*(range(max(a, 0), min(b, n - 1) + 1) for (a, b), n in zip(spans, x, strict=True))))


def gaps(index_maps: tuple[IndexMap, ...], masks: list[Any], y: tuple[int, ...], is_bound: bool = False) -> list[str]:
    """Where no output reaches a stated bound; an ``AssertionError`` where one reaches beyond."""
    open_ = []
    for n, (index_map, mask) in enumerate(zip(index_maps, masks, strict=True)):
        x = tuple(mask.shape[len(y) :])
        touched: dict[Index, list[Index]] = {}
        for both in mask.nonzero().tolist() if torch.is_tensor(mask) else []:
            touched.setdefault(tuple(both[: len(y)]), []).append(tuple(both[len(y) :]))
        if isinstance(index_map, tuple) and any(isinstance(entry, AxisMap) and entry.border for entry in index_map):
            # Of the outputs at the border something else is said, in words.
            said_of = {index: stated(index_map, index, x) or [] for index in touched}
            touched = {
                index: elements
                for index, elements in touched.items()
                if all(a >= 0 and b < n for (a, b), n in zip(said_of[index], x, strict=False))
            }
        for index, elements in touched.items():
            beyond = {*elements} - reach(index_map, index, x, y)
            assert not beyond, f"output {index} of input {n} sees {sorted(beyond)}, which is not said"
        if isinstance(index_map, Steps):
            if not any({*elements} == reach(index_map, index, x, y) for index, elements in touched.items()):
                open_.append(f"no output sees all that is said of input {n}")
            continue
        if isinstance(index_map, Regroup):
            continue
        followed = {entry.axis for entry in index_map if isinstance(entry, AxisMap)}
        # An axis that nothing follows is mixed whole: unless that is but a bound, some output reaches its ends too.
        for axis in followed if is_bound else range(len(x)):
            ends = [(stated(index_map, o, x)[axis], [i[axis] for i in seen]) for o, seen in touched.items()]  # type: ignore[index]
            for end, outermost in ((0, min), (1, max)):
                if not any(said[end] == outermost(seen) for said, seen in ends):
                    open_.append(f"no output reaches the end of what is said along axis {axis} of input {n}: {ends}")
    return open_


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize(("op", "types"), REAL)
def test_gradients_span_just_what_is_seen(op: Op, types: list[TensorType]) -> None:
    y = outputs_of(op, types)[0]
    index_maps = op.index_maps_of(0, *types, y=y)
    assert len(index_maps) == len(types)

    for masks in reached(op, types):
        still_open = gaps(index_maps, masks, y.shape, op.is_bound())
        if not still_open or op.name in LOOSE:
            break

    assert not still_open or op.name in LOOSE


LOOSE = ("fold", "scatter")
"""Ops of which a bound is said: one tap of a patch that is put back is seen, one place of many is put somewhere."""
