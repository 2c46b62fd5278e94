"""Max and average pooling with a sliding window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, ceil_div, maximum, minimum, prod, where
from costcalc.ir.fields import Pads, Sizes, ints, pads, per_axis
from costcalc.ir.footprint import touched
from costcalc.ir.index_map import IndexMap, Window, each_channel
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import INPUT, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import takes_images

if TYPE_CHECKING:
    from torch import nn


class Pool(Op):
    """What max and average pooling share: a window of ``kernel`` slides over each channel.

    ``stride`` is the kernel unless given. With ``ceil_mode`` a last window that only starts inside
    the input, or inside the padding before it, still counts.
    """

    slides = True

    if TYPE_CHECKING:  # each pooling states its own options
        kernel: Sizes
        stride: Sizes | None
        padding: Pads
        dilation: Sizes
        ceil_mode: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.kernel, self.stride, self.padding, self.dilation)
        kernel, _, _ = self._settings(x)
        for k, (size, reach, s, (before, after)) in zip(kernel, self._axes(x), strict=True):
            span, room = reach + 1, size + before + after
            for p in () if self.padding == "same" else (before, after):
                yield at_least(k, 2 * p), f"padding={p} must be at most half of the kernel of {k}"
            slack = s - 1 if self.ceil_mode else 0
            yield at_least(room + slack, span), f"the window spans {span}, the padded input only {room}"

    def places(self, x: TensorType) -> TensorType:
        """The type of the pooled tensor."""
        return x.with_shape(*x.shape[:2], *(self._count(*axis) for axis in self._axes(x)))

    def _count(self, size: Dim, reach: Dim, s: Dim, padding: tuple[Dim, Dim]) -> Dim:
        before, after = padding
        span = size + before + after - reach - 1
        if not self.ceil_mode:
            return span // s + 1
        return minimum(ceil_div(span, s) + 1, ceil_div(size + before, s))

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        axes = zip(x.spatial, y.spatial, *self._settings(x), self._padding(x), strict=True)
        along = []
        for size, count, k, s, d, (before, after) in axes:
            beyond = s - 1 if self.ceil_mode else 0  # how far the last window may hang over the end
            along.append(touched(size, count, k, s, d, before, after + beyond))
        return (x.shape[0] * x.channels * prod(along),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        windows = [Window(*ints((s, -p, reach - p))) for _, reach, s, (p, _) in self._axes(x)]
        return (each_channel(windows, ints(self._settings(x)[2])),)

    def window_size(self, x: TensorType) -> Dim:
        """Elements in one window, with those in the padding."""
        return prod(per_axis(self.kernel, len(x.spatial)))

    def padded(self, x: TensorType) -> TensorType | None:
        """The input with its padding, where PyTorch has no such padding and it is added beforehand."""
        if self._even(x):
            return None
        fill = zip(x.spatial, self._axes(x), self.places(x).spatial, strict=True)
        places = []
        for size, (_, reach, s, (before, after)), count in fill:
            needed = (count - 1) * s + reach + 1
            places.append(maximum(size + before + after, needed))
        return x.with_shape(*x.shape[:2], *places)

    def _settings(self, x: TensorType) -> tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[Dim, ...]]:
        """Kernel, stride and dilation, each per spatial axis."""
        n = len(x.spatial)
        stride = self.kernel if self.stride is None else self.stride
        return per_axis(self.kernel, n), per_axis(stride, n), per_axis(self.dilation, n)

    def _padding(self, x: TensorType) -> tuple[tuple[Dim, Dim], ...]:
        return pads(self.padding, *self._settings(x), x.spatial)

    def _axes(self, x: TensorType) -> Iterator[tuple[Dim, Dim, Dim, tuple[Dim, Dim]]]:
        """Per spatial axis: input size, distance from a window's first to its last element, stride, padding."""
        for size, k, s, d, p in zip(x.spatial, *self._settings(x), self._padding(x), strict=True):
            yield size, d * (k - 1), s, p

    def _even(self, x: TensorType) -> bool:
        """Whether PyTorch's own padding will do."""
        return all(before == after for before, after in self._padding(x))

    def _fill(self, x: TensorType) -> list[tuple[int, ...]]:
        """Per axis, elements to put before the input, in the padding after it, and after that for ``ceil_mode``."""
        made = []
        for (size, reach, s, (before, after)), count in zip(self._axes(x), self.places(x).spatial, strict=True):
            beyond = (count - 1) * s + reach + 1 - size - before - after
            made.append(ints((before, after, where(at_least(beyond, 0), beyond, 0))))
        return made


@op("max_pool")
class MaxPool(Pool):
    """The largest element of each window; padding never is.

    With ``indices`` it also returns where in its channel each was, for ``max_unpool``.

    MACs         none.
    Ops          comparisons, one fewer than a window has elements, per output; elements in the
                 padding included.
    Not counted  keeping the indices, which PyTorch writes (int64) also where nobody asks for them, but for one axis on
                 the CPU.
    Source       Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), section 3;
                 ``ceil_mode`` as in PyTorch.
    """

    aten = "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices"

    computes = "y[n, c, o...] max= x[n, c, (s*o + d*r - p)...] for r < k"
    letters = {"kernel": "k", "stride": "s", "padding": "p", "dilation": "d"}
    roles = {"ceil_mode": "padding"}

    kernel: Sizes
    stride: Sizes | None = None
    padding: Pads = 0
    dilation: Sizes = 1
    ceil_mode: bool = False
    indices: bool = False
    channels_last: bool = False

    def check(self) -> None:
        if self.indices and (isinstance(self.padding, str) or any(isinstance(p, tuple) for p in _each(self.padding))):
            raise OptionError("max_pool: with indices, padding must be a number, or a number for each axis")

    def infer(self, x: TensorType) -> TensorType | tuple[TensorType, TensorType]:
        y = self.places(x)
        return (y, TensorType(y.shape, "int64")) if self.indices else y

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (self.window_size(x) - 1)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and where the largest elements were."""
        padded = self.padded(x)
        if self.indices:
            return Saves(inputs=(0,), outputs=(1,))
        found = TensorType(y.shape, "int64")
        return Saves(inputs=(0,), maps=(found,)) if padded is None else Saves(maps=(padded, found))

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        """Where the largest elements were, for training; of one axis the kernel for the CPU makes none but then."""
        return () if self.indices or len(x.spatial) == 1 else (TensorType(y.shape, "int64"),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn
        from torch.nn.functional import pad

        pool: type[nn.Module] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[len(x.spatial) - 1]
        kernel, stride, dilation = map(ints, self._settings(x))
        if self._even(x):
            amount = ints(before for before, _ in self._padding(x))
            return pool(kernel, stride, amount, dilation, self.indices, self.ceil_mode)
        module = pool(kernel, stride, 0, dilation)
        fill = tuple(p for before, after, beyond in reversed(self._fill(x)) for p in (before, after + beyond))
        module.register_forward_pre_hook(lambda _, inputs: (pad(inputs[0], fill, value=float("-inf")),))
        return module

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        from costcalc.ops.traced_steps import images

        indices = len(call.made) > 1
        op = cls(**pooling(call), dilation=once(call["dilation"]), indices=indices)
        x = call["self"]
        return call.add(op, x) if indices else images(call, x, len(call["kernel_size"]), lambda x: call.add(op, x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 4, 6))
        yield cls(3, stride=2, padding=1), TensorType((1, 2, 7, 8))
        yield cls((3, 2), stride=(2, 3), padding=(1, 0), ceil_mode=True), TensorType((1, 2, 6, 6))
        yield cls(3, stride=1, dilation=2, ceil_mode=True), TensorType((1, 2, 9))
        yield cls(2, padding="same", stride=1), TensorType((1, 1, 3, 3, 2))
        yield cls(3, 2, padding=((0, 1), (1, 0)), ceil_mode=True), TensorType((1, 2, 5, 6))
        yield cls(2, indices=True), TensorType((1, 2, 4, 5))
        yield cls((3, 2), 1, padding="same", channels_last=True), TensorType((1, 4, 3, 2))


@op("avg_pool")
class AvgPool(Pool):
    """The mean of each window. Padding counts as zeros, or not at all without ``count_include_pad``.

    MACs         none.
    Ops          one less addition than a window has elements and one division: as many as the
                 window has elements, per output; elements in the padding included.
    Not counted  finding the divisors at the border.
    Source       Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), section 3;
                 ``ceil_mode`` and ``count_include_pad`` as in PyTorch.
    """

    aten = "avg_pool1d avg_pool2d avg_pool3d"

    computes = "y[n, c, o...] mean= x[n, c, (s*o + r - p)...] for r < k"
    letters = {"kernel": "k", "stride": "s", "padding": "p"}
    roles = {"ceil_mode": "padding"}

    dilation: ClassVar[int] = 1  # type: ignore[misc]  # not an option here

    kernel: Sizes
    stride: Sizes | None = None
    padding: Pads = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    channels_last: bool = False

    def infer(self, x: TensorType) -> TensorType:
        return self.places(x)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input; where the padding is added beforehand, the padded one and the share of each window that counts."""
        padded = self.padded(x)
        if padded is None:
            return INPUT
        return Saves(maps=(padded, y))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * self.window_size(x)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        pool: type[nn.Module] = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(x.spatial) - 1]
        kernel, stride, _ = map(ints, self._settings(x))
        if not self._even(x):
            return _uneven_mean(pool(kernel, stride), self._fill(x), self.count_include_pad)
        amount = ints(before for before, _ in self._padding(x))
        return pool(kernel, stride, amount, self.ceil_mode, self.count_include_pad)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        from costcalc.ops.traced_steps import images

        op = cls(**pooling(call), count_include_pad=call["count_include_pad"])
        return images(call, call["self"], len(call["kernel_size"]), lambda x: call.add(op, x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 4, 6))
        yield cls(3, stride=2, padding=1, count_include_pad=False), TensorType((1, 2, 6, 5))
        yield cls(2, stride=(3, 2), ceil_mode=True), TensorType((1, 2, 6, 7))
        yield cls(3, stride=1, padding="same", count_include_pad=False), TensorType((1, 2, 4))
        yield cls(3, 2, padding=((1, 0), (0, 1)), ceil_mode=True), TensorType((1, 1, 6, 6))
        yield cls(2), TensorType((1, 2, 4, 3, 2))
        yield cls(3, 2, padding="same", count_include_pad=False, channels_last=True), TensorType((1, 5, 4, 2))


def pooling(call: Call) -> dict[str, Any]:
    """The options that a traced call of a pooling has."""
    kernel, stride = once(call["kernel_size"]), once(call["stride"])
    options = {"kernel": kernel, "padding": once(call["padding"]), "ceil_mode": call["ceil_mode"]}
    return options if stride in ((), kernel) else {**options, "stride": stride}


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _uneven_mean(pool: nn.Module, fill: list[tuple[int, ...]], count_include_pad: bool) -> nn.Module:
    """Average pooling with its padding spelled out: the mean over all, divided by the share that counts."""
    from torch import Tensor, nn
    from torch.nn.functional import pad

    near = tuple(p for before, after, _ in reversed(fill) for p in (before, after))
    beyond = tuple(p for _, _, b in reversed(fill) for p in (0, b))

    class UnevenMean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            counted = pad(x.new_ones(x.shape), near, value=float(count_include_pad))
            y: Tensor = pool(pad(pad(x, near), beyond)) / pool(pad(counted, beyond))
            return y

    return UnevenMean()
