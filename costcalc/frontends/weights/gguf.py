"""GGUF: counts, keys with values, a line for each tensor, and after them the tensors' bytes.

Source  ggml-org/ggml, docs/gguf.md; sizes of blocks as ``GGML_QUANT_SIZES`` of its Python package lists them.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from struct import Struct
from typing import Any, BinaryIO

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.frontends.weights.records import FileTensor, WeightFile
from costcalc.reading.files import opened

MOST_KEYS, MOST_TENSORS, MOST_AXES, MOST_TEXT, MOST_ITEMS = 100_000, 200_000, 4, 2**20, 5_000_000
BLOCKS: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1),
    25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}  # fmt: skip
"""Number of a type → its name, how many weights a block of it has, and how many bytes."""
_PLAIN = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Type of a value → its bytes; 8 is a text, 9 a list."""
_TEXT, _LIST, _U32, _U64 = 8, 9, Struct("<I"), Struct("<Q")


class _Line(NamedTuple):
    """What the header says of a tensor; the innermost axis stands first."""

    name: str
    axes: tuple[int, ...]
    type: int
    offset: int


class _Reader:
    def __init__(self, stream: BinaryIO, location: Location) -> None:
        self._stream, self._place = stream, location
        self._size = stream.seek(0, 2)
        stream.seek(0)
        self.items = 0

    def fail(self, sentence: str) -> SpecError:
        """The error of a file that is not as it must be."""
        return SpecError(f"this GGUF file is damaged or cut off: {sentence}", self._place)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        data = self._stream.read(count)
        if len(data) < count:
            raise self.fail("it ends within its header")
        return data

    def whole(self, form: Struct) -> int:
        """The next number."""
        return int(form.unpack(self.take(form.size))[0])

    def text(self) -> str:
        """The next text."""
        length = self.whole(_U64)
        if length > MOST_TEXT:
            raise self.fail(f"a text has {length:,} bytes")
        return self.take(length).decode("utf-8", errors="replace")

    def skip(self, count: int) -> None:
        """Go on after so many bytes."""
        if count > self._size - self._stream.tell():
            raise self.fail("a value goes beyond its end")
        self._stream.seek(count, 1)

    def value(self, kind: int, deep: int = 0) -> Any:
        """The next value, if it is a number or a text; of a list only that it was passed over."""
        if kind == _TEXT:
            return self.text()
        if kind in _PLAIN:
            data = self.take(_PLAIN[kind])
            return None if kind in (6, 12) else int.from_bytes(data, "little")
        if kind != _LIST or deep > 2:
            raise self.fail(f"a value has a type {kind} that is not known")
        inner, count = self.whole(_U32), self.whole(_U64)
        if inner in _PLAIN:
            self.skip(count * _PLAIN[inner])
            return None
        self.items += count
        if self.items > MOST_ITEMS:
            raise self.fail(f"its lists have more than {MOST_ITEMS:,} texts")
        for _ in range(count):
            if inner == _TEXT:
                self.skip(self.whole(_U64))
            else:
                self.value(inner, deep + 1)
        return None

    def position(self) -> tuple[int, int]:
        """How far it is read, and how many bytes the file has."""
        return self._stream.tell(), self._size


def read_gguf(path: str) -> WeightFile:
    """The tensors of a GGUF file. Raises ``SpecError`` for a header that is damaged or says what cannot be."""
    location = Location(path)
    with opened(path, kind="what holds weights", form="a file") as stream:
        read = _Reader(stream, location)
        read.take(4)
        version = read.whole(_U32)
        if version not in (2, 3):
            raise SpecError(
                f"this is GGUF of version {version}; versions 2 and 3 of this byte order are read", location
            )
        tensors, keys = read.whole(_U64), read.whole(_U64)
        if tensors > MOST_TENSORS or keys > MOST_KEYS:
            raise read.fail(f"it has {tensors:,} tensors and {keys:,} keys")
        values: dict[str, Any] = {}
        for _ in range(keys):
            key = read.text()
            values[key] = read.value(read.whole(_U32))
        lines = [_line(read) for _ in range(tensors)]
        at, size = read.position()
    align = values.get("general.alignment", 32)
    if type(align) is not int or not 1 <= align <= 2**20:
        raise read.fail(f"its tensors are aligned to {align}")
    start = -(-at // align) * align
    first: dict[int, str] = {}
    found = [_tensor(line, start, size, first, read) for line in lines]
    return WeightFile(path, f"GGUF version {version}", tuple(found), *_about(values, {t.name for t in found}))


def _line(read: _Reader) -> _Line:
    name, count = read.text(), read.whole(_U32)
    if count > MOST_AXES:
        raise read.fail(f"the tensor '{name[:80]}' has {count} axes")
    axes = tuple(read.whole(_U64) for _ in range(count))
    return _Line(name, axes, read.whole(_U32), read.whole(_U64))


def _tensor(line: _Line, start: int, size: int, first: dict[int, str], read: _Reader) -> FileTensor:
    what = f"the tensor '{line.name[:80]}'"
    if line.type not in BLOCKS:
        raise read.fail(f"{what} has a type {line.type} that is not known")
    kind, block, taken = BLOCKS[line.type]
    if any(axis >= 2**48 for axis in line.axes) or (line.axes and line.axes[0] % block):
        raise read.fail(f"{what} has rows of {line.axes[0]:,}, which blocks of {block} do not divide")
    length = prod(line.axes) // block * taken
    if start + line.offset + length > size:
        raise read.fail(f"{what} goes beyond its end")
    tied = first.setdefault(line.offset, line.name) if length else line.name
    shared = tied != line.name
    return FileTensor(
        line.name, kind, line.axes[::-1], Fraction(8 * taken, block), 0 if shared else length, tied if shared else ""
    )


def _about(values: dict[str, Any], names: set[str]) -> tuple[str, tuple[str, ...]]:
    """What the keys say of the model, and what its output is tied to."""
    words = [values.get("general.architecture"), values.get("general.name"), values.get("general.size_label")]
    about = ", ".join(str(word)[:80] for word in words if isinstance(word, str) and word)
    tied = "token_embd.weight" in names and "output.weight" not in names
    return about, ("there is no output.weight: engines take token_embd.weight for it",) if tied else ()
