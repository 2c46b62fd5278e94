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

from costcalc.analysis.report import Report, report
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def chain(shape: tuple[int, ...], *layers: tuple[Any, ...], inputs: dict[str, tuple[int, ...]] | None = None) -> Report:
    """The report of ``layers``, each (op, options…, {named options}), one after the other."""
    values = {"image": TensorType(shape)} | {name: TensorType(s) for name, s in (inputs or {}).items()}
    builder = GraphBuilder("facts", values)
    value = "image"
    for i, (name, *args) in enumerate(layers):
        options = args.pop() if args and isinstance(args[-1], dict) else {}
        others = list(inputs or {}) if name == "deform_conv" else []
        (value, *_) = builder.add(f"block.l{i}", find_op(name)(*args, **options), [value, *others])
    return report(builder.build([value]))


def out(result: Report) -> tuple[Any, ...]:
    """The shape that comes out at the end."""
    return result.layers[-1].output_shapes[0]


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
    assert (shift.read_bits, shift.write_bits) == (32 * 18 * 49, 32 * 18 * 49)
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


def test_batch_norm_has_four_vectors_of_length_c() -> None:
    total = chain((1, 24, 7, 7), ("batch_norm",)).total

    assert total.params == 2 * 24  # α and β
    assert total.buffers == 2 * 24 + 1  # running μ and σ², and PyTorch's count of batches


@pytest.mark.parametrize("name", ["relu", "relu6", "gelu", "silu", "sigmoid", "softmax"])
def test_activations_keep_the_shape_and_are_no_macs(name: str) -> None:
    result = chain((2, 8, 7, 7), (name,))

    assert out(result) == (2, 8, 7, 7)
    assert (result.total.macs, result.total.params) == (0, 0)
    assert result.total.ops >= 2 * 8 * 49


def test_global_average_pooling_leaves_one_number_a_channel() -> None:
    result = chain((1, 2048, 7, 7), ("global_avg_pool",), ("flatten",), ("linear", 1000))
    pool, _, linear = result.layers

    assert pool.output_shapes == ((1, 2048, 1, 1),)
    assert (pool.macs, pool.ops) == (0, 2048 * 49)
    assert (linear.macs, linear.ops, linear.params) == (2048 * 1000, 1000, 2048 * 1000 + 1000)


def test_dropout_costs_nothing_when_the_network_is_used() -> None:
    total = chain((1, 4096), ("dropout", 0.5)).total

    assert (total.macs, total.ops, total.params, total.read_bits, total.write_bits) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("layer", [("upsample", 2), ("upsample", 2, {"mode": "zeros"})])
def test_upsampling_without_weights(layer: tuple[Any, ...]) -> None:
    result = chain((1, 8, 5, 5), layer)

    assert out(result) == (1, 8, 10, 10)
    assert (result.total.macs, result.total.ops, result.total.params) == (0, 0, 0)
    assert result.total.write_bits == 4 * result.total.read_bits


def test_squeeze_and_excitation() -> None:
    # GAP → FC → ReLU → FC → sigmoid → channelwise product; 64 channels squeezed to 4.
    builder = GraphBuilder("se", {"x": TensorType((1, 64, 14, 14))})
    value = "x"
    for name, op in {
        "squeeze": find_op("global_avg_pool")(),
        "fc1": find_op("pointwise")(4),
        "relu": find_op("relu")(),
        "fc2": find_op("pointwise")(64),
        "sigmoid": find_op("sigmoid")(),
    }.items():
        (value,) = builder.add(name, op, [value])
    builder.add("product", find_op("multiply")(), ["x", value])
    result = report(builder.build(["product"]))

    assert out(result) == (1, 64, 14, 14)
    assert result.total.macs == 2 * 64 * 4
    assert result.total.params == 64 * 4 + 4 + 4 * 64 + 64
    assert result.layers[-1].ops == 64 * 14 * 14


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
