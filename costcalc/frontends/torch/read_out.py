"""Values that leave torch for Python or numpy by no operator, so that no mode sees it: ``tolist`` and ``numpy``.

Torch asks a tensor without values for its memory there, which it does not have: one that begins within its storage ends
the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from costcalc.frontends.torch.alone import replaced_here
from costcalc.frontends.torch.data import Assumptions
from costcalc.frontends.torch.pytrees import wraps

_LEAVING = ("tolist", "numpy")
"""Methods by which values leave; ``__array__``, which numpy calls, and conversions of whole models go through them."""


@contextmanager
def told_by(values: Callable[[Tensor], Tensor | None], assumptions: Assumptions) -> Iterator[None]:
    """While open, what leaves in this thread is what ``values`` takes a tensor's values to be, or what is assumed.

    The call raises ``ValuesNeeded`` where nothing is.
    """

    def leaving(original: Callable[..., Any]) -> Callable[..., Any]:
        def told(tensor: Tensor, *args: Any, **options: Any) -> Any:
            if wraps(type(tensor)) or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
                return original(tensor, *args, **options)  # which refuses, or runs the tensors that it stands for
            found = values(tensor)
            if found is None:
                # Of no elements nothing is asked; else each is a number that is read.
                number = assumptions.guess("_local_scalar_dense", (tensor,), {}) if tensor.numel() else 0
                found = torch.full(tensor.shape, number, dtype=tensor.dtype)
            return original(found, *args, **options)

        return told

    with ExitStack() as stack:
        for name in _LEAVING:
            stack.enter_context(replaced_here(torch.Tensor, name, leaving))
        yield
