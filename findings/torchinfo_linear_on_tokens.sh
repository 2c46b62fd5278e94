#!/usr/bin/env bash
# What torchinfo counts of a linear layer that is applied to each of many tokens
#
# Guess     nn.Linear(8, 4) on 2×5×8 is applied ten times: 10 · 32 = 320 multiplications, 360 with the bias counted.
# Versions  torchinfo 1.8.0, torch 2.13.0
# Seen      72: weights and bias once a sample, whatever the number of tokens. So a Transformer's linear layers are too small
#           by the number of tokens. Transposed convolutions are counted by output places (all taps, 5,643 with biases
#           where 1,080 products are useful), and a weight that two layers share is two in total_params.
# So        docs/counting.md has it among the counters that differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torch==2.13.0 filelock==3.20.0 typing_extensions==4.15.0 \
  sympy==1.14.0 mpmath==1.3.0 networkx==3.5 jinja2==3.1.6 markupsafe==3.0.3 fsspec==2025.9.0 torchinfo==1.8.0 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON'
from torch import nn
from torchinfo import summary

def told(module, shape):
    found = summary(module.eval(), input_size=shape, verbose=0, device="cpu")
    return found.total_mult_adds, found.total_params

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.b.weight = self.a.weight
    def forward(self, x):
        return self.b(self.a(x))

tokens = [told(nn.Linear(8, 4), (2, n, 8))[0] for n in (1, 5, 500)]
transposed = told(nn.ConvTranspose2d(2, 3, 3, stride=2), (1, 2, 4, 5))[0]
tied = told(Tied(), (1, 8))[1]
print("Linear(8, 4) on 2 samples of 1, 5 and 500 tokens:", tokens)
print("transposed convolution of 2×4×5, 1,080 useful products:", transposed, " two layers of one 8×8 weight:", tied, "parameters")
assert (tokens, transposed, tied) == ([72, 72, 72], 5643, 128)
PYTHON
