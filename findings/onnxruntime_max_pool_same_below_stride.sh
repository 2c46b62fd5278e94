#!/usr/bin/env bash
# MaxPool with SAME padding and a kernel below the stride
#
# Guess     it runs: a kernel of 1 at a stride of 2 needs no padding; AveragePool and MaxPool take padding alike.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU), opset 22
# Seen      where the padding that SAME asks for comes out negative (size 2, kernel 1, stride 2), MaxPool is refused
#           when run: "padding values must be non-negative". AveragePool and LpPool with the same attributes run. Size
#           3 with the same kernel and stride, where it comes out at 0, runs for all three; so whether a model runs
#           depends on the size of its input.
# So        a strided 1×1 max pool exported with SAME padding (TensorFlow's shortcut) can be valid by the checker and
#           by inference and not run; costcalc counts it by its shape.
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

for size, fits in ((2, False), (3, True), (4, False)):
    x = np.arange(1, size + 1, dtype=np.float32).reshape(1, 1, size)
    for pool in ("MaxPool", "AveragePool", "LpPool"):
        made = model(pool, [1, 1, size], kernel_shape=[1], strides=[2], auto_pad="SAME_UPPER")
        ran = run(made, x)
        print(f"size {size}, {pool}: inferred {inferred(made)}, run {'refused' if ran is None else ran.ravel()}")
        assert inferred(made) == (1, 1, (size + 1) // 2)
        assert (ran is None) == (pool == "MaxPool" and not fits)
PYTHON
