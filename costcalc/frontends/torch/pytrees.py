"""Looking through the lists and dicts in which PyTorch's arguments and results stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

CPU, META = torch.device("cpu"), torch.device("meta")
SPARSE = frozenset((torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc))
_is_meta = attrgetter("is_meta")


def tensors_among(values: Iterable[Any]) -> list[Tensor]:
    """The tensors in ``values``, those in lists too."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_among(value)
    return found


def all_on_meta(tensors: Iterable[Tensor]) -> bool:
    """Whether all of ``tensors``, which may be thousands, are on the meta device."""
    return all(map(_is_meta, tensors))


def wraps(kind: type) -> bool:
    """Whether tensors of this class stand for other tensors that are inside them."""
    return hasattr(kind, "__tensor_flatten__") and hasattr(kind, "__tensor_unflatten__") and kind is not FakeTensor


def replaced(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """``value`` with each tensor in it replaced."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list):
        return _each_replaced(value, change)
    if isinstance(value, tuple):
        return tuple(_each_replaced(value, change))
    if isinstance(value, dict):
        return {key: replaced(v, change) for key, v in value.items()}
    return value


def _each_replaced(values: Iterable[Any], change: Callable[[Tensor], Any]) -> list[Any]:
    return [
        change(v) if isinstance(v, Tensor) else replaced(v, change) if isinstance(v, (list, tuple)) else v
        for v in values
    ]


def on_meta(value: Any) -> Any:
    """Arguments with the meta device in place of any other."""
    if isinstance(value, dict):
        return {key: META if isinstance(v, torch.device) else v for key, v in value.items()}
    return tuple(META if isinstance(v, torch.device) else v for v in value)


def signature(values: Iterable[Any]) -> tuple[Any, ...]:
    """What the shapes and types of results depend on: equal for calls that make equal tensors.

    Numbers count with their type, since 1 and 1.0 make different ones.
    """
    found: list[Any] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append((value.shape, value.stride(), value.dtype))
        elif isinstance(value, (list, tuple)):
            found.append(signature(value))
        else:
            found.append(value)
            found.append(type(value))
    return tuple(found)


def without_values(tensor: Tensor) -> Tensor:
    """A tensor like ``tensor`` on the meta device."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)


def has_values(tensor: Tensor) -> bool:
    """Whether ``tensor`` has memory: it is not on the meta device, nor says only that it is elsewhere."""
    return not tensor.is_meta and not isinstance(tensor, FakeTensor)


def elements(sizes: Iterable[Any]) -> int:
    """Number of elements of a tensor of ``sizes``."""
    result = 1
    for size in sizes:
        result *= size
    return result
