#!/usr/bin/env bash
# Which axis of a convolution ZigZag's reader of ONNX takes a kernel's and a stride's first number for
#
# Guess     kernel_shape, strides, dilations and pads are height first, as ONNX says: a kernel of 3×1 at strides 2×1 is
#           FY 3, FX 1, iy = 2·oy + fy.
# Versions  zigzag-dse 3.9.1, onnx 1.23.2
# Seen      FX 3, FY 1 and IX = 2·OX + FX, beside OX 7 and OY 5, which are right: the first number goes to x, the
#           places of the output do not. The product of the loops, and so the MACs, are the same (840); tiles, reuse and
#           the input's size are those of another layer wherever kernel or stride are not square. The package does not
#           install `six`, which it imports.
# So        `costcalc export zigzag` writes the workload in YAML, each axis as it is; docs/viewers.md.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check zigzag-dse==3.9.1 onnx==1.23.2 six==1.17.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import onnx
import zigzag
from onnx import TensorProto, helper
from zigzag.parser.onnx.onnx_model_parser import ONNXModelParser

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 12, 7])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 5, 7])
w = helper.make_tensor("w", TensorProto.FLOAT, [4, 2, 3, 1], [0.0] * 24)
conv = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", kernel_shape=[3, 1], strides=[2, 1], pads=[0, 0, 0, 0])
model = helper.make_model(helper.make_graph([conv], "g", [x], [y], [w]))
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "net.onnx")
mapping = Path(list(zigzag.__path__)[0]) / "inputs" / "mapping" / "default.yaml"
(node,) = ONNXModelParser("net.onnx", str(mapping)).run().node_list
print(node.layer_dim_sizes, node.dimension_relations, node.total_mac_count)
assert str(node.layer_dim_sizes) == "{B: 1, K: 4, G: 1, OX: 7, OY: 5, C: 2, FX: 3, FY: 1}"
assert str(node.dimension_relations) == "[IX = 2*OX + 1*FX, IY = 1*OY + 1*FY]"
assert node.total_mac_count == 840
PYTHON
