"""The examples of every op, as the laws take them: an op and the types of its inputs."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc.ir.expr import Relation
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops import WHERE

USES = [
    pytest.param(op, types, id=f"{name}-{i}")
    for name in WHERE
    for i, (op, *types) in enumerate(find_op(name).examples())
]


def has_module(op: Op, types: list[TensorType]) -> bool:
    """Whether ``op`` has a PyTorch module for inputs of ``types``."""
    try:
        return op.to_torch(*types) is not None
    except NotImplementedError:
        return False


WITH_MODULE = [use for use in USES if has_module(*use.values)]
"""Those that have a PyTorch module. The others come of traced calls alone, which tests/torch compares."""


def outputs_of(op: Op, types: list[TensorType]) -> tuple[TensorType, ...]:
    """What ``op`` makes of ``types``."""
    made = op.infer(*types)
    return (made,) if isinstance(made, TensorType) else made


def accepts(op: Op, types: list[TensorType]) -> bool:
    """Whether ``op`` takes ``types``, all of known size."""
    return all(holds or isinstance(holds, Relation) for holds, _ in op.requires(*types))


def module_of(op: Op, types: list[TensorType]) -> Any:
    """The PyTorch module of ``op``, in double precision and as at inference."""
    return op.to_torch(*types).double().eval()


def tensors(types: list[TensorType], seed: int = 0) -> list[Any]:
    """Inputs of ``types``: whole numbers from -8 to 8 as doubles, so that sums are exact; zeros for integers."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    return [
        torch.randint(-8, 9, t.shape, generator=draw).double()
        if t.dtype.startswith("float")
        else torch.zeros(t.shape, dtype=getattr(torch, t.dtype))
        for t in types
    ]
