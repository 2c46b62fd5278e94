"""Random PyTorch programs that move places about: indexing, copies, writes to a part, strided views, among layers.

Every function is smooth and increases in each of its inputs, so that a gradient is above zero just where an element
depends on another: weights and inputs are positive, and no maximum chooses.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Move = Callable[[Tensor], Tensor]
MOST_ELEMENTS = 700
"""Elements of a value, so that all gradients of the last one take a moment."""


class Drawn(NamedTuple):
    """A step of a program: what it is called, and what it does."""

    name: str
    function: Move


def layers(draw: random.Random, x: Tensor) -> list[Callable[[], nn.Module]]:
    """Modules that could come next, each built on demand."""
    channels, sizes = x.shape[1], x.shape[2:]
    if x.ndim != 4:
        return []
    kernel, dilation = tuple(draw.randint(1, 3) for _ in sizes), draw.randint(1, 2)
    padding, stride = draw.randint(0, 1), tuple(draw.randint(1, 2) for _ in sizes)
    groups = draw.choice([g for g in range(1, channels + 1) if channels % g == 0])
    out = groups * draw.randint(1, 2)
    return [
        lambda: nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups),
        lambda: nn.Conv2d(channels, draw.randint(1, 4), 3, padding=1),
        lambda: nn.ConvTranspose2d(channels, draw.randint(1, 3), kernel, stride, min(padding, min(kernel) - 1)),
        lambda: nn.AvgPool2d(draw.randint(1, 3), stride, 0, ceil_mode=draw.random() < 0.3),
        lambda: nn.AvgPool2d(3, 1, 1),
        lambda: nn.AdaptiveAvgPool2d((draw.randint(1, sizes[0]), draw.randint(1, sizes[1]))),
        lambda: nn.Upsample(scale_factor=2, mode=draw.choice(["nearest", "bilinear"])),
        lambda: nn.ZeroPad2d(tuple(draw.randint(0, 2) for _ in range(4))),
        lambda: nn.PixelUnshuffle(2) if not (sizes[0] % 2 or sizes[1] % 2) else nn.Identity(),
        lambda: nn.PixelShuffle(2) if channels % 4 == 0 else nn.Identity(),
        nn.ReLU,
    ]


CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
INTERPOLATED = {1: "linear", 2: "bilinear", 3: "trilinear"}
PADDED = ("zeros", "reflect", "replicate", "circular")


class Padded(nn.Module):
    """Padding by elements of the image."""

    def __init__(self, amounts: list[int], mode: str) -> None:
        super().__init__()
        self.amounts, self.mode = amounts, mode

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.amounts, self.mode)


def wide_layers(draw: random.Random, x: Tensor) -> list[Callable[[], nn.Module]]:
    """The same for one to three axes of places, with all modes of padding."""
    channels, sizes, axes = x.shape[1], x.shape[2:], x.ndim - 2
    if axes not in CONVS:
        return []
    kernel, dilation = tuple(draw.randint(1, 3) for _ in sizes), draw.randint(1, 2)
    padding, stride = draw.randint(0, 1), tuple(draw.randint(1, 2) for _ in sizes)
    groups = draw.choice([g for g in range(1, channels + 1) if channels % g == 0])
    out, mode = groups * draw.randint(1, 2), draw.choice(PADDED)
    amounts = [draw.randint(0, 2) for _ in range(2 * axes)]
    settings = (stride, padding, dilation, groups)
    return [
        lambda: CONVS[axes](channels, out, kernel, *settings, padding_mode=mode),
        lambda: CONVS[axes](channels, draw.randint(1, 4), 3, padding=1, padding_mode=mode),
        lambda: TRANSPOSED[axes](channels, draw.randint(1, 3), kernel, stride, min(padding, min(kernel) - 1)),
        lambda: POOLS[axes](draw.randint(1, 3), stride, 0, ceil_mode=draw.random() < 0.3),
        lambda: ADAPTIVE[axes](tuple(draw.randint(1, n) for n in sizes)),
        lambda: nn.Upsample(scale_factor=2, mode=draw.choice(["nearest", INTERPOLATED[axes]])),
        lambda: Padded(amounts, draw.choice(["constant", "reflect", "replicate", "circular"])),
        lambda: nn.GroupNorm(1, channels) if draw.random() < 0.3 else nn.ReLU(),
    ]


ARRANGED = {
    "n c places": (lambda x: x, lambda n: [*range(2, n + 2)]),
    "n places c": (lambda x: x.movedim(-1, 1), lambda n: [*range(1, n + 1)]),
    "n places": (lambda x: x.unsqueeze(1), lambda n: [*range(1, n + 1)]),
    "c places": (lambda x: x.unsqueeze(0), lambda n: [*range(1, n + 1)]),
    "n t c places": (lambda x: x.flatten(0, 1), lambda n: [*range(3, n + 3)]),
}
"""Layouts of an input: how (batch, channels, places …) is made of it, and which of its axes are places."""


def rearrangements(draw: random.Random, x: Tensor) -> list[Drawn]:
    """Functions that could come next."""
    rank = x.ndim
    axis = draw.randrange(1, rank)
    other = draw.choice([a for a in range(1, rank) if a != axis]) if rank > 2 else axis
    size = x.shape[axis]
    start = draw.randrange(size)
    stop = draw.randint(start + 1, size)
    step = draw.randint(1, 2)
    indices = [draw.randrange(size) for _ in range(draw.randint(1, size + 1))]
    distinct = draw.sample(range(size), draw.randint(1, size))
    mask = [draw.random() < 0.6 for _ in range(size)]
    mask[draw.randrange(size)] = True
    window = draw.randint(1, size)
    part = (slice(None),) * axis
    factors = [f for f in range(1, size + 1) if size % f == 0]
    factor = draw.choice(factors)

    def written(x: Tensor) -> Tensor:
        y = x.clone()
        y[(*part, slice(start, stop, step))] = x.flip(axis)[(*part, slice(start, stop, step))] * 2
        return y

    def scaled(x: Tensor) -> Tensor:
        y = x.clone()
        y[(*part, start)] *= 2
        return y

    def pasted(x: Tensor) -> Tensor:
        shape = [n + m for n, m in zip(x.shape, more, strict=True)]
        y = torch.zeros(shape, dtype=x.dtype)
        y[tuple(slice(at, at + n) for at, n in zip(starts, x.shape, strict=True))] = x
        return y

    def seen_turned(x: Tensor) -> Tensor:
        x = x.contiguous()
        order = [*range(x.ndim)]
        order[axis], order[other] = other, axis
        return x.as_strided([x.shape[a] for a in order], [x.stride(a) for a in order])

    def turned_and_written(x: Tensor) -> Tensor:
        y = x.clone()
        y.transpose(axis, other)[(*part, slice(0, 1))].mul_(3)
        return y

    def indexed(x: Tensor) -> Tensor:
        y = x.clone()
        y[(*part, distinct)] = x.index_select(axis, torch.tensor(distinct).flip(0)) + 1
        return y

    def cut(x: Tensor) -> Tensor:
        return x.unflatten(axis, (factor, size // factor))

    def along(places: list[int]) -> Tensor:
        return torch.tensor(places).reshape([-1 if a == axis else 1 for a in range(rank)])

    def patches(x: Tensor) -> Tensor:
        columns = F.unfold(x, (1, 2), padding=1, stride=step)
        return columns.unflatten(1, (x.shape[1], 2)).mean(2).unsqueeze(2)

    more = [0, *(draw.randint(0, 2) for _ in range(rank - 1))]
    starts = [draw.randint(0, m) for m in more]
    found = [
        Drawn("flip", lambda x: x.flip(axis)),
        Drawn("take", lambda x: x[(*part, indices)]),
        Drawn("index_select", lambda x: x.index_select(axis, torch.tensor(indices))),
        Drawn("mask", lambda x: x[(*part, torch.tensor(mask))]),
        Drawn("weigh", lambda x: x * along([int(kept) for kept in mask])),
        Drawn("blank", lambda x: x.masked_fill(along([int(kept) for kept in mask]) == 0, 0.0)),
        Drawn("slice", lambda x: x[(*part, slice(start, None, step))]),
        Drawn("narrow_copy", lambda x: torch.narrow_copy(x, axis, start, stop - start)),
        Drawn("repeat", lambda x: x.repeat(*(2 if a == axis else 1 for a in range(x.ndim)))),
        Drawn("repeat_interleave", lambda x: x.repeat_interleave(2, axis)),
        Drawn("repeats", lambda x: x.repeat_interleave(torch.tensor([1 + (i % 2) for i in range(size)]), axis)),
        Drawn("roll", lambda x: x.roll(start, axis)),
        Drawn("write", written),
        Drawn("scale a place", scaled),
        Drawn("paste", pasted),
        Drawn("index_put", indexed),
        Drawn("index_add", lambda x: x.index_add(axis, torch.tensor(distinct), x.narrow(axis, 0, len(distinct)))),
        Drawn("index_copy", lambda x: x.index_copy(axis, torch.tensor(distinct), x.narrow(axis, 0, len(distinct)))),
        Drawn("select_scatter", lambda x: torch.select_scatter(x, x.select(axis, start), axis, size - 1 - start)),
        Drawn(
            "slice_scatter",
            lambda x: torch.slice_scatter(x, x.narrow(axis, 0, stop - start) * 2, axis, start, stop),
        ),
        Drawn("unfold", lambda x: x.unfold(axis, window, step).flatten(axis, axis + 1).movedim(-1, 1).flatten(1, 2))
        if axis == rank - 1
        else Drawn("windows", lambda x: x.unfold(axis, window, step).mean(-1)),
        Drawn("as_strided", seen_turned),
        Drawn("write through a view", turned_and_written),
        Drawn("permute", lambda x: x.transpose(axis, other)),
        Drawn("cut", lambda x: cut(x).mean(axis)),
        Drawn("merge", lambda x: cut(x).transpose(axis, axis + 1).flatten(axis, axis + 1)),
        Drawn("concat", lambda x: torch.cat([x, x.flip(axis)], other)),
        Drawn("sum", lambda x: x + x.flip(axis)),
        Drawn("mean", lambda x: x.mean(axis, keepdim=True)),
        Drawn("take_along_dim", lambda x: torch.take_along_dim(x, along(indices), axis)),
        Drawn("select", lambda x: x.select(axis, start).unsqueeze(axis)),
    ]  # fmt: skip
    if rank == 4:
        found += [
            Drawn("rot90", lambda x: x.rot90(start + 1, (2, 3))),
            Drawn("tril", lambda x: x.tril(start - 1)),
            Drawn("weigh a triangle", lambda x: x * torch.ones(x.shape[2:]).triu(1 - start)),
            Drawn("triu", lambda x: x.triu(1 - start)),
            Drawn("patches", patches),
            Drawn("tokens", lambda x: F.avg_pool1d(x.flatten(2), 3, 1, 1).unflatten(2, x.shape[2:])),
            Drawn("tokens and back", lambda x: (x.flatten(2).transpose(1, 2) * 2).mT.unflatten(2, x.shape[2:])),
        ]  # fmt: skip
        if x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0:
            found.append(
                Drawn("unfold and fold", lambda x: F.fold(F.unfold(x, 2, stride=2) * 2, x.shape[2:], 2, stride=2))
            )
        found.append(Drawn("fold", lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1)))
        found.append(Drawn("diagonal", lambda x: torch.diag_embed(x.diagonal(0, 1, 2)).movedim(1, 2)))
    return found


class Program(nn.Module):
    """Steps one after the other, some of them added to the value before."""

    def __init__(self, seed: int, length: int, wide: bool = False) -> None:
        """``wide``: of one to three axes of places, in any layout, with any padding."""
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.steps: list[tuple[str, Any, bool]] = []
        self.size: tuple[int, ...] = (1, draw.randint(1, 3), draw.randint(2, 6), draw.randint(2, 6))
        self.layout, self.axes = "n c places", (2, 3)
        if wide:
            self.layout, axes = draw.choice([*ARRANGED]), draw.choice([1, 1, 2, 2, 3])
            places = [draw.randint(3, {1: 14, 2: 6, 3: 4}[axes]) for _ in range(axes)]
            channels = draw.randint(1, 3)
            held = {"n": [1], "t": [draw.randint(2, 3)], "c": [channels], "places": places}
            self.size = tuple(size for word in self.layout.split() for size in held[word])
            self.axes = tuple(ARRANGED[self.layout][1](axes))
        x = ARRANGED[self.layout][0](torch.ones(self.size))
        batch, built = x.shape[0], wide_layers if wide else layers
        tries = 0
        while len(self.steps) < length and tries < 60:
            tries += 1
            if draw.random() < 0.45 and (modules := built(draw, x)):
                chosen: Any = draw.choice(modules)()
                name = type(chosen).__name__.lower()
            else:
                name, chosen = draw.choice(rearrangements(draw, x))
            adds = draw.random() < 0.25
            try:
                with torch.no_grad():
                    y = chosen(x)
                    y = y + x if adds else y
            except (RuntimeError, ValueError, IndexError, NotImplementedError):
                continue
            if not 0 < y.numel() <= MOST_ELEMENTS or y.shape[0] != batch or y.ndim < 3:
                continue
            if isinstance(chosen, nn.Module):
                self.add_module(f"{name}{len(self.steps)}", chosen)
            self.steps.append((name, chosen, adds))
            x = y
        for weight in self.parameters():
            nn.init.uniform_(weight, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = ARRANGED[self.layout][0](x)
        for _, step, adds in self.steps:
            y = step(x)
            x = y + x if adds else y
        return x

    def __repr__(self) -> str:
        return f"{self.layout} {self.size}: " + ", ".join(name + " added" * adds for name, _, adds in self.steps)
