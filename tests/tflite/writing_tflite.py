"""Small TFLite files for tests, written from the schema by other code than reads them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from costcalc.frontends.tflite.operators import BUILTIN
from costcalc.frontends.tflite.read import TYPES
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import ELEMENT_BITS

Open = Callable[..., Graph]
"""Opens a file that was put together, with its inputs and outputs: the fixture ``opened``."""

FORMS = {"byte": "<b", "kind": "<B", "int": "<i", "count": "<I", "long": "<Q", "float": "<f"}


UNION = {
    "CONV_2D": 1, "DEPTHWISE_CONV_2D": 2, "AVERAGE_POOL_2D": 5, "MAX_POOL_2D": 5, "L2_POOL_2D": 5, "SVDF": 6,
    "FULLY_CONNECTED": 8, "SOFTMAX": 9, "CONCATENATION": 10, "ADD": 11, "RESIZE_BILINEAR": 15, "RESHAPE": 17,
    "SPACE_TO_DEPTH": 19, "MUL": 21, "PAD": 22, "GATHER": 23, "BATCH_TO_SPACE_ND": 24, "SPACE_TO_BATCH_ND": 25,
    "TRANSPOSE": 26, "MEAN": 27, "SUM": 27, "SUB": 28, "SQUEEZE": 30, "STRIDED_SLICE": 32, "TOPK_V2": 34, "SPLIT": 35,
    "MAXIMUM": 39, "ARG_MAX": 40, "SLICE": 48, "TRANSPOSE_CONV": 49, "TILE": 51, "EXPAND_DIMS": 52, "SHAPE": 55,
    "PACK": 59, "UNPACK": 64, "RESIZE_NEAREST_NEIGHBOR": 74, "MIRROR_PAD": 77, "SPLIT_V": 79, "REVERSE_V2": 81,
    "DEPTH_TO_SPACE": 94, "BATCH_MATMUL": 101, "CUMSUM": 102, "CONV_3D": 106,
    "ONE_HOT": 61, "GATHER_ND": 83, "RANK": 86, "REVERSE_SEQUENCE": 87, "MATRIX_DIAG": 88, "SCATTER_ND": 97,
    "DYNAMIC_UPDATE_SLICE": 117, "IF": 92, "WHILE": 93, "CALL_ONCE": 103, "LESS": 43,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 71, "RNN": 7, "LSTM": 14, "UNIDIRECTIONAL_SEQUENCE_RNN": 31,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 69,
    "BIDIRECTIONAL_SEQUENCE_RNN": 70, "RANDOM_UNIFORM": 114, "RANDOM_STANDARD_NORMAL": 114,
    "NON_MAX_SUPPRESSION_V4": 95, "NON_MAX_SUPPRESSION_V5": 96, "SEGMENT_SUM": 100, "RFFT2D": 105, "BUCKETIZE": 115,
    "UNIQUE": 80, "WHERE": 85, "EMBEDDING_LOOKUP_SPARSE": 20, "BITCAST": 124, "MULTINOMIAL": 114,
}  # fmt: skip
"""Which table the options of each operator are, by the schema's numbers."""
SECOND_UNION = {
    "STABLEHLO_CONCATENATE": 1, "STABLEHLO_SLICE": 3, "STABLEHLO_COMPARE": 8, "STABLEHLO_DOT_GENERAL": 12,
    "STABLEHLO_TRANSPOSE": 17, "STABLEHLO_BROADCAST_IN_DIM": 2, "STABLEHLO_CONVOLUTION": 4, "STABLEHLO_REDUCE": 6,
    "STABLEHLO_SCATTER": 7, "STABLEHLO_DYNAMIC_SLICE": 9, "STABLEHLO_PAD": 10, "STABLEHLO_IOTA": 11,
    "STABLEHLO_REDUCE_WINDOW": 13, "STABLEHLO_SORT": 14, "STABLEHLO_WHILE": 15, "STABLEHLO_GATHER": 16, "DILATE": 18,
    "STABLEHLO_RNG_BIT_GENERATOR": 19, "REDUCE_WINDOW": 20, "STABLEHLO_CASE": 23,
}  # fmt: skip
"""The same of those whose options stand in the second table."""


class Table(NamedTuple):
    """Fields by their number, each with how it is written: ``{0: ("int", 3), 1: ("text", "x")}``."""

    fields: dict[int, tuple[str, Any]]


def flat(root: Table, identifier: bytes = b"TFL3") -> bytes:
    """The bytes of a FlatBuffer."""
    out = bytearray(struct.pack("<I", 0) + identifier)
    struct.pack_into("<I", out, 0, _table(out, root))
    return bytes(out)


def _align(out: bytearray, to: int = 8) -> int:
    out.extend(b"\0" * (-len(out) % to))
    return len(out)


def _table(out: bytearray, table: Table) -> int:
    count = max(table.fields, default=-1) + 1
    fields = _align(out)
    out.extend(b"\0" * (4 + 2 * count))
    start = _align(out)
    out.extend(struct.pack("<i", start - fields) + b"\0" * 4)
    places = {}
    for number, (kind, value) in table.fields.items():
        places[number] = _align(out, 8)
        out.extend(struct.pack(FORMS[kind], value) if kind in FORMS else b"\0" * 4)
    struct.pack_into("<HH", out, fields, 4 + 2 * count, len(out) - start)
    for number, at in places.items():
        struct.pack_into("<H", out, fields + 4 + 2 * number, at - start)
    for number, (kind, value) in table.fields.items():
        if kind not in FORMS:
            struct.pack_into("<I", out, places[number], _child(out, kind, value) - places[number])
    return start


def _child(out: bytearray, kind: str, value: Any) -> int:
    if kind == "table":
        return _table(out, value)
    if kind == "tables":
        start = _align(out)
        out.extend(struct.pack("<I", len(value)) + b"\0" * (4 * len(value)))
        for i, one in enumerate(value):
            at = start + 4 + 4 * i
            struct.pack_into("<I", out, at, _table(out, one) - at)
        return start
    data = {
        "text": lambda: value.encode(), "bytes": lambda: value,
        "ints": lambda: struct.pack(f"<{len(value)}i", *value),
        "longs": lambda: struct.pack(f"<{len(value)}q", *value),
        "floats": lambda: struct.pack(f"<{len(value)}f", *value),
    }[kind]()  # fmt: skip
    _align(out, 16)
    out.extend(b"\0" * 12)
    start = len(out)
    out.extend(struct.pack("<I", len(value)) + data + b"\0")
    return start


class File:
    """A model of one graph, put together tensor by tensor and operator by operator."""

    def __init__(self) -> None:
        self.tensors: list[Table] = []
        self.buffers: list[Table] = [Table({})]
        self.codes: list[tuple[int, str]] = []
        self.operators: list[Table] = []
        self.graphs: list[tuple[File, Sequence[int], Sequence[int]]] = []

    def inner(self) -> File:
        """The content of another graph of the file, to be filled and then given to ``hold``."""
        made = File()
        made.buffers, made.codes = self.buffers, self.codes
        return made

    def hold(self, graph: File, inputs: Sequence[int], outputs: Sequence[int]) -> int:
        """Take ``graph`` in; its number."""
        self.graphs.append((graph, inputs, outputs))
        return len(self.graphs)

    def _graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Table:
        return Table({
            0: ("tables", self.tensors), 1: ("ints", list(inputs)), 2: ("ints", list(outputs)),
            3: ("tables", self.operators),
        })  # fmt: skip

    def tensor(
        self, name: str, *shape: int, dtype: str = "float32", data: bytes | None = None, open: Sequence[int] = (),
        scales: int = 0, variable: bool = False,
    ) -> int:  # fmt: skip
        """A tensor, with values if there are ``data``; its number."""
        fields: dict[int, tuple[str, Any]] = {
            0: ("ints", list(shape)), 1: ("byte", TYPES.index(dtype)), 3: ("text", name),
        }  # fmt: skip
        if data is not None:
            fields[2] = ("count", len(self.buffers))
            self.buffers.append(Table({0: ("bytes", data)}))
        if scales:
            fields[4] = ("table", Table({2: ("floats", [0.1] * scales)}))
        if variable:
            fields[5] = ("kind", 1)
        if open:
            fields[7] = ("ints", [-1 if i in open else size for i, size in enumerate(shape)])
        self.tensors.append(Table(fields))
        return len(self.tensors) - 1

    def weight(self, name: str, *shape: int, dtype: str = "float32", scales: int = 0) -> int:
        """A constant of zeros."""
        size = -(-math.prod(shape) * ELEMENT_BITS[dtype] // 8)
        return self.tensor(name, *shape, dtype=dtype, data=bytes(size), scales=scales)

    def numbers(self, *values: int, name: str = "numbers", shape: Sequence[int] | None = None) -> int:
        """A constant of whole numbers."""
        sizes = [len(values)] if shape is None else list(shape)
        return self.tensor(name, *sizes, dtype="int32", data=struct.pack(f"<{len(values)}i", *values))

    def longs(self, *values: int) -> int:
        """The same of eight bytes."""
        return self.tensor("longs", len(values), dtype="int64", data=struct.pack(f"<{len(values)}q", *values))

    def scalar(self, value: float) -> int:
        """A constant of one real number, without axes."""
        return self.tensor("scalar", data=struct.pack("<f", value))

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int],
        options: dict[int, tuple[str, Any]] | None = None, custom: bool = False,
    ) -> None:  # fmt: skip
        """An operator, with its options by the numbers of their fields."""
        code = (BUILTIN.index("CUSTOM"), name) if custom else (BUILTIN.index(name), "")
        if code not in self.codes:
            self.codes.append(code)
        fields: dict[int, tuple[str, Any]] = {
            0: ("count", self.codes.index(code)), 1: ("ints", list(inputs)), 2: ("ints", list(outputs)),
        }  # fmt: skip
        if options is not None and name in SECOND_UNION:
            fields |= {11: ("kind", SECOND_UNION[name]), 12: ("table", Table(options))}
        elif options is not None:
            fields |= {3: ("kind", UNION.get(name, 0)), 4: ("table", Table(options))}
        self.operators.append(Table(fields))

    def bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        graphs = [self._graph(inputs, outputs), *(one._graph(i, o) for one, i, o in self.graphs)]
        codes = [
            Table({0: ("byte", min(code, 127)), 3: ("int", code)} | ({1: ("text", name)} if name else {}))
            for code, name in self.codes
        ]
        return flat(Table({
            0: ("count", 3), 1: ("tables", codes), 2: ("tables", graphs), 4: ("tables", self.buffers),
        }))  # fmt: skip
