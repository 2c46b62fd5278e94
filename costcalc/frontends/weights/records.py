"""Tensors as a file stores them."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from costcalc.classes import NamedTuple


class FileTensor(NamedTuple):
    """One tensor.

    type    its element type, or its format of blocks, as the file calls it
    shape   the outermost axis first
    bits    of one element, a fraction where blocks have scales of their own; None where that is not known
    bytes   that it takes in the file; 0 if those are another's
    tied    the tensor whose bytes it shares, "" if none
    """

    name: str
    type: str
    shape: tuple[int, ...]
    bits: Fraction | int | None
    bytes: int
    tied: str = ""

    @property
    def elements(self) -> int:
        """How many there are."""
        return prod(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """For programs; bits a weight as a number."""
        return {
            "name": self.name, "type": self.type, "shape": list(self.shape), "elements": self.elements,
            "bits": None if self.bits is None else float(self.bits), "bytes": self.bytes, "tied": self.tied or None,
        }  # fmt: skip


class WeightFile(NamedTuple):
    """What a file stores.

    format   Safetensors, GGUF …
    about    what its header says of it besides: its architecture
    notes    sentences on what it lacks or shares
    """

    path: str
    format: str
    tensors: tuple[FileTensor, ...]
    about: str = ""
    notes: tuple[str, ...] = ()

    def types(self) -> list[dict[str, Any]]:
        """For each type how many tensors, elements and bytes, the most bytes first; what is tied counts once."""
        found: dict[str, dict[str, Any]] = {}
        for tensor in self.tensors:
            row = found.setdefault(tensor.type, {"name": tensor.type, "tensors": 0, "elements": 0, "bytes": 0})
            row["tensors"] += 1
            if not tensor.tied:
                row["elements"] += tensor.elements
                row["bytes"] += tensor.bytes
        rows = sorted(found.values(), key=lambda row: -int(row["bytes"]))
        return [row | {"bits": 8 * row["bytes"] / row["elements"] if row["elements"] else None} for row in rows]

    def total(self) -> dict[str, Any]:
        """Of all."""
        own = [tensor for tensor in self.tensors if not tensor.tied]
        elements, size = sum(t.elements for t in own), sum(t.bytes for t in own)
        return {
            "name": "total", "tensors": len(self.tensors), "elements": elements, "bytes": size,
            "bits": 8 * size / elements if elements else None,
        }  # fmt: skip
