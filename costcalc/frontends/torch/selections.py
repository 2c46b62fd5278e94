"""Operators that select by value: which they are, and what they selected."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costcalc.frontends.torch.operators import Operator
from costcalc.frontends.torch.pytrees import tensors_among
from costcalc.frontends.torch.value_dependent import Assumptions
from costcalc.frontends.torch.values import evenly, has_mask

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
TOLD_APART = frozenset(("_unique2", "unique_dim", "unique_consecutive"))
SELECTS = TOLD_APART | {"nonzero"}
"""Operators that select by value, beside indexing with a mask."""
INDEX = torch.ops.aten.index.Tensor
FILLED = frozenset(
    ("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty")
)
"""Operators that read only the shape of their first argument."""
LIKE = {
    "expand_as": torch.ops.aten.expand.default,
    "view_as": torch.ops.aten.view.default,
    "reshape_as": torch.ops.aten.reshape.default,
    "type_as": torch.ops.aten.to.dtype,
}
"""Operators that read only the shape or the type of their second argument → what they are when that is told."""


def meet(assumptions: Assumptions, operator: Operator, args: Args, kwargs: Kwargs, made: Any) -> None:
    """Note the size that values have decided, if they have."""
    name, values = operator.name, tensors_among([made])
    if name == "torchvision::nms":
        assumptions.met("proposals", values[0].shape[0], args[0].shape[0])
    elif name == "nonzero":
        assumptions.met("selected", values[0].shape[0], args[0].numel())
    elif name == "masked_select":
        most = torch.broadcast_shapes(args[0].shape, args[1].shape).numel()
        assumptions.met("selected", values[0].shape[0], most)
    elif name == "index":
        for mask in (i for i in args[1] if has_mask([i])):
            assumptions.met("selected", int(mask.count_nonzero()), mask.numel())
    elif name in TOLD_APART:
        axis = operator.named(args, kwargs).get("dim")
        at, most = (0, args[0].numel()) if axis is None else (axis, args[0].shape[axis])
        assumptions.met("distinct", values[0].shape[at], most)


def places_of(name: str, args: Args, made: Any) -> Tensor | None:
    """Places that may stand for those that a selection has ``made``."""
    if name == "nonzero":
        return evenly(made.shape[0], args[0].shape)
    return torch.arange(made.shape[0]) if name == "torchvision::nms" else None
