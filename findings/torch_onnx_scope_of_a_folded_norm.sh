#!/usr/bin/env bash
# Which module an exported convolution says that it was made in, once a norm was folded into it
#
# Guess     That of the convolution: conv1.
# Versions  torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2
# Seen      That of the norm after it, in all of the node's metadata (namespace, name_scopes); the name of its weight alone is the
#           convolution's. Every convolution of a ResNet stands in a BatchNorm2d then.
# So        costcalc takes the module that a node's weight belongs to, if nothing before read that weight.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.16.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import onnx
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn1(self.conv1(x))


torch.onnx.export(Net().eval(), (torch.zeros(1, 3, 8, 8),), "net.onnx", dynamo=True, verbose=False)
(node,) = onnx.load("net.onnx", load_external_data=False).graph.node
about = {p.key: p.value for p in node.metadata_props}
print(node.op_type, node.input[1], about["pkg.torch.onnx.name_scopes"])
assert node.op_type == "Conv" and node.input[1] == "conv1.weight"
assert "'bn1'" in about["pkg.torch.onnx.name_scopes"] and "conv1" not in about["pkg.torch.onnx.name_scopes"]
PYTHON
