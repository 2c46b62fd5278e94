#!/usr/bin/env bash
# Whether HardSwish is done inside of the convolution before it
#
# Guess     it is like Relu: a convolution applies it, wherever the result goes. (Below the highest level of optimisation
#           it is known to become two nodes.)
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU of x86 with AVX-512), opset 18, highest level of optimisation
# Seen      a convolution in blocks applies it where another layer reads the result. Where the result is an output of the
#           model, the same convolution does not: HardSigmoid and Mul follow, two kernels more. Relu is applied in both.
# So        fuse:ort asks whether the result is one of the model's. Backbones that give their maps out have this twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

def optimised(activation, is_result):
    """The operators that are left of convolution, activation and, unless the activation is the result, convolution."""
    kernel = np.random.default_rng(0).normal(size=(16, 16, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["map"], pads=[1, 1, 1, 1]),
        helper.make_node(activation, ["map"], ["active"]),
    ]
    if not is_result:
        nodes.append(helper.make_node("Conv", ["active", "w"], ["y"], pads=[1, 1, 1, 1]))
    last = nodes[-1].output[0]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 8, 8]) for name in ("x", last))
    graph = helper.make_graph(nodes, "net", [x], [y], [numpy_helper.from_array(kernel, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath, options.log_severity_level = "optimised.onnx", 4
    onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load("optimised.onnx").graph.node if "Reorder" not in node.op_type]

good = True
for activation, is_result, expected in (
    ("Relu", False, ["Conv", "Conv"]), ("Relu", True, ["Conv"]),
    ("HardSwish", False, ["Conv", "Conv"]), ("HardSwish", True, ["Conv", "HardSigmoid", "Mul"]),
):
    found = optimised(activation, is_result)
    print(activation, "as a result:" if is_result else "before a layer:", found)
    good &= found == expected
raise SystemExit(0 if good else "the behaviour is another")
PYTHON
