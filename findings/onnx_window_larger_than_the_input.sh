#!/usr/bin/env bash
# A window that does not fit into its input, with a stride above 1
#
# Guess     nothing comes out, or the model is refused, by all that read it and for convolution and pooling alike;
#           PyTorch refuses.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      size 2, kernel 3, stride 2, no padding: inference says one place for Conv, MaxPool, AveragePool and
#           LpPool, since (2 − 3) / 2 is cut towards zero. ONNX Runtime makes that one place of each pool, from the
#           two values that are there, and refuses the Conv. onnx.reference makes none of each, OpenVINO refuses all
#           four. With size 1 and kernel 4 (−3 / 2 is −1) inference and ONNX Runtime's pools make none.
# So        a floor division that is written in C is not ⌊ ⌋ below zero. costcalc refuses such a window in a spec, as
#           PyTorch does; a reader of files must not take the inferred size for proof that the window fits.
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

x = np.array([[[1, 2]]], dtype=np.float32)
found = {}
for op in ("Conv", "MaxPool", "AveragePool", "LpPool"):
    kernel = {"weights": {"w": np.ones((1, 1, 3), np.float32)}} if op == "Conv" else {"kernel_shape": [3]}
    made = model(op, [1, 1, 2], strides=[2], **kernel)
    ran = run(made, x)
    try:
        openvino_makes = by_openvino(made, x).size
    except Exception:
        openvino_makes = None
    found[op] = inferred(made)[2], None if ran is None else ran.ravel().tolist(), by_reference(made, x).size, openvino_makes
    print(op, "inferred, run, reference, OpenVINO:", *found[op])
assert found["Conv"] == (1, None, 0, None)
assert found["MaxPool"] == (1, [2.0], 0, None) and found["AveragePool"] == (1, [1.5], 0, None)
assert found["LpPool"][0] == 1 and len(found["LpPool"][1]) == 1
small = model("MaxPool", [1, 1, 1], kernel_shape=[4], strides=[2])
assert inferred(small) == (1, 1, 0) and run(small, x[..., :1]).size == 0
PYTHON
