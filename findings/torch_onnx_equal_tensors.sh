#!/usr/bin/env bash
# Which equal tensors the two exporters of PyTorch merge
#
# Guess     Neither merges weights of layers: at most the vectors, as the newer one does up to 1,024 elements.
# Versions  torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2
# Seen      The older one (dynamo=False) keeps every initializer once that equals another, whatever its size. Two 3×3 convolutions whose norms
#           begin with a weight of 0, as in ResNets, are two equal kernels of zeros after folding: one of the two is stored. The newer
#           one keeps both, and merges the vectors alone.
# So        the elements of a file of an untrained network are no count of its parameters: an untrained ResNet-18 has 8,547,432 of
#           11,689,512 (timm 1.0.31). costcalc shows such tensors as shared, and a diff with the model says how many there are.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.16.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import math
import onnx
import torch
from torch import nn

net = nn.Sequential(nn.Conv2d(64, 64, 3, bias=False), nn.BatchNorm2d(64), nn.Conv2d(64, 64, 3, bias=False), nn.BatchNorm2d(64)).eval()
for norm in (net[1], net[3]):
    nn.init.zeros_(norm.weight)
counts = {}
for dynamo in (True, False):
    torch.onnx.export(net, (torch.zeros(1, 64, 16, 16),), "net.onnx", dynamo=dynamo, verbose=False)
    tensors = onnx.load("net.onnx", load_external_data=False).graph.initializer
    counts[dynamo] = sum(len(t.dims) == 4 for t in tensors)
    print(f"dynamo={dynamo}: {counts[dynamo]} kernels, {sum(math.prod(t.dims) for t in tensors):,} elements")
assert counts == {True: 2, False: 1}
PYTHON
