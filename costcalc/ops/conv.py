"""Convolution over one, two or three spatial axes, and its transpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, divides, prod
from costcalc.ir.fields import Pads, Size, Sizes, axes_given, ints, pads, per_axis
from costcalc.ir.footprint import taps_inside, taps_of_place, touched
from costcalc.ir.index_map import IndexMap, Window, in_groups, spatial
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import INPUT, Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast

if TYPE_CHECKING:
    from torch import nn


@op("conv")
class Conv(Op):
    """Slide a kernel over the input and take one dot product per place.

    MACs         every kernel tap at every output place, also taps that fall on padding.
    Ops          adding the bias: 1 per output.
    Not counted  filling the padding.
    Source       Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016).
    """

    under_autocast = UnderAutocast(rereads_weight=True)

    channel_axis = 1

    slides = True

    aten = "conv1d conv2d conv3d convolution _convolution"

    computes = "y[n, (g k), o...] += x[n, (g c), (s*o + d*r - p)...] * weight[(g k), c, r...]"
    letters = {"out_channels": "m", "kernel": "k", "stride": "s", "padding": "p", "dilation": "d", "groups": "g"}
    roles = {"out_channels": "width"}

    out_channels: Size
    kernel: Sizes
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: bool = True
    channels_last: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.kernel, self.stride, self.padding, self.dilation)
        c, m, g = x.channels, self.out_channels, self.groups
        yield divides(g, c), f"groups={g} must divide the {c} input channels"
        yield divides(g, m), f"groups={g} must divide out_channels={m}"
        for size, reach, _, (before, after) in self._axes(x):
            room = size + before + after
            yield at_least(room, reach + 1), f"the kernel spans {reach + 1}, the padded input only {room}"

    def infer(self, x: TensorType) -> TensorType:
        places = ((size + p + q - reach - 1) // s + 1 for size, reach, s, (p, q) in self._axes(x))
        return x.with_shape(x.shape[0], self.out_channels, *places)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        weight = parameter(
            self.out_channels, x.channels // self.groups, *per_axis(self.kernel, len(x.spatial)), dtype=x.dtype
        )
        return {"weight": weight} | ({"bias": parameter(self.out_channels, dtype=x.dtype)} if self.bias else {})

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (x.channels // self.groups) * prod(per_axis(self.kernel, len(x.spatial)))

    def nests(self, x: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        kernel, stride, dilation = self._settings(x)
        padding = tuple(axis[-1] for axis in self._axes(x))
        m, c, g = self.out_channels, x.channels, self.groups
        return (
            Nest(
                x.shape[0], m // g, c // g, g, y.spatial, kernel, x.spatial, stride, dilation, padding, weight="weight"
            ),
        )

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input; where PyTorch has no such padding the padded one."""
        padding = [axis[-1] for axis in self._axes(x)]
        if all(before == after for before, after in padding):
            return INPUT
        places = (size + sum(pair) for size, pair in zip(x.spatial, padding, strict=True))
        return Saves(maps=(x.with_shape(*x.shape[:2], *places),))

    def needed_macs(self, x: TensorType, *, y: TensorType) -> Dim:
        kernel, stride, dilation = self._settings(x)
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        axes = zip(y.spatial, x.spatial, kernel, stride, dilation, padding, strict=True)
        taps = prod(taps_inside(places, size, k, s, d, before) for places, size, k, s, d, (before, _) in axes)
        return x.shape[0] * self.out_channels * (x.channels // self.groups) * taps

    def reuse(self, x: TensorType) -> Dim:
        return prod(taps_of_place(k, s, d) for k, s, d in zip(*self._settings(x), strict=True))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size if self.bias else 0

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        kernel, stride, dilation = self._settings(x)
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        axes = zip(x.spatial, y.spatial, kernel, stride, dilation, padding, strict=True)
        return (x.shape[0] * x.channels * prod(touched(*axis, *p) for *axis, p in axes),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        windows = [_window(s, -p, reach - p) for _, reach, s, (p, _) in self._axes(x)]
        return (spatial(windows, ints(self._settings(x)[2])),)

    def mixes_parts(self) -> bool:
        return self.groups != 1

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (in_groups(self.index_maps(x, y=y)[0], *ints((self.groups, x.channels, y.channels))),)

    def as_conv(self, x: TensorType) -> Op:
        return self

    def kind(self, x: TensorType) -> str:
        if self.groups != 1:
            return "depthwise conv" if self.groups == x.channels else "group conv"
        return "pointwise conv" if all(k == 1 for k in per_axis(self.kernel, len(x.spatial))) else self.name

    def _settings(self, x: TensorType) -> tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[Dim, ...]]:
        """Kernel, stride and dilation, each per spatial axis."""
        n = len(x.spatial)
        return per_axis(self.kernel, n), per_axis(self.stride, n), per_axis(self.dilation, n)

    def _axes(self, x: TensorType) -> Iterator[tuple[Dim, Dim, Dim, tuple[Dim, Dim]]]:
        """Per spatial axis: input size, distance from first to last tap, stride, padding."""
        kernel, stride, dilation = self._settings(x)
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        for size, k, s, d, p in zip(x.spatial, kernel, stride, dilation, padding, strict=True):
            yield size, d * (k - 1), s, p

    # PyTorch counterpart: built when verifying.

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn
        from torch.nn.functional import pad

        kernel, stride, dilation = self._settings(x)
        padding = pads(self.padding, kernel, stride, dilation, x.spatial)
        even = all(before == after for before, after in padding)
        amount = ints(before if even else 0 for before, _ in padding)
        conv: type[nn.Module] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(kernel) - 1]
        sizes = *ints((x.channels, self.out_channels)), ints(kernel), ints(stride)
        module = conv(*sizes, amount, ints(dilation), *ints((self.groups,)), self.bias)
        if not even:
            uneven = ints(p for pair in reversed(padding) for p in pair)
            module.register_forward_pre_hook(lambda _, inputs: (pad(inputs[0], uneven),))
        return module

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        from costcalc.ops.traced_steps import add_bias, images, own

        weight, bias = call["weight"], call["bias"]
        axes = len(weight.shape) - 2
        if call.get("transposed"):
            return find_op("conv_transpose").from_aten(call)  # type: ignore[no-any-return]
        options = {name: once(call[name]) for name in ("stride", "padding", "dilation", "groups")}
        with_bias = bias is not None and own(weight, bias)
        if own(weight):
            op = cls(weight.shape[0], once(weight.shape[2:]), **options, bias=with_bias)
            weights = {"weight": weight, "bias": bias if with_bias else None}
            y = images(call, call["input"], axes, lambda x: call.add(op, x, **weights))
        else:
            # The kernel is computed by the network.
            dynamic = find_op("dynamic_conv")(**options)
            y = images(call, call["input"], axes, lambda x: call.add(dynamic, x, weight))
        return y if bias is None or with_bias else add_bias(call, y, bias, axes)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Small enough to run the loops of ``computes`` by hand; the tests and the docs do."""
        yield cls(6, 3, padding=1), TensorType((2, 2, 4, 3))
        yield cls(4, 5, stride=3, padding=2, groups=4), TensorType((1, 4, 11))
        yield (
            cls(6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
            TensorType((1, 4, 7, 6)),
        )
        yield cls(4, (2, 3), stride=2, padding="same"), TensorType((1, 2, 5, 6))
        yield cls(2, 2, padding=((0, 1), (2, 1))), TensorType((1, 2, 4, 4))
        yield cls(3, 2, padding=1), TensorType((1, 2, 3, 4, 3))
        yield cls(4, (3, 2), stride=2, padding=((0, 1), (1, 0)), groups=2, channels_last=True), TensorType((1, 5, 4, 2))


def takes_images(op: Op, x: TensorType, *per_axis_values: object) -> Iterator[Condition]:
    """The input has a batch, channels and 1 to 3 spatial axes, as many as any per-axis option says."""
    n = len(x.shape) - 2
    if not 1 <= n <= 3:
        yield False, f"{op.name} takes (batch, channels, 1 to 3 spatial axes), not {len(x.shape)} axes"
        return
    given = axes_given(*per_axis_values)
    if given is not None and not all(len(v) == n for v in per_axis_values if isinstance(v, tuple)):
        raise OptionError(f"{op.name}: an option is given for {given} axes, but the input has {n} spatial axes")


def _window(stride: Dim, lo: Dim, hi: Dim) -> Window:
    # A receptive field is only asked of sizes that are known.
    return Window(stride, lo, hi)  # type: ignore[arg-type]
