"""What PyTorch's kernels on the CPU may take besides what they make: an upper bound for each operator.

Source: pytorch 2.13, aten/src/ATen/native: Convolution.cpp (which library convolves), mkldnn/Conv.cpp (oneDNN reorders
input, kernel and result to blocks of 16 channels), ConvolutionMM2d.cpp and NaiveConvolutionTranspose2d.cpp (unrolled
inputs), transformers/attention.cpp (the products of a module's fast path). Held to PyTorch's own allocator by
``benchmarks/memory_eager.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from costcalc.frontends.torch.structure import tensors_among

BLOCK = 16
"""Channels that oneDNN keeps together."""
SMALL_IMAGE = 20_480
"""Elements up to which a single image with small kernels is unrolled, not given to oneDNN."""
SCRATCH = 1 << 14
"""Bytes of scratch that oneDNN asks for in any case."""
MOVES = frozenset(("cat", "clone", "_to_copy", "copy_", "contiguous", "index", "gather", "fill_", "zeros_like", "empty_like"))


def beside(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int:
    """Bytes that the kernel of ``func`` may take, while it runs, besides its arguments and its result."""
    name = func._schema.name.partition("::")[2]
    if name in ("convolution", "_convolution", "convolution_overrideable"):
        return _convolution(result, *args[:9])
    if name == "_native_multi_head_attention":
        return _attention(*args[:5], result)
    if torch.Tag.pointwise in func.tags or func.is_view or name in MOVES:
        return 0
    return sum(map(_bytes, filter(_is_scattered, tensors_among(args))))


def _convolution(
    y: Tensor, x: Tensor, weight: Tensor, _bias: Any, _stride: Any, _padding: Any, _dilation: Any, transposed: bool,
    _output_padding: Any, groups: int,
) -> int:  # fmt: skip
    """Reorders of oneDNN, or the unrolled input of one image."""
    copy, kernel, made = _blocked(x, 1), _blocked(weight, 0, 1), _blocked(y, 1)
    most = max(copy + 2 * kernel + made - _bytes(y), made + kernel) + SCRATCH
    taps = prod(weight.shape[2:])
    columns = 0
    if transposed:
        columns = prod(weight.shape[1:]) * groups * prod(x.shape[2:])
    elif x.shape[0] == 1 and x.numel() <= SMALL_IMAGE and taps > 1:
        columns = weight.shape[1] * taps * prod(y.shape[2:])
    return max(most, columns * x.element_size())


def _attention(query: Tensor, key: Tensor, value: Tensor, _width: int, heads: int, result: Any) -> int:
    """The three projections twice, or once with the scores; one of the maps is the result."""
    m = _bytes(query)
    scores = query.shape[0] * heads * query.shape[1] * key.shape[1] * query.element_size()
    return max(6 * m, 3 * m + scores) - m


def _blocked(tensor: Tensor, *axes: int) -> int:
    """Bytes of ``tensor`` with its channels, along ``axes``, in whole blocks; a depthwise kernel has them along one."""
    sizes = list(tensor.shape)
    for axis in axes:
        if sizes[axis] > 1:
            sizes[axis] = -(-sizes[axis] // BLOCK) * BLOCK
    return prod(sizes) * tensor.element_size()


def _is_scattered(tensor: Tensor) -> bool:
    """Whether a kernel that wants its elements in a row must copy them."""
    if tensor.is_contiguous() or tensor.numel() < 2:
        return False
    return not (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
