"""A TFLite file as a graph."""

from __future__ import annotations

from pathlib import Path

from costcalc.classes import replace
from costcalc.errors import Location, OptionError, SpecError, listing, near
from costcalc.frontends.sources import SOURCES, Request
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import Subgraph, TFLiteModel, opened
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import ELEMENT_BITS, TensorType


def load(name: str, request: Request) -> Graph:
    """The graph of the model in a file, or of one of its signatures: ``net.tflite:encode``.

    Raises ``SpecError`` for a file that is none, or that is damaged.
    """
    return _load(name, request, as_float=False)[0]


def load_to_verify(name: str, request: Request) -> Graph:
    """The same with quantised tensors as the floating-point numbers that they stand for, as PyTorch computes."""
    return _load(name, request, as_float=True)[0]


def built_to_verify(name: str, request: Request) -> tuple[Graph, TFLiteBuilder, Subgraph, str, int]:
    """The same, what built it, the records of the graph in the file, the file's path and which graph of it that is."""
    return _load(name, request, as_float=True)


def _load(name: str, request: Request, as_float: bool) -> tuple[Graph, TFLiteBuilder, Subgraph, str, int]:
    path, signature = SOURCES["tflite"].split(name)
    with opened(path) as model:
        index = _index(model, signature)
        graph = model.subgraph(index)
        types = _types(graph, request, path)
        if as_float:
            floats = {i: TensorType(t.shape, "float32") for i, t in types.items() if graph.tensors[i].scales}
            types |= floats
        building = TFLiteBuilder(model, graph, signature or Path(path).stem, types, as_float, request.parameters)
        building.run(graph.operators)
        if not building.builder.nodes:
            raise SpecError("this model has no operators", Location(path))
        for key in request.parameters:
            if key not in building.used:
                has = f"{near(str(key), building.used)}; it has {listing(building.used) if building.used else 'none'}"
                raise OptionError(f"{path} has no size '{str(key)[:80]}' that values decide{has}")
        made = building.graph(graph.outputs, name)
        made = replace(made, parameters={**made.parameters, **building.used})
        declared, sizes = _left_open(graph)
        if sizes and not request.symbols:
            made = replace(made, declared=declared, parameters={**sizes, **building.used})
        return made, building, graph, path, index


def _index(model: TFLiteModel, signature: str) -> int:
    """Which graph is meant: the first, unless a signature is named."""
    if not signature:
        return 0
    if signature not in model.signatures:
        has = f"it has {listing(model.signatures)}" if model.signatures else "it has none"
        hint = near(signature, model.signatures)
        raise SpecError(f"the model has no signature '{signature[:80]}'{hint}; {has}", Location(model.flat.shown))
    return model.signatures[signature]


def _types(graph: Subgraph, request: Request, path: str) -> dict[int, TensorType]:
    """The types of the inputs: of the file, or as they are asked for."""
    names = graph.inputs_named()
    shapes = request.shapes(names, path)
    symbols, found, batched = request.symbols, {}, _with_batch(graph)
    called = symbols.called if symbols else {}
    for name, i in names.items():
        tensor = graph.tensors[i]
        shape: list[Dim] = [max(size, 1) if axis in tensor.open else size for axis, size in enumerate(tensor.shape)]
        if name in shapes:
            if len(shapes[name]) != len(shape) - 1:
                raise OptionError(f"the input {name} of {path} has {len(shape) - 1} axes after its batch")
            shape[1:] = shapes[name]
        if name in batched and request.batch is not None:
            shape[0] = request.batch
        if name in batched and symbols and symbols.batch:
            shape[0] = Expr.symbol(symbols.batch)
        for axis in tensor.open:
            if (size_name := _open_name(name, axis)) in called:
                shape[axis] = Expr.symbol(called[size_name])
        for axis, size in (symbols.sizes.get(name, {}) if symbols else {}).items():
            shape[axis] = size
        found[i] = TensorType(tuple(shape), tensor.dtype if tensor.dtype in ELEMENT_BITS else "uint8")
    return found


def _with_batch(graph: Subgraph) -> set[str]:
    """The inputs whose first axis is the batch: where it is open, or as large as that of the first input.

    A vector of one element is none of these where others are more than vectors.
    """
    tensors = {name: graph.tensors[i] for name, i in graph.inputs_named().items() if graph.tensors[i].shape}
    size = next((tensor.shape[0] for tensor in tensors.values()), 1)
    are_vectors = all(len(tensor.shape) == 1 for tensor in tensors.values())
    return {
        name
        for name, tensor in tensors.items()
        if 0 in tensor.open or (tensor.shape[0] == size and (size > 1 or len(tensor.shape) > 1 or are_vectors))
    }


def _open_name(name: str, axis: int) -> str:
    """What a size is called that the file leaves open: the batch is one for all inputs."""
    return f"{name}_{axis}" if axis else "batch"


def _left_open(graph: Subgraph) -> tuple[dict[str, tuple[Dim, ...]], dict[str, int]]:
    """The shapes of the inputs in the sizes that the file leaves open, and what these are there."""
    declared: dict[str, tuple[Dim, ...]] = {}
    sizes: dict[str, int] = {}
    for name, i in graph.inputs_named().items():
        tensor = graph.tensors[i]
        shape: list[Dim] = list(tensor.shape)
        for axis in tensor.open:
            size = _open_name(name, axis)
            sizes[size] = max(tensor.shape[axis], 1)
            shape[axis] = Expr.symbol(size)
        declared[name] = tuple(shape)
    return declared, sizes
