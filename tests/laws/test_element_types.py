"""Of inputs in half precision, outputs and weights are so too, as in PyTorch after ``module.half()``."""

from __future__ import annotations

import pytest
from uses import USES, outputs_of

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

REAL = [use for use in USES if any(t.dtype == "float32" for t in use.values[1])]


def halved(t: TensorType) -> TensorType:
    return TensorType(t.shape, "float16") if t.dtype == "float32" else t


@pytest.mark.parametrize(("op", "types"), REAL)
def test_half_precision_goes_in_comes_out_and_is_stored(op: Op, types: list[TensorType]) -> None:
    half = list(map(halved, types))
    whole, halves = op.weights(*types), op.weights(*half)

    assert {name: w.type for name, w in halves.items()} == {name: halved(w.type) for name, w in whole.items()}
    assert outputs_of(op, half) == tuple(map(halved, outputs_of(op, types)))
