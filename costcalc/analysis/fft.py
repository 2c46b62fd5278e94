"""A convolution by fast Fourier transforms, as another way to do the same: when would it cost less?

The map is transformed, multiplied by the transformed kernels place by place and summed over the input channels, and
transformed back. Rule, in real multiplications, so that one MAC of the direct way counts as one:

* The padded map is filled up to powers of two, N = ∏ 2^⌈log₂(size + padding)⌉ places: then nothing that is kept
  wraps around. It is taken whole, not in tiles.
* A transform of N real places takes N·log₂ N: radix 2 makes (N/2)·log₂ N butterflies with a complex product each, 4
  real ones, and a real signal needs half of it, since its spectrum is symmetric. Additions are not counted, as those
  in MACs are not.
* Of the spectrum that half is kept: ∏ Nᵢ over all axes but the last, times N/2 + 1 of that. Each place of each pair
  of channels is one complex product, 4 real ones. (3 would do at the price of more additions.)
* A stride saves nothing: all places are made and most are thrown away. Dilation costs nothing. Groups have fewer
  pairs.
* A transposed convolution is a convolution of the map with zeros between its places: that map is transformed, at the
  size of the whole result before it is cropped.
* A deformable convolution takes other places at each output: it is not a convolution, and has no such way.
* Kernels are fixed at inference, so their transforms can be made beforehand; then they are stored, ``kernel_bits``.
  Where they are made in each pass, as in training, they cost ``kernels``.

Sources: Mathieu, Henaff & LeCun 2013, "Fast training of convolutional networks through FFTs", arXiv 1312.5851, has
the same three parts; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", arXiv 1509.09308,
compares them with Winograd's algorithms, which suit small kernels.
"""

from __future__ import annotations

import math
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.ir.dims import log2_ceil
from costcalc.ir.fields import ints, pads, per_axis
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

REAL_PRODUCTS = 4
"""Real multiplications in a complex one."""


class FourierConv(NamedTuple):
    """What a convolution takes by transforms, in real multiplications.

    direct        the MACs of the direct way
    sizes         places along each spatial axis of a transform
    inputs        to transform the input channels
    kernels       to transform the kernels
    products      to multiply the spectra
    outputs       to transform the output channels back
    kernel_bits   bits of the transformed kernels, two float32 for each complex number
    """

    direct: int
    sizes: tuple[int, ...]
    inputs: int
    kernels: int
    products: int
    outputs: int
    kernel_bits: int

    @property
    def prepared(self) -> int:
        """The cost of a pass with kernels that were transformed beforehand."""
        return self.inputs + self.products + self.outputs

    @property
    def whole(self) -> int:
        """The cost of a pass that transforms the kernels too."""
        return self.prepared + self.kernels


def by_fourier(op: Op, x: TensorType) -> FourierConv | None:
    """What ``op`` on ``x`` takes by transforms; None if it is not a convolution. Sizes must be numbers.

    >>> from costcalc.ir.op import find_op
    >>> by_fourier(find_op("conv")(1, 5, padding=2), TensorType((1, 1, 12, 12)))
    FourierConv(direct=3600, sizes=(16, 16), inputs=2048, kernels=2048, products=576, outputs=2048, kernel_bits=9216)
    """
    if getattr(op, "channels_last", False):
        from costcalc.ir.channels_last import channels_second, plain

        return by_fourier(plain(op), channels_second(x))
    conv: Any = op.as_conv(x)
    if conv is None:
        return None
    kernel, stride, dilation = (per_axis(v, len(x.spatial)) for v in (conv.kernel, conv.stride, conv.dilation))
    if conv.name == "conv":
        padding = pads(conv.padding, kernel, stride, dilation, x.spatial)
        padded = ints(size + before + after for size, (before, after) in zip(x.spatial, padding, strict=True))
    else:
        axes = zip(x.spatial, kernel, stride, dilation, strict=True)
        padded = ints((size - 1) * s + d * (k - 1) + 1 for size, k, s, d in axes)
    steps: tuple[int, ...] = ints(map(log2_ceil, padded))
    sizes = tuple(2**step for step in steps)

    batch, c, m, groups = ints((x.shape[0], x.channels, conv.out_channels, conv.groups))
    (macs,) = ints([conv.macs(x, y=conv.infer(x))])
    transform = math.prod(sizes) * sum(steps)
    places = math.prod(sizes[:-1]) * (sizes[-1] // 2 + 1)
    pairs = m * (c // groups)
    return FourierConv(
        direct=macs,
        sizes=sizes,
        inputs=batch * c * transform,
        kernels=pairs * transform,
        products=REAL_PRODUCTS * batch * pairs * places,
        outputs=batch * m * transform,
        kernel_bits=2 * 32 * pairs * places,
    )
