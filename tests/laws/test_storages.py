"""Whether an output is the input's own memory, as ops say it: by the storages that PyTorch gives."""

from __future__ import annotations

import pytest
import torch

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from tests.laws.uses import WITH_MODULE, module_of, tensors

USES = [
    use
    for use in WITH_MODULE
    # Of what is made of weights alone it is the weight. A trace tells what copies: of an input that lies in no row.
    if use.values[1] and not getattr(use.values[0], "copies", False)
]


@pytest.mark.parametrize(("op", "types"), USES)
def test_views_are_those_of_pytorch(op: Op, types: list[TensorType]) -> None:
    inputs = tensors(types)
    with torch.no_grad():
        made = module_of(op, types)(*inputs)
    held = {x.untyped_storage().data_ptr() for x in inputs}
    for tensor in made if isinstance(made, tuple | list) else (made,):
        assert op.is_view == (tensor.untyped_storage().data_ptr() in held)
