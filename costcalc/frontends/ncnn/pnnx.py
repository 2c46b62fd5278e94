"""The text of a pnnx network, ``.pnnx.param``: PyTorch's modules and functions by name, with the shapes that they met.

A line is that of an ncnn network with other options: ``kernel_size=(3,3)``, ``@weight=(8,3,3,3)f32`` for a tensor of
the module, and ``#2=(1,8,32,32)f32`` for the shape of an operand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, Location, OptionError, SpecError
from costcalc.frontends.compose import Unlike, Value, plain
from costcalc.frontends.ncnn.builder import BlobBuilder
from costcalc.frontends.ncnn.read import MOST_LAYERS
from costcalc.frontends.sources import Request
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType

TYPES = {
    "f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "uint8",
    "i16": "int16", "i32": "int32", "i64": "int64", "bool": "bool", "c64": "complex64", "c128": "complex128",
}  # fmt: skip
_TYPED = re.compile(r"\(([\d,?a-z%\-]*)\)(\w+)")


class PnnxOperator(NamedTuple):
    """One operator: its type without ``nn.``, ``F.``, ``torch.`` or ``Tensor.``; ``weights`` are its own tensors."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[str, Any]
    weights: dict[str, TensorType]
    shapes: dict[str, TensorType]
    location: Location


def is_pnnx(text: str) -> bool:
    """Whether the text of a network is of pnnx."""
    return bool(re.search(r"^(pnnx\.|nn\.|F\.|torch\.|Tensor\.|prim::|aten::)", text, re.M))


def load_pnnx(path: str, text: str, request: Request) -> Graph:
    """The graph of a pnnx network. Raises ``SpecError`` with the line of what is wrong."""
    if request.input is not None or request.batch is not None or request.symbols:
        raise OptionError(f"{path[:80]} has the sizes that pnnx was given; convert it again with others")
    rows = [(n, row.split()) for n, row in enumerate(text.splitlines()[2:], 3) if row.strip()]
    if len(rows) > MOST_LAYERS:
        raise SpecError(f"the file has {len(rows):,} layers; at most {MOST_LAYERS:,} are read", Location(path, 2))
    lines = [_line(words, Location(path, n)) for n, words in rows]
    network = PnnxBuilder(Path(path).name.partition(".")[0], [line for line in lines if line.kind == "pnnx.Input"])
    for line in lines:
        network.add(line)
    return network.graph(path)


def _line(words: list[str], location: Location) -> PnnxOperator:
    if len(words) < 4 or not (words[2].isdecimal() and words[3].isdecimal()) or len(words[2] + words[3]) > 12:
        raise SpecError("a line has a type, a name, and how many it reads and makes", location)
    reads, makes = int(words[2]), int(words[3])
    names = words[4 : 4 + reads + makes]
    if len(names) < reads + makes:
        raise SpecError(f"{words[0][:80]} reads {reads} and makes {makes}, but {len(names)} are named", location)
    options: dict[str, Any] = {}
    weights: dict[str, TensorType] = {}
    shapes: dict[str, TensorType] = {}
    for word in words[4 + reads + makes :]:
        key, equals, value = word.partition("=")
        if not equals:
            continue  # the rest of a text with spaces
        if key.startswith(("@", "#")):
            found = _typed(value)
            if found is not None:
                (weights if key[0] == "@" else shapes)[key[1:]] = found
        elif not key.startswith("$"):
            options[key] = _value(value)
    kind = re.sub(r"^(nn|F|torch|Tensor|torch\.nn\.functional)\.", "", words[0])
    return PnnxOperator(kind, words[1], tuple(names[:reads]), tuple(names[reads:]), options, weights, shapes, location)


def _typed(text: str) -> TensorType | None:
    found = _TYPED.fullmatch(text)
    if found is None or found.group(2) not in TYPES:
        return None
    sizes = [size for size in found.group(1).split(",") if size]
    if not all(size.isdecimal() and len(size) < 16 for size in sizes):
        return None  # a size that pnnx does not know
    return TensorType(tuple(map(int, sizes)), TYPES[found.group(2)])


def _value(text: str) -> Any:
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    if text[:1] in "([" and text[-1:] in ")]":
        return tuple(_value(part) for part in text[1:-1].split(",") if part)
    try:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)
    except ValueError:
        return text


class PnnxBuilder(BlobBuilder):
    """A graph under construction."""

    def __init__(self, name: str, inputs: list[PnnxOperator]) -> None:
        types = {}
        for line in inputs:
            operand = line.outputs[0] if line.outputs else ""
            if operand not in line.shapes:
                raise SpecError("the shape of this input is not in the file; give pnnx an inputshape", line.location)
            types[operand] = line.shapes[operand]
        if not types:
            raise SpecError("this network has no pnnx.Input")
        super().__init__(name, types, (line.name for line in inputs))
        self._outputs: list[str] = []
        self._lists: dict[str, tuple[str, ...]] = {}

    def _flat(self, operands: tuple[str, ...]) -> list[str]:
        return [one for operand in operands for one in self._lists.get(operand, (operand,))]

    def add(self, line: PnnxOperator) -> None:
        """Add what an operator does."""
        from costcalc.frontends.ncnn.modules import rule_of

        if line.kind == "pnnx.Input":
            return
        if line.kind in ("pnnx.Output", "prim::TupleConstruct", "prim::ListConstruct"):
            flat = tuple(self._flat(line.inputs))
            if line.kind != "pnnx.Output" and not line.outputs:
                raise SpecError(f"{line.kind} makes nothing", line.location)
            if line.kind == "pnnx.Output":
                self._outputs += [str(self.value(operand, line)) for operand in flat]
            else:
                self._lists[line.outputs[0]] = flat
            return
        inputs = [self.value(operand, line) for operand in self._flat(line.inputs)]
        try:
            outputs = self.ruled(rule_of(line.kind), line, inputs)
            self._agree(line, outputs)
        except Unlike as reason:
            outputs = self.uncounted(line, inputs, self._met(line), str(reason))
        except SpecError:
            raise
        except CostcalcError as error:
            outputs = self.uncounted(line, inputs, self._met(line), error.message)
        name = re.sub(r"^(F|torch|Tensor)\.", "", line.name)  # of what has no name of its own
        self.finish(line, outputs, plain(name) or plain(line.kind))

    def _agree(self, line: PnnxOperator, outputs: list[Value]) -> None:
        """Raise ``Unlike`` where our rule makes other than what pnnx met."""
        for operand, value in zip(line.outputs, outputs, strict=False):
            theirs, ours = line.shapes.get(operand), self.type_of(value)
            if theirs is not None and theirs != ours:
                raise Unlike(f"it makes {theirs} {theirs.dtype}, by our rule {ours} {ours.dtype}")

    def _met(self, line: PnnxOperator) -> list[TensorType]:
        """What an operator made when pnnx ran it."""
        unknown = [operand for operand in line.outputs if operand not in line.shapes]
        if unknown:
            raise SpecError(f"{line.kind[:80]} has no rule, and the file does not say what it makes", line.location)
        return [line.shapes[operand] for operand in line.outputs] or [TensorType((), "uint8")]

    def graph(self, source: str) -> Graph:
        """The graph as it stands."""
        last = self.builder.nodes[-1].outputs if self.builder.nodes else ()
        return self.built(self._outputs or last, source)
