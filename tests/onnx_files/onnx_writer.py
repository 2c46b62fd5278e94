"""Writes small ONNX files, byte by byte, so that the tests need no other package: the opposite of the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FLOAT, INT8, INT32, INT64, BOOL, HALF, INT4, UINT8 = 1, 3, 6, 7, 9, 10, 22, 2


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def held(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name: str, shape: Sequence[int], values: Sequence[Any] | None = None, kind: int = FLOAT) -> bytes:
    """Without ``values`` its data is said to lie in another file."""
    made = b"".join(number(1, size) for size in shape) + number(2, kind) + held(8, name)
    if values is None:
        return made + number(14, 1) + held(13, held(1, "location") + held(2, "weights.bin"))
    letter = {FLOAT: "f", INT64: "q", INT32: "i", BOOL: "?", INT8: "b", UINT8: "B"}[kind]
    return made + held(9, struct.pack(f"<{len(values)}{letter}", *values))


def ints(name: str, *values: int) -> bytes:
    """A vector of int64."""
    return tensor(name, [len(values)], values, INT64)


def scalar(name: str, value: Any, kind: int = INT64) -> bytes:
    return tensor(name, [], [value], kind)


def value(name: str, shape: Sequence[Any] | None, kind: int = FLOAT) -> bytes:
    """What is declared of a value; a size can be a text, or None."""
    sizes = b""
    for size in shape or ():
        sizes += held(1, number(1, size) if isinstance(size, int) else b"" if size is None else held(2, size))
    held_shape = b"" if shape is None else held(2, sizes)
    return held(1, name) + held(2, held(1, number(1, kind) + held_shape))


def attribute(name: str, given: Any) -> bytes:
    made = held(1, name)
    if isinstance(given, int):
        return made + number(3, int(given)) + number(20, 2)
    if isinstance(given, float):
        return made + varint(2 << 3 | 5) + struct.pack("<f", given) + number(20, 1)
    if isinstance(given, str):
        return made + held(4, given) + number(20, 3)
    if isinstance(given, Graph):
        return made + held(6, given.data) + number(20, 5)
    if isinstance(given, bytes):
        return made + held(5, given) + number(20, 4)
    if given and isinstance(given[0], float):
        return made + held(7, struct.pack(f"<{len(given)}f", *given)) + number(20, 6)
    return made + b"".join(number(8, v) for v in given) + number(20, 7)


class Ref(str):
    """The function's attribute that an attribute is taken from."""


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], *, name: str = "", domain: str = "", scopes: str = "",
    overload: str = "", **attributes: Any,
) -> bytes:  # fmt: skip
    made = b"".join(held(1, one) for one in inputs) + b"".join(held(2, one) for one in outputs)
    made += held(3, name) + held(4, operator) + held(7, domain) + held(8, overload)
    for key, given in attributes.items():
        refers = held(1, key) + held(21, str(given)) if isinstance(given, Ref) else attribute(key, given)
        made += held(5, refers)
    if scopes:
        made += held(9, held(1, "pkg.torch.onnx.name_scopes") + held(2, scopes))
    return made


class Graph:
    """A graph as bytes."""

    def __init__(
        self, nodes: Sequence[bytes], inputs: Sequence[bytes] = (), outputs: Sequence[bytes] = (),
        tensors: Sequence[bytes] = (), declared: Sequence[bytes] = (),
    ) -> None:  # fmt: skip
        parts = ((1, nodes), (5, tensors), (11, inputs), (12, outputs), (13, declared))
        self.data = held(2, "graph") + b"".join(held(field, one) for field, many in parts for one in many)


def function(
    name: str, inputs: Sequence[str], outputs: Sequence[str], nodes: Sequence[bytes], *, domain: str = "own",
    overload: str = "", attributes: Sequence[str] = (),
) -> bytes:  # fmt: skip
    made = held(1, name) + held(10, domain) + held(13, overload)
    for field, many in ((4, inputs), (5, outputs), (6, attributes), (7, nodes)):
        made += b"".join(held(field, one) for one in many)
    return made + held(9, number(2, 18))


def model(graph: Graph, functions: Sequence[bytes] = (), opset: int = 18, **domains: int) -> bytes:
    made = number(1, 8) + held(2, "the tests") + held(7, graph.data) + held(8, held(1, "") + number(2, opset))
    made += b"".join(
        held(8, held(1, domain.replace("__", ".")) + number(2, version)) for domain, version in domains.items()
    )
    return made + b"".join(held(25, one) for one in functions)


def saved(path: Path, graph: Graph, functions: Sequence[bytes] = (), opset: int = 18, **domains: int) -> str:
    path.write_bytes(model(graph, functions, opset, **domains))
    return str(path)
