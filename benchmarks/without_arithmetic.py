"""Runs PyTorch code under ``torch.jit``'s tracer without its arithmetic: operators make outputs of the right shape.

fvcore counts a traced run, so that it takes real tensors and as long as the model does; the meta device is closed to
it, since sizes that are being traced are tensors, which the shape rules there refuse. Here the model has real tensors
whose memory is never touched, and each operator's shape rule runs in another thread, where nothing is traced.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

LARGE = 10_000
"""Elements from which a tensor's values are left out; what a model asks of smaller ones is right."""
CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
TRANSPOSED = {torch.conv_transpose1d: 1, torch.conv_transpose2d: 2, torch.conv_transpose3d: 3}
OPTIONS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED_OPTIONS = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")


@contextmanager
def without_arithmetic() -> Iterator[None]:
    """Within this block large tensors have shapes and no values."""
    with ThreadPoolExecutor(1) as other, torch.no_grad(), _Convolutions(), _Shapes(other):
        yield


def emptied(model: nn.Module) -> nn.Module:
    """``model``, on the meta device, with memory that is not filled for its large tensors, and zeros for the others."""

    def real(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor
        large = tensor.is_floating_point() and tensor.numel() > LARGE
        return (torch.empty_like if large else torch.zeros_like)(tensor, device="cpu")

    return model._apply(real)


class _Shapes(TorchDispatchMode):
    """Of operators on large tensors runs the shape rule alone."""

    def __init__(self, other: ThreadPoolExecutor) -> None:
        super().__init__()
        self._other = other

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        writes = any(argument.alias_info for argument in func._schema.arguments)  # or views
        if writes or sum(tensor.numel() for tensor in tensors) < LARGE or "device" in kwargs:
            return func(*args, **kwargs)
        return self._other.submit(_shaped, func, args, kwargs).result()


def _shaped(func: Any, args: Any, kwargs: Any) -> Any:
    def like(value: Any, device: str) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)

    with torch.no_grad():
        try:
            made = func(*tree_map(lambda v: like(v, "meta"), args), **tree_map(lambda v: like(v, "meta"), kwargs))
        except NotImplementedError:  # it has no shape rule: a number is asked for
            return func(*args, **kwargs)
        return tree_map(lambda v: like(v, "cpu"), made)


class _Convolutions(TorchFunctionMode):
    """Calls convolutions by the operator that the tracer records; it would record what that one is made of."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        transposed = func in TRANSPOSED
        names = TRANSPOSED_OPTIONS if transposed else OPTIONS
        given = {**dict(zip(names, args, strict=False)), **(kwargs or {})}
        axes = TRANSPOSED.get(func) or CONVOLUTIONS.get(func)
        if axes is None or isinstance(given.get("padding"), str):
            return func(*args, **(kwargs or {}))

        def each(option: str, default: int) -> list[int]:
            value = given.get(option, default)
            return [value] * axes if isinstance(value, int) else list(value)

        sizes = each("stride", 1), each("padding", 0), each("dilation", 1), transposed, each("output_padding", 0)
        groups = given.get("groups", 1)
        return torch._convolution(
            given["input"], given["weight"], given.get("bias"), *sizes, groups, False, False, False, False
        )
