"""Sampling a map at computed places, and cutting it into patches and back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, divides, equal, maximum, prod, where
from costcalc.ir.fields import Counts, Sizes, ints, per_axis
from costcalc.ir.footprint import taps_laid, touched
from costcalc.ir.index_map import AxisMap, ElementMap, IndexMap, Regroup, Several, Steps, Window, ratio
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import images

if TYPE_CHECKING:
    from torch import nn

MODES = {"bilinear": 2, "nearest": 1, "bicubic": 4}
"""Elements that each mode weighs along an axis; the order is PyTorch's."""


@op("grid_sample", inputs=(2, 2))
class GridSample(Op):
    """Each output is the input at a place that the second input names, interpolated.

    Where it looks depends on the data: each output is said to see all of the input.

    Ops          a weighted sum of t elements is 2t - 1 per output: bilinear 7, in three dimensions 15, bicubic 31.
    Not counted  the interpolation weights, which the channels share.
    Source       Jaderberg et al. 2015, arXiv 1506.02025.
    """

    is_bounded_only = True

    slides = True

    aten = "grid_sampler grid_sampler_2d grid_sampler_3d"

    choices = {"mode": MODES}

    mode: str = "bilinear"

    def requires(self, x: TensorType, grid: TensorType) -> Iterator[Condition]:
        fits = len(x.shape) in (4, 5) and len(grid.shape) == len(x.shape)
        yield fits, "grid_sample takes (batch, channels, places …) and a grid of (batch, places …, coordinates)"
        yield equal(grid.shape[-1], len(x.shape) - 2), f"the grid names {grid.shape[-1]} coordinates a place"

    def infer(self, x: TensorType, grid: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *grid.shape[1:-1])

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves((0, 1))

    def ops(self, x: TensorType, grid: TensorType, *, y: TensorType) -> Dim:
        taps = MODES[self.mode] ** (len(x.shape) - 2)
        return y.size * (2 * taps - 1) if taps > 1 else 0

    def index_maps(self, x: TensorType, grid: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        places = len(x.shape) - 2
        return (AxisMap(0), AxisMap(1), *(None,) * places), (AxisMap(0), None, *(AxisMap(1 + i) for i in range(places)))

    def to_torch(self, x: TensorType, grid: TensorType) -> nn.Module:
        from torch.nn.functional import grid_sample

        from costcalc.ops.functional import functional

        mode = self.mode
        return functional(lambda x, grid: grid_sample(x, grid, mode, align_corners=False))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(tuple(MODES)[call["interpolation_mode"]]), call["input"], call["grid"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5)), TensorType((2, 6, 7, 2))
        yield cls("bicubic"), TensorType((1, 2, 5, 5)), TensorType((1, 3, 3, 2))


class Patches(Op):
    """What cutting into patches and putting together share."""

    if TYPE_CHECKING:
        kernel: Sizes  # fields of each
        stride: Sizes
        padding: Counts
        dilation: Sizes

    def places(self, sizes: tuple[Dim, ...]) -> list[Dim]:
        """Number of patches along each axis of a map of ``sizes``."""
        each = zip(sizes, *self.settings_by_axis(), strict=True)
        return [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in each]

    def settings_by_axis(self) -> list[tuple[Dim, ...]]:
        """Kernel, stride, padding and dilation, each for height and width."""
        return [per_axis(value, 2) for value in (self.kernel, self.stride, self.padding, self.dilation)]

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The CPU's kernels put the gradient into memory of the size of the output's, where that is more."""
        return (Moment((x.with_shape(where(at_least(y.size, x.size), y.size - x.size, 0)),)),)

    def taken_apart(self, channels: tuple[Dim, Dim], sizes: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """The axes of the columns: batch, channels, taps along height and width, patches along height and width."""
        return (*channels, *per_axis(self.kernel, 2), *self.places(sizes))


@op("unfold")
class Unfold(Patches):
    """Every patch of a map as a column: (batch, channels, height, width) to (batch, channels·k², patches).

    Not counted  any arithmetic, there is none; the input is read and the larger output written.
    """

    keeps = "nothing"

    slides = True

    aten = "im2col"

    kernel: Sizes
    stride: Sizes = 1
    padding: Counts = 0
    dilation: Sizes = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 4, f"unfold takes (batch, channels, height, width), not {len(x.shape)} axes"
        for count in self.places(x.shape[2:]):
            yield at_least(count, 1), "unfold: the patch is larger than the padded input"

    def infer(self, x: TensorType) -> TensorType:
        taps = prod(per_axis(self.kernel, 2))
        return x.with_shape(x.shape[0], x.shape[1] * taps, prod(self.places(x.shape[2:])))

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        axes = zip(x.spatial, self.places(x.spatial), *self.settings_by_axis(), strict=True)
        return (x.shape[0] * x.channels * prod(touched(n, m, k, s, d, p, p) for n, m, k, s, p, d in axes),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        axes: list[tuple[AxisMap, AxisMap]] = []
        for axis, each in enumerate(zip(*self.settings_by_axis(), strict=True), 2):
            _, s, p, d = ints(each)
            axes.append((AxisMap(axis, Window(d)), AxisMap(axis, Window(s, -p, -p))))
        taps, patches = zip(*axes, strict=True)
        apart = self.taken_apart(x.shape[:2], x.shape[2:])  # type: ignore[arg-type]
        return (Steps((((AxisMap(0), AxisMap(1), *taps, *patches), apart), (Regroup(), y.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        kernel, stride, padding, dilation = map(ints, self.settings_by_axis())
        return nn.Unfold(kernel, dilation, padding, stride)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        options = (once(call[name]) for name in ("kernel_size", "stride", "padding", "dilation"))
        op = cls(*options)
        return images(call, call["self"], 2, lambda x: call.add(op, x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(3, padding=1), TensorType((2, 3, 5, 6))
        yield cls((2, 3), 2), TensorType((1, 2, 6, 7))
        yield cls(3, dilation=(2, 1)), TensorType((1, 1, 7, 5))


def _patch_of(stride: int, shift: int, place: int) -> tuple[int, int] | None:
    """The patch of which one tap, at ``shift`` from where the patch starts, lies on ``place``; None if none does."""
    patch, beside = divmod(place - shift, stride)
    return None if beside else (patch, patch)


@op("fold")
class Fold(Patches):
    """Patches put back to where ``unfold`` took them from, added up where they overlap.

    Ops          1 per element of the patches.
    """

    keeps = "nothing"

    aten = "col2im"

    roles = {"size": "resolution"}

    size: Sizes
    kernel: Sizes
    stride: Sizes = 1
    padding: Counts = 0
    dilation: Sizes = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 3, f"fold takes (batch, channels·taps, patches), not {len(x.shape)} axes"
        yield divides(prod(per_axis(self.kernel, 2)), x.shape[1]), "fold: the taps must divide the columns' length"
        count = prod(self.places(per_axis(self.size, 2)))
        yield equal(count, x.shape[2]), f"fold: size={self.size} has {count} patches, the input {x.shape[2]}"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(x.shape[0], x.shape[1] // prod(per_axis(self.kernel, 2)), *per_axis(self.size, 2))

    def occupies(self, x: TensorType, *, y: TensorType) -> TensorType:
        """The patches' memory, where that is more: the kernel works on as many elements as it is given."""
        return y.with_shape(maximum(x.size, y.size))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        axes = zip(self.places(y.spatial), y.spatial, *self.settings_by_axis(), strict=True)
        return (x.shape[0] * y.channels * prod(taps_laid(m, n, k, s, d, p) for m, n, k, s, p, d in axes),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        apart = self.taken_apart(y.shape[:2], y.shape[2:])  # type: ignore[arg-type]
        each = [ints(values) for values in zip(*self.settings_by_axis(), strict=True)]
        if all((s, p, d) == (k, 0, 1) and size % k == 0 for (k, s, p, d), size in zip(each, y.shape[2:], strict=True)):
            # Patches side by side: no two of them meet, so that each is where it was.
            order = (0, 1, 4, 2, 5, 3)
            turned = (tuple(AxisMap(axis) for axis in order), tuple(apart[axis] for axis in order))
            return (Steps(((Regroup(), apart), turned, (Regroup(), y.shape))),)
        # Place o is tap r of patch i where o = s·i + d·r - p, so i = (o + p - d·r) / s, with d·r from 0 to the reach.
        bounds = ((s, p - d * (k - 1), p) for k, s, p, d in each)
        windows = (Window(ratio(1, s), ratio(lo, s), ratio(hi, s)) for s, lo, hi in bounds)
        # Of the patches that reach a place each shows it another of its taps: they may all be of one pixel.
        patches = (AxisMap(axis, window, bound=True) for axis, window in enumerate(windows, 4))
        return (Steps(((Regroup(), apart), ((AxisMap(0), AxisMap(1), *patches), y.shape))),)

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[ElementMap, ...]:
        apart = self.taken_apart(y.shape[:2], y.shape[2:])  # type: ignore[arg-type]
        each = [ints(values) for values in zip(*self.settings_by_axis(), strict=True)]
        ways: list[IndexMap] = []
        for taps in product(*(range(k) for k, *_ in each)):
            patches = [
                AxisMap(4 + axis, sees=partial(_patch_of, s, d * tap - p), along=2 + axis)
                for axis, (tap, (_, s, p, d)) in enumerate(zip(taps, each, strict=True))
            ]
            # Axes behind the output's hold the tap, which is the same for all.
            own = [AxisMap(2 + axis, Window(0, tap, tap), along=4 + axis) for axis, tap in enumerate(taps)]
            ways.append(Steps(((Regroup(), apart), ((AxisMap(0), AxisMap(1), *patches, *own), y.shape))))
        return (Several(tuple(ways)),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        values = (self.size, self.kernel, self.dilation, self.padding, self.stride)
        return nn.Fold(*(ints(per_axis(v, 2)) for v in values))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        options = (once(call[name]) for name in ("output_size", "kernel_size", "stride", "padding", "dilation"))
        op = cls(*options)
        return images(call, call["self"], 1, lambda x: call.add(op, x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((5, 6), 3, padding=1), TensorType((2, 27, 30))
        yield cls((7, 6), (3, 2), 2, dilation=(1, 2)), TensorType((1, 6, 6))
