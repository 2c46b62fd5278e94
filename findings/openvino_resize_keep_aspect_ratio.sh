#!/usr/bin/env bash
# Resize with keep_aspect_ratio_policy in two engines
#
# Guess     both engines keep the ratio: 4×8 into 8×8 with not_larger stays 4×8; no axis ever becomes 0.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      OpenVINO leaves the policy out and stretches to the sizes given: 8×8 (ONNX Runtime, inference and the
#           reference: 4×8). ONNX Runtime rounds each axis alone, so 2×9 into 6×2 with not_larger becomes 0×2: an
#           empty map, by inference too.
# So        the same file costs another number of MACs behind such a Resize in each engine. costcalc follows the
#           operator's text and says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 openvino==2026.4.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
from onnx import TensorProto, helper

def model(op, shape, opset=22, **attributes):
    """One node that reads x, and w where there is one."""
    weights = attributes.pop("weights", {})
    node = helper.make_node(op, ["x", *weights], ["y"], **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    held = [onnx.numpy_helper.from_array(a, name) for name, a in weights.items()]
    graph = helper.make_graph([node], "g", [x], [y], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)

def inferred(made):
    whole = onnx.shape_inference.infer_shapes(made, strict_mode=True)
    return tuple(d.dim_value for d in whole.graph.output[0].type.tensor_type.shape.dim)

import onnxruntime

onnxruntime.set_default_logger_severity(4)

def run(made, x):
    """What ONNX Runtime makes of x, or None where it refuses."""
    try:
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]
    except Exception as error:
        print("  refused:", str(error).splitlines()[0][-100:])
        return None

import openvino

def by_openvino(made, x):
    core = openvino.Core()
    return core.compile_model(core.read_model(made.SerializeToString()), "CPU")([x])[0]

for shape, into, wanted in (((4, 8), (8, 8), (4, 8)), ((2, 9), (6, 2), (0, 2))):
    made = model("Resize", [1, 1, *shape], axes=[2, 3], mode="nearest", keep_aspect_ratio_policy="not_larger")
    made.graph.node[0].input.extend(["", "", "sizes"])
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(into), "sizes"))
    x = np.ones((1, 1, *shape), np.float32)
    shapes = inferred(made)[2:], run(made, x).shape[2:], by_openvino(made, x).shape[2:]
    print(f"{shape} into {into}, not_larger: inferred, run, OpenVINO:", *shapes)
    assert shapes == (wanted, wanted, into)
PYTHON
