"""A TFLite file against what LiteRT makes of it, and against its own elements.

The file is run as it is, by LiteRT's reference kernels, in a process of its own, since a file that the engine takes
badly ends the process it is in. Only ``verify`` does this: reading a file runs nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from math import prod
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.verification.result import Check, Disagreement

if TYPE_CHECKING:
    from costcalc.frontends.sources import Request
    from costcalc.frontends.tflite.build import TFLiteBuilder
    from costcalc.frontends.tflite.read import Subgraph
    from costcalc.ir.graph import Graph

SHAPES = "shapes by LiteRT"
ELEMENTS = "elements of the file"
MOST_SECONDS = 300
"""Of a run, after which it is ended."""
_ENGINES = "ai_edge_litert", "tflite_runtime"
Found = list[tuple[Check, list[Disagreement]]]


def missing() -> bool:
    """Whether no package is there that runs TFLite files."""
    from importlib.util import find_spec

    return all(find_spec(package) is None for package in _ENGINES)


def witnessed(name: str, request: Request) -> Found:
    """What a run of the file ``name`` and its own elements say of our graph of it."""
    from costcalc.frontends.tflite.load import built_to_verify

    graph, building, file, path, index = built_to_verify(name, request)
    return [_shapes(path, index, building, file), _elements(graph, building, file)]


def _shapes(path: str, index: int, building: TFLiteBuilder, file: Subgraph) -> tuple[Check, list[Disagreement]]:
    """Our shape of each tensor that an operator makes against that of a run."""
    made = {i for operator in file.operators for i in operator.outputs}
    if missing():
        return Check(SHAPES, 0, len(made), "tensors", "ai-edge-litert missing: pip install 'costcalc[tflite]'"), []
    from costcalc.ir.fields import ints

    if index:
        return Check(SHAPES, 0, len(made), "tensors", "the graphs of other signatures are not run"), []
    wanted = {i: list(ints(building.type_of(i).shape)) for i in file.inputs}
    try:
        ran = run(path, wanted)
    except CostcalcError as error:
        return Check(SHAPES, 0, len(made), "tensors", error.message), []
    differ, compared = [], 0
    for i in sorted(made & set(ran)):
        value = building.scope.values.get(i)
        if value is None or building.is_chosen(i):  # numbers that were worked out; sizes that values decide
            continue
        compared += 1
        ours = building.type_of(value)
        if ours.shape != ran[i]:
            label = file.tensors[i].name[:80] or f"tensor {i}"
            differ.append(Disagreement(SHAPES, label, str(ours), "×".join(map(str, ran[i])) or "scalar", "LiteRT"))
    return Check(SHAPES, compared, len(made), "tensors"), differ


def _elements(graph: Graph, building: TFLiteBuilder, file: Subgraph) -> tuple[Check, list[Disagreement]]:
    """What layers hold of the file, each tensor once: all that stand for fractions and are read, but for numbers."""
    from costcalc.ir.tensor import FLOATING_BITS

    ours: dict[str, int] = {}
    for node in graph.nodes:
        for local, weight in node.stored(node.op.weights(*graph.input_types(node))).items():
            if isinstance(weight.type.size, int) and weight.type.dtype in FLOATING_BITS and weight.type.size != 1:
                ours[node.weight(local)] = weight.type.size
    read = {i for operator in file.operators for i in operator.inputs if i >= 0} | set(file.outputs)
    theirs = [
        prod(t.shape)
        for i, t in enumerate(file.tensors)
        if i in read and t.constant and (t.dtype in FLOATING_BITS or t.scales) and prod(t.shape) != 1
    ]
    mine, there = sum(ours.values()), sum(theirs)
    note = "tensors of inner graphs are apart" if building.has_inner else ""
    if mine == there or note:
        return Check(ELEMENTS, len(theirs), len(theirs), "tensors", note), []
    ours_said, theirs_said = f"{mine:,} in {len(ours):,} tensors", f"{there:,} in {len(theirs):,} tensors"
    differ = [Disagreement(ELEMENTS, "", ours_said, theirs_said, "the file")]
    return Check(ELEMENTS, len(theirs), len(theirs), "tensors"), differ


def run(path: str, inputs: dict[int, list[int]]) -> dict[int, tuple[int, ...]]:
    """The shape of every tensor that LiteRT makes. Raises ``CostcalcError`` where it refuses the file or breaks off."""
    asked = json.dumps({"path": path, "inputs": list(inputs.items())})
    # The process is told where packages are as this one knows it; the folder that it runs in adds none.
    command = [sys.executable, "-I", "-c", _RUN.format(paths=sys.path, module=__name__)]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CostcalcError(f"LiteRT was ended after {MOST_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1][:160]
        how = f"signal {-done.returncode} ended it" if done.returncode < 0 else said
        raise CostcalcError(f"LiteRT does not run it: {how}")
    found: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return {int(i): tuple(shape) for i, shape in found.items()}


_RUN = "import sys; sys.path[:] = {paths!r}; from {module} import _child; _child()"


def _child() -> None:
    """Run the file that standard input names, and print the shape of each of its tensors."""
    from importlib import import_module
    from importlib.util import find_spec

    import numpy

    package = next(p for p in _ENGINES if find_spec(p) is not None)
    engine: Any = import_module(f"{package}.interpreter")
    asked = json.load(sys.stdin)
    # Reference kernels: the delegate that is on by default joins operators, whose tensors are then never made.
    options = {"experimental_op_resolver_type": engine.OpResolverType.BUILTIN_REF}
    interpreter = engine.Interpreter(
        model_path=asked["path"], experimental_preserve_all_tensors=True, num_threads=1, **options
    )
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_input_details()}
    for index, shape in asked["inputs"]:
        interpreter.resize_tensor_input(index, shape)
    interpreter.allocate_tensors()
    for index, shape in asked["inputs"]:
        interpreter.set_tensor(index, numpy.ones(shape, types[index]))
    interpreter.invoke()
    details = interpreter.get_tensor_details()
    print(json.dumps({detail["index"]: [int(d) for d in detail["shape"]] for detail in details}))
