"""What PyTorch's kernels on the CPU may take besides what they make: an upper bound for each operator.

Source: pytorch 2.13, aten/src/ATen/native: Convolution.cpp (which library convolves), mkldnn/Conv.cpp (oneDNN reorders
input, kernel and result to blocks of 16 channels), ConvolutionMM2d.cpp and NaiveConvolutionTranspose2d.cpp (unrolled
inputs), transformers/attention.cpp (the products of a module's fast path), Sorting.cpp and cpu/SortingKernel.cpp (rows,
copies and places that an order takes), Copy.cpp (blocks of a matrix that is turned). Held to PyTorch's own allocator by
``benchmarks/memory_eager.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from costcalc.frontends.torch.pytrees import tensors_among

BLOCK = 16
"""Channels that oneDNN keeps together."""
FEW = 4
"""Channels up to which oneDNN leaves an input as it lies."""
SMALL_IMAGE = 20_480
"""Elements up to which a single image with small kernels is unrolled, not given to oneDNN."""
MANY_IMAGES = 16
"""Images from which on a single thread gives 1×1 convolutions to oneDNN."""
SCRATCH = 1 << 14
"""Bytes of scratch that a convolution asks for in any case."""
FLOAT = 4
PLACE = 8
"""Bytes of an index."""
NUMBER = 16
"""Bytes of a number that is made a tensor, in two types."""
MOVES = frozenset(
    ("cat", "clone", "_to_copy", "copy_", "contiguous", "index", "gather", "fill_", "zeros_like", "empty_like")
)


BLOCK_TURNED = 60 * 60
"""Elements of a matrix that are turned at a time, and from how many on."""
PRODUCTS = frozenset(("mm", "addmm", "bmm", "baddbmm", "addmv", "mv"))


def beside(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int:
    """Bytes that the kernel of ``func`` may take, while it runs, besides its arguments and its result."""
    name = func._schema.name.partition("::")[2]
    if name in ("convolution", "_convolution", "convolution_overrideable"):
        return _convolution(result, *args[:9])
    if name == "_native_multi_head_attention":
        return _attention(args[0], args[1], args[4])
    if "batch_norm" in name:  # a factor and a summand a channel (``native/cpu/batch_norm_kernel.cpp``)
        return 2 * FLOAT * int(args[0].shape[1])
    if name == "_safe_softmax":  # which looks for rows that are all -inf
        return _rows_of_nothing(args[0], args[1])
    if name in ("sort", "kthvalue", "median", "nanmedian"):
        return _ordering(name, args[0], _axis_of(func, args, kwargs))
    if torch.Tag.pointwise in func.tags:
        return NUMBER * sum(type(value) in (int, float) for value in args)
    if func.is_view or name in MOVES:
        return sum(_turning(t) for t in tensors_among(args))
    tells = _is_no_matrix if name in PRODUCTS else _is_scattered
    return sum(_bytes(t) for t in tensors_among(args) if tells(t))


def _convolution(
    y: Tensor, x: Tensor, weight: Tensor, _bias: Any, stride: Any, _padding: Any, dilation: Any, transposed: bool,
    _output_padding: Any, groups: int,
) -> int:  # fmt: skip
    """Reorders of oneDNN, or the unrolled input of one image.

    Each of PyTorch's threads has room for what the stride of a 1×1 convolution leaves of one image. With a single
    thread PyTorch convolves those without a stride itself.
    """
    taps, threads = prod(weight.shape[2:]), torch.get_num_threads()
    strided, plain = any(s > 1 for s in stride), not transposed and groups == 1 and all(d == 1 for d in dilation)
    if threads == 1 and taps == 1 and plain and not strided and x.shape[0] < MANY_IMAGES:
        return sum(_bytes(t) for t in (x, weight) if not t.is_contiguous()) + SCRATCH
    few = x.shape[1] <= FEW  # an image, which is read as it is
    copy, kernel, made = 0 if few else _blocked(x, 1), _blocked(weight, 0, *(() if few else (1,))), _blocked(y, 1)
    if not x.is_contiguous() and (x.shape[0] == 1 or not _lies_by_channels(x)):
        copy += _bytes(x)  # of a single image the step to the next decides, which is not always the device's here
    if taps == 1 and strided:  # of one image for each thread (oneDNN, rtus_prepare_space_info), or of each
        copy += max(x.shape[0], threads) * x.shape[1] * prod(y.shape[2:]) * x.element_size()
    if _lies_by_channels(x) and not _lies_by_channels(weight):
        kernel += _bytes(weight)  # which is first laid out as the input
    most = max(copy + kernel + made - _bytes(y), made + kernel) + SCRATCH
    columns = 0
    if transposed:
        columns = prod(weight.shape[1:]) * groups * prod(x.shape[2:])
    elif x.shape[0] == 1 and x.numel() <= SMALL_IMAGE and taps > 1:
        columns = weight.shape[1] * taps * prod(y.shape[2:])
    return max(most, columns * x.element_size())


def _axis_of(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
    """The axis that ``func`` is called along; None where it takes all elements."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == "dim":
            given = args[place] if place < len(args) else kwargs.get("dim", argument.default_value)
            return None if given is None else int(given)
    return None


def _ordering(name: str, x: Tensor, axis: int | None) -> int:
    """A row's places to sort it; for the k-th value a copy and the place of each; for a median a copy in rows."""
    if not x.dim():
        return _bytes(x)
    if name == "sort":
        return x.shape[-1 if axis is None else axis] * PLACE
    if name == "kthvalue":
        return _bytes(x) + x.numel() * PLACE
    return 0 if axis is not None and x.stride(axis) == 1 else _bytes(x) + _turning(x.mT if x.dim() == 2 else x)


def _turning(x: Tensor) -> int:
    """Room for a block of a matrix whose columns lie in a row, where it is copied to lie in rows."""
    turned = x.dim() == 2 and x.stride() == (1, x.shape[0]) and x.numel() >= BLOCK_TURNED
    return BLOCK_TURNED * x.element_size() if turned else 0


def _rows_of_nothing(scores: Tensor, axis: int) -> int:
    """A truth value a score and a row, and a number (``native/SoftMax.cpp``)."""
    return scores.numel() + scores.numel() // max(scores.shape[axis], 1) + NUMBER


def _attention(query: Tensor, key: Tensor, heads: int) -> int:
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


def _is_no_matrix(tensor: Tensor) -> bool:
    """Whether a product takes ``tensor`` only as a copy: neither its rows nor its columns lie in a row."""
    return tensor.dim() > 1 and 1 not in tensor.stride()[-2:] and _is_scattered(tensor)


def _lies_by_channels(tensor: Tensor) -> bool:
    """Whether PyTorch takes ``tensor`` for channels_last: by its strides, also along axes of one.

    Source: c10/core/MemoryFormat.h, is_channels_last_strides_2d_s4.
    """
    if tensor.dim() != 4 or tensor.stride(1) == 0:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = tensor.shape[axis], tensor.stride(axis)
        if size == 0 or stride < least or (axis == 0 and least == tensor.stride(1)):
            return False
        least = stride * max(size, 1)
    return True


def _is_scattered(tensor: Tensor) -> bool:
    """Whether a kernel that wants its elements in a row must copy them."""
    if tensor.is_contiguous() or tensor.numel() < 2:
        return False
    return not _lies_by_channels(tensor)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


REDUCED_IN_PLACE = frozenset(("mse_loss", "smooth_l1_loss", "binary_cross_entropy", "soft_margin_loss"))
"""Losses whose mean or sum is left at the head of the losses that it is of (``native/Loss.cpp``)."""


def returned(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> int:
    """Bytes of the storage in which the kernel of ``func`` returns ``result``, which may be the first part of it.

    Without values a tensor has just what it needs. Found by running PyTorch's own samples of all of its operators on
    the CPU (torch 2.13); ``fold`` works on as many elements as it is given (``native/Col2Im.cpp``).
    """
    name = func._schema.name.partition("::")[2]
    size: int = result.untyped_storage().nbytes()
    if name == "col2im":
        return max(size, _bytes(args[0]))
    if name in REDUCED_IN_PLACE and not result.dim():
        places: int = prod(torch.broadcast_shapes(*(t.shape for t in tensors_among(args[:2]))))
        return max(size, places * result.element_size())
    return size
