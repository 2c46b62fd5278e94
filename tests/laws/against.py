"""One use of an op held against PyTorch on the meta device, where nothing is computed and any size is cheap."""

from __future__ import annotations

import os
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from uses import outputs_of

from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

CASES = int(os.environ.get("COSTCALC_CASES", "60"))
"""Random cases of each test; a longer run sets the variable."""

some = settings(max_examples=CASES)
sizes = st.integers(1, 9)
widths = st.integers(1, 300)


def shapes(least: int = 1, most: int = 5, size: st.SearchStrategy[int] = sizes) -> st.SearchStrategy[list[int]]:
    """Shapes of ``least`` to ``most`` axes."""
    return st.lists(size, min_size=least, max_size=most)


def tensor(*shape: int, dtype: str = "float32") -> TensorType:
    """A tensor type, written short."""
    return TensorType(tuple(shape), dtype)


def agrees(op: Op, *types: TensorType) -> None:
    """``op`` takes ``types``; PyTorch has its shapes and weights and twice its MACs."""
    assert all(holds for holds, _ in op.requires(*types))
    with torch.device("meta"):
        module = op.to_torch(*types).eval().to("meta")
    inputs = [torch.empty(t.shape, dtype=getattr(torch, t.dtype), device="meta") for t in types]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        made: Any = module(*inputs)

    outputs = outputs_of(op, list(types))
    assert [t.shape for t in outputs] == [tuple(t.shape) for t in ((made,) if torch.is_tensor(made) else made)]
    weights = op.weights(*types)
    for trained, named in ((True, module.named_parameters()), (False, module.named_buffers())):
        assert {n: w.type.shape for n, w in weights.items() if w.trained is trained} == {
            n: tuple(t.shape) for n, t in named
        }
    assert 2 * op.macs(*types, y=outputs[0]) == counter.get_total_flops()


def refused(op: Op, *types: TensorType) -> bool:
    """Whether ``op`` turns ``types`` down; PyTorch must then do so too."""
    from costcalc.errors import CostcalcError

    try:
        return not all(holds for holds, _ in op.requires(*types))
    except CostcalcError:
        return True


def both_accept_or_refuse(op: Op, *types: TensorType) -> None:
    """``op`` agrees with PyTorch about what it takes, and about what comes out."""
    if not refused(op, *types):
        agrees(op, *types)
        return
    inputs = [torch.empty(t.shape, device="meta") for t in types]
    try:
        op.to_torch(*types).eval().to("meta")(*inputs)
    except Exception:
        return
    raise AssertionError(f"PyTorch takes {', '.join(map(str, types))}, {op} does not")
