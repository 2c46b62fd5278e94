"""Nested tensors of the jagged layout: sequences of their own lengths, one after another in one dense tensor.

What runs on them runs on that tensor, so that a layer does the sum over the real lengths. Attention does not: PyTorch's
kernels for it are not for tensors without values, so that each sequence has its own here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from costcalc.frontends.torch.exclusive import replaced_here
from costcalc.frontends.torch.value_dependent import ValuesNeeded

PARTS = ("_values", "_offsets")
"""Attributes of a jagged tensor: all sequences one after another, and where each begins."""


def is_jagged(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a nested tensor of the jagged layout."""
    return tensor.is_nested and tensor.layout is torch.jagged


def jagged_parts(tensor: Tensor) -> dict[str, Tensor]:
    """The dense tensors that a jagged one stands for, by name."""
    return {name.removeprefix("_"): getattr(tensor, name) for name in PARTS}


@contextmanager
def attended_one_by_one(known: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """While open, attention of jagged tensors in this thread is that of each of their sequences.

    known   the values of a tensor, None where they are unknown
    """
    from torch.nested._internal import ops

    def apart(original: Callable[..., Any]) -> Callable[..., Any]:
        def attended(query: Tensor, key: Tensor, value: Tensor, *args: Any, **options: Any) -> Any:
            if not all(_has_heads(t) for t in (query, key, value)) or any(isinstance(a, Tensor) for a in args):
                return original(query, key, value, *args, **options)
            pieces = [list(_sequences(t, known)) for t in (query, key, value)]
            made = [
                F.scaled_dot_product_attention(*(t.transpose(0, 1) for t in each), *args, **options).transpose(0, 1)
                for each in zip(*pieces, strict=True)
            ]
            y = torch.nested.nested_tensor_from_jagged(torch.cat(made), query._offsets)  # type: ignore[attr-defined]
            return y.transpose(1, 2)

        return attended

    with replaced_here(ops, "jagged_scaled_dot_product_attention", apart):
        yield


def _has_heads(tensor: Any) -> bool:
    """Whether it is (batch, heads, length, width), with nothing between the sequences."""
    return tensor.dim() == 4 and tensor._ragged_idx == 2 and tensor._lengths is None


def _sequences(tensor: Tensor, known: Callable[[Tensor], Tensor | None]) -> Iterator[Tensor]:
    """Each sequence of (batch, heads, length, width), as (length, heads, width)."""
    jagged: Any = tensor
    ends = known(jagged._offsets)
    if ends is None:
        raise ValuesNeeded
    inside, places = jagged.transpose(1, 2)._values, ends.tolist()
    for start, end in pairwise(places):
        yield inside[start:end]
