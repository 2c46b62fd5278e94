"""Deformable convolution computes its definition, and at offset 0 what conv does."""

from __future__ import annotations

from itertools import product
from math import floor
from typing import Any

import pytest
import torch

from costcalc.errors import CostcalcError
from costcalc.ir.fields import per_axis
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.ops.deform import DeformConv


def pixel(channel: Any, i: float, j: float) -> float:
    """``channel`` at a fractional place: each of the four pixels around by its nearness; zero outside."""
    total = 0.0
    for a, b in product((floor(i), floor(i) + 1), (floor(j), floor(j) + 1)):
        if 0 <= a < channel.shape[0] and 0 <= b < channel.shape[1]:
            total += (1 - abs(i - a)) * (1 - abs(j - b)) * float(channel[a, b])
    return total


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("options", "offset_groups"),
    [({"padding": 1}, 1), ({"stride": 2, "padding": (2, 1), "dilation": 2, "groups": 2, "bias": False}, 2)],
)
def test_it_computes_the_definition(options: dict[str, Any], offset_groups: int, masked: bool) -> None:
    # y(p0) = sum over taps of w(pn) · x(p0 + pn + dpn), Dai et al., equation 2.
    torch.manual_seed(0)
    op, x = DeformConv(4, (3, 2), **options), TensorType((2, 4, 5, 4))
    y_type = op.conv().infer(x)
    shapes = [x.shape, (2, 12 * offset_groups, *y_type.spatial), (2, 6 * offset_groups, *y_type.spatial)]
    image, offset, mask = (torch.randn(shape).double() for shape in shapes)
    given = (image, offset, mask) if masked else (image, offset)
    module = op.to_torch(*(TensorType(tuple(t.shape)) for t in given)).double().requires_grad_(False)

    s, d, p = (
        per_axis(options.get(name, default), 2) for name, default in [("stride", 1), ("dilation", 1), ("padding", 0)]
    )
    expected = torch.zeros(y_type.shape).double()
    for n, m, h, w in product(*map(range, y_type.shape)):
        first = m // (4 // op.groups) * (4 // op.groups)
        for c, a, b in product(range(4 // op.groups), range(3), range(2)):
            tap, group = 2 * a + b, (first + c) // (4 // offset_groups)
            down, right = (float(offset[n, 2 * (6 * group + tap) + axis, h, w]) for axis in (0, 1))
            value = pixel(image[n, first + c], h * s[0] + a * d[0] - p[0] + down, w * s[1] + b * d[1] - p[1] + right)
            expected[n, m, h, w] += (
                module.weight[m, c, a, b] * value * (mask[n, 6 * group + tap, h, w] if masked else 1)
            )
        expected[n, m, h, w] += module.bias[m] if op.bias else 0

    assert torch.allclose(module(*given), expected)


def test_without_offsets_it_is_the_convolution() -> None:
    x, offset = TensorType((1, 4, 5, 5)), TensorType((1, 18, 5, 5))
    op, conv = DeformConv(6, 3, padding=1), Conv(6, 3, padding=1)
    deformed, plain = op.to_torch(x, offset).double(), conv.to_torch(x).double()
    plain.load_state_dict(deformed.state_dict())
    image = torch.randn(x.shape).double()

    assert torch.allclose(deformed(image, torch.zeros(offset.shape).double()), plain(image))
    assert op.macs(x, offset, y=op.infer(x, offset)) == conv.macs(x, y=conv.infer(x))


def test_interpolation_is_counted_for_each_sampled_element() -> None:
    # 2 images · 4 channels · 9 taps · 20 places, 7 operations each, 8 with a mask; and the bias, 2·6·20.
    x, offset, mask = TensorType((2, 4, 5, 4)), TensorType((2, 18, 5, 4)), TensorType((2, 9, 5, 4))
    op = DeformConv(6, 3, padding=1)
    y = op.infer(x, offset)

    assert op.ops(x, offset, y=y) == 7 * 1440 + 240
    assert op.ops(x, offset, mask, y=y) == 8 * 1440 + 240


@pytest.mark.parametrize(
    ("offset", "mask", "sentence"),
    [
        ((1, 17, 5, 5), None, "the offset has 17 channels, not a multiple of 2·9 "),
        ((1, 54, 5, 5), None, "3 offset groups must divide the 4 input channels "),
        ((1, 18, 4, 5), None, "the offset must be 1×18×5×5, not 1×18×4×5 "),
        ((1, 18, 5, 5), (1, 8, 5, 5), "the mask must be 1×9×5×5, not 1×8×5×5 "),
        ((1, 18, 5, 5), (1, 9, 25), "the mask must be (batch, channels, height, width), not 1×9×25 "),
        ((18,), None, "the offset must be (batch, channels, height, width), not 18 "),
    ],
)
def test_what_does_not_fit_is_said(offset: Any, mask: Any, sentence: str) -> None:
    values = {"x": TensorType((1, 4, 5, 5)), "offset": TensorType(offset)}
    values |= {"mask": TensorType(mask)} if mask else {}
    with pytest.raises(CostcalcError) as caught:
        GraphBuilder("g", values).add("deform_conv", DeformConv(4, 3, padding=1), list(values))

    assert str(caught.value).startswith(sentence)
