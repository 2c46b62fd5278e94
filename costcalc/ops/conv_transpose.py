"""Transposed convolution over one, two or three spatial axes."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TYPE_CHECKING

from costcalc.classes import NamedTuple
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, divides, maximum, prod
from costcalc.ir.fields import Counts, Pairs, Size, Sizes, ints, pads, per_axis
from costcalc.ir.footprint import laying, taps_inside, taps_of_place
from costcalc.ir.index_map import AxisMap, IndexMap, Window, in_groups, ratio
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.conv import takes_images
from costcalc.ops.traced_steps import add_bias, images, own

if TYPE_CHECKING:
    from torch import nn


@op("conv_transpose")
class ConvTranspose(Op):
    """Lay a copy of the kernel, scaled by the input, over the output at every input place, and add up.

    Also called deconvolution or fractionally strided convolution; with a stride it upsamples.
    ``padding`` is cropped from the result; ``output_padding`` lengthens it at the end.

    MACs         every kernel tap at every input place, also taps that the padding crops. A
                 convolution over the input with zeros between would multiply stride² times as
                 often, by zeros.
    Ops          adding the bias: 1 per output.
    Not counted  clearing the output.
    Source       Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.
    """

    under_autocast = UnderAutocast(rereads_weight=True)

    keeps = "input"

    channel_axis = 1

    slides = True

    aten = "conv_transpose1d conv_transpose2d conv_transpose3d"

    computes = "y[n, (g k), (s*i + d*r - p)...] += x[n, (g c), i...] * weight[(g c), k, r...]"
    letters = {
        "out_channels": "m", "kernel": "k", "stride": "s", "padding": "p", "output_padding": "e",
        "dilation": "d", "groups": "g",
    }  # fmt: skip
    roles = {"out_channels": "width", "output_padding": "padding"}

    out_channels: Size
    kernel: Sizes
    stride: Sizes = 1
    padding: Pairs = 0
    output_padding: Counts = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: bool = True
    channels_last: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.kernel, self.stride, self.padding, self.output_padding, self.dilation)
        c, m, g = x.channels, self.out_channels, self.groups
        yield divides(g, c), f"groups={g} must divide the {c} input channels"
        yield divides(g, m), f"groups={g} must divide out_channels={m}"
        dilation = per_axis(self.dilation, len(x.spatial))
        for (_, reach, s, _, extra), d, places in zip(self._axes(x), dilation, self._places(x), strict=True):
            most = maximum(s, d) - 1
            yield at_least(most, extra), f"output_padding={extra} must be below the stride or dilation, {most + 1}"
            yield at_least(places, 1), f"padding crops the whole output: {places} of its {reach + 1} or more are left"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(x.shape[0], self.out_channels, *self._places(x))

    def weights(self, x: TensorType) -> dict[str, Weight]:
        weight = parameter(
            x.channels, self.out_channels // self.groups, *per_axis(self.kernel, len(x.spatial)), dtype=x.dtype
        )
        return {"weight": weight} | ({"bias": parameter(self.out_channels, dtype=x.dtype)} if self.bias else {})

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size * (self.out_channels // self.groups) * prod(per_axis(self.kernel, len(x.spatial)))

    def nests(self, x: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        n = len(x.spatial)
        kernel, stride, dilation = per_axis(self.kernel, n), per_axis(self.stride, n), per_axis(self.dilation, n)
        padding = tuple(axis[3] for axis in self._axes(x))
        m, c, g = self.out_channels, x.channels, self.groups
        nest = Nest(x.shape[0], m // g, c // g, g, x.spatial, kernel, x.spatial, stride, dilation, padding, True)
        return (nest._replace(weight="weight"),)

    def needed_macs(self, x: TensorType, *, y: TensorType) -> Dim:
        kernel, dilation = per_axis(self.kernel, len(x.spatial)), per_axis(self.dilation, len(x.spatial))
        axes = zip(self._axes(x), y.spatial, kernel, dilation, strict=True)
        taps = prod(taps_inside(size, places, k, s, d, before) for (size, _, s, (before, _), _), places, k, d in axes)
        return x.shape[0] * x.channels * (self.out_channels // self.groups) * taps

    def reuse(self, x: TensorType) -> Dim:
        n = len(x.spatial)
        kernel, stride, dilation = per_axis(self.kernel, n), per_axis(self.stride, n), per_axis(self.dilation, n)
        return prod(taps_of_place(k, s, d) for k, s, d in zip(kernel, stride, dilation, strict=True))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size if self.bias else 0

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        dilation = per_axis(self.dilation, len(x.spatial))
        axes = zip(self._axes(x), y.spatial, per_axis(self.kernel, len(x.spatial)), dilation, strict=True)
        along = (
            laying(size, places, k, s, d, before, after - extra)
            for (size, _, s, (before, after), extra), places, k, d in axes
        )
        return (x.shape[0] * x.channels * prod(along),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ((AxisMap(0), None, *self._laid(x)),)

    def mixes_parts(self) -> bool:
        return self.groups != 1

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (in_groups(self.index_maps(x, y=y)[0], *ints((self.groups, x.channels, y.channels))),)

    def _laid(self, x: TensorType) -> Iterator[AxisMap]:
        """Per spatial axis: from o = s·i + d·r - p follows i = (o + p - d·r) / s, with d·r from 0 to the reach."""
        dilation = per_axis(self.dilation, len(x.spatial))
        for axis, ((_, reach, s, (p, _), _), d) in enumerate(zip(self._axes(x), dilation, strict=True), 2):
            window = Window(ratio(1, s), ratio(p - reach, s), ratio(p, s))
            taps = _Taps(*ints((s, d, p, reach)))
            if taps.gap == 1 and not taps.misses:
                yield AxisMap(axis, window)
            else:
                yield AxisMap(axis, window, bound=taps.misses, sees=taps.of, gap=taps.gap)

    def kind(self, x: TensorType) -> str:
        if self.groups != 1:
            return "depthwise conv_transpose" if self.groups == x.channels else "group conv_transpose"
        return self.name

    def _places(self, x: TensorType) -> Iterator[Dim]:
        for size, reach, s, (before, after), extra in self._axes(x):
            yield (size - 1) * s + reach + 1 + extra - before - after

    def _axes(self, x: TensorType) -> Iterator[tuple[Dim, Dim, Dim, tuple[Dim, Dim], Dim]]:
        """Per spatial axis: input size, distance from first to last tap, stride, padding, output padding."""
        n = len(x.spatial)
        kernel, stride, dilation = per_axis(self.kernel, n), per_axis(self.stride, n), per_axis(self.dilation, n)
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        extras = per_axis(self.output_padding, n)
        for size, k, s, d, p, extra in zip(x.spatial, kernel, stride, dilation, padding, extras, strict=True):
            yield size, d * (k - 1), s, p, extra

    def as_conv(self, x: TensorType) -> Op:
        return self

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn
        from torch.nn.functional import pad

        n = len(x.spatial)
        kernel, stride, dilation = (ints(per_axis(v, n)) for v in (self.kernel, self.stride, self.dilation))
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        even = all(before == after for before, after in padding)
        amount = ints(before if even else 0 for before, _ in padding)
        conv: type[nn.Module] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n - 1]
        extra = ints(per_axis(self.output_padding, n))
        channels, (groups,) = ints((x.channels, self.out_channels)), ints((self.groups,))
        module = conv(*channels, kernel, stride, amount, extra, groups, self.bias, dilation)
        if not even:
            crop = tuple(-p for pair in reversed(padding) for p in ints(pair))
            module.register_forward_hook(lambda _, __, y: pad(y, crop))
        return module

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        weight, bias = call["weight"], call["bias"]
        axes = len(weight.shape) - 2
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        options = {name: once(call[name]) for name in names}
        with_bias = bias is not None and own(weight, bias)
        if own(weight):
            op = cls(weight.shape[1] * call["groups"], once(weight.shape[2:]), **options, bias=with_bias)
            weights = {"weight": weight, "bias": bias if with_bias else None}
            y = images(call, call["input"], axes, lambda x: call.add(op, x, **weights))
        else:
            dynamic = find_op("dynamic_conv")(**options, transposed=True)
            y = images(call, call["input"], axes, lambda x: call.add(dynamic, x, weight))
        return y if bias is None or with_bias else add_bias(call, y, bias, axes)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(3, 2, stride=2), TensorType((2, 4, 3, 2))
        yield cls(4, 3, stride=2, padding=1, output_padding=1, groups=2), TensorType((1, 6, 3, 4))
        yield cls(2, 4, stride=3, padding=((0, 2),), dilation=2, bias=False), TensorType((1, 3, 5))
        yield cls(2, 2, stride=(1, 2, 2), dilation=(2, 1, 1)), TensorType((1, 2, 2, 3, 2))
        yield cls(4, (3, 2), stride=(2, 3), padding=((1, 0), (0, 1)), groups=4), TensorType((1, 4, 3, 3))
        yield cls(3, (3, 2), stride=2, padding=((1, 0), (0, 1)), channels_last=True), TensorType((1, 3, 4, 2))


class _Taps(NamedTuple):
    """Which inputs an output sees: of those in its window the ones of which a tap falls on it."""

    stride: int
    dilation: int
    padding: int
    reach: int

    @property
    def gap(self) -> int:
        """From one of them to the next."""
        return self.dilation // gcd(self.stride, self.dilation) if self.reach else 1

    @property
    def misses(self) -> bool:
        """Whether there are outputs on which no tap falls."""
        return gcd(self.stride, self.dilation) > 1 or self.reach // self.dilation + 1 < self.stride

    def of(self, output: int) -> tuple[int, int] | None:
        """The first and the last of them, None if there is none."""
        s, d, at = self.stride, self.dilation, output + self.padding
        common = gcd(s, d)
        if at % common:
            return None
        turn = s // common
        first = at // common * pow(d // common, -1, turn) % turn  # the first tap that is a whole number of strides away
        last = self.reach // d
        if first > last:
            return None
        last -= (last - first) % turn
        return (at - d * last) // s, (at - d * first) // s
