"""Products of unlike element types, which PyTorch makes without values and refuses with them."""

from __future__ import annotations

from costcalc.frontends.calls.lower import InternalError, Lowering
from costcalc.frontends.calls.recorded import Recorded
from costcalc.frontends.torch.failures import ModelError
from costcalc.ir.call import Step, traced_in

PRODUCTS = frozenset(("linear", "mm", "bmm", "matmul", "mv", "dot", "inner", "addmm", "addmv", "addbmm", "baddbmm"))
PRODUCTS |= {"bilinear", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
"""Operators that take one element type, though without values some of them take several."""


def taken(lowering: Lowering, recorded: Recorded) -> list[Step]:
    """``lowering.take(recorded)``. Raises ``ModelError`` where torch did what it does without values alone."""
    try:
        return lowering.take(recorded)
    except InternalError:
        met = dict.fromkeys(t.type.dtype for t in traced_in(recorded.arguments.values()))
        if len(met) < 2 or recorded.name not in PRODUCTS:
            raise
        what = f"{recorded.location}{recorded.name} meets {' and '.join(met)}"
        raise ModelError(f"{what}; PyTorch wants one element type there, and autocast is left out") from None
