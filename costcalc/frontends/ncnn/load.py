"""An ncnn network as a graph."""

from __future__ import annotations

from pathlib import Path

from costcalc.errors import Location, OptionError, SpecError
from costcalc.frontends.ncnn.build import NcnnBuilder
from costcalc.frontends.ncnn.pnnx import is_pnnx, load_pnnx
from costcalc.frontends.ncnn.read import NcnnLayer, read, text_of
from costcalc.frontends.sources import Request
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType


def load(name: str, request: Request) -> Graph:
    """The graph of the network in a ``.param`` file. Raises ``SpecError`` with the line of what is wrong."""
    text = text_of(name)
    if is_pnnx(text):
        return load_pnnx(name, text, request)
    layers = read(name, text)
    shapes = {layer.outputs[0]: _shape(layer) for layer in layers if layer.kind == "Input" and layer.outputs}
    if not shapes:
        raise SpecError("this network has no Input", Location(name))
    asked = request.shapes(shapes, name)
    types: dict[str, TensorType] = {}
    for blob, written in shapes.items():
        shape: list[Dim] = [1 if request.batch is None else request.batch, *asked.get(blob, written)]
        if not all(shape):
            raise OptionError(
                f"{name[:80]} leaves the size of {blob[:80]} open; give it: --input 3x224x224, channels before the size"
            )
        if request.symbols:
            if request.symbols.batch:
                shape[0] = Expr.symbol(request.symbols.batch)
            for axis, size in request.symbols.sizes.get(blob, {}).items():
                shape[axis] = size
        types[blob] = TensorType(tuple(shape))
    as_written = all(types[blob].shape[1:] == shape for blob, shape in shapes.items())
    building = NcnnBuilder(Path(name).stem, types, as_written)
    building.run(layers)
    return building.graph(layers, name)


def _shape(layer: NcnnLayer) -> tuple[int, ...]:
    """The shape of an input by its own options, 0 where these leave it open, or by the shapes that the file has."""
    if layer.shapes and layer.shapes[0]:
        return layer.shapes[0]
    width, height, channels = (layer.whole(i) for i in range(3))
    given = [size for number, size in ((2, channels), (1, height), (0, width)) if number in layer.options]
    if any(size < 0 for size in given):
        raise SpecError(f"the input {layer.name[:80]} has a negative size", layer.location)
    return tuple(given) if any(given) else (0, 0, 0)
