"""Deformable convolution: the kernel's taps move by offsets that are computed from the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, once
from costcalc.ir.dims import Dim, divides, equal, prod
from costcalc.ir.fields import Pads, Size, Sizes, ints, pads, per_axis
from costcalc.ir.index_map import AxisMap, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType, Weight
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.conv import Conv
from costcalc.ops.traced_steps import own

if TYPE_CHECKING:
    from torch import Tensor, nn


@op("deform_conv", inputs=(2, 3))
class DeformConv(Op):
    """A 2-D conv whose taps are moved by ``offset`` and, if given, weighted by ``mask``.

    It takes ``x``, then ``offset``: a pair (down, right) for each tap and place, in 2·k² channels for
    each offset group; then perhaps ``mask``: a factor for each tap and place. Both come from convs of
    their own, which are layers of their own with their own MACs. A tap between pixels is interpolated
    from the four around it; the channels of an offset group are moved together.

    Where it looks depends on the data, without bound: each output is said to see all of ``x``.

    MACs         as the conv without offsets: every tap at every output place.
    Ops          interpolating: 7 for each element sampled (4 products, 3 sums), that is for every
                 input channel, tap and output place; 1 more with a mask; the bias, 1 per output.
    Not counted  adding the offsets to the grid; the four interpolation weights, which the channels share.
    Source       Dai et al. 2017, arXiv 1703.06211, section 2.1; with a mask Zhu et al. 2018, arXiv 1811.11168.
    """

    under_autocast = UnderAutocast(is_known=False)

    is_bounded_only = True

    channel_axis = 1

    slides = True

    aten = "torchvision::deform_conv2d"

    letters = {"out_channels": "m", "kernel": "k", "stride": "s", "padding": "p", "dilation": "d", "groups": "g"}
    roles = {"out_channels": "width"}

    out_channels: Size
    kernel: Sizes
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: bool = True

    def conv(self) -> Conv:
        """The conv with the same options and no offsets; shapes, weights and MACs are its."""
        return Conv(
            self.out_channels, self.kernel, self.stride, self.padding, self.dilation, self.groups, self.bias
        )  # fmt: skip

    def requires(self, x: TensorType, offset: TensorType, mask: TensorType | None = None) -> Iterator[Condition]:
        yield len(x.shape) == 4, f"deform_conv takes (batch, channels, height, width), not {len(x.shape)} axes"
        for name, given in (("offset", offset), ("mask", mask)):
            if given is not None:
                yield len(given.shape) == 4, f"the {name} must be (batch, channels, height, width), not {given}"
        yield from self.conv().requires(x)
        taps, places = self._taps(), self.infer(x, offset).spatial
        count = offset.channels
        yield divides(2 * taps, count), f"the offset has {count} channels, not a multiple of 2·{taps}"
        groups = count // (2 * taps)
        yield divides(groups, x.channels), f"{groups} offset groups must divide the {x.channels} input channels"
        for name, given, channels in (("offset", offset, count), ("mask", mask, groups * taps)):
            if given is not None:
                wanted = x.with_shape(x.shape[0], channels, *places)
                for a, b in zip(given.shape, wanted.shape, strict=True):
                    yield equal(a, b), f"the {name} must be {wanted}, not {given}"

    def infer(self, x: TensorType, offset: TensorType, mask: TensorType | None = None) -> TensorType:
        return self.conv().infer(x)

    def weights(self, x: TensorType, *_: TensorType) -> dict[str, Weight]:
        return self.conv().weights(x)

    def macs(self, x: TensorType, *_: TensorType, y: TensorType) -> Dim:
        return self.conv().macs(x, y=y)

    def nests(self, x: TensorType, *_: TensorType, y: TensorType) -> tuple[Nest, ...]:
        """Those of the conv; the taps of its input lie elsewhere."""
        return self.conv().nests(x, y=y)

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The inputs, as torchvision's operator does; a mask and a bias that are not there are zeros."""
        none = () if len(x) > 2 else (x[0].with_shape(x[0].shape[0], 1),)
        return Saves(tuple(range(len(x))), maps=none if self.bias else (*none, x[0].with_shape(self.out_channels)))

    def ops(self, x: TensorType, offset: TensorType, mask: TensorType | None = None, *, y: TensorType) -> Dim:
        sampled = x.shape[0] * x.channels * self._taps() * prod(y.spatial)
        return sampled * (7 if mask is None else 8) + self.conv().ops(x, y=y)

    def mixes_parts(self) -> bool:
        return self.groups != 1

    def index_maps(self, x: TensorType, *others: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return ((AxisMap(0), None, None, None), *((AxisMap(0), None, AxisMap(2), AxisMap(3)) for _ in others))

    def _taps(self) -> Dim:
        return prod(per_axis(self.kernel, 2))

    def to_torch(self, x: TensorType, offset: TensorType, mask: TensorType | None = None) -> nn.Module:
        import torch

        conv: Any = self.conv().to_torch(x)
        kernel, stride, dilation = (ints(per_axis(v, 2)) for v in (self.kernel, self.stride, self.dilation))
        before = ints(p for p, _ in pads(self.padding, kernel, stride, dilation, x.spatial))
        (taps, groups) = ints((self._taps(), self.groups))

        class Deformed(torch.nn.Module):
            """The taps gathered, then a product with the weights, of a form that counters count in full."""

            def __init__(self) -> None:
                super().__init__()
                self.weight, self.bias = conv.weight, conv.bias

            def forward(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
                n, c = x.shape[:2]
                places = offset.shape[2:]
                moves = offset.view(n, -1, taps, 2, *places)
                at = []
                for axis in (0, 1):
                    tap = torch.arange(kernel[axis]) * dilation[axis] - before[axis]
                    grid = torch.arange(places[axis]) * stride[axis] + tap[:, None]
                    shape = (kernel[0], 1, places[0], 1) if axis == 0 else (1, kernel[1], 1, places[1])
                    grid = grid.reshape(shape).expand(*kernel, *places).reshape(taps, *places)
                    at.append(grid + moves[:, :, :, axis])
                sampled = bilinear(x.view(n, moves.shape[1], -1, *x.shape[2:]), *at)
                if mask is not None:
                    sampled = sampled * mask.view(n, -1, 1, taps, *places)
                rows = sampled.reshape(n, groups, c // groups * taps, -1).transpose(-1, -2)
                columns = self.weight.reshape(groups, -1, c // groups * taps).transpose(-1, -2)
                y: Tensor = (rows @ columns).transpose(-1, -2).reshape(n, -1, *places)
                return y if self.bias is None else y + self.bias.view(-1, 1, 1)

        return Deformed()

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        weight, bias, offset = call["weight"], call["bias"], call["offset"]
        if not own(weight):
            return NotImplemented
        names = (("stride_h", "stride_w"), ("pad_h", "pad_w"), ("dilation_h", "dilation_w"))
        stride, padding, dilation = (once([call[name] for name in pair]) for pair in names)
        with_bias = bias.trained  # without one, torchvision makes a tensor of zeros
        kernel = once(weight.shape[2:])
        op = cls(weight.shape[0], kernel, stride, padding, dilation, call["groups"], with_bias)
        inputs = [call["input"], offset, *([call["mask"]] if call["use_mask"] else [])]
        return call.add(op, *inputs, weight=weight, bias=bias if with_bias else None)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        x = TensorType((2, 4, 4, 3))
        yield cls(3, 3, padding=1), x, TensorType((2, 18, 4, 3))
        yield (
            cls(2, (2, 3), stride=(1, 2), padding=((1, 0), (1, 1)), dilation=(2, 1), groups=2, bias=False),
            x, TensorType((2, 24, 3, 2)), TensorType((2, 12, 3, 2)),
        )  # fmt: skip


def bilinear(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """``x`` (n, groups, c, h, w) at fractional places (n, groups, taps, *places); zero outside."""
    import torch

    height, width = x.shape[-2:]
    flat = x.flatten(-2)
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for i in (down.floor(), down.floor() + 1):
        for j in (right.floor(), right.floor() + 1):
            inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            fraction = (1 - (down - i).abs()) * (1 - (right - j).abs()) * inside
            index = torch.where(inside, i * width + j, 0).long()
            gathered = flat.gather(-1, index.flatten(2).unsqueeze(2).expand(-1, -1, x.shape[2], -1))
            total = total + gathered.reshape(*x.shape[:3], *down.shape[2:]) * fraction.unsqueeze(2)
    return total
