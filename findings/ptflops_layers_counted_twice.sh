#!/usr/bin/env bash
# How ptflops counts activations, poolings and products with its backend for modules
#
# Guess     a module of an activation or a pooling counts 1 for each element, and functions are counted as well, products among them.
# Versions  ptflops 0.7.5, torch 2.13.0
# Seen      modules of ReLU, GELU, pooling and upsampling count twice, and ReLU6 once: a hook of the module counts, and then the
#           function that the module calls. torch.matmul(x, y) counts, x @ y and F.linear do not. With the backend for
#           operators an LSTM is 0 and a GRU is not.
# So        docs/migrating.md explains the totals of ResNet-50 and MobileNetV2 to the last unit, by a test.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.15.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0 ptflops==0.7.5 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib, io
import torch
from torch import nn
from torch.nn import functional as F
from ptflops import get_model_complexity_info

class Calls(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.none = inner, nn.Parameter(torch.zeros(0))
    def forward(self, x):
        made = self.inner(x)
        return made[0] if isinstance(made, tuple) else made

def told(inner, shape, backend="pytorch"):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return get_model_complexity_info(
            Calls(inner).eval(), shape, as_strings=False, print_per_layer_stat=False, backend=backend)[0]

layers = {m: told(m, (4, 8, 8)) for m in (nn.ReLU(), nn.ReLU6(), nn.GELU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))}
print("on 256 elements:", {type(m).__name__: n for m, n in layers.items()})
products = {
    "torch.matmul(x, y)": told(lambda x: torch.matmul(x, x.mT), (5, 8)),
    "x @ y": told(lambda x: x @ x.mT, (5, 8)),
    "F.linear": told(lambda x: F.linear(x, torch.ones(5, 8)), (5, 8)),
}
print("a product of 200 MACs:", products)
recurrent = {kind.__name__: told(kind(4, 6, batch_first=True), (5, 4), "aten") for kind in (nn.LSTM, nn.GRU)}
print("by operators:", recurrent)
assert list(layers.values()) == [512, 256, 512, 512, 512]
assert list(products.values()) == [200, 0, 0]
assert recurrent["LSTM"] == 0 and recurrent["GRU"] > 0
PYTHON
