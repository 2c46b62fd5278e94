#!/usr/bin/env bash
# MaxPool with ceil_mode: a last window that would begin outside
#
# Guess     since opset 22 says that a window that would begin in the padding at the end is dropped, OpenVINO drops
#           it, for MaxPool as for AveragePool.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22, openvino 2026.4.1
# Seen      size 8, kernel 1, stride 2: OpenVINO's MaxPool makes 5 places, the last of them −3.4e38, the least float;
#           ONNX Runtime, inference and the reference 4. OpenVINO's AveragePool and LpPool make 4. Also for kernel 2,
#           stride 4, and with padding.
# So        a map behind such a pool has other sizes in OpenVINO, and its MACs with them; costcalc has 4, as PyTorch.
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

for size, kernel, stride, pads, places in ((8, 1, 2, 0, 4), (8, 2, 4, 0, 2), (5, 2, 2, 1, 3)):
    x = np.arange(1, size + 1, dtype=np.float32).reshape(1, 1, size)
    for pool in ("MaxPool", "AveragePool", "LpPool"):
        made = model(pool, [1, 1, size], kernel_shape=[kernel], strides=[stride], pads=[pads] * 2, ceil_mode=1)
        y = by_openvino(made, x).ravel()
        print(f"size {size}, kernel {kernel}, stride {stride}, padding {pads}: {pool} inferred {inferred(made)[2]}, OpenVINO {y}")
        assert inferred(made)[2] == run(made, x).size == places
        assert y.size == places + (pool == "MaxPool")
        assert pool != "MaxPool" or y[-1] < -3e38
PYTHON
