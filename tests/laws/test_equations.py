"""The equation of an op, run as loops, gives its work, its shapes, what it sees, and PyTorch's numbers."""

from __future__ import annotations

from math import ceil, floor

import pytest
import torch
from uses import USES, module_of, outputs_of, tensors

from costcalc.ir.index_map import AxisMap
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.verification.loops import LoopNest

WITH_EQUATION = pytest.mark.parametrize(("op", "types"), [use for use in USES if use.values[0].computes])


def is_product(loops: LoopNest) -> bool:
    """Whether each turn of the loops multiplies and accumulates."""
    return loops.equation.takes == "+=" and len(loops.equation.factors) > 1


@WITH_EQUATION
def test_the_loops_turn_once_per_mac(op: Op, types: list[TensorType]) -> None:
    loops = LoopNest(op, *types)

    assert op.macs(*types, y=outputs_of(op, types)[0]) == (len(loops) if is_product(loops) else 0)


@WITH_EQUATION
def test_every_weight_of_the_equation_is_used_and_no_other_place(op: Op, types: list[TensorType]) -> None:
    loops = LoopNest(op, *types)
    used = list(zip(*loops.positions(), strict=True))

    for operand, positions in zip(loops.operands, used, strict=True):
        if operand.name in op.weights(*types):
            assert all(loops.holds(operand.name, place) for place in positions)
            assert len(set(positions)) == torch.Size(loops.shapes[operand.name]).numel()


@WITH_EQUATION
def test_the_loops_give_what_pytorch_gives(op: Op, types: list[TensorType]) -> None:
    loops = LoopNest(op, *types)
    if loops.equation.takes == "mean=":
        pytest.skip("the mean is of what lies inside; tests/ops/test_pool.py compares it")
    module, inputs = module_of(op, types), tensors(types)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(torch.randint(-4, 5, weight.shape) if name in loops.shapes else 0)
    y = module(*inputs)

    names = [n for n in loops.shapes if n not in op.weights(*types) and n != loops.operands[0].name]
    values = dict(zip(names, inputs, strict=True)) | dict(module.named_parameters())
    expected = torch.zeros(loops.shapes[loops.operands[0].name], dtype=torch.float64)
    for place, value in loops.run(values).items():
        expected[place] = value

    assert torch.equal(y if torch.is_tensor(y) else y[0], expected)


@WITH_EQUATION
def test_what_each_output_touches_spans_what_it_is_said_to_see(op: Op, types: list[TensorType]) -> None:
    loops = LoopNest(op, *types)
    names = [n for n in loops.shapes if n not in op.weights(*types) and n != loops.operands[0].name]
    index_maps = dict(zip(names, op.index_maps(*types, y=outputs_of(op, types)[0]), strict=True))

    for i, operand in enumerate(loops.operands):
        axis_maps = [(a, f) for a, f in enumerate(index_maps.get(operand.name, ())) if isinstance(f, AxisMap)]
        for axis, axis_map in axis_maps:
            source, window = axis_map.axis, axis_map.window
            touched: dict[int, set[int]] = {}
            for positions in loops.positions():
                if loops.holds(loops.operands[0].name, positions[0]):
                    touched.setdefault(positions[0][axis], set()).add(positions[i][source])
            lowest = {o: ceil(window.stride * o + window.lo) for o in touched}
            highest = {o: floor(window.stride * o + window.hi) for o in touched}
            assert all(lowest[o] <= min(seen) and max(seen) <= highest[o] for o, seen in touched.items())
            assert any(min(seen) == window.stride * o + window.lo for o, seen in touched.items())
            assert any(max(seen) == window.stride * o + window.hi for o, seen in touched.items())
