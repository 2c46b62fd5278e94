"""An ONNX file against what ONNX Runtime makes of it, and against its own elements.

The file is run as it is, every value of its main graph an output; tensors whose data is not there are filled with
ones. Only ``verify`` does this: reading a file runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph
from costcalc.verification.result import Check, Disagreement

if TYPE_CHECKING:
    from costcalc.frontends.onnx.read import OnnxModel
    from costcalc.frontends.sources import Request

SHAPES = "shapes by ONNX Runtime"
ELEMENTS = "elements of the file"
MOST_BYTES = 2**31 - 2**20
"""Of a file with all its tensors, which a message can hold."""
Found = list[tuple[Check, list[Disagreement]]]


def missing() -> list[str]:
    """The packages that a run needs and that are not there."""
    from importlib.util import find_spec

    return [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]


def witnessed(name: str, request: Request) -> Found:
    """What a run of the file ``name`` and its own elements say of our graph of it."""
    from costcalc.frontends.onnx.load import values_of

    graph, types, model = values_of(name, request)
    found: Found = [_elements(graph, model)]
    absent = missing()
    if absent:
        found.insert(0, (Check(SHAPES, 0, len(types), "values", f"{' and '.join(absent)} missing"), []))
    else:
        found.insert(0, _shapes(name, graph, types))
    return found


def _elements(graph: Graph, model: OnnxModel) -> tuple[Check, list[Disagreement]]:
    """What layers hold of the file, each tensor once: all its floating-point tensors, but for numbers."""
    from costcalc.frontends.onnx.read import SubGraph
    from costcalc.ir.tensor import FLOATING_BITS

    ours: dict[str, int] = {}
    for node in graph.nodes:
        for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items():
            if isinstance(weight.type.size, int) and weight.type.dtype in FLOATING_BITS:
                ours[node.weight(local)] = weight.type.size
    theirs = {t.name: prod(t.shape) for t in model.graph.tensors if t.dtype in FLOATING_BITS and prod(t.shape) != 1}
    mine, there = sum(size for size in ours.values() if size != 1), sum(theirs.values())
    differ = []
    inner = any(isinstance(value, SubGraph) for node in model.graph.nodes for value in node.attributes.values())
    if mine != there and not inner and not model.functions:
        description = f"{there:,} in {len(theirs):,} tensors"
        differ.append(Disagreement(ELEMENTS, "", f"{mine:,} in {len(ours):,} tensors", description, "the file"))
    note = "tensors of functions and branches are apart" if inner or model.functions else ""
    return Check(ELEMENTS, len(theirs), len(theirs), "tensors", note), differ


def _shapes(name: str, graph: Graph, types: dict[str, Any]) -> tuple[Check, list[Disagreement]]:
    """Our shape of each value against that of a run."""
    try:
        made = run(name, {v: graph.types[v].shape for v in graph.inputs})
    except CostcalcError as error:
        return Check(SHAPES, 0, len(types), "values", error.message), []
    differ, compared = [], 0
    for value, shape in made.items():
        ours = types.get(value)
        if ours is None:
            continue
        compared += 1
        if tuple(ours.shape) != shape:
            theirs = "×".join(map(str, shape)) or "scalar"
            differ.append(Disagreement(SHAPES, value[:80], str(ours), theirs, "ONNX Runtime"))
    return Check(SHAPES, compared, len(made), "values"), differ


def run(name: str, inputs: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that ONNX Runtime makes. Raises ``CostcalcError`` where it refuses the file."""
    import numpy
    import onnx
    import onnxruntime

    model = onnx.load(name, load_external_data=False)
    try:
        _fill(model, Path(name).resolve().parent)
    except (TypeError, ValueError, KeyError, OverflowError, onnx.checker.ValidationError) as error:
        raise CostcalcError(f"its tensors are damaged: {str(error)[:160]}") from None
    known = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for value in node.output:
            if value and value not in known:
                known.add(value)
                model.graph.output.append(onnx.ValueInfoProto(name=value))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        fed = {}
        for given, shape in zip(session.get_inputs(), inputs.values(), strict=True):
            kind = given.type.removeprefix("tensor(").removesuffix(")")
            kind = {"float": "float32", "double": "float64"}.get(kind, kind)
            fed[given.name] = numpy.ones(shape, kind)
        names = [o.name for o in session.get_outputs()]
        made = session.run(names, fed)
    except Exception as error:
        said = str(error).strip().split("\n")[0][:160]
        raise CostcalcError(f"ONNX Runtime does not run it: {said}") from None
    return {key: tuple(value.shape) for key, value in zip(names, made, strict=True) if hasattr(value, "shape")}


def _fill(model: Any, folder: Path) -> None:
    """Give tensors whose data is not in the file that of a file in ``folder``, if they are whole numbers, or ones."""
    import numpy
    import onnx

    total = 0
    for tensor, may_be_empty in _tensors(model):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        total += prod(tensor.dims) * max(numpy.dtype(dtype).itemsize, 1)
        if total > MOST_BYTES:
            raise CostcalcError("its tensors are too many for a run")
        is_elsewhere = tensor.data_location == onnx.TensorProto.EXTERNAL
        if is_elsewhere or (may_be_empty and not onnx.numpy_helper.to_array(_shell(tensor)).size):
            there = {e.key: e.value for e in tensor.external_data}
            path = folder / there.get("location", "")
            if there and path.is_file() and folder in path.resolve().parents and dtype.kind in "iub":
                onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            else:
                tensor.CopyFrom(onnx.numpy_helper.from_array(numpy.ones(tuple(tensor.dims), dtype), tensor.name))
            tensor.ClearField("external_data")
            tensor.data_location = onnx.TensorProto.DEFAULT


def _tensors(model: Any) -> Iterator[tuple[Any, bool]]:
    """Every tensor that the file holds or refers to: of the graph, of inner graphs, of nodes, of functions; and whether
    it is the graph's own, whose data some files leave out.

    ONNX Runtime looks for the file that one names in the working directory, since it is not told the folder.
    """
    whole = model.graph
    graphs, nodes = [whole], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from ((tensor, graph is whole) for tensor in graph.initializer)
            for sparse in graph.sparse_initializer:
                yield from ((sparse.values, False), (sparse.indices, False))
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            graphs += [attribute.g] if attribute.HasField("g") else []
            graphs += attribute.graphs
            held = [*attribute.tensors, *([attribute.t] if attribute.HasField("t") else [])]
            for sparse in [attribute.sparse_tensor, *attribute.sparse_tensors]:
                held += (one for one in (sparse.values, sparse.indices) if one.dims)
            yield from ((tensor, False) for tensor in held)


def _shell(tensor: Any) -> Any:
    """``tensor``, or one without elements where it has no data."""
    import onnx

    held = any(len(getattr(tensor, f)) for f in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"))
    return tensor if held or 0 in tensor.dims else onnx.helper.make_tensor("", tensor.data_type, [0], [])
