"""A trace has the strides that PyTorch makes, so that what it copies is traffic and what it refuses is refused.

Each operator is run on the CPU and traced; what the meta device makes otherwise, ``frontends/torch/layouts`` mends.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import costcalc
from costcalc.frontends.torch.failures import ModelError

Call = Callable[[Tensor], Any]
LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


SEEN: list[tuple[int, ...]] = []  # here, as a trace puts back what a module keeps


class Watched(nn.Module):
    """Runs a function on its input in ``channels_last`` and notes the strides of what comes out."""

    def __init__(self, function: Call, prepare: Call | None = None) -> None:
        super().__init__()
        self.function = function
        self.prepare = prepare or (lambda x: x.to(memory_format=LAST[x.dim()]))

    def forward(self, x: Tensor) -> Any:
        y = self.function(self.prepare(x))
        SEEN.append(y.stride())
        return y


def w(x: Tensor, *shape: int) -> Tensor:
    return x.new_zeros(shape)


MAP, VOLUME = (2, 8, 6, 5), (2, 8, 4, 6, 5)
MAPS: dict[str, Call] = {
    "conv 1×1": lambda x: F.conv2d(x, w(x, 12, 8, 1, 1)),
    "conv 3×3": lambda x: F.conv2d(x, w(x, 12, 8, 3, 3), padding=1),
    "conv with a stride": lambda x: F.conv2d(x, w(x, 12, 8, 3, 3), stride=2),
    "conv, same": lambda x: F.conv2d(x, w(x, 12, 8, 3, 3), padding="same"),
    "conv, same and even": lambda x: F.conv2d(x, w(x, 12, 8, 4, 4), padding="same"),
    "depthwise conv": lambda x: F.conv2d(x, w(x, 8, 1, 3, 3), groups=8),
    "group conv": lambda x: F.conv2d(x, w(x, 8, 4, 3, 3), groups=2),
    "dilated conv": lambda x: F.conv2d(x, w(x, 8, 8, 3, 3), padding=2, dilation=2),
    "conv of some channels": lambda x: F.conv2d(x[:, :4], w(x, 12, 4, 3, 3)),
    "conv with a weight in channels_last": lambda x: F.conv2d(
        x.contiguous(), w(x, 12, 8, 3, 3).to(memory_format=torch.channels_last)
    ),
    "transposed conv": lambda x: F.conv_transpose2d(x, w(x, 8, 12, 3, 3), stride=2),
    "transposed group conv": lambda x: F.conv_transpose2d(x, w(x, 8, 6, 3, 3), groups=2),
    "batch norm": lambda x: F.batch_norm(x, w(x, 8), w(x, 8)),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": F.instance_norm,
    "layer norm": lambda x: F.layer_norm(x, (6, 5)),
    "local response norm": lambda x: F.local_response_norm(x, 3),
    "max pool": lambda x: F.max_pool2d(x, 2),
    "average pool": lambda x: F.avg_pool2d(x, 2),
    "adaptive average pool": lambda x: F.adaptive_avg_pool2d(x, 3),
    "global average pool": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive max pool": lambda x: F.adaptive_max_pool2d(x, 3),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "antialiased": lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x[..., :4], 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "pad": lambda x: F.pad(x, (1, 1, 1, 1)),
    "pad by nothing": lambda x: F.pad(x, (0, 0, 0, 0)),
    "pad, reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "pad, replicate": lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"),
    "pad, circular": lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
    "relu": F.relu,
    "gelu": F.gelu,
    "softmax": lambda x: F.softmax(x, 1),
    "sum": lambda x: x + x,
    "sum with a contiguous one": lambda x: x + w(x, *MAP),
    "sum of a contiguous one": lambda x: w(x, *MAP) + x,
    "gate": lambda x: x * w(x, 2, 8, 1, 1),
    "concatenation": lambda x: torch.cat([x, x], 1),
    "concatenation with a contiguous one": lambda x: torch.cat([x, w(x, *MAP)], 1),
    "concatenation of one": lambda x: torch.cat([x], 1),
    "mean": lambda x: x.mean((2, 3), keepdim=True),
    "mean over channels": lambda x: x.mean(1, keepdim=True),
    "cumsum": lambda x: x.cumsum(2),
    "flip": lambda x: x.flip(2),
    "roll": lambda x: x.roll(1, 2),
    "roll of two axes": lambda x: x.roll((1, 2), (2, 3)),
    "roll by nothing": lambda x: x.roll(0, 2),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
    "another type": lambda x: x.double(),
    "zeros_like": torch.zeros_like,
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "product": lambda x: x @ w(x, 5, 7),
}
VOLUMES: dict[str, Call] = {
    "conv": lambda x: F.conv3d(x, w(x, 12, 8, 3, 3, 3), padding=1),
    "transposed conv": lambda x: F.conv_transpose3d(x, w(x, 8, 12, 2, 2, 2), stride=2),
    "batch norm": lambda x: F.batch_norm(x, w(x, 8), w(x, 8)),
    "group norm": lambda x: F.group_norm(x, 2),
    "max pool": lambda x: F.max_pool3d(x, 2),
    "average pool": lambda x: F.avg_pool3d(x, 2),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "trilinear": lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"),
    "pad, replicate": lambda x: F.pad(x, (1,) * 6, mode="replicate"),
    "pad, reflect": lambda x: F.pad(x, (1,) * 6, mode="reflect"),
}
CASES = [pytest.param(f, MAP, id=name) for name, f in MAPS.items()]
CASES += [pytest.param(f, VOLUME, id=f"{name} of a volume") for name, f in VOLUMES.items()]


def strides(module: Watched, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a real run and a trace make."""
    SEEN.clear()
    with torch.no_grad():
        module(torch.zeros(shape))
    costcalc.trace(module, shape)
    return SEEN[0], SEEN[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("function", "shape"), CASES)
def test_a_trace_makes_the_strides_of_a_run(function: Call, shape: tuple[int, ...]) -> None:
    run, traced = strides(Watched(function), shape)

    assert traced == run


def heads(x: Tensor, heads: int = 4, width: int = 8, batch: int = 2) -> Tensor:
    """Queries, keys or values as a projection of six tokens makes them."""
    return x.new_zeros(batch, 6, heads, width).transpose(1, 2)


def attended(*shapes: dict[str, int], **options: Any) -> Call:
    """Attention of queries, keys and values of ``shapes``."""
    return lambda x: F.scaled_dot_product_attention(*(heads(x, **shape) for shape in shapes), **options)


STRIDED: dict[str, Call] = {
    "attention": attended({}, {}, {}),
    "attention, packed": lambda x: F.scaled_dot_product_attention(
        *x.new_zeros(2, 6, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
    ),
    "attention of contiguous queries": lambda x: F.scaled_dot_product_attention(
        x.new_zeros(2, 4, 6, 8), heads(x), heads(x)
    ),
    "attention with a mask": lambda x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x), w(x, 6, 6)),
    "attention with a mask for each head": lambda x: F.scaled_dot_product_attention(
        heads(x), heads(x), heads(x), attn_mask=w(x, 2, 4, 6, 6)
    ),
    "attention with a mask of three axes": lambda x: F.scaled_dot_product_attention(
        heads(x), heads(x), heads(x), attn_mask=w(x, 4, 6, 6)
    ),
    "causal attention": attended({}, {}, {}, is_causal=True),
    "scaled attention": attended({}, {}, {}, scale=0.3),
    "attention of narrower values": attended({}, {}, {"width": 5}),
    "grouped queries": attended({}, {"heads": 2}, {"heads": 2}, enable_gqa=True),
    "one head of keys": attended({}, {"heads": 1}, {"heads": 1}),
    "keys for all samples": attended({}, {"batch": 1}, {"batch": 1}),
    "attention without heads": lambda x: F.scaled_dot_product_attention(*[w(x, 6, 2, 8).transpose(0, 1)] * 3),
    "attention across": lambda x: F.scaled_dot_product_attention(*[w(x, 2, 4, 8, 6).mT] * 3),
    "attention of keys across": lambda x: F.scaled_dot_product_attention(heads(x), w(x, 2, 4, 8, 6).mT, heads(x)),
    "batch norm of tokens": lambda x: F.batch_norm(w(x, 2, 6, 5).transpose(1, 2), w(x, 5), w(x, 5)),
    "batch norm of a table": lambda x: F.batch_norm(w(x, 5, 6).t(), w(x, 5), w(x, 5)),
    "batch norm of a map that lies otherwise": lambda x: F.batch_norm(
        w(x, 2, 3, 4, 5).permute(0, 3, 2, 1), w(x, 5), w(x, 5)
    ),
    "batch norm of a map in channels_last": lambda x: F.batch_norm(
        w(x, 2, 3, 4, 5).permute(0, 3, 1, 2), w(x, 5), w(x, 5)
    ),
    "batch norm of a volume in channels_last": lambda x: F.batch_norm(
        w(x, 2, 3, 4, 5, 6).permute(0, 4, 1, 2, 3), w(x, 6), w(x, 6)
    ),
    "batch norm of every second row": lambda x: F.batch_norm(w(x, 2, 5, 6, 6)[:, :, ::2], w(x, 5), w(x, 5)),
}


@pytest.mark.parametrize("name", STRIDED)
def test_attention_and_batch_norm_have_the_strides_of_a_run(name: str) -> None:
    run, traced = strides(Watched(STRIDED[name], lambda x: x), (1, 3))

    assert traced == run


def test_heads_are_put_together_without_a_copy() -> None:
    """As transformers do it: the fused kernel lays its result out as the queries lie."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(32, 96)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).reshape(2, 6, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
            y = F.scaled_dot_product_attention(q, k, v)
            return y.transpose(1, 2).reshape(2, 6, 32)

    last = costcalc.analyze(Attention(), (2, 6, 32)).layers[-1]
    assert (last.op, last.traffic_bits) == ("reshape", 0)


@pytest.mark.filterwarnings("ignore")
def test_random_convolutions_have_the_strides_of_a_run() -> None:
    draw = random.Random(4)
    compared = in_channels_last = 0
    while compared < 150:
        channels, outputs, axes = draw.choice([1, 2, 4, 8]), draw.choice([1, 2, 4]), draw.choice([1, 2, 2])
        kernel = [draw.choice([1, 1, 2, 3]) for _ in range(axes)]
        groups = draw.choice([1, 1, channels])
        options = {"stride": draw.choice([1, 2]), "padding": draw.choice([0, 1]), "dilation": draw.choice([1, 2])}
        shape = (draw.choice([1, 2, 3]), channels, *(draw.choice([4, 5, 7]) for _ in kernel))
        given, weights = draw.choice(["contiguous", "last", "part"]), draw.choice(["contiguous", "last"])

        def last(x: Tensor) -> Tensor:
            return x.movedim(1, -1).contiguous().movedim(-1, 1)

        def prepare(x: Tensor, given: str = given) -> Tensor:
            return last(x) if given == "last" else last(torch.cat([x, x], 1))[:, : x.shape[1]] if given == "part" else x

        weight = torch.zeros(outputs * groups, channels // groups, *kernel)
        weight = last(weight) if weights == "last" else weight
        conv = getattr(F, f"conv{axes}d")
        module = Watched(lambda x, c=conv, w=weight, g=groups, o=options: c(x, w, groups=g, **o), prepare)  # type: ignore[misc]
        try:
            run, traced = strides(module, shape)
        except RuntimeError:  # the kernel is larger than the input
            continue

        assert traced == run, (shape, weight.shape, given, weights, groups, options)
        compared += 1
        in_channels_last += run[1] == 1
    assert in_channels_last > 30


class Flattened(nn.Module):
    """A convolution in channels_last, and what is done with its map."""

    def __init__(self, then: Call) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.then = then

    def forward(self, x: Tensor) -> Any:
        return self.then(self.conv(x.to(memory_format=torch.channels_last)))


COPIES: dict[str, tuple[Call, int]] = {
    "flatten": (lambda y: y.flatten(1), 6272),
    "reshape": (lambda y: y.reshape(1, -1), 6272),
    "contiguous": (lambda y: y.contiguous().view(1, -1), 6272),
    "clone": (lambda y: y.clone(), 6272),
    "rows of places": (lambda y: y.permute(0, 2, 3, 1).reshape(1, -1, 8), 0),
    "a view of them": (lambda y: y.permute(0, 2, 3, 1).view(1, -1, 8), 0),
    "channels_last again": (lambda y: y.to(memory_format=torch.channels_last), 0),
}


@pytest.mark.parametrize("name", COPIES)
def test_what_pytorch_copies_is_traffic(name: str) -> None:
    """8·14·14 elements of 4 bytes are read and written, beside the convolution and its input put into channels_last."""
    then, moved = COPIES[name]

    total = costcalc.analyze(Flattened(then), (1, 3, 14, 14)).total

    entry, conv = 3 * 14 * 14 * 4, (3 * 14 * 14 + 3 * 8 * 9 + 8) * 4
    assert total.read_bits == 8 * (entry + conv + moved)
    assert total.write_bits == 8 * (entry + 6272 + moved)


def test_a_view_that_pytorch_refuses_is_refused_in_a_sentence() -> None:
    with pytest.raises(ModelError, match="view size is not compatible with input tensor's size and stride"):
        costcalc.trace(Flattened(lambda y: y.view(1, -1)), (1, 3, 14, 14))


NOTHING: dict[str, tuple[Call, bool]] = {
    "pad by 0": (lambda x: F.pad(x, (0, 0)), True),
    "reflect by 0": (lambda x: F.pad(x, (0, 0, 0, 0), mode="reflect"), True),
    "cat of one": (lambda x: torch.cat([x]), True),
    "cat with an empty one": (lambda x: torch.cat([x, x.new_zeros(0)]), True),
    "repeat by 1": (lambda x: x.repeat(1, 1, 1, 1), True),
    "tile by 1": (lambda x: x.tile(1), True),
    "pixel_shuffle(1)": (lambda x: F.pixel_shuffle(x, 1), True),
    "pixel_unshuffle(1)": (lambda x: F.pixel_unshuffle(x, 1), True),
    "channel_shuffle(1)": (lambda x: torch.channel_shuffle(x, 1), True),
    "roll(0)": (lambda x: x.roll(0, 1), True),
    "flip of no axis": (lambda x: x.flip([]), True),
    "max pool of 1": (lambda x: F.max_pool2d(x, 1), True),
    "average pool of 1": (lambda x: F.avg_pool2d(x, 1), True),
    "adaptive pool to the same size": (lambda x: F.adaptive_avg_pool2d(x, (8, 8)), True),
    "nearest to the same size": (lambda x: F.interpolate(x, size=(8, 8)), True),
    "bilinear to the same size": (lambda x: F.interpolate(x, size=(8, 8), mode="bilinear"), True),
    "clone": (lambda x: x.clone(), True),
    "dropout in eval": (lambda x: F.dropout(x, 0.5, training=False), False),
    "expand_as itself": (lambda x: x.expand_as(x), False),
    "to the same type": (lambda x: x.to(torch.float32), False),
    "float of a float": (lambda x: x.float(), False),
    "contiguous already": (lambda x: x.contiguous(), False),
    "reshape to its shape": (lambda x: x.reshape(x.shape), False),
    "a slice of all": (lambda x: x[:], False),
    "one part": (lambda x: x.split(4, 1)[0], False),
}
"""Calls that change nothing, and whether PyTorch copies."""


@pytest.mark.parametrize("name", NOTHING)
def test_what_changes_nothing_moves_what_pytorch_copies(name: str) -> None:
    call, copies = NOTHING[name]
    x = torch.zeros(2, 4, 8, 8)
    assert (call(x).data_ptr() != x.data_ptr()) is copies

    total = costcalc.analyze(Watched(call, lambda x: x), (2, 4, 8, 8)).total

    assert (total.read_bits, total.write_bits) == ((32 * 512,) * 2 if copies else (0, 0))
