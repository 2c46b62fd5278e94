"""Receptive fields of random windows in a row along one axis, with any stride, dilation, padding and crop: none is a
bound, and each is as wide as the most that autograd finds one place to see."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from test_random_moves import fault, gradients  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import pad  # noqa: E402

from costcalc.analysis.pixel_map import ReceptiveField  # noqa: E402
from costcalc.analysis.pixel_maps import pixel_maps  # noqa: E402
from costcalc.analysis.receptive_fields import _field, receptive_fields  # noqa: E402
from costcalc.backends.module import to_module  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

WINDOWS = ("conv", "transposed", "pool", "nearest", "linear")
EVERYTHING = (*WINDOWS, "slice", "pad")


class Chain(nn.Module):
    """Up to three steps along one axis, on an image of so many pixels."""

    def __init__(self, seed: int, shortest: int, longest: int, kinds: tuple[str, ...]) -> None:
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.size = (1, 1, draw.randint(shortest, longest))
        self.steps: list[Callable[[Tensor], Tensor]] = []
        self.names: list[str] = []
        x = torch.ones(self.size)
        for _ in range(draw.randint(1, 3)):
            name, step = self.drawn(draw, draw.choice(kinds), x.shape[2])
            try:
                with torch.no_grad():
                    y = step(x)
            except (RuntimeError, ValueError):  # PyTorch has no output of it
                continue
            if not 0 < y.numel() <= 12 * longest:
                continue
            x = y
            if isinstance(step, nn.Module):
                self.add_module(f"step{len(self.steps)}", step)
            self.steps.append(step)
            self.names.append(name)
        for weight in self.parameters():
            nn.init.uniform_(weight, 0.5, 1.5)

    @staticmethod
    def drawn(draw: random.Random, kind: str, length: int) -> tuple[str, Callable[[Tensor], Tensor]]:
        kernel, stride, dilation, padding = (draw.randint(least, 5) for least in (1, 1, 1, 0))
        named = f"{kind}(k{kernel} s{stride} p{padding} d{dilation})"
        if kind == "conv":
            return named, nn.Conv1d(1, 1, kernel, stride, padding, dilation)
        if kind == "transposed":
            return named, nn.ConvTranspose1d(1, 1, kernel, stride, padding, dilation=dilation)
        if kind == "pool":
            return named, nn.AvgPool1d(kernel, stride, min(padding, kernel // 2), ceil_mode=draw.random() < 0.3)
        if kind in ("nearest", "linear"):
            factor = draw.choice([0.7, 1.5, 2, 3])
            return f"{kind} × {factor}", nn.Upsample(scale_factor=factor, mode=kind)
        if kind == "slice":
            start = draw.randrange(length)
            stop, step = draw.randint(start + 1, length), draw.randint(1, 3)
            return f"{start}:{stop}:{step}", lambda x: x[..., start:stop:step]
        amounts = [draw.randint(-2, 4), draw.randint(-2, 4)]
        return f"pad {amounts}", lambda x: pad(x, amounts)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


def wrong(seed: int, shortest: int, longest: int, kinds: tuple[str, ...]) -> str:
    chain = Chain(seed, shortest, longest, kinds)
    if not chain.steps:
        return ""
    graph = trace(chain, chain.size)
    x = (torch.rand(chain.size, dtype=torch.float64) + 0.5).requires_grad_()
    y = chain.double()(x)
    assert graph.types[graph.outputs[0]].shape == tuple(y.shape)
    pixels = chain.size[2]
    untouched = torch.zeros(*y.shape, pixels, dtype=torch.bool)  # where a crop left nothing of the image
    seen: Any = gradients(y, x, (2,)) if y.requires_grad else untouched
    if fault_found := fault(graph, seen, (2,)):
        return f"{chain.size}, {chain.names}: {fault_found}"
    claim = pixel_maps(graph, graph.inputs[0], (2,))[graph.outputs[0]]
    field = claim and _field(claim, (pixels,))
    if field is None or not isinstance(field, ReceptiveField):
        return "" if field is None else f"{chain.size}, {chain.names}: {field}"
    along = [row.nonzero().flatten().tolist() for row in seen.reshape(-1, pixels)]
    most = max(places[-1] - places[0] + 1 if places else 0 for places in along)
    # In a small image no place need stand away from the padding, and none sees all of a window that is wider.
    exact = field.size[0] >= pixels // 2 or most in (field.size[0], field.seen[0])
    return "" if exact and not field.bound else f"{chain.size}, {chain.names}: said {field}, seen {most}"


@pytest.mark.parametrize(("shortest", "longest", "kinds"), [(1, 6, EVERYTHING), (40, 60, WINDOWS)])
@pytest.mark.parametrize("first", range(0, 80, 40))
def test_windows_in_a_row_are_told_exactly(first: int, shortest: int, longest: int, kinds: tuple[str, ...]) -> None:
    faults = {seed: wrong(seed, shortest, longest, kinds) for seed in range(first, first + 40)}
    assert not any(faults.values()), {seed: found for seed, found in faults.items() if found}


@pytest.mark.long
@pytest.mark.parametrize(("shortest", "longest", "kinds"), [(1, 6, EVERYTHING), (40, 60, WINDOWS)])
def test_thousands_of_windows_in_a_row(shortest: int, longest: int, kinds: tuple[str, ...]) -> None:
    faults = {seed: wrong(seed, shortest, longest, kinds) for seed in range(1000, 5000)}
    assert not any(faults.values()), {seed: found for seed, found in faults.items() if found}


def test_a_plain_kernel_on_nothing_but_padding_sees_nothing() -> None:
    """Stride 2 from padding 1 steps over an axis of one place: its two outputs stand before and after it."""
    module = nn.Conv2d(2, 4, (3, 1), stride=(1, 2), padding=1)
    graph = trace(module, (1, 2, 3, 1))
    assert graph.types[graph.outputs[0]].shape == (1, 4, 3, 2)
    assert receptive_fields(graph).of[graph.outputs[0]] is None


def test_a_transposed_convolution_leaves_out_the_taps_of_other_phases() -> None:
    """By hand: with stride 3 and dilation 4 taps 0, 4 and 8 fall into unlike phases, so each output has one of them;
    with stride 2 and dilation 3 outputs have one of taps 0 and 3 by turns, of a kernel of 3 taps 0 and 6 or 3."""
    sizes = []
    for kernel, stride, dilation in ((3, 3, 4), (2, 2, 3), (3, 2, 3), (3, 1, 2), (2, 3, 3)):
        graph = trace(nn.ConvTranspose1d(1, 1, kernel, stride, dilation=dilation), (1, 1, 40))
        field = receptive_fields(graph).of[graph.outputs[0]]
        assert isinstance(field, ReceptiveField) and not field.bound
        sizes.append(field.size)
    assert sizes == [(1,), (1,), (4,), (5,), (2,)]


def test_padding_that_crops_all_leaves_its_own_value() -> None:
    class Gone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return pad(x, (-4, 3, 0, 1), value=0.5)

    graph = trace(Gone(), (1, 2, 3, 4))
    assert graph.types[graph.outputs[0]].shape == (1, 2, 4, 3)
    assert receptive_fields(graph).of[graph.outputs[0]] is None
    assert torch.equal(to_module(graph)(torch.ones(1, 2, 3, 4)), Gone()(torch.ones(1, 2, 3, 4)))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_what_lies_in_a_padding_of_the_image_is_not_said_to_see_nothing(mode: str) -> None:
    """Only the two places before the image are left, which see it mirrored, repeated or from its far end."""

    class Border(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return pad(x, (2, 2, 0, 0), mode=mode)[..., :2]

    graph = trace(Border(), (1, 1, 5, 5))
    assert receptive_fields(graph).of[graph.outputs[0]] is not None
