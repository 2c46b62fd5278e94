"""What is in a TFLite file: tensors, operators and graphs, by the fields of its schema. Weights' bytes are not read.

The numbers of fields, types and operators are those of TensorFlow's schema.fbs, version 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.frontends.compose import inputs_named
from costcalc.frontends.tflite.flat import Flat, FlatTable, numbers
from costcalc.frontends.tflite.operators import BUILTIN
from costcalc.frontends.unsupported import refuse_unread
from costcalc.reading.files import mapped

MOST_TENSORS, MOST_OPERATORS, MOST_GRAPHS, MOST_AXES, MOST_INPUTS = 300_000, 100_000, 1000, 8, 10_000
MOST_NUMBERS = 4096
"""Elements of a constant of whole numbers that are read: shapes, axes, amounts of padding, indices."""
TYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4", "float8",
    "float8",
)  # fmt: skip
_WIDTHS = {"bool": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8}


class TFLiteTensor(NamedTuple):
    """One tensor.

    shape       as the file has it
    open        the axes whose size the file leaves open
    dtype       its element type
    constant    whether the file holds its values
    numbers     these, if they are few whole numbers
    variable    whether it keeps its value from one inference to the next
    scales      how many scales it is quantised by: 0 for none, 1 for all, or one for each place of ``axis``
    axis        the axis of these
    buffer      where its values are kept, 0 for nowhere, and how many bytes these are
    """

    name: str
    shape: tuple[int, ...]
    open: tuple[int, ...]
    dtype: str
    constant: bool
    numbers: tuple[int, ...] | None
    variable: bool
    scales: int
    axis: int
    buffer: int
    size: int


class TFLiteOperator(NamedTuple):
    """One operator: its name in the schema, or that of a custom one; its inputs and outputs, -1 for none."""

    name: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: FlatTable | None
    options2: FlatTable | None


class Subgraph(NamedTuple):
    """One graph of the file; ``number`` is which."""

    tensors: list[TFLiteTensor]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: list[TFLiteOperator]
    number: int = 0

    def inputs_named(self) -> dict[str, int]:
        """Its inputs, by what they are called."""
        return dict(zip(inputs_named(self.tensors[i].name for i in self.inputs), self.inputs, strict=True))


class TFLiteModel:
    """A model; its graphs are read when they are asked for."""

    def __init__(self, flat: Flat) -> None:
        self.flat = flat
        if bytes(flat.data[4:8]) != b"TFL3":
            refuse_unread(flat.shown)
            raise SpecError(
                "this is not a TFLite model of version 3: its bytes 4 to 7 are not TFL3", Location(flat.shown)
            )
        root = flat.root()
        if root.count(0) != 3:
            raise SpecError(
                f"this is a TFLite model of version {root.count(0)}; version 3 is read", Location(flat.shown)
            )
        self.graphs = root.tables(2, MOST_GRAPHS, "graphs")
        if not self.graphs:
            raise flat.broken("it has no graph")
        self._codes = [_code(table) for table in root.tables(1, MOST_OPERATORS, "kinds of operators")]
        self._buffers = root.tables(4, MOST_TENSORS, "buffers")
        self.signatures = {table.text(2): table.count(4) for table in root.tables(7, MOST_GRAPHS, "signatures")}

    def subgraph(self, index: int) -> Subgraph:
        """The graph ``index``."""
        if not 0 <= index < len(self.graphs):
            raise self.flat.broken(f"it names a graph {index} of {len(self.graphs)}")
        table = self.graphs[index]
        tensors = [self._tensor(t) for t in table.tables(0, MOST_TENSORS, "tensors")]
        operators = [self._operator(t, len(tensors)) for t in table.tables(3, MOST_OPERATORS, "operators")]
        inputs, outputs = table.ints(1, MOST_INPUTS), table.ints(2, MOST_INPUTS)
        self._known((*inputs, *outputs), len(tensors), 0)
        return Subgraph(tensors, inputs, outputs, operators, index)

    def _known(self, indices: tuple[int, ...], count: int, least: int) -> None:
        for index in indices:
            if not least <= index < count:
                raise self.flat.broken(f"it names a tensor {index} of {count}")

    def _tensor(self, table: FlatTable) -> TFLiteTensor:
        shape, signature = table.ints(0, MOST_AXES), table.ints(7, MOST_AXES)
        name = table.text(3)
        code = table.byte(1)
        if not 0 <= code < len(TYPES):
            raise SpecError(
                f"the tensor '{name[:80]}' has an element type {code} that is not known", Location(self.flat.shown)
            )
        if any(size < 0 for size in shape):
            raise SpecError(f"the tensor '{name[:80]}' has a negative size: {list(shape)}", Location(self.flat.shown))
        index = table.count(2)
        if index >= max(len(self._buffers), 1):
            raise self.flat.broken(f"it names a buffer {index} of {len(self._buffers)}")
        start, length = self._bytes(index) if self._buffers else (0, 0)
        quantised = table.table(4)
        scales, axis = (quantised.span(2, 4)[1], quantised.whole(6)) if quantised else (0, 0)
        open_ = tuple(i for i, size in enumerate(signature) if size == -1) if len(signature) == len(shape) else ()
        found = self._numbers(shape, TYPES[code], start, length) if length else None
        return TFLiteTensor(
            name, shape, open_, TYPES[code], bool(length), found, table.flag(5), scales, axis, index, length
        )

    def _bytes(self, index: int) -> tuple[int, int]:
        """Where the data of a buffer begins in the file, and its length; 0 for none."""
        table = self._buffers[index]
        start, length = table.span(0, 1)
        if not length and table.long(2) > 1:  # kept after the tables, in files larger than these can address
            start, length = table.long(1), table.long(2)
            if start + length > self.flat.length:
                raise self.flat.broken("a buffer goes beyond its end")
        return start, length

    def _numbers(self, shape: tuple[int, ...], dtype: str, start: int, length: int) -> tuple[int, ...] | None:
        count = 1
        for size in shape:
            count *= size
        width = _WIDTHS.get(dtype)
        if width is None or count > MOST_NUMBERS or count * width > length:
            return None
        return numbers(self.flat.data, start, count, width)

    def _operator(self, table: FlatTable, count: int) -> TFLiteOperator:
        index = table.count(0)
        if index >= len(self._codes):
            raise self.flat.broken(f"it names a kind of operator {index} of {len(self._codes)}")
        name, custom = self._codes[index]
        inputs, outputs = table.ints(1, MOST_INPUTS), table.ints(2, MOST_INPUTS)
        self._known(inputs, count, -1)
        self._known(outputs, count, 0)
        return TFLiteOperator(name, custom, inputs, outputs, table.table(4), table.table(12))


def _code(table: FlatTable) -> tuple[str, bool]:
    # The first field is a byte, which ended at 127; the newer one is wider.
    code = max(table.byte(0), table.whole(3))
    if code == BUILTIN.index("CUSTOM"):
        return table.text(1) or "custom", True
    return (BUILTIN[code] if 0 <= code < len(BUILTIN) else f"operator {code}"), False


@contextmanager
def opened(path: str) -> Iterator[TFLiteModel]:
    """The model in the file at ``path``, which is mapped while the context lasts."""
    with mapped(path, "a TFLite model") as data:
        if not data:
            raise SpecError("the file is empty; a TFLite model has at least a graph", Location(path))
        yield TFLiteModel(Flat(data, path))
