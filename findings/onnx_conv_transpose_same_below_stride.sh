#!/usr/bin/env bash
# ConvTranspose with SAME padding and a kernel below the stride
#
# Guess     the output has size × stride places, which is what the operator's text says of SAME.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      3 places, kernel 2, stride 3: inference, ONNX Runtime and OpenVINO make (3 − 1)·3 + 2 = 8, onnx.reference
#           makes 9 (a zero in front). From a kernel as large as the stride on all four say size × stride.
# So        SAME can only crop. The size of a transposed convolution is min(size × stride, (size − 1) × stride + reach
#           + 1) where engines run it.
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

x = np.ones((1, 1, 3), np.float32)
for kernel, engines, reference in ((1, 7, 9), (2, 8, 9), (3, 9, 9), (4, 9, 9)):
    made = model("ConvTranspose", [1, 1, 3], auto_pad="SAME_UPPER", strides=[3],
                 weights={"w": np.ones((1, 1, kernel), np.float32)})
    sizes = inferred(made)[2], run(made, x).shape[2], by_openvino(made, x).shape[2], by_reference(made, x).shape[2]
    print(f"kernel {kernel}, stride 3: inferred, run, OpenVINO, reference:", *sizes)
    assert sizes == (engines, engines, engines, reference)
PYTHON
