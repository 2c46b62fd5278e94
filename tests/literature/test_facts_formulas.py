"""The formulas and worked examples of the course notes that this project reproduces.

Symbols: B batch, C input channels, M filters, K kernel, P padding, S stride, D dilation, G groups,
H, W input size, E, F output size. Storage is in bits, 32 an element. Each test states the rule of
the notes in their symbols, beside the answer of the tool; what stands under "mind" in the notes is
how the rule is meant.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from chain import chain, out

from costcalc.analysis.fft import by_fourier
from costcalc.analysis.records import Report
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv

# -- formulas ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("h", "k", "p", "s", "d"), [*product((28, 31), (1, 3, 5), (0, 2), (1, 2, 3), (1, 2))])
def test_the_output_size_floors_and_a_dilated_kernel_spans_more(h: int, k: int, p: int, s: int, d: int) -> None:
    span = d * (k - 1) + 1
    expected = (h - span + 2 * p) // s + 1

    assert out(chain((1, 2, h, h), ("conv", 4, k, {"padding": p, "stride": s, "dilation": d}))) == (
        1,
        4,
        expected,
        expected,
    )
    if 2 * p <= k:
        assert out(chain((1, 2, h, h), ("max_pool", k, {"padding": p, "stride": s, "dilation": d})))[2] == expected


def test_pooling_can_ceil_and_padding_can_be_same_or_lopsided() -> None:
    # 55 → (55 - 3)/2 + 1 = 27; 54 → 26.5, floor 26 and ceil 27.
    assert out(chain((1, 1, 55, 54), ("max_pool", 3, {"stride": 2}))) == (1, 1, 27, 26)
    assert out(chain((1, 1, 55, 54), ("max_pool", 3, {"stride": 2, "ceil_mode": True}))) == (1, 1, 27, 27)
    # 'same': ⌈225/2⌉; one row above and none below: (224 - 3 + 1)/2 + 1 = 112.
    assert out(chain((1, 1, 225, 224), ("conv", 1, 3, {"stride": 2, "padding": "same"}))) == (1, 1, 113, 112)
    assert out(chain((1, 1, 224, 224), ("conv", 1, 3, {"stride": 2, "padding": ((1, 0), (1, 0))}))) == (1, 1, 112, 112)


def test_standard_convolution() -> None:
    b, m, k, c, h, e = 2, 16, 3, 8, 14, 12
    conv = chain((b, c, h, h), ("conv", m, k, {"bias": False})).total

    assert conv.macs == b * m * k * k * c * e * e
    assert conv.storage_bits == 32 * (m * c * k * k + b * c * h * h + b * m * e * e)


def separable(shape: tuple[int, ...], k: int, m: int) -> Report:
    """A depthwise and a pointwise convolution, the size kept."""
    return chain(shape, ("depthwise", k, {"padding": k // 2, "bias": False}), ("pointwise", m, {"bias": False}))


def test_depthwise_separable_convolution_as_a_block_and_as_layers() -> None:
    b, m, k, c, e = 2, 16, 3, 8, 14
    result = separable((b, c, e, e), k, m)
    block, layers = result.blocks[0], result.layers

    assert block.macs == b * k * k * c * e * e + b * m * c * e * e
    # Mind: the map between the two is stored once in the block, twice in the sum of the layers.
    assert block.storage_bits == 32 * (b * c * e * e + c * k * k + b * c * e * e + m * c + b * m * e * e)
    assert sum(layer.storage_bits for layer in layers) == block.storage_bits + 32 * b * c * e * e


def test_its_saving_is_1_over_m_plus_1_over_k_squared_in_work_but_not_in_traffic() -> None:
    m, k, c, e = 256, 3, 256, 14
    standard = chain((1, c, e, e), ("conv", m, k, {"padding": 1, "bias": False})).total
    both = separable((1, c, e, e), k, m)

    # MACs(separable)/MACs(standard) = 1/M + 1/K², cleared of fractions.
    assert both.total.macs * m * k * k == standard.macs * (m + k * k)
    # Mind: 8.7 times fewer MACs, but the maps are read as before, and once more in between.
    activations = 32 * 256 * 14 * 14
    assert standard.traffic_bits == 2 * activations + 32 * 256 * 256 * 9
    assert both.total.traffic_bits == 4 * activations + 32 * (256 * 9 + 256 * 256)
    depthwise, pointwise = both.layers
    assert depthwise.intensity < 1.2 < pointwise.intensity < standard.intensity  # MACs per byte


def test_its_saving_goes_towards_k_squared_for_many_filters() -> None:
    c, e = 8, 14
    saved = []
    for m in (16, 256, 4096):
        standard = chain((1, c, e, e), ("conv", m, 3, {"padding": 1, "bias": False})).total
        saved.append(standard.macs / separable((1, c, e, e), 3, m).total.macs)

    assert [round(s, 2) for s in saved] == [5.76, 8.69, 8.98]  # 1/(1/M + 1/9)


def test_a_bias_is_a_number_a_filter_and_an_addition_an_output() -> None:
    b, m, e = 2, 16, 12
    without, with_bias = (chain((b, 8, 14, 14), ("conv", m, 3, {"bias": bias})).total for bias in (False, True))

    assert (with_bias.params - without.params, with_bias.ops - without.ops) == (m, b * m * e * e)
    assert with_bias.macs == without.macs


def test_a_pointwise_convolution_mixes_channels_at_each_place() -> None:
    total = chain((1, 64, 56, 56), ("pointwise", 32, {"bias": False})).total

    assert (total.macs, total.params) == (56 * 56 * 64 * 32, 64 * 32)


def test_convolution_by_fft_pays_for_three_transforms_and_is_cheaper_for_large_kernels_only() -> None:
    # 16 filters of K×K on 8 maps of 33×33, filled up to 64×64: a transform is N·log₂ N multiplications, and each place
    # of the half spectrum of each pair a complex product, 4.
    c, m, n = 8, 16, 64 * 64
    forward, kernels, products, inverse = c * n * 12, c * m * n * 12, 4 * c * m * 64 * 33, m * n * 12
    for k, cheaper in ((3, False), (31, True)):
        conv = by_fourier(Conv(m, k, padding=k // 2), TensorType((1, c, 33, 33)))
        assert conv is not None
        assert (conv.inputs, conv.kernels, conv.products, conv.outputs) == (forward, kernels, products, inverse)
        assert conv.direct == m * c * k * k * 33 * 33
        assert (conv.whole < conv.direct) == cheaper


def test_group_convolution_with_g_groups() -> None:
    m, k, c, g, e = 24, 3, 12, 4, 7
    result = chain((1, c, e, e), ("conv", m, k, {"padding": 1, "groups": g, "bias": False})).total

    assert result.macs == e * e * k * k * c * m // g
    assert result.params == m * c * k * k // g


def test_channel_shuffle_moves_memory_and_nothing_else() -> None:
    total = chain((1, 24, 7, 7), ("channel_shuffle", 3)).total

    assert (total.macs, total.ops, total.params) == (0, 0, 0)
    assert (total.read_bits, total.write_bits) == (32 * 24 * 49, 32 * 24 * 49)


def test_shift_convolution_is_free_but_for_its_traffic_and_the_1x1_after_it() -> None:
    shift, pointwise = chain((1, 18, 7, 7), ("shift", 3), ("pointwise", 36, {"bias": False})).layers

    assert (shift.macs, shift.ops, shift.params) == (0, 0, 0)
    # Two channels to each of nine offsets: along an axis 6, 7 and 6 places stay inside, 19 together.
    assert (shift.read_bits, shift.write_bits) == (32 * 2 * 19**2, 32 * 18 * 49)
    assert (pointwise.macs, pointwise.params) == (18 * 36 * 49, 18 * 36)


def test_deformable_convolution_pays_for_its_offsets_and_their_interpolation() -> None:
    b, c, m, k, e = 1, 8, 16, 3, 10
    offsets = chain((b, c, e, e), ("conv", 2 * k * k, k, {"padding": 1, "bias": False})).total
    deformed = chain(
        (b, c, e, e), ("deform_conv", m, k, {"padding": 1, "bias": False}), inputs={"offset": (b, 2 * k * k, e, e)}
    ).total

    assert offsets.macs == 2 * k * k * k * k * c * e * e
    assert deformed.macs == m * k * k * c * e * e
    assert deformed.ops == 7 * k * k * c * e * e  # bilinear: 4 products and 3 sums a sample
    assert deformed.read_bits == 32 * (c * e * e + 2 * k * k * e * e + m * c * k * k)


def test_a_dilated_3x3_sees_5x5_at_the_cost_of_3x3() -> None:
    plain = chain((1, 4, 9, 9), ("conv", 4, 3, {"padding": 1}))
    dilated = chain((1, 4, 9, 9), ("conv", 4, 3, {"padding": 2, "dilation": 2}))

    assert dilated.layers[0].receptive_field.size == (5, 5)
    assert (dilated.total.macs, dilated.total.params) == (plain.total.macs, plain.total.params)


@pytest.mark.parametrize(
    ("s", "p", "d", "k", "extra"), [(2, 0, 1, 2, 0), (2, 1, 1, 3, 1), (3, 2, 2, 4, 1), (1, 1, 1, 3, 0)]
)
def test_transposed_convolution(s: int, p: int, d: int, k: int, extra: int) -> None:
    h = 7
    options = {"stride": s, "padding": p, "dilation": d, "output_padding": extra}

    assert (
        out(chain((1, 2, h, h), ("conv_transpose", 4, k, options)))[2] == (h - 1) * s - 2 * p + d * (k - 1) + extra + 1
    )


def test_video_as_stacked_frames_or_in_three_dimensions() -> None:
    t, e = 16, 56
    stacked = chain((1, 3 * t, e, e), ("conv", 64, 3, {"padding": 1, "bias": False})).total
    true = chain((1, 3, t, e, e), ("conv", 64, 3, {"padding": 1, "bias": False})).total

    assert stacked.macs == 64 * (3 * t) * 9 * e * e
    assert true.macs == 64 * 3 * 27 * t * e * e  # three times as many, kept for each frame
    assert (stacked.params, true.params) == (64 * 48 * 9, 64 * 3 * 27)


def test_three_3x3_convolutions_see_7x7_and_strides_multiply() -> None:
    three = chain((1, 1, 64, 64), *[("conv", 1, 3, {"padding": 1})] * 3)
    # 1 + 2·1 + 2·2 + 2·4: D(K-1) times the strides before.
    strided = chain((1, 1, 64, 64), *[("conv", 1, 3, {"padding": 1, "stride": 2})] * 3)

    assert three.layers[-1].receptive_field.size == (7, 7)
    assert strided.layers[-1].receptive_field.size == (15, 15)
    assert strided.layers[-1].receptive_field.stride == (8, 8)


def test_upsampling_divides_the_stride_and_a_global_operator_sees_everything() -> None:
    # Mind: branches and paths that are not aligned are in tests/analysis/test_receptive.py.
    halved, doubled, everything = chain(
        (1, 1, 64, 64), ("conv", 1, 3, {"padding": 1, "stride": 2}), ("upsample", 2), ("global_avg_pool",)
    ).layers

    assert (halved.receptive_field.stride, doubled.receptive_field.stride) == ((2, 2), (1, 1))
    assert everything.receptive_field == "global"


# -- worked examples ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layer", "answer"),
    [
        ((3, 224, 224), ("conv", 3, 3, {"padding": 1}), (3, 224, 224)),
        ((1, 7, 7), ("conv", 1, 3), (1, 5, 5)),
        ((3, 6, 6), ("conv", 20, 3), (20, 4, 4)),
        ((64, 56, 56), ("pointwise", 32), (32, 56, 56)),
        ((1, 4, 4), ("max_pool", 2, {"stride": 2}), (1, 2, 2)),
        # AlexNet's first layer. Mind: the note's input of 277 is a slip for 227; torchvision pads 224 by 2.
        ((3, 227, 227), ("conv", 64, 11, {"stride": 4}), (64, 55, 55)),
        ((3, 224, 224), ("conv", 64, 11, {"stride": 4, "padding": 2}), (64, 55, 55)),
    ],
)
def test_worked_sizes(shape: tuple[int, ...], layer: tuple[Any, ...], answer: tuple[int, ...]) -> None:
    assert out(chain((1, *shape), layer))[1:] == answer


def test_worked_multiplications() -> None:
    # 5×5 out of 3 channels through 128 filters 3×3.
    standard = chain((1, 3, 7, 7), ("conv", 128, 3, {"bias": False}))
    parts = chain((1, 3, 7, 7), ("depthwise", 3, {"bias": False}), ("pointwise", 128, {"bias": False}))

    assert standard.total.macs == 128 * 27 * 25 == 86_400
    assert [layer.macs for layer in parts.layers] == [3 * 9 * 25, 3 * 128 * 25]
    assert parts.total.macs == 10_275
