"""Hold `fuse:ort` to ONNX Runtime on random small networks of convolutions, norms, activations, sums and the like.

    python benchmarks/fusion_random.py 0 100        # from which seed, up to which

Each that comes out otherwise is shown with its layers; the last line counts. Needs what `fusion_ort.py` does.
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fusion_ort import kernels_of, nodes_of, optimise
from torch import nn

ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardswish, nn.SiLU, nn.GELU, nn.ELU,
    nn.PReLU, nn.Softplus, nn.SELU, lambda: nn.Hardtanh(-2.0, 3.0),
]  # fmt: skip
KINDS = [
    "conv", "conv", "conv", "norm", "activation", "activation", "activation", "add", "add", "concat", "pool", "factor",
    "transposed", "pad", "upsample", "multiply", "dropout",
]  # fmt: skip
SIDE = 16


class Net(nn.Module):
    """A random network; what nothing reads is a result."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.parts = nn.ModuleList()
        self.plan: list[tuple[str, tuple[int, ...], int]] = []
        self.maps = [(3, SIDE)]
        for _ in range(self.chance.randint(4, 10)):
            last = len(self.maps) - 1
            at = last if self.chance.random() < 0.75 else self.chance.randrange(len(self.maps))
            self.grow(self.chance.choice(KINDS), at)

    def grow(self, kind: str, at: int) -> None:
        """Put a layer of ``kind`` behind the map ``at``, if that admits one."""
        channels, side = self.maps[at]
        if kind in ("add", "multiply", "concat"):
            same = [
                i
                for i, m in enumerate(self.maps)
                if i != at and m[1] == side and (kind == "concat" or m == self.maps[at])
            ]
            if same:
                other = self.chance.choice(same)
                pair = (at, other) if self.chance.random() < 0.5 else (other, at)
                self.put(kind, pair, -1, channels + self.maps[other][0] * (kind == "concat"), side)
            return
        made = self.module(kind, channels, side)
        if made is not None:
            module, channels, side = made
            self.parts.append(module)
            self.put("module", (at,), len(self.parts) - 1, channels, side)

    def put(self, what: str, reads: tuple[int, ...], part: int, channels: int, side: int) -> None:
        """Take note of a step and the map that it makes."""
        self.plan.append((what, reads, part))
        self.maps.append((channels, side))

    def module(self, kind: str, channels: int, side: int) -> tuple[nn.Module, int, int] | None:
        """A layer with weights as training leaves them, and the map that it makes."""
        if kind == "conv":
            made = self.convolution(channels)
            nn.init.normal_(made.weight)
            if made.bias is not None:
                nn.init.normal_(made.bias)
            return made, made.out_channels, side
        if kind == "norm":
            norm = nn.BatchNorm2d(channels)
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(tensor)  # type: ignore[arg-type]
            return norm, channels, side
        if kind == "pool" and side >= 4:
            return self.chance.choice([nn.MaxPool2d, nn.AvgPool2d])(2), channels, side // 2
        if kind == "transposed" and side <= SIDE:
            return nn.ConvTranspose2d(channels, 16, 2, stride=2), 16, 2 * side
        if kind == "upsample" and side <= SIDE:
            return nn.Upsample(scale_factor=2, mode=self.chance.choice(["nearest", "bilinear"])), channels, 2 * side
        plain: dict[str, Callable[[], tuple[nn.Module, int, int]]] = {
            "activation": lambda: (self.chance.choice(ACTIVATIONS)(), channels, side),
            "factor": lambda: (Factor(channels), channels, side),
            "pad": lambda: (nn.ZeroPad2d(1), channels, side + 2),
            "dropout": lambda: (nn.Dropout(), channels, side),
        }
        return plain[kind]() if kind in plain else None

    def convolution(self, channels: int) -> nn.Conv2d:
        """Dense, pointwise, depthwise or grouped."""
        kind = self.chance.choice(["dense", "dense", "depthwise", "grouped", "pointwise"])
        bias = self.chance.random() < 0.5
        if kind == "depthwise":
            return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)
        if kind == "grouped" and channels % 2 == 0:
            return nn.Conv2d(channels, self.chance.choice([1, 2]) * channels, 3, padding=1, groups=2, bias=bias)
        made = self.chance.choice([6, 8, 12, 16, 18, 20, 24, 32, 48])
        return nn.Conv2d(channels, made, 1 if kind == "pointwise" else 3, padding=int(kind != "pointwise"), bias=bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps, read = [x], set()
        for what, reads, part in self.plan:
            given = [maps[i] for i in reads]
            read.update(reads)
            if what == "module":
                maps.append(self.parts[part](*given))
            elif what == "concat":
                maps.append(torch.cat(given, 1))
            else:
                maps.append(given[0] + given[1] if what == "add" else given[0] * given[1])
        return tuple(m for i, m in enumerate(maps) if i and i not in read)


class Factor(nn.Module):
    """A trained factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.randn(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def main() -> None:
    """Compare the networks of the seeds that are asked for."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import costcalc

    first, end = map(int, sys.argv[1:3])
    tried = other = 0
    for seed in range(first, end):
        torch.manual_seed(seed)
        net: Any = Net(seed).eval()
        if not net.plan:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path, optimised = str(Path(folder, "net.onnx")), str(Path(folder, "optimised.onnx"))
            optimise(net, (1, 3, SIDE, SIDE), path, optimised)
            graph = costcalc.trace(net, (1, 3, SIDE, SIDE))
            ours, theirs = kernels_of(graph), nodes_of(path, optimised)
        tried += 1
        if ours != theirs:
            other += 1
            print(f"seed {seed}: we {dict(ours - theirs)}, ONNX Runtime {dict(theirs - ours)}")
            for node in graph.nodes:
                print(f"  {node.name} {node.op!r} of {', '.join(node.inputs)}")
    print(f"{tried - other} of {tried} the same")


if __name__ == "__main__":
    main()
