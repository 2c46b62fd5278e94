#!/usr/bin/env bash
# Which sums ONNX Runtime does inside of a convolution
#
# Guess     whether a bias stands at the convolution makes no difference: a missing one is zeros.
# Versions  onnx 1.23.2, onnxruntime 1.32.0 (CPU of x86 with AVX-512), opset 18, highest level of optimisation
# Seen      a skip around a convolution of 18 channels, which is not computed in blocks, is added by it if it has a bias
#           (FusedConv with four inputs), and by an Add of its own if it has none. With 16 channels, in blocks, both are
#           joined. Exporters leave biases of zeros out, so a network that was never trained runs more kernels than the
#           same network trained: hrnet_w18 51 more.
# So        fuse:ort takes biases as trained: a convolution with a bias or a norm takes the sum in.
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

def optimised(channels, bias):
    """The operators that are left of a convolution with a skip around another one."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(channels, channels, 3, 3)).astype(np.float32)
    held = [numpy_helper.from_array(kernel, "w"), numpy_helper.from_array(np.ones(channels, np.float32), "b")]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["before"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["before", "w", "b"][: 2 + bias], ["after"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["after", "before"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 8, 8]) for name in "xy")
    graph = helper.make_graph(nodes, "skip", [x], [y], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath, options.log_severity_level = "optimised.onnx", 4
    onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load("optimised.onnx").graph.node if "Reorder" not in node.op_type]

good = True
for channels, bias, adds in ((18, True, 0), (18, False, 1), (16, True, 0), (16, False, 0)):
    found = optimised(channels, bias)
    print(channels, "channels,", "a bias:" if bias else "no bias:", found)
    good &= found.count("Add") == adds
raise SystemExit(0 if good else "the behaviour is another")
PYTHON
