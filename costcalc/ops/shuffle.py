"""Rearrangements of channels and pixels: no arithmetic, but every element is read and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import divides
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Regroup, Steps, Window, ratio
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import images

if TYPE_CHECKING:
    from torch import nn


@op("channel_shuffle")
class ChannelShuffle(Op):
    """Deal the channels of each group out to all groups, so that the next group conv sees them all.

    MACs         none, and no parameters; but the whole map is read and written.
    Ops          none.
    Source       Zhang et al. 2017, arXiv 1707.01083, section 3.1.
    """

    keeps = "nothing"

    aten = "channel_shuffle native_channel_shuffle"

    computes = "y[n, (c g), o...] = x[n, (g c), o...]"
    letters = {"groups": "g"}

    groups: Size

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if len(x.shape) < 3:
            yield False, f"channel_shuffle takes (batch, channels, …), not {len(x.shape)} axes"
        yield divides(self.groups, x.channels), f"groups={self.groups} must divide the {x.channels} channels"

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (tuple(None if axis == 1 else AxisMap(axis) for axis in range(len(x.shape))),)

    def mixes_parts(self) -> bool:
        return True

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        groups, channels = ints((self.groups, x.channels))

        def dealt(channel: int) -> tuple[int, int]:
            own = channel % groups * (channels // groups) + channel // groups
            return own, own

        return (tuple(AxisMap(axis, sees=dealt if axis == 1 else None) for axis in range(len(x.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.ChannelShuffle(*ints((self.groups,)))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return call.add(cls(call["groups"]), call["self"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 6, 2, 3))
        yield cls(3), TensorType((1, 12, 2))


@op("pixel_shuffle")
class PixelShuffle(Op):
    """Turn factor² channels into a factor × factor block of pixels: upsampling without arithmetic.

    MACs         none.
    Ops          none; every element is read and written.
    Source       Shi et al. 2016, arXiv 1609.05158, section 3.2.
    """

    keeps = "nothing"

    slides = True

    aten = "pixel_shuffle"

    computes = "y[n, c, (h i), (w j)] = x[n, (c i j), h, w]"
    letters = {"factor": "r"}
    roles = {"factor": "resolution"}

    factor: Size
    channels_last: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield _is_image(self, x)
        area = self.factor * self.factor
        yield divides(area, x.channels), f"factor²={area} must divide the {x.channels} channels"

    def infer(self, x: TensorType) -> TensorType:
        (n, c, h, w), r = x.shape, self.factor
        return x.with_shape(n, c // (r * r), h * r, w * r)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (r,) = ints((self.factor,))
        window = Window(ratio(1, r), ratio(1 - r, r), 0)
        return ((AxisMap(0), AxisMap(1, Window(r * r, 0, r * r - 1)), AxisMap(2, window), AxisMap(3, window)),)

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (n, _, h, w), c, (r,) = ints(x.shape), ints(y.shape)[1], ints((self.factor,))
        apart, together = (n, c, r, r, h, w), (n, c, h, r, w, r)
        moved = tuple(map(AxisMap, (0, 1, 4, 2, 5, 3)))
        return (Steps(((Regroup(), apart), (moved, together), (Regroup(), ints(y.shape)))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.PixelShuffle(*ints((self.factor,)))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return images(call, call["self"], 2, lambda x: call.add(cls(call["upscale_factor"]), x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 8, 2, 3))
        yield cls(3), TensorType((1, 9, 2, 2))
        yield cls(2, channels_last=True), TensorType((1, 2, 3, 8))


@op("pixel_unshuffle")
class PixelUnshuffle(Op):
    """Turn each factor × factor block of pixels into channels: the inverse of ``pixel_shuffle``.

    MACs         none.
    Ops          none; every element is read and written.
    Source       Shi et al. 2016, arXiv 1609.05158, section 3.2, read backwards.
    """

    keeps = "nothing"

    is_bounded_only = True

    slides = True

    aten = "pixel_unshuffle"

    computes = "y[n, (c i j), h, w] = x[n, c, (h i), (w j)]"
    letters = {"factor": "r"}
    roles = {"factor": "resolution"}

    factor: Size
    channels_last: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield _is_image(self, x)
        for size in x.spatial:
            yield divides(self.factor, size), f"factor={self.factor} must divide the size {size}"

    def infer(self, x: TensorType) -> TensorType:
        (n, c, h, w), r = x.shape, self.factor
        return x.with_shape(n, c * r * r, h // r, w // r)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (r,) = ints((self.factor,))
        channels = Window(ratio(1, r * r), ratio(1 - r * r, r * r), 0)
        window = Window(r, 0, r - 1)
        return ((AxisMap(0), AxisMap(1, channels), AxisMap(2, window), AxisMap(3, window)),)

    def element_maps(self, index: int, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (n, c), (h, w), (r,) = ints(x.shape[:2]), ints(y.shape[2:]), ints((self.factor,))
        apart, together = (n, c, h, r, w, r), (n, c, r, r, h, w)
        moved = tuple(map(AxisMap, (0, 1, 3, 5, 2, 4)))
        return (Steps(((Regroup(), apart), (moved, together), (Regroup(), ints(y.shape)))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.PixelUnshuffle(*ints((self.factor,)))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        return images(call, call["self"], 2, lambda x: call.add(cls(call["downscale_factor"]), x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 4, 6))
        yield cls(3), TensorType((1, 2, 3, 6))
        yield cls(2, channels_last=True), TensorType((1, 4, 6, 3))


def _is_image(op: Op, x: TensorType) -> Condition:
    return len(x.shape) == 4, f"{op.name} takes (batch, channels, height, width), not {len(x.shape)} axes"
