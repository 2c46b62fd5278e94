#!/usr/bin/env bash
# auto_pad=SAME_UPPER with a dilation: sizes as inferred, sizes as run
#
# Guess     all that read the model agree: ⌈size / stride⌉ places come out, the padding reckoned with the dilated
#           kernel.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      Conv is inferred and refused when run ("Dilation not supported for AutoPadType"). MaxPool, AveragePool and
#           LpPool run, but pad as if the kernel were not dilated: of 6 places, kernel 3, dilation 2, 4 come out where
#           inference says 6. OpenVINO makes 6 of all four, with other values.
# So        the size of a SAME-padded, dilated pool in a file depends on who runs it; what inference has written into
#           the file is not what ONNX Runtime makes.
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

x = np.arange(1, 7, dtype=np.float32).reshape(1, 1, 6)
same = {"auto_pad": "SAME_UPPER", "dilations": [2]}
conv = model("Conv", [1, 1, 6], weights={"w": np.ones((1, 1, 3), np.float32)}, **same)
print("Conv: inferred", inferred(conv), "OpenVINO", by_openvino(conv, x).shape)
assert inferred(conv) == by_openvino(conv, x).shape == (1, 1, 6)
assert run(conv, x) is None
for pool in ("MaxPool", "AveragePool", "LpPool"):
    made = model(pool, [1, 1, 6], kernel_shape=[3], **same)
    ran = run(made, x)
    print(f"{pool}: inferred {inferred(made)}, run {ran.shape} {ran.ravel()}, OpenVINO {by_openvino(made, x).ravel()}")
    assert inferred(made) == by_openvino(made, x).shape == (1, 1, 6) and ran.shape == (1, 1, 4)
PYTHON
