"""Padding with elements of the image, and windows larger than it: what inner places see, and how much is seen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import costcalc
from costcalc.analysis.pixel_map import ReceptiveField, Span
from costcalc.analysis.pixel_maps import pixel_maps
from costcalc.analysis.place_tables import looked_up
from costcalc.backends.compare.formats import comparison_rows
from costcalc.comparison import last_seen
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.verification import verify
from costcalc.verification.sharp import sharpness

MODES = ("reflect", "replicate", "circular")


def convs(mode: str, axes: int, count: int = 4) -> nn.Module:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    return nn.Sequential(*(conv(2, 2, 3, padding=1, padding_mode=mode) for _ in range(count)))


def last(report: costcalc.Report) -> ReceptiveField:
    field = report.layers[-1].receptive_field
    assert isinstance(field, ReceptiveField)
    return field


@pytest.mark.parametrize("mode", [*MODES, "zeros"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_four_3x3_convs_see_9_whatever_pads_them(mode: str, axes: int, tmp_path: Path) -> None:
    size = {1: 64, 2: 20, 3: 12}[axes]
    module = convs(mode, axes)
    graph = trace(module, (1, 2, *[size] * axes))
    field = last(costcalc.analyze(graph))
    assert field == ReceptiveField((9,) * axes, (1,) * axes, (-4,) * axes)
    assert field.border == (() if mode == "zeros" else (mode,) * axes)
    assert verify(graph, module).exit_code == 0
    (tmp_path / "net.yaml").write_text(write(graph), encoding="utf-8")
    again = last(costcalc.analyze(str(tmp_path / "net.yaml")))
    assert (again, again.border) == (field, field.border)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_modules_and_functions_are_the_same(axes: int) -> None:
    class Padded(nn.Module):
        def __init__(self, pad: Any) -> None:
            super().__init__()
            self.pad, self.conv = pad, (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](2, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(self.pad(x))
            return y

    for mode, name in (("reflect", "Reflection"), ("replicate", "Replication"), ("circular", "Circular")):
        by_module = getattr(nn, f"{name}Pad{axes}d")(1)
        by_function = lambda x, mode=mode: functional.pad(x, (1, 1) * axes, mode)  # noqa: E731
        for pad in (by_module, by_function):
            field = last(costcalc.analyze(Padded(pad), (1, 2, *[8] * axes)))
            assert (field.size, field.offset, field.border) == ((3,) * axes, (-1,) * axes, (mode,) * axes)


def random_net(chance: random.Random) -> tuple[nn.Module, int]:
    """A chain over one axis of convs, poolings, paddings and resizes, and the size of its input."""
    size = left = chance.randint(24, 60)
    layers: list[nn.Module] = []
    for _ in range(chance.randint(1, 5)):
        kind = chance.choice(("conv", "conv", "pad", "pool", "resize"))
        if kind == "conv":
            k, stride, dilation = chance.randint(1, 5), chance.randint(1, 2), chance.randint(1, 2)
            reach = dilation * (k - 1)
            padding = chance.randint(0, min(reach, left - 1) // 2 if reach else 0)
            made = (left + 2 * padding - reach - 1) // stride + 1
            mode = chance.choice((*MODES, "zeros"))
            layer: nn.Module = nn.Conv1d(1, 1, k, stride, padding, dilation, padding_mode=mode)
        elif kind == "pad":
            before, after = chance.randint(0, 4), chance.randint(0, 4)
            made, mode = left + before + after, chance.choice(MODES)
            name = {"reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}[mode]
            layer = getattr(nn, f"{name}Pad1d")((before, after))
        elif kind == "pool":
            layer, made = nn.AvgPool1d(2, 2), left // 2
        else:
            factor = chance.choice((2, 0.5, 1.5, 0.7))
            made, mode = int(left * factor), chance.choice(("nearest", "linear", "nearest-exact"))
            layer = nn.Upsample(scale_factor=factor, mode=mode)
        if 6 <= made <= 100:
            layers.append(layer)
            left = made
    return nn.Sequential(*layers, nn.Identity()), size


def gradients(module: nn.Module, size: int) -> list[list[int]]:
    """For each place of the output the pixels that it depends on."""
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(0.5, 1.5)
    x = torch.rand(1, 1, size, dtype=torch.float64, requires_grad=True)
    made = module.double()(x).flatten()
    rows = torch.autograd.grad(made, x, torch.eye(len(made), dtype=torch.float64), is_grads_batched=True)[0]
    return [row.flatten().nonzero().flatten().tolist() for row in rows]


def wrong(count: int, seed: int) -> Iterator[str]:
    """Each inner place that sees beyond its window, and each window that is wider than any place needs."""
    chance = random.Random(seed)
    for i in range(count):
        module, size = random_net(chance)
        graph = trace(module.double(), (1, 1, size))
        if not graph.nodes:
            continue
        field = costcalc.analyze(graph).layers[-1].receptive_field
        assert isinstance(field, ReceptiveField)
        claims = pixel_maps(graph, graph.inputs[0], (2,))
        pixel_map, limits = claims[graph.outputs[0]], sharpness(graph, claims)[graph.outputs[0]].places[2]
        assert pixel_map is not None
        ((span,), (factor,)) = pixel_map.spans, pixel_map.factors[2]
        assert isinstance(span, Span)
        inner = []
        for o, pixels in enumerate(gradients(module, size)):
            at = looked_up(factor)(o)
            assert at is not None
            low, high = Fraction(at[0] + span.lo), Fraction(at[1] + span.hi)
            if limits is None or not limits[0] <= o <= limits[1]:
                continue
            inner.append((pixels, low, high))
            if pixels and (pixels[0] < low or pixels[-1] > high):
                yield f"{i}: {module} at {size}, place {o}: {pixels[0]}…{pixels[-1]}, said {low}…{high}"
                break
        widest = max((p[-1] - p[0] + 1 for p, _, _ in inner if p), default=0)
        # Resized places take turns: what each kind of place sees lies in one window for all.
        whole = all(not isinstance(m, nn.Upsample) for m in module)
        if inner and whole and widest != field.size[0]:
            yield f"{i}: {module} at {size}: sees {widest}, said {field.size[0]}"


def test_inner_places_of_random_nets_see_what_autograd_finds() -> None:
    assert not [*wrong(150, 1)]


@pytest.mark.long
def test_inner_places_of_thousands_of_random_nets_see_what_autograd_finds() -> None:
    assert not [*wrong(4000, 2)]


def test_a_window_larger_than_the_image_is_said_to_be() -> None:
    report = costcalc.analyze("resnet50")
    field = next(la.receptive_field for la in reversed(report.layers) if la.name.startswith("layer4"))
    assert isinstance(field, ReceptiveField)
    assert field.size > field.image == field.seen == (224, 224)
    assert field.sees_all and field.hangs_over
    large = costcalc.analyze("resnet50", input=(3, 640, 640))
    field = next(la.receptive_field for la in reversed(large.layers) if la.name.startswith("layer4"))
    assert isinstance(field, ReceptiveField) and not field.hangs_over


def test_how_much_of_the_image_is_seen_is_what_autograd_finds() -> None:
    chance = random.Random(3)
    for _ in range(60):
        size, count = chance.randint(4, 24), chance.randint(1, 6)
        module = nn.Sequential(*(
            nn.Conv1d(1, 1, k, 1, k // 2)
            for k in (chance.choice((1, 3, 5)) for _ in range(count))
        ))  # fmt: skip
        field = last(costcalc.analyze(trace(module.double(), (1, 1, size))))
        most = max(pixels[-1] - pixels[0] + 1 for pixels in gradients(module, size))
        assert field.seen == (most,), (module, size)


def test_a_model_whose_places_all_see_all_is_said_to() -> None:
    # Squeeze-and-excitation in the first block: from there on every place sees the whole image.
    name, sees = last_seen(costcalc.analyze("efficientnet_b0"))
    assert sees == "all" and name.startswith("features.")
    assert last_seen(costcalc.analyze("vgg16"))[1] == "212"


def test_a_model_without_places_sees_all_in_a_comparison(tmp_path: Path) -> None:
    # Expected: each value that a pooling of the whole image makes depends on all of it.
    (tmp_path / "pooled.yaml").write_text("inputs: {x: [3, 16, 16]}\nlayers: [global_avg_pool, 'conv(8, 1)']\n")
    found = costcalc.compare("vgg16", str(tmp_path / "pooled.yaml"))
    row = next(row for row in comparison_rows(found) if row[0] == "RF")
    assert [cell.strip() for cell in row] == ["RF", "212", "all"]
