"""A graph of an ncnn network, layer by layer. What ncnn has no axis for stands in front: the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from costcalc.errors import CostcalcError, SpecError
from costcalc.frontends.compose import Unlike, Value, plain
from costcalc.frontends.ncnn.builder import BlobBuilder
from costcalc.frontends.ncnn.read import NcnnLayer
from costcalc.frontends.ncnn.rules import RULES
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType


class NcnnBuilder(BlobBuilder):
    """A graph under construction; ``types`` are those of its inputs, by the blob's name."""

    def __init__(self, name: str, types: Mapping[str, TensorType], as_written: bool) -> None:
        super().__init__(name, types, types)
        self.as_written = as_written
        self.batch: Dim = next(iter(types.values())).shape[0] if types else 1

    def run(self, layers: Iterable[NcnnLayer]) -> None:
        """Add all layers in their order, which is one in which they can run."""
        from costcalc.frontends.ncnn import layers as _layers  # noqa: F401  # enter their rules
        from costcalc.frontends.ncnn import order as _order  # noqa: F401

        for layer in layers:
            if layer.kind == "Input":
                continue
            inputs = [self.value(blob, layer) for blob in layer.inputs]
            try:
                outputs = self.ruled(RULES.get(layer.kind), layer, inputs)
                self._agree(layer, outputs)
            except Unlike as reason:
                outputs = self.uncounted(layer, inputs, self._declared(layer), str(reason))
            except SpecError:
                raise
            except CostcalcError as error:
                raise SpecError(f"{layer.kind} {layer.name[:80]}: {error.message}", layer.location) from None
            self.finish(layer, outputs, plain(layer.name) or layer.kind.lower())

    def _agree(self, layer: NcnnLayer, outputs: Sequence[Value]) -> None:
        """Raise ``Unlike`` where our rule makes other than the file says, its inputs being of the sizes of the file."""
        for value, theirs in zip(outputs, layer.shapes, strict=False):
            ours = self.type_of(value).shape[1:]
            if self.as_written and theirs and tuple(d for d in ours if d != 1) != tuple(d for d in theirs if d != 1):
                said = "×".join(map(str, theirs))
                raise Unlike(f"it makes {said}, by our rule {'×'.join(map(str, ours))}")

    def _declared(self, layer: NcnnLayer) -> list[TensorType]:
        """What a layer makes by the file."""
        shapes: list[tuple[Dim, ...]] = [(self.batch, *shape) for shape in layer.shapes]
        if len(shapes) != len(layer.outputs) or not all(len(shape) > 1 for shape in shapes):
            shapes = [(self.batch,)] * max(len(layer.outputs), 1)
            self.note(layer, "the file does not say what it makes; what reads it cannot be told")
        return [TensorType(shape) for shape in shapes]

    def graph(self, layers: Sequence[NcnnLayer], source: str) -> Graph:
        """The graph as it stands; its outputs are what nothing reads."""
        read = {blob for layer in layers for blob in layer.inputs}
        made = {blob: layer for layer in layers for blob in layer.outputs if blob not in read}
        for blob, layer in made.items():
            if blob not in self._values:
                raise SpecError(f"{layer.kind} {layer.name[:80]} does not make '{blob[:80]}'", layer.location)
        return self.built((str(self._values[blob]) for blob in made), source)
