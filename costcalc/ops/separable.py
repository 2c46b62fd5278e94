"""Depthwise and pointwise convolution: two ways of writing ``conv``, for specs that read like the papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.dims import Dim
from costcalc.ir.fields import Pads, Size, Sizes
from costcalc.ir.index_map import IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType, Weight
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.conv import Conv

if TYPE_CHECKING:
    from torch import nn


class WrittenAsConv(Op):
    """An op that says the same as some ``conv``, which depends on the input; every rule is that conv's."""

    slides = True
    channel_axis = 1

    def conv(self, x: TensorType) -> Conv:
        """The conv that this stands for."""
        raise NotImplementedError

    def as_conv(self, x: TensorType) -> Op:
        return self.conv(x)

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if len(x.shape) < 3:
            yield False, f"{self.name} takes (batch, channels, 1 to 3 spatial axes), not {len(x.shape)} axes"
        yield from self.conv(x).requires(x)

    def infer(self, x: TensorType) -> TensorType:
        return self.conv(x).infer(x)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return self.conv(x).weights(x)

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return self.conv(x).macs(x, y=y)

    def nests(self, x: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        return self.conv(x).nests(x, y=y)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return self.conv(x).saves(x, y=y, trained=trained, wanted=wanted)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return self.conv(x).ops(x, y=y)

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        return self.conv(x).reads(x, y=y)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return self.conv(x).index_maps(x, y=y)

    def to_torch(self, x: TensorType) -> nn.Module:
        return self.conv(x).to_torch(x)


@op("depthwise")
class Depthwise(WrittenAsConv):
    """Convolve each channel by itself: a conv with as many groups as channels.

    ``multiplier`` outputs come of each channel, next to one another.

    MACs         one for each element of the kernel per output.
    Ops          adding the bias: 1 per output.
    Not counted  filling the padding.
    Source       Sifre, "Rigid-motion scattering for image classification" (2014); Howard et al. 2017,
                 arXiv 1704.04861, section 3.1.
    """

    under_autocast = UnderAutocast(takes="narrower", rereads_weight=True)

    computes = "y[n, (c j), o...] += x[n, c, (s*o + d*r - p)...] * weight[(c j), 0, r...]"
    letters = {"kernel": "k", "stride": "s", "padding": "p", "dilation": "d", "multiplier": "j"}
    roles = {"multiplier": "width"}

    kernel: Sizes
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    multiplier: Size = 1
    bias: bool = True

    def conv(self, x: TensorType) -> Conv:
        outputs = x.channels * self.multiplier
        return Conv(outputs, self.kernel, self.stride, self.padding, self.dilation, x.channels, self.bias)

    def kind(self, x: TensorType) -> str:
        return "depthwise conv"

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(3, padding=1), TensorType((2, 4, 5, 4))
        yield cls((2, 3), stride=2, padding="same", multiplier=2, bias=False), TensorType((1, 3, 6, 5))
        yield cls(3, dilation=2, multiplier=3), TensorType((1, 1, 8))


@op("pointwise")
class Pointwise(WrittenAsConv):
    """Mix the channels at each place: a conv with a kernel of 1.

    MACs         outputs × input channels.
    Ops          adding the bias: 1 per output.
    Source       Lin et al. 2013, arXiv 1312.4400; Howard et al. 2017, arXiv 1704.04861, section 3.1.
    """

    under_autocast = UnderAutocast(takes="narrower", rereads_weight=True)

    computes = "y[n, m, o...] += x[n, c, (s*o)...] * weight[m, c, q...]"
    letters = {"out_channels": "m", "stride": "s"}
    roles = {"out_channels": "width"}

    out_channels: Size
    stride: Sizes = 1
    bias: bool = True

    def conv(self, x: TensorType) -> Conv:
        return Conv(self.out_channels, 1, stride=self.stride, bias=self.bias)

    def kind(self, x: TensorType) -> str:
        return "pointwise conv"

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(5), TensorType((2, 3, 3, 4))
        yield cls(2, stride=2, bias=False), TensorType((1, 4, 5))
