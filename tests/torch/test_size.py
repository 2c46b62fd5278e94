"""Nothing is allocated: a model of 70 billion parameters in a process that stays below 2 GB; and a light import."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")

# Llama 2's 70 B in plain PyTorch: 80 layers of width 8192, 64 heads over 8 shared ones, 28,672 wide inside.
LARGE = """
import torch
import torch.nn.functional as F
from torch import nn
import costcalc
from costcalc.frontends.torch.build import built

WIDTH, HEADS, SHARED, INNER, LAYERS, WORDS = 8192, 64, 8, 28672, 80, 32000

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        d = WIDTH // HEADS
        self.q, self.k, self.v = (nn.Linear(WIDTH, n * d, bias=False) for n in (HEADS, SHARED, SHARED))
        self.o = nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate, self.up = nn.Linear(WIDTH, INNER, bias=False), nn.Linear(WIDTH, INNER, bias=False)
        self.down = nn.Linear(INNER, WIDTH, bias=False)
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)

    def forward(self, x):
        n, length, _ = x.shape
        y = self.norm1(x)
        q, k, v = (f(y).view(n, length, -1, WIDTH // HEADS).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(n, length, WIDTH))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))

total = costcalc.analyze(built(Net), (1, 4096)).total
# Not ru_maxrss, which of a child begins at what its parent had on Linux, here a worker that has run thousands of tests.
try:
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
except (OSError, StopIteration):
    peak = 0
print(total.params, total.macs, peak)
"""


def test_seventy_billion_parameters_fit_in_two_gigabytes() -> None:
    run = subprocess.run([sys.executable, "-c", LARGE], check=True, capture_output=True, text=True)
    params, macs, mebibytes = map(int, run.stdout.split())
    width, inner, length, words = 8192, 28672, 4096, 32000
    layer = 2 * width * width + 2 * width * 1024 + 3 * width * inner
    assert params == 80 * (layer + 2 * width) + 2 * words * width + width
    assert params > 68e9
    attention = 2 * 64 * length * length * 128
    assert macs == 80 * (length * layer + attention) + length * width * words
    assert mebibytes < 2000


def test_importing_costcalc_imports_no_torch() -> None:
    code = "import costcalc, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
