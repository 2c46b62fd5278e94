"""Values that leave torch for Python or numpy by no operator, so that no mode sees it: ``tolist`` and ``numpy``.

Torch asks a tensor without values for its memory there, which it does not have: one that begins within its storage ends
the interpreter. In a scripted function ``tolist`` is no method but an instruction, which nothing can stand before: so
such a function runs as the Python that it was made of, where that is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from costcalc.frontends.torch.exclusive import replaced_here
from costcalc.frontends.torch.pytrees import wraps
from costcalc.frontends.torch.value_dependent import Assumptions, Values, ValuesNeeded

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


_SCRIPTS = (torch._C.ScriptFunction, torch._C.ScriptMethod)


@contextmanager
def scripts_told(values: Values) -> Iterator[None]:
    """While open, scripted functions with ``tolist`` in them run in this thread as Python, so that it is the method.

    Where their Python is not there, as of scripted modules, a call raises ``ValuesNeeded`` unless all have ``values``.
    """

    def told(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(script: Any, *args: Any, **options: Any) -> Any:
            if not _lists(script):
                return original(script, *args, **options)
            python = getattr(script, "_torchdynamo_inline", None)
            if python is not None:
                return python(*args, **options)
            if values != "all":
                raise ValuesNeeded(f"tolist in the scripted {script.name}")
            return original(script, *args, **options)

        return called

    with ExitStack() as stack:
        for kind in _SCRIPTS:
            stack.enter_context(replaced_here(kind, "__call__", told))
        yield


def _lists(script: Any) -> bool:
    """Whether ``script``, or a function that it calls, has ``tolist`` in it."""
    return bool(script.inlined_graph.findAllNodes("prim::tolist"))
