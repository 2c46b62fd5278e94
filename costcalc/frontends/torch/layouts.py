"""The memory format that PyTorch gives the results of its operators, where the meta device would not tell.

Most operators make a result in ``channels_last`` of an input in ``channels_last``. On the CPU, and on a GPU, so do
convolutions and a few more, which on the meta device make a contiguous one. Batch norm does the contrary: on the meta
device it keeps any strides, elsewhere those of the two formats only. The fused kernels of attention lay their result
out as the queries are. What comes after depends on it: flattening such a map copies it, and ``view`` refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CONVOLUTIONS = frozenset(
    (*(f"conv{n}d" for n in (1, 2, 3)), *(f"conv_transpose{n}d" for n in (1, 2, 3)), "convolution", "_convolution")
)
KEEPING = CONVOLUTIONS | {
    "group_norm", "native_group_norm", "pixel_shuffle", "channel_shuffle", "native_channel_shuffle", "roll", "pad",
    "max_unpool2d", "reflection_pad2d", "reflection_pad3d", "replication_pad2d", "replication_pad3d",
}  # fmt: skip
"""Operators whose (first) result has the memory format of their input; of a convolution, also that of its weight."""
ATTENTION = "scaled_dot_product_attention"
ORDERS = {4: (1, 3, 2, 0), 5: (1, 4, 3, 2, 0)}
"""The axes of a map as ``channels_last`` stores them, the innermost first."""


def is_channels_last(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether PyTorch takes a tensor for a map in ``channels_last``: ``suggest_memory_format`` of C++.

    Where only one axis has places any strides would do; it is then a map as others.
    """
    order = ORDERS.get(len(shape))
    if order is None or not 0 < stride[1] <= stride[-1]:
        return False
    least = 0
    for axis in order:
        if not shape[axis] or stride[axis] < least or (axis == 0 and least == stride[1]):
            return False
        least = stride[axis] * shape[axis]
    return True


def normed(x: Tensor) -> Tensor:
    """What batch norm makes of ``x``: a map in ``channels_last`` if it is one, else contiguous."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim(), torch.contiguous_format)
    keeps = is_channels_last(x.shape, x.stride())
    return torch.empty_like(x, device="meta", memory_format=last if keeps else torch.contiguous_format)


MANY = 16
"""Tensors up to which PyTorch's own code, which looks at each a dozen times in Python, tells what ``cat`` and ``stack``
make."""


def joined(tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> Tensor | None:
    """What ``cat`` makes of ``tensors`` without values; None where PyTorch is to tell, or to refuse.

    That is where there are few, where element types or numbers of axes differ, and for maps in ``channels_last``.
    """
    first = tensors[0]
    rank = first.dim()
    if len(tensors) <= MANY or not -rank <= dim < rank or is_channels_last(first.shape, first.stride()):
        return None
    if len({t.dtype for t in tensors}) > 1:
        return None
    shapes = [t.shape for t in tensors]
    before, after = first.shape[:dim], first.shape[dim:][1:]
    if any(len(s) != rank or s[:dim] != before or s[dim:][1:] != after for s in {*shapes}):
        return None
    return torch.empty((*before, sum([s[dim] for s in shapes]), *after), dtype=first.dtype, device="meta")


def stacked(tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> Tensor | None:
    """What ``stack`` makes of ``tensors`` without values, which is contiguous; None where PyTorch is to tell.

    That is where there are few, where they are not alike, and where they could be in ``channels_last``.
    """
    first = tensors[0]
    shape, rank = first.shape, first.dim() + 1
    if len(tensors) <= MANY or not -rank <= dim < rank or first.is_complex():
        return None
    if len({t.dtype for t in tensors}) > 1 or len({t.shape for t in tensors}) > 1:
        return None
    if rank >= min(ORDERS) and not all(t.is_contiguous() for t in tensors):
        return None
    at = dim % rank
    return torch.empty((*shape[:at], len(tensors), *shape[at:]), dtype=first.dtype, device="meta")


JOINING = {"cat": joined, "stack": stacked}
"""What tells without PyTorch what an operator makes of many tensors, by its name."""


def laid_out(name: str, given: list[Tensor], args: tuple[Any, ...], result: Any, named: dict[str, Any]) -> Any:
    """``result`` of a call on the meta device of one of ``KEEPING``, with the strides that it has elsewhere.

    named    the arguments by name, with the defaults
    """
    if name == ATTENTION:
        return torch.empty_like(named["query"]) if _is_fused(**named) else result
    first = result[0] if isinstance(result, tuple) else result
    if name == "pad" and (len(args) < 3 or args[2] not in ("reflect", "replicate")):
        return result
    if _keeps_channels_last(name, given, args):
        order = ORDERS[first.dim()] if first.dim() > 3 else (1, 2, 0)
        stride, step = [0] * first.dim(), 1
        for axis in order:
            stride[axis] = step
            step *= first.shape[axis]
    elif first.is_contiguous():
        return result
    else:
        stride = list(torch.empty(first.shape, device="meta").stride())
    first = torch.empty_strided(first.shape, stride, dtype=first.dtype, device="meta")
    return (first, *result[1:]) if isinstance(result, tuple) else first


def _is_fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    enable_gqa: bool = False,
    **_: Any,
) -> bool:
    """Whether PyTorch has a fused kernel for such attention on the CPU; else products that make contiguous results."""
    given = (query, key, value)
    heads = {t.shape[1] for t in given} if query.dim() == key.dim() == value.dim() == 4 else set()
    return (
        (len(heads) == 1 or (len(heads) == 2 and enable_gqa))
        and len({t.shape[0] for t in given}) == len({t.shape[-1] for t in given}) == 1
        and all(t.stride(-1) == 1 for t in given)
        and not dropout_p
        and (attn_mask is None or attn_mask.dim() in (2, 4))
    )


def _keeps_channels_last(name: str, given: list[Tensor], args: tuple[Any, ...]) -> bool:
    x = given[0]
    if name not in CONVOLUTIONS:
        if name == "roll" and not all(
            shift % x.shape[axis] for shift, axis in zip(args[1], args[2] or (0,), strict=False)
        ):
            return False  # it is put together from two parts, of which one is empty
        return is_channels_last(x.shape, x.stride())
    weight = given[1]
    if x.dim() < weight.dim():
        return False
    if weight.dim() == 3:  # run as a map of height 1, which the input is made contiguous for
        signals = given[:2] if x.is_contiguous() else [weight]
        return any(is_channels_last(*_as_map(t)) for t in signals)
    if weight.dim() == 5 and x.dtype == torch.float64:
        return False
    return any(is_channels_last(t.shape, t.stride()) for t in (x, weight))


def _as_map(signal: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of ``signal`` as a map of height 1."""
    (n, c, length), (by_n, by_c, step) = signal.shape, signal.stride()
    return (n, c, 1, length), (by_n, by_c, length * step, step)
