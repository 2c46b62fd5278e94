"""Builds a model without its weights: what its constructor allocates goes to the meta device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from costcalc.frontends.torch.exclusive import alone
from costcalc.frontends.torch.lines import noting_makers
from costcalc.frontends.torch.pytrees import META, elements, on_meta, replaced, tensors_among, without_values
from costcalc.frontends.torch.values import drawn_apart, instead_of_the_process, is_random
from costcalc.ir.collector import uncollected

SMALL = 1 << 14
"""Elements up to which a constructor's tensors have values: tables of rates, positions, sizes."""
_MAKERS = frozenset(("empty", "empty_strided", "zeros", "ones", "full", "rand", "randn", "randint", "normal", "eye"))


class WithoutWeights(TorchDispatchMode):
    """Makes large tensors on the meta device and small ones for real.

    A default device of meta would do for most models. But some constructors ask for values, of drop
    rates spread over the layers say, and those keep theirs here. Where both meet, the result has no values.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = torch.Generator().manual_seed(0)  # so that the process's own is left alone

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch would import its compiler, which takes longer than most constructors

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if name.endswith("_") and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]  # filling in numbers that are not there
        if name.removeprefix("new_") in _MAKERS:
            sizes = args[1] if name.startswith("new_") else args[0]
            if isinstance(sizes, (list, tuple)) and (elements(sizes) > SMALL or _holds_weights(name, sizes, args)):
                return func(*args, **{**kwargs, "device": META})
        found = tensors_among((*args, *kwargs.values()))
        if not any(t.is_meta for t in found):
            run = drawn_apart(func, self.generator, kwargs) if is_random(func) else func
            return run(*args, **kwargs)
        shadows = {id(t): t if t.is_meta else without_values(t) for t in found}
        result = func(
            *on_meta(replaced(args, lambda t: shadows[id(t)])), **on_meta(replaced(kwargs, lambda t: shadows[id(t)]))
        )
        given = {id(shadows[id(t)]): t for t in found}
        return given.get(id(result), result) if isinstance(result, Tensor) else result


def _holds_weights(name: str, sizes: Sequence[int], args: tuple[Any, ...]) -> bool:
    """Whether memory without values is asked for to be filled, rather than to be given the storage of a copy."""
    if name == "new_empty" and not sizes:
        return bool(args[0].is_meta)
    return "empty" in name and 0 not in sizes


def built(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """What ``make`` makes, without large tensors."""
    mode = WithoutWeights()
    with alone(), noting_makers(), uncollected(), mode, instead_of_the_process(mode.generator), torch.no_grad():
        return make()
