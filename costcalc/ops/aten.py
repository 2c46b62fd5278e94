"""Which op stands for which PyTorch operator, by name only: an op is imported when a trace meets it."""

from __future__ import annotations

_NAMES = {
    "adaptive_avg_pool": "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
    "add": "add",
    "batch_norm": "batch_norm",
    "conv": "conv1d conv2d conv3d convolution _convolution",
    "divide": "div divide true_divide",
    "flatten": "flatten",
    "linear": "linear",
    "max_pool": "max_pool1d max_pool2d max_pool3d",
    "multiply": "mul multiply",
    "relu": "relu",
    "subtract": "sub subtract",
    "uncounted": "uncounted",
}

RULES: dict[str, str] = {aten: op for op, names in _NAMES.items() for aten in names.split()}
"""PyTorch operator → op. A test checks it against the ops' own ``aten``."""
