"""The type of a value: its shape and its element type."""

from __future__ import annotations

import re

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim, prod

FLOATING_BITS = {"float64": 64, "float32": 32, "bfloat16": 16, "float16": 16, "float8": 8, "float6": 6, "float4": 4}
ELEMENT_BITS = {
    **FLOATING_BITS,
    "complex128": 128, "complex64": 64,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "int4": 4, "int2": 2, "bool": 8,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "uint4": 4,
}  # fmt: skip
COMPLEX = {"float64": "complex128", "float32": "complex64"}
"""Element type → that of complex numbers whose parts are such."""
REAL = {of_both: of_part for of_part, of_both in COMPLEX.items()}
"""Complex element type → that of the parts."""


def bits_meant(text: str) -> int | None:
    """The width of an element type by one of its names, for who names the type where its width is wanted.

    >>> [bits_meant(t) for t in ("fp16", "bfloat16", "half", "int8", "16")]
    [16, 16, 16, 8, None]
    """
    word = text.strip().lower().removeprefix("torch.")
    named = {"half": 16, "float": 32, "single": 32, "double": 64, "byte": 8}.get(word)
    digits = re.fullmatch(r"(?:b?fp?|b?float|u?int|u|i|w)(\d{1,3})(?:_e\d+m\d+\w*)?", word)
    return named or (int(digits[1]) if digits else None)


class TensorType(NamedTuple):
    """Shape and element type.

    Images are batch-first, channels-second: ``(n, c, *spatial)``; sequences are ``(n, length, c)``.
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    @property
    def size(self) -> Dim:
        """Number of elements.

        >>> TensorType((2, 3, 5)).size
        30
        """
        return prod(self.shape)

    def bits(self, width: int | None = None) -> Dim:
        """Storage in bits; ``width`` replaces the width of floating-point elements.

        Bits, because four-bit weights exist.

        >>> TensorType((10,)).bits(), TensorType((10,)).bits(4), TensorType((10,), "int64").bits(4)
        (320, 40, 640)
        """
        floating = width is not None and self.dtype in FLOATING_BITS
        return self.size * (width if floating and width is not None else ELEMENT_BITS[self.dtype])

    @property
    def channels(self) -> Dim:
        """The second axis: the channels of an image."""
        return self.shape[1]

    @property
    def spatial(self) -> tuple[Dim, ...]:
        """The axes after batch and channels."""
        return self.shape[2:]

    def with_shape(self, *shape: Dim) -> TensorType:
        """The same element type in another shape."""
        return TensorType(shape, self.dtype)

    def __str__(self) -> str:
        return "×".join(map(str, self.shape)) or "scalar"


class Weight(NamedTuple):
    """A tensor that belongs to a layer.

    trained   a parameter; otherwise a buffer (running statistics, index tables)
    read      how many of its elements inference reads, None for all: a counter of training steps is stored only
    frozen    a parameter that training leaves as it is
    """

    type: TensorType
    trained: bool = True
    read: Dim | None = None
    frozen: bool = False

    def read_bits(self, width: int | None = None) -> Dim:
        """Bits of the elements that inference reads; ``width`` as in ``TensorType.bits``."""
        return self.type.bits(width) if self.read is None else self.type.with_shape(self.read).bits(width)


def parameter(*shape: Dim, dtype: str = "float32") -> Weight:
    """A trained tensor of ``shape``."""
    return Weight(TensorType(shape, dtype))


def buffer(*shape: Dim, dtype: str = "float32", read: Dim | None = None) -> Weight:
    """A tensor that is stored with the layer but not trained."""
    return Weight(TensorType(shape, dtype), trained=False, read=read)
