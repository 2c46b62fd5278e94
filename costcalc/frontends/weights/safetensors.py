"""Safetensors: eight bytes with the length of a header, the header as JSON, the tensors' bytes one after another.

Source  the format's own description, huggingface/safetensors, README: "Format".
"""

from __future__ import annotations

import json
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from costcalc.errors import CostcalcError, Location, SpecError
from costcalc.frontends.weights.records import FileTensor, WeightFile
from costcalc.reading.files import contents, opened
from costcalc.reading.reach import is_in_cache, reach_of, refuse_outside

MOST_HEADER, MOST_TENSORS, MOST_AXES, MOST_FILES = 32 * 2**20, 200_000, 16, 1000
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
META = "__metadata__"


def read_safetensors(path: str) -> WeightFile:
    """The tensors of one file. Raises ``SpecError`` for a header that is damaged or says what cannot be."""
    location = Location(path)
    with opened(path, kind="what holds weights", form="a file") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise SpecError(f"the file is cut off: its header has {length:,} bytes, the file {size:,}", location)
        if length > MOST_HEADER:
            raise SpecError(f"the header has {length:,} bytes; at most {MOST_HEADER:,} are read", location)
        header = _json(stream.read(length), location)
    room = size - 8 - length
    metadata = header.pop(META, {})
    if len(header) > MOST_TENSORS:
        raise SpecError(f"the file has {len(header):,} tensors; at most {MOST_TENSORS:,} are read", location)
    found, spans = [], []
    for name, about in header.items():
        tensor, start, end = _tensor(name, about, room, location)
        found.append(tensor)
        if end > start:
            spans.append((start, end, name))
    spans.sort()
    for (_, end, first), (start, _, second) in pairwise(spans):
        if start < end:
            raise SpecError(f"the bytes of '{second[:80]}' begin within those of '{first[:80]}'", location)
    return WeightFile(path, "Safetensors", (*found, *_tied(metadata, {t.name: t for t in found})))


def read_index(path: str) -> WeightFile:
    """The tensors of all files that an index names; these lie beside it, or behind links in a cache of Hugging Face."""
    location = Location(path)
    index = _json(contents(path, kind="an index of weights", form="a JSON file", most=MOST_HEADER), location)
    files = index.get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise SpecError("this index has no weight_map from tensors to files", location)
    names = sorted(set(files.values()))
    if len(names) > MOST_FILES:
        raise SpecError(f"the index names {len(names):,} files; at most {MOST_FILES:,} are read", location)
    found: list[FileTensor] = []
    for name in names:
        if Path(name).name != name or name in (".", ".."):
            raise SpecError(f"the index names '{name[:80]}', which does not lie beside it", location)
        file = Path(path).parent / name
        if not is_in_cache(file):
            refuse_outside(str(file), reach_of(path), name, location, "an index")
        if file.is_symlink() and not file.resolve().is_file():
            raise SpecError(f"'{name[:80]}' is a link that leads nowhere", location)
        if not file.is_file():
            what = "a folder" if file.is_dir() else "no regular file" if file.exists() else "not there"
            raise SpecError(f"the index names '{name[:80]}', which is {what}", location)
        found += read_safetensors(str(file)).tensors
    missing = sorted(set(files) - {tensor.name for tensor in found})
    notes = (f"the index names {len(missing)} tensors that no file has, {missing[0][:80]} first",) if missing else ()
    return WeightFile(path, f"Safetensors in {len(names)} files", tuple(found), notes=notes)


def _json(data: bytes, location: Location) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise SpecError("the header names a key twice", location)
        return found

    try:
        header = json.loads(data, object_pairs_hook=once)
    except CostcalcError:
        raise
    except (ValueError, RecursionError):
        raise SpecError("the header is not JSON", location) from None
    if not isinstance(header, dict):
        raise SpecError("the header is not JSON object", location)
    return header


def _tensor(name: str, about: Any, room: int, location: Location) -> tuple[FileTensor, int, int]:
    what = f"the tensor '{name[:80]}'"
    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(about, dict) or not keys <= about.keys():
        raise SpecError(f"{what} lacks one of dtype, shape and data_offsets", location)
    kind, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise SpecError(f"{what} has no shape of whole numbers from 0, at most {MOST_AXES} of them", location)
    if not _are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:
        raise SpecError(f"{what} does not lie in the file: {str(offsets)[:60]} of {room:,} bytes", location)
    if not isinstance(kind, str) or kind not in BITS:
        raise SpecError(f"{what} has an element type {str(kind)[:40]!r} that is not known", location)
    size = offsets[1] - offsets[0]
    if -(-prod(shape) * BITS[kind] // 8) != size:
        raise SpecError(
            f"{what} has {size:,} bytes, and its shape and type need {-(-prod(shape) * BITS[kind] // 8):,}", location
        )
    return FileTensor(name, kind, tuple(shape), BITS[kind], size), offsets[0], offsets[1]


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _tied(metadata: Any, known: dict[str, FileTensor]) -> list[FileTensor]:
    """Tensors that were left out because they share their bytes: the metadata say with which."""
    if not isinstance(metadata, dict):
        return []
    pairs = ((name, known[kept]) for name, kept in metadata.items() if isinstance(kept, str) and kept in known)
    return [
        FileTensor(name, kept.type, kept.shape, kept.bits, 0, kept.name) for name, kept in pairs if name not in known
    ]
