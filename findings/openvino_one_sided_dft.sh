#!/usr/bin/env bash
# A one-sided DFT in OpenVINO
#
# Guess     of a real signal of 9 values, cut to 7, the one-sided transform is (1, 4, 2): 7 // 2 + 1 complex numbers
#           as pairs.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 20, openvino 2026.4.1
# Seen      inference, the reference and ONNX Runtime make (1, 4, 2); OpenVINO keeps the signal's last axis of 1 and
#           makes (1, 4, 1, 2), a tensor of another rank. Two-sided transforms agree.
# So        ranks behind a one-sided DFT are taken from the operator's text.
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

x = np.arange(9, dtype=np.float32).reshape(1, 9, 1)
for one_sided, wanted, by in ((1, (1, 4, 2), (1, 4, 1, 2)), (0, (1, 7, 2), (1, 7, 2))):
    made = model("DFT", [1, 9, 1], opset=20, onesided=one_sided,
                 weights={"length": np.array(7), "axis": np.array(1)})
    shapes = inferred(made), run(made, x).shape, by_openvino(made, x).shape
    print("one-sided" if one_sided else "two-sided", "inferred, run, OpenVINO:", *shapes)
    assert shapes == (wanted, wanted, by)
PYTHON
