#!/usr/bin/env bash
# onnx-tool's MACs of a transposed convolution, and what it adds up
#
# Guess     useful MACs of a transposed convolution are input places × weights: 5×5 places of 4 channels, kernel 3,
#           stride 2, to 6 channels: 25·4·6·9 = 5,400; or, counted at every place of the output, 121·6·4·9 = 26,136.
#           Pooling and softmax are no MACs.
# Versions  onnx-tool 1.0.1, onnx 1.23.2
# Seen      39,204 = 121·6·(6·9): the weights' layout is read as that of a convolution, so output channels are taken
#           for input channels; right by neither rule unless the two are equal. Its totals called MACs add 1 for each
#           bias, 576 for a 3×3 max pool of 4×4×4 places, 36 for each element of a softmax and 31 for each of a batch
#           norm. LSTM with only its first output named raises an IndexError.
# So        a row in docs/counting.md; a total of onnx-tool is not comparable with MACs unless only convolutions,
#           matrix products and Gemm without bias are in it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx-tool==1.0.1 onnx==1.23.2 numpy==2.4.6
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

import onnx_tool

def counted(made):
    for output, size in zip(made.graph.output, [inferred(made)]):
        output.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto())
        for n in size:
            output.type.tensor_type.shape.dim.add().dim_value = n
    for node in made.graph.node:
        node.name = "node"
    graph = onnx_tool.Model(made).graph
    graph.shape_infer()
    graph.profile()
    return int(graph.macs[0])

weights = {"w": np.ones((4, 6, 3, 3), np.float32)}
transposed = counted(model("ConvTranspose", [1, 4, 5, 5], strides=[2, 2], kernel_shape=[3, 3], weights=weights))
plain = counted(model("Conv", [1, 6, 7, 7], kernel_shape=[3, 3], weights=weights))
pool = counted(model("MaxPool", [1, 4, 9, 9], kernel_shape=[3, 3], strides=[2, 2]))
softmax = counted(model("Softmax", [2, 4]))
print("ConvTranspose 4 → 6 on 5×5, kernel 3, stride 2:", transposed, "(useful 5,400; at each output place 26,136)")
print("Conv 6 → 4 on 7×7, kernel 3:", plain, "(25·4·54 = 5,400)")
print("MaxPool 3×3 to 4×4×4:", pool, " softmax of 8:", softmax)
assert (transposed, plain, pool, softmax) == (121 * 6 * 54, 5_400, 576, 288)
PYTHON
