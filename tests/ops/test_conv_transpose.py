"""Transposed convolution: the inverse in shape, not in work."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.ops.conv_transpose import ConvTranspose


def test_it_undoes_the_shape_of_the_convolution_with_the_same_options() -> None:
    x = TensorType((1, 4, 11, 12))
    options: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": 1}
    y = Conv(8, **options).infer(x)

    # 12 and 11 shrink to 6 both; output_padding tells them apart.
    assert y.shape == (1, 8, 6, 6)
    assert ConvTranspose(4, **options, output_padding=(0, 1)).infer(y) == x


def test_work_is_input_places_times_taps() -> None:
    # FCN's 2x upsampling: 21 classes, 4x4 kernel, 16x16 places: 16·16·21·21·16 products, not the 4 times
    # as many of a convolution over the input with zeros between.
    op, x = ConvTranspose(21, 4, stride=2, padding=1, bias=False), TensorType((1, 21, 16, 16))

    assert op.infer(x).shape == (1, 21, 32, 32)
    assert op.macs(x, y=op.infer(x)) == 1_806_336


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"padding": "same"}, "conv_transpose: padding='same' must be a whole number from 0, a list of one or"),
        ({"output_padding": 2, "stride": 2}, "output_padding=2 must be below the stride or dilation, 2 "),
        ({"padding": 3}, "padding crops the whole output: -2 of its "),
        ({"groups": 3}, "groups=3 must divide the 4 input channels "),
        ({"kernel": (3, 3, 3)}, "conv_transpose: an option is given for 3 axes, but the input has 2 spatial axes "),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        op = ConvTranspose(**{"out_channels": 4, "kernel": 3} | options)
        GraphBuilder("g", {"x": TensorType((1, 4, 2, 2))}).add("conv_transpose", op, ["x"])

    assert str(caught.value).startswith(sentence)
