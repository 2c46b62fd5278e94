#!/usr/bin/env bash
# A slice that ends at 0 in LiteRT
#
# Guess     STRIDED_SLICE is Python's slice: of 4 elements x[1:0] and x[-1:0] are none, with every kernel of the runtime.
# Versions  ai-edge-litert 2.3.0 (CPU), flatbuffers 25.12.19, numpy 2.4.6
# Seen      the builtin kernel makes none; the delegate that is on by default reads an end of 0 as the end of the axis:
#           x[1:0] has 3 elements, x[-1:0] 1, and of a map (1, 4, 4, 2) the slice [0:1, 1:3, 1:0] is (1, 2, 3, 2).
#           An end of -1 is the same in both.
# So        costcalc makes nothing of such a slice: the operator is not counted, and the report says that it takes nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ai-edge-litert==2.3.0 flatbuffers==25.12.19 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2> /dev/null
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

def model(shape, begin, end):
    """One STRIDED_SLICE with steps of 1."""
    buffers = [schema.BufferT()]

    def tensor(name, shape, kind, values=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, np.array(shape, np.int32), kind, 0
        if values is not None:
            held = schema.BufferT()
            held.data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
            buffers.append(held)
            made.buffer = len(buffers) - 1
        return made

    whole, real = schema.TensorType.INT32, schema.TensorType.FLOAT32
    axes = [len(begin)]
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("x", shape, real), tensor("begin", axes, whole, begin), tensor("end", axes, whole, end),
        tensor("steps", axes, whole, [1] * len(begin)), tensor("y", [], real),
    ]
    graph.inputs, graph.outputs = [0], [4]
    slicing = schema.OperatorT()
    slicing.opcodeIndex, slicing.inputs, slicing.outputs = 0, [0, 1, 2, 3], [4]
    slicing.builtinOptionsType = schema.BuiltinOptions.StridedSliceOptions
    slicing.builtinOptions = schema.StridedSliceOptionsT()
    graph.operators = [slicing]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.STRIDED_SLICE
    code.version = 1
    whole_model = schema.ModelT()
    whole_model.version, whole_model.operatorCodes = 3, [code]
    whole_model.subgraphs, whole_model.buffers = [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole_model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

def made(shape, begin, end, resolver):
    run = Interpreter(model_content=model(shape, begin, end), experimental_op_resolver_type=resolver)
    run.allocate_tensors()
    run.invoke()
    return run.get_tensor(run.get_output_details()[0]["index"]).shape

cases = {
    ((4,), (1,), (0,)): ((3,), (0,)),
    ((4,), (-1,), (0,)): ((1,), (0,)),
    ((1, 4, 4, 2), (0, 1, 1, 0), (1, 3, 0, 2)): ((1, 2, 3, 2), (1, 2, 0, 2)),
    ((1, 4, 4, 2), (0, 1, 1, 0), (1, 3, -1, 2)): ((1, 2, 2, 2), (1, 2, 2, 2)),
}
same = True
for (shape, begin, end), seen in cases.items():
    kinds = OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    found = tuple(tuple(map(int, made(shape, begin, end, kind))) for kind in kinds)
    print(f"{shape} from {begin} to {end}: by default {found[0]}, builtin kernels {found[1]}", flush=True)
    same &= found == seen
raise SystemExit(0 if same else 1)
PYTHON
