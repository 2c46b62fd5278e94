"""PyTorch's element types by the names that costcalc has for them."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    import torch


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``; all eight-bit floats are one, quantised integers are integers."""
    name = str(dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return "float8"
    if name.startswith(("quint", "qint")):
        return name[1:] if name != "quint4x2" else "int4"
    return {"uint16": "int16", "uint32": "int32", "uint64": "int64", "complex32": "float32"}.get(name, name)


def type_of(tensor: torch.Tensor) -> TensorType:
    """Shape and element type of ``tensor``. Raises ``ValueError`` for nested tensors."""
    if tensor.is_nested:
        raise ValueError("NestedTensor")
    return _type(tuple(tensor.shape), tensor.dtype)


@lru_cache(4096)
def _type(shape: tuple[int, ...], dtype: torch.dtype) -> TensorType:
    """One object for all tensors of a type: a trace has tens of thousands."""
    return TensorType(shape, dtype_name(dtype))
