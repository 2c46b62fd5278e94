#!/usr/bin/env bash
# What torch.onnx.export makes of an axis that is counted from the end
#
# Guess     permute(0, -1, 1, 2) is written as Transpose with perm = 0, 3, 1, 2 by both exporters.
# Versions  torch 2.13.0, onnxscript 0.7.2, onnx 1.22.0, onnxruntime 1.32.0
# Seen      The one that torch.export feeds (dynamo=True) writes 0, 3, 1, 2. The older one (dynamo=False) writes 0, -1, 1, 2
#           without a word; onnx's checker with full_check and ONNX Runtime then refuse the file, since perm knows no axes
#           from the end.
# So        costcalc reads such a file as it is meant, and `verify`, which runs it, says what ONNX Runtime says.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.15.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxscript==0.7.2 onnx==1.22.0 onnxruntime==1.32.0 numpy==2.3.4
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import io
import onnx
import onnxruntime
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return torch.relu(x).permute(0, -1, 1, 2)


seen = {}
for dynamo in (False, True):
    if dynamo:
        file = torch.onnx.export(Net().eval(), (torch.randn(1, 3, 4, 5),), dynamo=True, verbose=False).model_proto.SerializeToString()
    else:
        buffer = io.BytesIO()
        torch.onnx.export(Net().eval(), (torch.randn(1, 3, 4, 5),), buffer, dynamo=False)
        file = buffer.getvalue()
    model = onnx.load_from_string(file)
    perm = [list(one.ints) for node in model.graph.node if node.op_type == "Transpose" for one in node.attribute]
    said = []
    for check in (lambda: onnx.checker.check_model(model, full_check=True), lambda: onnxruntime.InferenceSession(file)):
        try:
            check()
            said.append("accepts")
        except Exception as error:
            said.append("refuses" if "perm" in str(error) else f"fails otherwise: {error}")
    seen[dynamo] = (perm, *said)
    print(f"dynamo={dynamo}: perm {perm}; the checker {said[0]} it, ONNX Runtime {said[1]} it")
assert seen == {False: ([[0, -1, 1, 2]], "refuses", "refuses"), True: ([[0, 3, 1, 2]], "accepts", "accepts")}
PYTHON
