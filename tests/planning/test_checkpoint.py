"""Which layers to do again: sums of blocks against whole steps, the search against all choices, and PyTorch itself."""

from __future__ import annotations

import gc
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as do_again

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load
from costcalc.planning import checkpoint
from costcalc.planning.autograd import Autograd
from costcalc.planning.blocks import chain
from costcalc.planning.gradient_plan import GradientPlan, Segment
from costcalc.planning.jobs import alive
from tests.planning.live import Live


def peak(plan: GradientPlan, segments: Sequence[Segment] = ()) -> int:
    step = Autograd(plan, segments).step()
    return max(alive(step.run.stored, len(step.run.steps)))


def random_chain(rng: random.Random) -> Graph:
    """Blocks of unlike sizes, plain ones and with a way around."""
    b = GraphBuilder("chain", {"image": TensorType((2, 3, 8, 8))})
    value, channels = "image", 3
    ops: dict[str, Any] = {
        "relu": lambda: find_op("relu")(), "gelu": lambda: find_op("gelu")(), "norm": lambda: find_op("batch_norm")(),
        "wide": lambda: find_op("upsample")(2), "pool": lambda: find_op("max_pool")(2),
    }  # fmt: skip
    for i in range(rng.randint(2, 5)):
        kind = rng.choice(["conv", "conv", "residual", *ops])
        size = b.types[value].shape[-1]
        if (kind == "wide" and size > 16) or (kind == "pool" and size < 4):  # type: ignore[operator]
            kind = "conv"
        if kind == "conv":
            channels = rng.choice([2, 4, 8, 16])
            (value,) = b.add(f"conv{i}", find_op("conv")(channels, 3, padding=1), [value])
        elif kind == "residual":
            (inner,) = b.add(f"inner{i}", find_op("conv")(channels, 3, padding=1), [value])
            (inner,) = b.add(f"act{i}", find_op("relu")(), [inner])
            (value,) = b.add(f"sum{i}", find_op("add")(), [value, inner])
        else:
            (value,) = b.add(f"{kind}{i}", ops[kind](), [value])
    (value,) = b.add("head", find_op("conv")(1, 1), [value])
    return b.build([value])


def choices(blocks: list[Any]) -> Iterator[tuple[Segment, ...]]:
    """Every way to do runs of the blocks again, or not."""
    edges = [blocks[0].start, *(block.stop for block in blocks)]

    def after(i: int) -> Iterator[tuple[Segment, ...]]:
        if i == len(blocks):
            yield ()
            return
        yield from after(i + 1)
        for j in range(i + 1, len(blocks) + 1):
            for rest in after(j):
                yield Segment(edges[i], edges[j]), *rest

    yield from after(0)


def prove(count: int, seed: int, autocast: str = "") -> tuple[int, int]:
    rng, tried, helped = random.Random(seed), 0, 0
    for _ in range(count):
        plan = GradientPlan(random_chain(rng), autocast)
        blocks = chain(plan)
        assert checkpoint.kept(blocks) == peak(plan)
        every = [(peak(plan, c), sum(map(plan.extra_macs, c))) for c in choices(blocks.blocks)]
        tried += len(every)
        least = checkpoint.least(blocks)
        assert least.optimal
        assert least.peak == peak(plan, least.segments) == min(p for p, _ in every)
        assert least.extra_macs == min(m for p, m in every if p == least.peak)
        assert checkpoint.lower_bound(plan) <= least.peak
        for limit in {least.peak, (least.peak + checkpoint.kept(blocks)) // 2}:
            found = checkpoint.within(blocks, limit)
            assert found is not None
            assert found.optimal
            assert found.peak == peak(plan, found.segments) <= limit
            assert found.extra_macs == sum(map(plan.extra_macs, found.segments)) == min(
                m for p, m in every if p <= limit
            )  # fmt: skip
        assert checkpoint.within(blocks, least.peak - 1) is None
        helped += least.peak < checkpoint.kept(blocks)
    return tried, helped


def test_the_search_finds_the_best_of_all_choices() -> None:
    tried, helped = prove(12, 1)
    assert tried > 300
    assert helped > 3


def test_the_search_finds_the_best_of_all_choices_under_autocast() -> None:
    """Copies of weights are there to the end of the forward pass, and again while layers are done again."""
    tried, helped = prove(12, 3, "bfloat16")
    assert tried > 300
    assert helped > 3


@pytest.mark.long
def test_the_search_finds_the_best_of_all_choices_of_hundreds_of_chains() -> None:
    for autocast in ("", "float16"):
        tried, helped = prove(400, 2, autocast)
        assert tried > 20_000
        assert helped > 100


@pytest.mark.parametrize("autocast", ["", "bfloat16"])
@pytest.mark.parametrize("name", ["lenet5", "vgg11", "resnet18", "vit_b_16", "googlenet"])
def test_blocks_add_up_to_the_step(name: str, autocast: str) -> None:
    plan = GradientPlan(load(name), autocast)
    blocks = chain(plan)
    assert checkpoint.kept(blocks) == peak(plan)
    least = checkpoint.least(blocks)
    assert least.peak == peak(plan, least.segments) <= checkpoint.kept(blocks)
    assert checkpoint.lower_bound(plan) <= least.peak


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.around = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> Any:
        return self.relu(self.main(x) + self.around(x))


class Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(width), nn.Linear(width, width)
        self.second = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> Any:
        q = self.mix(self.norm(x))[:, None]
        x = x + nn.functional.scaled_dot_product_attention(q, q, q)[:, 0]
        return x + self.second(x)


def sequences() -> list[tuple[str, nn.Sequential, tuple[int, ...]]]:
    resnet = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Residual(16, 16, 1), Residual(16, 32, 2),
        Residual(32, 32, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    vgg = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 64, 64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip
    transformer = nn.Sequential(*(Encoder(32) for _ in range(4)), nn.LayerNorm(32), nn.Linear(32, 10))
    return [("resnet", resnet, (8, 3, 32, 32)), ("vgg", vgg, (8, 3, 32, 32)), ("transformer", transformer, (8, 50, 32))]


class Again(nn.Module):
    """Modules one after another, some runs of them by ``torch.utils.checkpoint``."""

    def __init__(self, sequence: nn.Sequential, runs: dict[int, int]) -> None:
        super().__init__()
        self.sequence, self.runs = sequence, runs

    def forward(self, x: torch.Tensor) -> Any:
        i, modules = 0, list(self.sequence)
        while i < len(modules):
            stop = self.runs.get(i)
            x = modules[i](x) if stop is None else do_again(nn.Sequential(*modules[i:stop]), x, use_reentrant=False)  # type: ignore[assignment]
            i = stop or i + 1
        return x


def real_peak(model: nn.Module, x: torch.Tensor, autocast: str = "") -> int:
    gc.collect()
    narrower = torch.autocast("cpu", dtype=getattr(torch, autocast)) if autocast else nullcontext()
    with Live((*model.parameters(), *model.buffers(), x)) as mode:
        with narrower:
            result = model(x)
            loss = 0 + result.float().sum()
        loss.backward()
    for p in model.parameters():
        p.grad = None
    return mode.most


@pytest.mark.parametrize("autocast", ["", "bfloat16"])
@pytest.mark.parametrize(("name", "model", "shape"), sequences(), ids=[name for name, *_ in sequences()])
def test_a_real_step_with_layers_done_again_holds_what_is_told(
    name: str, model: nn.Sequential, shape: tuple[int, ...], autocast: str
) -> None:
    """PyTorch's own recomputation, of random runs of modules; under autocast weights are cast anew with them."""
    plan = GradientPlan(costcalc.trace(model, shape), autocast)
    module = [int(re.match(r"\d+", layer.node.name).group()) for layer in plan.layers]  # type: ignore[union-attr]
    rng, x = random.Random(3), torch.randn(shape)
    tried = [{}] + [
        {a: b, c: d} for a, b, c, d in (sorted(rng.sample(range(len(model) + 1), 4)) for _ in range(5))
    ]  # fmt: skip
    for runs in tried:
        segments = []
        for start, stop in runs.items():
            inside = [i for i, m in enumerate(module) if start <= m < stop]
            if inside:
                segments.append(Segment(inside[0], inside[-1] + 1))
        # PyTorch lets go of a run's input with the first layer that keeps anything, which need not be its first.
        near = 0.02 if autocast else 0.01
        assert abs(peak(plan, segments) / real_peak(Again(model, runs), x, autocast) - 1) < near, runs


def test_it_is_told_and_asked_as_the_rest() -> None:
    found = costcalc.training("resnet18", batch=2, checkpoint="auto")
    without = costcalc.training("resnet18", batch=2)
    again = found.recomputed
    assert again is not None
    assert again.optimal
    assert again.kept_bytes == without.peak_bytes > found.peak_bytes >= again.lower_bound_bytes
    assert found.to_dict()["checkpoint"]["segments"][0].keys() == {"first", "last"}
    middle = (found.total_bytes + without.total_bytes) // 2
    fitted = costcalc.training("resnet18", batch=2, checkpoint=middle)
    assert fitted.total_bytes <= middle
    assert fitted.recomputed is not None
    assert fitted.recomputed.extra_macs < again.extra_macs
    with pytest.raises(
        CostcalcError, match=f"are too few; doing layers again, it takes at least {found.total_bytes:,}"
    ):
        costcalc.training("resnet18", batch=2, checkpoint=found.total_bytes - 1)
    for wrong in ("automatic", 0, -5, True, 1.5):
        with pytest.raises(CostcalcError, match="checkpoint must be 'auto', 'none' or a number of bytes"):
            costcalc.training("lenet5", checkpoint=wrong)  # type: ignore[arg-type]
