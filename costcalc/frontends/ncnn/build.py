"""A graph of an ncnn network, layer by layer. What ncnn has no axis for stands in front: the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, SpecError
from costcalc.frontends.compose import Composer, Intermediate, Unlike, Value, inputs_named, plain
from costcalc.frontends.ncnn.read import NcnnLayer
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


class NcnnBuilder:
    """A graph under construction; ``types`` are those of its inputs, by the blob's name."""

    def __init__(self, name: str, types: Mapping[str, TensorType], as_written: bool) -> None:
        called = inputs_named(types)
        self.builder = GraphBuilder(name, dict(zip(called, types.values(), strict=True)))
        self.as_written = as_written
        self.batch: Dim = next(iter(types.values())).shape[0] if types else 1
        self._composer = Composer(self.builder)
        self._values: dict[str, Value] = dict(zip(types, called, strict=True))
        self._read: set[str] = set()
        self._notes: dict[str, None] = {}

    def value(self, blob: str) -> Value:
        """The value that a blob is."""
        if blob not in self._values:
            raise SpecError(f"'{blob[:80]}' is read before it is made", self._layer.location)
        self._read.add(blob)
        return self._values[blob]

    def type_of(self, value: Value) -> TensorType:
        """The type of a value."""
        return self._composer.type_of(value)

    def make(self, op: str, *values: Value, stored_as: Mapping[str, str] = {}, **options: Any) -> Value:
        """Add an op; the value that it makes."""
        return self._composer.add(find_op(op)(**options), values, {}, stored_as)[0]

    def several(self, op: str, *values: Value, **options: Any) -> tuple[Value, ...]:
        """Add an op that makes several."""
        return self._composer.add(find_op(op)(**options), values)

    def bind(self, blob: str, value: Value) -> None:
        """Say which value a blob is."""
        self._values[blob] = value

    def note(self, text: str) -> None:
        """Take something for granted of the layer at hand, and say so."""
        self._notes[f"{plain(self._layer.name)}: {text}"] = None

    def run(self, layers: Iterable[NcnnLayer]) -> None:
        """Add all layers in their order, which is one in which they can run."""
        from costcalc.frontends.ncnn.rules import rule_of

        for layer in layers:
            self._layer = layer
            self._composer.begin()
            if layer.kind == "Input":
                continue
            rule = rule_of(layer.kind)
            inputs = [self.value(blob) for blob in layer.inputs]
            try:
                if rule is None:
                    raise Unlike("")
                made = rule(self, layer, *inputs)
                outputs = made if isinstance(made, list) else [made]
                if len(outputs) < len(layer.outputs):
                    raise Unlike(f"it makes {len(layer.outputs)}, by our rule {len(outputs)}")
                for blob, value in zip(layer.outputs, outputs, strict=False):
                    self.bind(blob, value)
                self._agree(layer)
            except Unlike as reason:
                self._uncounted(layer, inputs, str(reason))
            except SpecError:
                raise
            except CostcalcError as error:
                raise SpecError(f"{layer.kind} {layer.name[:80]}: {error.message}", layer.location) from None
            except (LookupError, ValueError, ArithmeticError, TypeError):
                self._uncounted(layer, inputs, "what it reads and its options are not those of its kind")
            names = self._composer.finish(plain(layer.name) or layer.kind.lower(), layer.location)
            for blob in layer.outputs:
                value = self._values[blob]
                if isinstance(value, Intermediate):
                    self._values[blob] = names[value]

    def _agree(self, layer: NcnnLayer) -> None:
        """Raise ``Unlike`` where our rule makes other than the file says, its inputs being of the sizes of the file."""
        for blob, theirs in zip(layer.outputs, layer.shapes, strict=False):
            ours = self.type_of(self._values[blob]).shape[1:]
            if self.as_written and theirs and tuple(d for d in ours if d != 1) != tuple(d for d in theirs if d != 1):
                said = "×".join(map(str, theirs))
                raise Unlike(f"it makes {said}, by our rule {'×'.join(map(str, ours))}")

    def _uncounted(self, layer: NcnnLayer, inputs: Sequence[Value], reason: str) -> None:
        """A stand-in, whose outputs are as the file has them."""
        self._composer.begin()
        shapes: list[tuple[Dim, ...]] = [(self.batch, *shape) for shape in layer.shapes]
        if len(shapes) != len(layer.outputs) or not all(len(shape) > 1 for shape in shapes):
            shapes = [(self.batch,)] * max(len(layer.outputs), 1)
            self.note("the file does not say what it makes; what reads it cannot be told")
        kind = plain(layer.kind) or "layer"
        for blob, value in zip(
            layer.outputs,
            self.several("uncounted", *inputs, operator=kind, shapes=tuple(shapes), dtypes=("float32",) * len(shapes)),
            strict=False,
        ):
            self.bind(blob, value)
        if reason:
            self.note(f"not counted: {reason}")

    def graph(self, layers: Sequence[NcnnLayer], source: str) -> Graph:
        """The graph as it stands; its outputs are what nothing reads."""
        made = [blob for layer in layers for blob in layer.outputs if blob not in self._read]
        values = dict.fromkeys(str(self._values[blob]) for blob in made)
        built = self.builder.build(values, source=source)
        return replace(built, assumed=(*built.assumed, *self._notes), groups=tuple(self._composer.groups))
