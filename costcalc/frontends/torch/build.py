"""Builds a model without its weights: what its constructor allocates goes to the meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

SMALL = 1 << 14
"""Elements up to which a constructor's tensors have values: tables of rates, positions, sizes."""
_MAKERS = """
empty empty_strided zeros ones full rand randn randint normal eye new_empty new_zeros new_ones new_full
""".split()


class WithoutWeights(TorchDispatchMode):
    """Makes large tensors on the meta device and small ones for real.

    A default device of meta would do for most models. But some constructors ask for values, of drop
    rates spread over the layers say, and those keep theirs here. Where both meet, the result has no values.
    """

    def __init__(self) -> None:
        super().__init__()
        self._meta = torch.device("meta")

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch would import its compiler, which takes longer than most traces

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name[6:]
        if name in _MAKERS:
            sizes = args[1] if name.startswith("new_") else args[0]
            if isinstance(sizes, (list, tuple)) and (name.startswith("empty") or _product(sizes) > SMALL):
                kwargs = {**kwargs, "device": self._meta}
                return func(*args, **kwargs)
        found: list[Tensor] = []
        _collect((args, kwargs), found)
        if not any(t.is_meta for t in found):
            return func(*args, **kwargs)
        if name.endswith("_") and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]  # filling in numbers that are not there
        shadows: dict[int, Tensor] = {}

        def shadow(t: Tensor) -> Tensor:
            if t.is_meta:
                return t
            if id(t) not in shadows:
                shadows[id(t)] = torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="meta")
            return shadows[id(t)]

        result = func(*_each(args, shadow, self._meta), **_each(kwargs, shadow, self._meta))
        own = {id(v): t for t in found for k, v in shadows.items() if k == id(t)}
        return own.get(id(result), result) if isinstance(result, Tensor) else result


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, dict):
        for v in value.values():
            _collect(v, found)
    elif isinstance(value, (list, tuple)):
        for v in value:
            _collect(v, found)


def _each(value: Any, change: Callable[[Tensor], Tensor], device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, torch.device):
        return device
    if isinstance(value, dict):
        return {key: _each(v, change, device) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_each(v, change, device) for v in value)
    return value


def _product(sizes: Any) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def built(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """What ``make`` makes, without large tensors; for real if it cannot be built otherwise."""
    random = torch.get_rng_state()
    try:
        with WithoutWeights(), torch.no_grad():
            return make()
    finally:
        torch.set_rng_state(random)
