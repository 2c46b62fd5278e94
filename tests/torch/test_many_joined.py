"""What ``cat`` makes of many tensors is worked out by us: it is what PyTorch makes of them with values."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

import costcalc
from costcalc.frontends.torch.layouts import MANY, joined, stacked

LAYOUTS = ("contiguous", "channels_last", "transposed", "cut", "expanded")


def one(draw: random.Random, shape: list[int], layout: str, dtype: torch.dtype) -> Tensor:
    if layout == "channels_last" and len(shape) == 4:
        return torch.zeros(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
    if layout == "transposed" and len(shape) > 1:
        return torch.zeros([*shape[:-2], shape[-1], shape[-2]], dtype=dtype).transpose(-1, -2)
    if layout == "cut":
        return torch.zeros([*shape[:-1], shape[-1] + 2], dtype=dtype)[..., 1:-1]
    if layout == "expanded" and shape[0] > 1:
        return torch.zeros([1, *shape[1:]], dtype=dtype).expand(shape)
    return torch.zeros(shape, dtype=dtype)


def test_shape_strides_and_element_type_are_those_of_real_runs() -> None:
    draw = random.Random(10)
    ours = 0
    for _ in range(400):
        rank = draw.randint(1, 5)
        shape, axis = (
            [draw.randint(0 if draw.random() < 0.1 else 1, 4) for _ in range(rank)],
            draw.randrange(-rank, rank),
        )
        layouts = draw.sample(LAYOUTS, draw.randint(1, 3))
        dtypes = draw.sample([torch.float32, torch.int64, torch.float16], 2 if draw.random() < 0.1 else 1)
        tensors = []
        for _ in range(MANY + draw.randint(1, 5)):
            own = list(shape)
            own[axis] = draw.randint(0 if draw.random() < 0.2 else 1, 3)
            tensors.append(one(draw, own, draw.choice(layouts), draw.choice(dtypes)))
        found = joined([t.to("meta") for t in tensors], axis)
        real = torch.cat(tensors, axis)
        if found is not None:
            ours += 1
            assert (found.shape, found.dtype) == (real.shape, real.dtype)
            assert found.stride() == real.stride() or real.numel() == 0, (shape, axis, layouts)
    assert ours > 200


def test_a_stack_is_that_of_real_runs() -> None:
    draw = random.Random(11)
    for _ in range(300):
        shape = [draw.randint(0 if draw.random() < 0.1 else 1, 4) for _ in range(draw.randint(0, 4))]
        axis = draw.randrange(-len(shape) - 1, len(shape) + 1)
        layouts = draw.sample(LAYOUTS, draw.randint(1, 3)) if shape else ["contiguous"]
        dtype = draw.choice([torch.float32, torch.int64, torch.bool])
        tensors = [one(draw, shape, draw.choice(layouts), dtype) for _ in range(MANY + draw.randint(1, 5))]
        found, real = stacked([t.to("meta") for t in tensors], axis), torch.stack(tensors, axis)
        if found is None:  # they could be in channels_last
            assert len(shape) > 2 and not all(t.is_contiguous() for t in tensors)
            continue
        assert (found.shape, found.dtype) == (real.shape, real.dtype)
        assert found.stride() == real.stride() or real.numel() == 0, (shape, axis, layouts)
    many = [torch.empty(2, 3, device="meta")] * MANY
    assert stacked(many) is None  # few enough for PyTorch, which also says what does not fit
    assert stacked([*many, torch.empty(2, 3, device="meta", dtype=torch.int32)]) is None
    assert stacked([*many, torch.empty(2, 4, device="meta")]) is None
    assert stacked([*many, many[0]], 3) is None


def test_pytorch_tells_of_what_does_not_fit() -> None:
    many = [torch.empty(2, 3, device="meta")] * MANY
    assert joined(many, 1) is None  # few enough for PyTorch
    assert joined([*many, torch.empty(2, 5, device="meta")], 1) is not None
    assert joined([*many, torch.empty(3, 3, device="meta")], 1) is None
    assert joined([*many, torch.empty(2, 3, 1, device="meta")], 1) is None
    assert joined([*many, torch.empty(2, 3, device="meta")], 2) is None
    assert joined([*many, torch.empty(2, 3, device="meta", dtype=torch.int32)], 1) is None


class AllBefore(nn.Module):
    """Layers that read all before them."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 + 2 * i, 2, 1) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        made = [x]
        for conv in self.convs:
            made.append(conv(torch.cat(made, 1)))
        return made[-1]


def test_layers_that_read_all_before_them() -> None:
    n = 2 * MANY
    graph = costcalc.trace(AllBefore(n), (1, 3, 5, 5))
    assert costcalc.analyze(graph).total.macs == sum(25 * 2 * (3 + 2 * i) for i in range(n))
    assert max(t.shape[1] for t in graph.types.values()) == 3 + 2 * (n - 1)  # type: ignore[type-var, operator]


def test_what_is_stacked_again_is_seen_with_its_new_axis_once() -> None:
    """Of 12 growing stacks each tensor has one view, not one for each stack: 12 of 78."""

    class Growing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = [x]
            for _ in range(12):
                seen.append(torch.stack(seen).sum(0))
            return torch.stack([*seen[:2], seen[-1]], -1)

    graph = costcalc.trace(Growing(), (1, 8))
    kinds = [node.op.name for node in graph.nodes]
    assert (kinds.count("unsqueeze"), kinds.count("concat")) == (12 + 3, 13)
    assert graph.types[graph.outputs[0]].shape == (1, 8, 3)
