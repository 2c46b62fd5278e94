#!/usr/bin/env bash
# A GRU with layout=1 in OpenVINO
#
# Guess     with layout=1 the output is (batch, steps, directions, width), as the operator's text, inference and the
#           reference have it.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      for an input of 6 sequences of 2 steps OpenVINO makes (6, 1, 2, 3), directions before steps; inference and
#           the reference (6, 2, 1, 3). ONNX Runtime does not run layout=1 at all.
# So        what follows such a layer (a reshape to (batch, steps, width)) reads other elements in OpenVINO as soon as
#           there are two directions; MACs are the same.
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

from onnx.reference import ReferenceEvaluator

def by_reference(made, x):
    return ReferenceEvaluator(made).run(None, {"x": x})[0]

x = np.ones((6, 2, 7), np.float32)
weights = {"w": np.ones((1, 9, 7), np.float32), "r": np.ones((1, 9, 3), np.float32)}
made = model("GRU", [6, 2, 7], hidden_size=3, layout=1, weights=weights)
shapes = inferred(made), by_reference(made, x).shape, by_openvino(made, x).shape
print("inferred, reference, OpenVINO:", *shapes)
assert shapes == ((6, 2, 1, 3), (6, 2, 1, 3), (6, 1, 2, 3))
assert run(made, x) is None
PYTHON
