#!/usr/bin/env bash
# How far output_shape of ConvTranspose may go beyond what the kernel reaches
#
# Guess     (size − 1) × stride + kernel is the most there can be: a greater output_shape is refused when it is run.
# Versions  onnx 1.23.2, onnxruntime 1.32.0
# Seen      Up to stride − 1 more is made, the places beyond being zeros, though output_padding is not given; one more than
#           that is refused. Inference takes any size.
# So        costcalc lays zeros at the end up to stride − 1, and refuses the file beyond.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, shape_inference

SIZE, KERNEL, STRIDE = 3, 3, 3  # which reach 9 places


def made(places):
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[STRIDE], output_shape=[places])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, SIZE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weight = numpy_helper.from_array(np.ones((1, 1, KERNEL), np.float32), "w")
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], [weight]), opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    inferred = shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.shape.dim[2].dim_value
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        out = session.run(None, {"x": np.ones((1, 1, SIZE), np.float32)})[0].ravel().tolist()
    except Exception:
        out = None
    print(f"output_shape {places}: inferred {inferred}, run {out}")
    return inferred, out


seen = {places: made(places) for places in (9, 10, 11, 12)}
assert [inferred for inferred, _ in seen.values()] == [9, 10, 11, 12]
assert seen[11][1] == [1.0] * 9 + [0.0, 0.0] and seen[12][1] is None
PYTHON
