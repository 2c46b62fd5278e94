#!/usr/bin/env bash
# onnx.reference as a witness for shapes of MaxPool
#
# Guess     the reference evaluator, which the standard ships to say what is right, agrees with the standard's own
#           shape inference on plain MaxPools.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22
# Seen      with padding at the end alone it forgets it: size 4, kernel 2, stride 1, pads (0, 1) makes 3 places,
#           inferred and run 4; size 8, kernel 4, pads (0, 2) makes 5 for 7. SAME_LOWER of size 5, kernel 2, stride 2
#           makes 2 places for 3, and begins at the wrong one. SAME_UPPER there is right. AveragePool is right in all
#           of them.
# So        shapes of MaxPool are checked against ONNX Runtime and inference, never against onnx.reference.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
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

from onnx.reference import ReferenceEvaluator

def by_reference(made, x):
    return ReferenceEvaluator(made).run(None, {"x": x})[0]

for size, attributes, places, reference in (
    (4, {"kernel_shape": [2], "strides": [1], "pads": [0, 1]}, 4, 3),
    (8, {"kernel_shape": [4], "strides": [1], "pads": [0, 2]}, 7, 5),
    (5, {"kernel_shape": [2], "strides": [2], "auto_pad": "SAME_LOWER"}, 3, 2),
    (5, {"kernel_shape": [2], "strides": [2], "auto_pad": "SAME_UPPER"}, 3, 3),
):
    x = np.arange(1, size + 1, dtype=np.float32).reshape(1, 1, size)
    for pool in ("MaxPool", "AveragePool"):
        made = model(pool, [1, 1, size], **attributes)
        ran, by = run(made, x).ravel(), by_reference(made, x).ravel()
        print(f"size {size}, {attributes}: {pool} inferred {inferred(made)[2]}, run {ran}, reference {by}")
        assert inferred(made)[2] == ran.size == places
        assert by.size == (reference if pool == "MaxPool" else places)
PYTHON
