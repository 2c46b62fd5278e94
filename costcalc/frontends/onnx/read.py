"""An ONNX file as records: nodes, tensors by shape and type, what is declared of values, functions.

Of a tensor the elements are read only where they are few and say what shapes are made: whole numbers, or the scales of
a resize. External data is not looked at.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from math import prod
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.frontends.onnx.elements import NAMES
from costcalc.frontends.onnx.wire import (
    DamagedFile,
    Fields,
    Span,
    floats,
    integers,
    message,
    signed,
    spans,
    text,
)
from costcalc.reading.files import Data

MOST_NODES = 100_000
"""Nodes of a model, those of functions and of loops counted as often as they are done."""
MOST_NUMBERS = 4096
"""Elements of a tensor of whole numbers that are read."""
MOST_DECIMALS = 16
"""The same of floating-point numbers."""
MOST_RANK = 64
DEEPEST = 64
"""How deep graphs and functions may stand in each other."""


class OnnxTensor(NamedTuple):
    """A tensor of the file; ``numbers`` are its elements where they are few and there."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    numbers: tuple[Any, ...] | None


class DeclaredValue(NamedTuple):
    """What the file says of a value: its element type, and its sizes, of which None says nothing.

    holds   what it is, if it is not a tensor: ``sequence``, ``optional``, ``map``
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    holds: str = ""


class OnnxNode(NamedTuple):
    """One node. Of its attributes graphs are ``SubGraph``, and ``AttributeReference`` is what a function is
    given."""

    name: str
    domain: str
    operator: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    scope: str | None

    @property
    def kind(self) -> str:
        """The operator with its domain, if that is not ONNX's own: ``com.microsoft.FusedConv``."""
        return f"{self.domain}.{self.operator}" if self.domain not in ("", "ai.onnx") else self.operator


class AttributeReference(NamedTuple):
    """An attribute whose value is that of the function's attribute ``name``."""

    name: str


class SubGraph(NamedTuple):
    """A graph inside a node."""

    nodes: tuple[OnnxNode, ...]
    inputs: tuple[DeclaredValue, ...]
    outputs: tuple[DeclaredValue, ...]
    tensors: tuple[OnnxTensor, ...]
    declared: dict[str, DeclaredValue]
    name: str = ""


class Function(NamedTuple):
    """A function of the model: what a node of that domain, name and overload is made of."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    defaults: dict[str, Any]
    nodes: tuple[OnnxNode, ...]
    opsets: dict[str, int]


class OnnxModel(NamedTuple):
    """A whole file."""

    producer: str
    opsets: dict[str, int]
    graph: SubGraph
    functions: dict[tuple[str, str, str], Function]


def read(data: Data) -> OnnxModel:
    """The model in ``data``. Raises ``DamagedFile`` where there is none, or too large a one."""
    return _Reader(data).model()


class _Reader:
    def __init__(self, data: Data) -> None:
        self.data = data
        self.nodes = 0

    def model(self) -> OnnxModel:
        found = message(self.data, (0, len(self.data)))
        graphs = spans(found.get(7))
        if len(graphs) != 1 or not set(found) <= _OF_MODELS:
            raise DamagedFile(
                "it is not an ONNX model: there is no graph in it" if not graphs else "it is not an ONNX model"
            )
        functions = {}
        for span in spans(found.get(25)):
            key, function = self._function(span)
            if key in functions:
                raise DamagedFile(f"the function {key[1][:80]} is there twice")
            functions[key] = function
        return OnnxModel(self._text(found, 2), self._opsets(found.get(8)), self._graph(graphs[0], 0), functions)

    def _opsets(self, values: list[int | Span] | None) -> dict[str, int]:
        found: dict[str, int] = {}
        for span in spans(values):
            held = message(self.data, span)
            domain = self._text(held, 1)
            found["" if domain == "ai.onnx" else domain] = self._number(held, 2)
        return found

    def _graph(self, span: Span, depth: int) -> SubGraph:
        if depth > DEEPEST:
            raise DamagedFile(f"graphs stand more than {DEEPEST} deep in each other")
        found = message(self.data, span)
        nodes = self._nodes(found.get(1), depth)
        tensors = [self._tensor(s) for s in spans(found.get(5))]
        tensors += [self._sparse(s) for s in spans(found.get(15))]
        return SubGraph(
            nodes,
            tuple(self._declared(s) for s in spans(found.get(11))),
            tuple(self._declared(s) for s in spans(found.get(12))),
            tuple(tensors),
            {d.name: d for d in (self._declared(s) for s in spans(found.get(13)))},
            self._text(found, 2),
        )

    def _nodes(self, values: list[int | Span] | None, depth: int) -> tuple[OnnxNode, ...]:
        found = spans(values)
        self.nodes += len(found)
        if self.nodes > MOST_NODES:
            raise DamagedFile(f"it has more than {MOST_NODES:,} nodes")
        return tuple(self._node(span, depth) for span in found)

    def _node(self, span: Span, depth: int) -> OnnxNode:
        data, found = self.data, message(self.data, span)
        attributes = {}
        for held in spans(found.get(5)):
            name, value = self._attribute(held, depth)
            attributes[name] = value
        return OnnxNode(
            self._text(found, 3),
            self._text(found, 7),
            self._text(found, 4),
            self._text(found, 8),
            tuple(text(data, value) for value in found.get(1, ())),
            tuple(text(data, value) for value in found.get(2, ())),
            attributes,
            self._scope(spans(found[9])) if 9 in found else None,
        )

    def _scope(self, properties: list[Span]) -> str | None:
        """The module that the node was made in, as PyTorch's exporter says it."""
        for span in properties:
            entry = message(self.data, span)
            if self._text(entry, 1) == _SCOPES:
                (value,) = spans(entry.get(2, [(0, 0)]))[:1]
                names = _QUOTED.findall(
                    self.data[value[0] : min(value[1], value[0] + 20_000)].decode("utf-8", "replace")
                )
                scopes = [one or other for one, other in names]
                return scopes[-2] if len(scopes) > 1 else ""
        return None

    def _attribute(self, span: Span, depth: int) -> tuple[str, Any]:
        found = message(self.data, span)
        name = self._text(found, 1)
        if 21 in found:
            return name, AttributeReference(self._text(found, 21))
        kind = self._number(found, 20) or next((kind for kind, field in _FIELD_OF.items() if field in found), 0)
        values = found.get(_FIELD_OF.get(kind, 0), [])
        if kind == 1:
            return name, (floats(self.data, values[-1:], 1) or [0.0])[-1]
        if kind == 2:
            return name, signed(values[-1]) if values else 0
        if kind == 3:
            return name, self._short(values[-1]) if values else ""
        if kind == 4:
            return name, self._tensor(spans(values)[-1]) if values else None
        if kind == 5:
            return name, self._graph(spans(values)[-1], depth + 1) if values else None
        if kind == 6:
            return name, tuple(floats(self.data, values, MOST_NUMBERS))
        if kind == 7:
            return name, tuple(integers(self.data, values, MOST_NUMBERS))
        if kind == 8:
            return name, tuple(self._short(value) for value in values)
        if kind == 11:
            return name, self._sparse(spans(values)[-1]) if values else None
        return name, None

    def _short(self, value: int | Span) -> str:
        """A text; of a long one, as of a whole program in an attribute, the beginning."""
        if isinstance(value, tuple) and value[1] - value[0] > 4096:
            value = (value[0], value[0] + 4096)
        return text(self.data, value)

    def _tensor(self, span: Span) -> OnnxTensor:
        found = message(self.data, span)
        shape = tuple(integers(self.data, found.get(1, []), MOST_RANK))
        name, dtype = self._text(found, 8), NAMES.get(self._number(found, 2))
        if dtype is None:
            raise DamagedFile(f"the tensor {name[:80]} has the unknown element type {self._number(found, 2)}")
        if any(size < 0 for size in shape):
            raise DamagedFile(f"the tensor {name[:80]} has a size below 0: {shape}")
        return OnnxTensor(name, dtype, shape, self._numbers(found, dtype, shape))

    def _numbers(self, found: Fields, dtype: str, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
        """The elements, where they are few and in the file."""
        if self._number(found, 14):
            return None
        count = prod(shape)
        number = self._number(found, 2)
        if count > (MOST_DECIMALS if dtype.startswith(("float", "bfloat")) else MOST_NUMBERS) or number not in _FORMATS:
            return None
        if count == 0:
            return ()
        letter, field = _FORMATS[number]
        raw = spans(found.get(9))
        if raw:
            at, end = raw[-1]
            if end - at != count * struct.calcsize(letter):
                return None  # another engine's packing, or stripped
            return tuple(_as_number(v, number) for v in struct.unpack(f"<{count}{letter}", self.data[at:end]))
        if field == 4:
            given: list[Any] = list(floats(self.data, found.get(4, []), count))
        elif field == 10:
            given = []
            for at, end in spans(found.get(10)):
                if (end - at) % 8 == 0 and end - at <= 8 * count:
                    given += struct.unpack(f"<{(end - at) // 8}d", self.data[at:end])
        else:
            given = list(integers(self.data, found.get(field, []), count))
            if number == 10:
                given = [struct.unpack("<e", struct.pack("<H", v & 0xFFFF))[0] for v in given]
            elif number == 16:
                given = [struct.unpack("<f", struct.pack("<I", (v & 0xFFFF) << 16))[0] for v in given]
            elif number == 9:
                given = [bool(v) for v in given]
        return tuple(given) if len(given) == count else None

    def _sparse(self, span: Span) -> OnnxTensor:
        found = message(self.data, span)
        shape = tuple(integers(self.data, found.get(3, []), MOST_RANK))
        values = spans(found.get(1))
        if not values or any(size < 0 for size in shape):
            raise DamagedFile("a sparse tensor has no values, or a size below 0")
        held = self._tensor(values[-1])
        return OnnxTensor(held.name, held.dtype, shape, None)

    def _declared(self, span: Span) -> DeclaredValue:
        found = message(self.data, span)
        name = self._text(found, 1)
        for kind in spans(found.get(2)):
            held = message(self.data, kind)
            for field, word in _HOLDERS.items():
                if field in held:
                    return DeclaredValue(name, "", None, word)
            for tensor in spans(held.get(1) or held.get(8)):
                return self._tensor_type(name, message(self.data, tensor))
        return DeclaredValue(name, "", None)

    def _tensor_type(self, name: str, found: Fields) -> DeclaredValue:
        dtype = NAMES.get(self._number(found, 1), "")
        if 2 not in found:
            return DeclaredValue(name, dtype, None)
        sizes: list[int | str | None] = []
        for span in spans(message(self.data, spans(found[2])[-1]).get(1)):
            size = message(self.data, span)
            sizes.append(signed(size[1][-1]) if 1 in size else self._text(size, 2) or None)
            if len(sizes) > MOST_RANK:
                raise DamagedFile(f"{name[:80]} has more than {MOST_RANK} axes")
        return DeclaredValue(name, dtype, tuple(sizes))

    def _function(self, span: Span) -> tuple[tuple[str, str, str], Function]:
        data, found = self.data, message(self.data, span)
        key = (self._text(found, 10), self._text(found, 1), self._text(found, 13))
        return key, Function(
            tuple(text(data, v) for v in found.get(4, ())),
            tuple(text(data, v) for v in found.get(5, ())),
            dict(self._attribute(s, 0) for s in spans(found.get(11))),
            self._nodes(found.get(7), 0),
            self._opsets(found.get(9)),
        )

    def _text(self, found: Fields, field: int) -> str:
        return text(self.data, found[field][-1]) if field in found else ""

    def _number(self, found: Fields, field: int) -> int:
        return signed(found[field][-1]) if field in found else 0


_OF_MODELS = set(range(1, 9)) | {14, 20, 25, 26}
"""Fields that a model can have."""
_FIELD_OF = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8, 8: 9, 11: 22}
"""Kind of attribute → the field that its value stands in."""
_HOLDERS = {4: "sequence", 5: "map", 9: "optional", 7: "opaque"}
_FORMATS = {
    1: ("f", 4), 2: ("B", 5), 3: ("b", 5), 4: ("H", 5), 5: ("h", 5), 6: ("i", 5), 7: ("q", 7), 9: ("?", 5),
    10: ("e", 5), 11: ("d", 10), 12: ("I", 11), 13: ("Q", 11), 16: ("H", 5),
}  # fmt: skip
"""Element type → how it lies in raw data, and the field that holds it otherwise."""
_SCOPES = "pkg.torch.onnx.name_scopes"
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def _as_number(value: Any, kind: int) -> Any:
    return struct.unpack("<f", struct.pack("<I", value << 16))[0] if kind == 16 else value


def walk(graph: SubGraph) -> Iterator[OnnxNode]:
    """The nodes of a graph and of those inside its nodes."""
    for node in graph.nodes:
        yield node
        for value in node.attributes.values():
            if isinstance(value, SubGraph):
                yield from walk(value)
