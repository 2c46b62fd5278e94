"""Convolution by Fourier transforms: it gives the same, costs what it says, and wins where it should."""

from __future__ import annotations

import math

import numpy
import pytest

from costcalc.analysis.fft import FourierConv, by_fourier
from costcalc.ir.fields import per_axis
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.ops.conv_transpose import ConvTranspose
from costcalc.ops.fourier import Fourier

LAYERS = [
    pytest.param(op, x, id=f"{name}-{i}")
    for name in ("conv", "depthwise", "pointwise")
    for i, (op, x) in enumerate(all_ops()[name].examples())
    if not getattr(op, "channels_last", False)
]


def found(op: Op, x: TensorType) -> FourierConv:
    result = by_fourier(op, x)
    assert result is not None
    return result


def test_a_layer_worked_by_hand() -> None:
    """6 filters of 5×5 on 2×12×12, padded by 2: 16×16 places, of which the half spectrum keeps 16·9."""
    conv = found(Conv(6, 5, padding=2), TensorType((1, 2, 12, 12)))
    assert conv.sizes == (16, 16)
    transform = 256 * 8  # N·log₂ N
    assert (conv.inputs, conv.kernels, conv.outputs) == (2 * transform, 12 * transform, 6 * transform)
    assert conv.products == 4 * 12 * 16 * 9 == 6912
    assert conv.prepared == 4096 + 6912 + 12288 == 23296
    assert conv.whole == 23296 + 24576
    assert conv.direct == 144 * 6 * 2 * 25 == 43200
    assert conv.kernel_bits == 12 * 16 * 9 * 64


def test_with_the_channels_last_it_is_the_same() -> None:
    last = found(Conv(6, 5, padding=2, channels_last=True), TensorType((1, 12, 9, 2)))
    assert last == found(Conv(6, 5, padding=2), TensorType((1, 2, 12, 9)))


@pytest.mark.parametrize("op, x", LAYERS)
def test_transforms_of_the_sizes_it_says_give_the_convolution(op: Op, x: TensorType) -> None:
    import torch

    module = op.to_torch(x).double()
    image = torch.rand(x.shape, dtype=torch.float64)  # type: ignore[arg-type]
    wanted = module(image).detach().numpy()

    conv = op if isinstance(op, Conv) else op.conv(x)  # type: ignore[attr-defined]
    n = len(x.spatial)
    axes, sizes = tuple(range(2, 2 + n)), found(op, x).sizes
    kernel, stride, dilation = conv._settings(x)
    before = [pair[0] for *_, pair in conv._axes(x)]
    weight = module.weight.detach().numpy()
    spread = numpy.zeros((*weight.shape[:2], *(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))))
    spread[(..., *(slice(None, None, d) for d in dilation))] = weight

    padded = numpy.zeros((*x.shape[:2], *(b + s + a for s, (b, a) in zip(x.spatial, paddings(conv, x), strict=True))))
    padded[(..., *(slice(b, b + s) for b, s in zip(before, x.spatial, strict=True)))] = image.numpy()
    maps, kernels = numpy.fft.rfftn(padded, sizes, axes), numpy.fft.rfftn(spread, sizes, axes)

    # One complex product for each place of each pair of channels, which is what `products` counts.
    groups, m = conv.groups, conv.out_channels
    maps = maps.reshape(x.shape[0], groups, 1, -1, *maps.shape[2:])
    kernels = kernels.conj().reshape(1, groups, m // groups, -1, *kernels.shape[2:])
    products = maps * kernels
    assert 4 * products.size == found(op, x).products
    assert products.size * 64 == found(op, x).kernel_bits * x.shape[0]

    spectrum = products.sum(axis=3).reshape(x.shape[0], m, *products.shape[4:])
    whole = numpy.fft.irfftn(spectrum, sizes, axes)
    places = tuple(slice(0, s * e, s) for s, e in zip(stride, wanted.shape[2:], strict=True))
    made = whole[(..., *places)]
    if conv.bias:
        made = made + module.bias.detach().numpy().reshape(-1, *(1 for _ in range(n)))
    numpy.testing.assert_allclose(made, wanted, atol=1e-12)


@pytest.mark.parametrize(
    "op, x",
    [pytest.param(op, x, id=str(i)) for i, (op, x) in enumerate(ConvTranspose.examples()) if not op.channels_last],
)
def test_a_transposed_convolution_is_one_of_the_map_with_zeros_between(op: ConvTranspose, x: TensorType) -> None:
    import torch

    module = op.to_torch(x).double()
    image = torch.rand(x.shape, dtype=torch.float64)  # type: ignore[arg-type]
    wanted = module(image).detach().numpy()

    n = len(x.spatial)
    axes, sizes = tuple(range(2, 2 + n)), found(op, x).sizes
    settings = [*op._axes(x)]
    dilation = per_axis(op.dilation, n)
    stretched = numpy.zeros((*x.shape[:2], *((size - 1) * s + 1 for size, _, s, _, _ in settings)))
    stretched[(..., *(slice(None, None, s) for _, _, s, _, _ in settings))] = image.numpy()
    weight = module.weight.detach().numpy()
    spread = numpy.zeros((*weight.shape[:2], *(reach + 1 for _, reach, *_ in settings)))
    spread[(..., *(slice(None, None, d) for d in dilation))] = weight

    groups, m = op.groups, op.out_channels
    maps, kernels = numpy.fft.rfftn(stretched, sizes, axes), numpy.fft.rfftn(spread, sizes, axes)
    products = maps.reshape(x.shape[0], groups, -1, 1, *maps.shape[2:]) * kernels.reshape(
        1, groups, -1, m // groups, *kernels.shape[2:]
    )
    assert 4 * products.size == found(op, x).products
    assert found(op, x).direct == op.macs(x, y=op.infer(x))

    whole = numpy.fft.irfftn(products.sum(axis=2).reshape(x.shape[0], m, *products.shape[4:]), sizes, axes)
    for axis, (size, reach, s, (before, _), _) in enumerate(settings, 2):
        places = (size - 1) * s + reach + 1  # what output_padding adds after them is zero
        whole = numpy.take(whole, range(before, places), axis)[(slice(None),) * axis + (slice(wanted.shape[axis]),)]
        short = wanted.shape[axis] - whole.shape[axis]
        whole = numpy.pad(whole, [(0, short if a == axis else 0) for a in range(whole.ndim)])
    if op.bias:
        whole = whole + module.bias.detach().numpy().reshape(-1, *(1 for _ in range(n)))
    numpy.testing.assert_allclose(whole, wanted, atol=1e-12)


def paddings(conv: Conv, x: TensorType) -> list[tuple[int, int]]:
    return [pair for *_, pair in conv._axes(x)]  # type: ignore[misc]


def test_a_transform_costs_the_multiplications_among_those_of_the_fourier_op() -> None:
    """A butterfly has a complex product and two sums: 4 of its 10 operations are multiplications."""
    conv = found(Conv(1, 3), TensorType((2, 3, 16, 32)))
    x = TensorType((2, 3, 16, 32))
    fourier = Fourier((-2, -1))
    assert conv.inputs * 10 == fourier.ops(x, y=fourier.infer(x)) * 4


def test_kernels_transformed_in_each_pass_pay_where_many_images_share_them() -> None:
    """Mathieu, Henaff & LeCun: 5×5 kernels, 128 images, tens of channels, maps of 32: several times cheaper."""
    one = found(Conv(64, 5), TensorType((1, 32, 32, 32)))
    many = found(Conv(64, 5), TensorType((128, 32, 32, 32)))
    assert many.kernels == one.kernels
    assert many.whole / many.direct < one.whole / one.direct
    assert many.whole < many.direct / 3


@pytest.mark.parametrize("channels", [1, 16, 256])
def test_large_kernels_on_large_maps_win_even_with_their_transforms(channels: int) -> None:
    conv = found(Conv(channels, 31, padding=15), TensorType((1, channels, 224, 224)))
    assert conv.prepared < conv.whole < conv.direct


def test_three_by_three_loses_where_its_kernels_are_transformed_or_are_not_shared_among_many_channels() -> None:
    full = found(Conv(64, 3, padding=1), TensorType((1, 64, 56, 56)))
    assert full.prepared < full.direct < full.whole  # prepared it would win, but
    assert full.kernel_bits > 400 * 32 * 64 * 64 * 9  # its kernels take 469 times as much, and must be read
    depthwise = find_op("depthwise")(3, padding=1)
    assert found(depthwise, TensorType((1, 64, 56, 56))).prepared > depthwise_macs(56)


def depthwise_macs(size: int) -> int:
    return 64 * 9 * size * size


@pytest.mark.parametrize("size", [7, 14, 56, 64, 224])
@pytest.mark.parametrize("channels", [3, 64, 1024])
def test_one_by_one_always_loses(size: int, channels: int) -> None:
    """There is nothing to save: one product a place and pair is what the direct way takes."""
    conv = found(find_op("pointwise")(channels), TensorType((1, channels, size, size)))
    assert conv.products >= 2 * conv.direct
    assert math.prod(conv.sizes) >= size * size


def test_a_stride_saves_nothing_and_a_dilation_costs_nothing() -> None:
    x = TensorType((1, 4, 30, 30))
    plain = found(Conv(4, 3), x)
    strided, dilated = found(Conv(4, 3, stride=2), x), found(Conv(4, 3, dilation=5), x)
    assert plain.prepared == strided.prepared == dilated.prepared
    assert strided.direct * 4 == plain.direct


def test_what_is_no_convolution_has_no_such_cost() -> None:
    assert by_fourier(find_op("linear")(3), TensorType((1, 4))) is None
    assert by_fourier(find_op("deform_conv")(4, 3), TensorType((1, 4, 8, 8))) is None  # its taps move
