"""What box detectors do between their networks: suppress overlapping boxes, cut regions out of a map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, at_least, divides, equal
from costcalc.ir.fields import Count, Size, Sizes, ints, per_axis
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast

if TYPE_CHECKING:
    from torch import nn

OVERLAP = 13  # 4 extrema, 2 subtractions, 2 clamps, product, sum, subtraction, division, comparison


@op("nms", inputs=(2, 2))
class NMS(Op):
    """Boxes (n, 4) and their scores: which ``kept`` of them do not overlap a better one.

    How many are kept depends on the data; ``kept`` is an assumption, which reports name.

    Ops          13 for each pair of boxes: the overlap and its comparison.
    Not counted  sorting the scores.
    """

    is_bounded_only = True

    aten = "torchvision::nms"

    roles = {"kept": "options"}

    kept: Count

    def requires(self, boxes: TensorType, scores: TensorType) -> Iterator[Condition]:
        yield len(boxes.shape) == 2, f"nms takes boxes of (n, 4), not {boxes}"
        yield equal(boxes.shape[0], scores.shape[0]), f"there are {boxes.shape[0]} boxes and {scores.shape[0]} scores"
        yield at_least(boxes.shape[0], self.kept), f"kept={self.kept} is more than the {boxes.shape[0]} boxes"

    def infer(self, boxes: TensorType, scores: TensorType) -> TensorType:
        return TensorType((self.kept,), "int64")

    def ops(self, boxes: TensorType, scores: TensorType, *, y: TensorType) -> Dim:
        n = boxes.shape[0]
        return OVERLAP * (n * (n - 1) // 2)

    def index_maps(self, boxes: TensorType, scores: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ALL_TO_ALL, ALL_TO_ALL

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (made,) = call.made
        return call.add(cls(made.shape[0]), call["dets"], call["scores"])  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(3), TensorType((5, 4)), TensorType((5,))


class RegionPool(Op):
    """What cutting regions out of a map shares: ``size`` bins for each region (index, 4 coordinates)."""

    is_bounded_only = True

    roles = {"size": "resolution"}

    size: Sizes

    by_position = False

    def requires(self, x: TensorType, regions: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 4, f"{self.name} takes (batch, channels, height, width), not {len(x.shape)} axes"
        yield len(regions.shape) == 2, f"{self.name} takes regions of (n, 5), not {regions}"
        yield equal(regions.shape[1], 5), f"{self.name} takes regions of (n, 5), not {regions}"
        if self.by_position:
            height, width = per_axis(self.size, 2)
            yield divides(height * width, x.channels), f"{height * width} bins must divide the {x.channels} channels"

    def infer(self, x: TensorType, regions: TensorType) -> TensorType:
        height, width = per_axis(self.size, 2)
        channels = x.channels // (height * width) if self.by_position else x.channels
        return x.with_shape(regions.shape[0], channels, height, width)

    def index_maps(self, x: TensorType, regions: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ALL_TO_ALL, ALL_TO_ALL

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((1, 8, 6, 6)), TensorType((3, 5))
        yield cls((2, 4), by_position=True), TensorType((2, 16, 6, 5)), TensorType((3, 5))


@op("roi_align", inputs=(2, 2))
class RoIAlign(RegionPool):
    """Regions of a map at a fixed ``size``: each bin the mean of ``samples``² interpolated points.

    With ``by_position`` each bin has channels of its own. ``samples=0`` makes as many as the region
    is large, which depends on the data; they are then counted as 2², as FPN's heads set them.

    Ops          8 per point: bilinear interpolation 7, and adding it into the mean.
    Source       He et al. 2017, arXiv 1703.06870; by position: Li et al. 2018, arXiv 1711.07264.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "torchvision::roi_align torchvision::ps_roi_align"

    roles = {"size": "resolution", "samples": "options"}

    samples: Count = 2
    by_position: bool = False

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The regions, and by position the channel of each bin, as torchvision's operators do."""
        return Saves((1,), maps=(TensorType(y.shape, "int32"),) if self.by_position else ())

    def ops(self, x: TensorType, regions: TensorType, *, y: TensorType) -> Dim:
        points = self.samples * self.samples or 4
        return 8 * points * y.size

    def to_torch(self, x: TensorType, regions: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional
        from costcalc.ops.regions import align

        bins, (samples,) = ints(per_axis(self.size, 2)), ints([self.samples])
        return functional(lambda x, regions: align(x, regions, bins, samples or 2, self.by_position))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        size = _size(call)
        by_position = call.name.endswith("ps_roi_align")
        make: Any = cls
        y = call.add(make(size, max(call["sampling_ratio"], 0), by_position), call["input"], call["rois"])
        return y if len(call.made) == 1 else (y, _unread(call))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield from super().examples()
        make: Any = cls
        yield make(3, samples=0), TensorType((1, 4, 6, 6)), TensorType((2, 5))


@op("roi_pool", inputs=(2, 2))
class RoIPool(RegionPool):
    """Regions of a map at a fixed ``size``: each bin the maximum, or with ``by_position`` the mean, of what lies in it.

    Ops          1 per element of a region. How large regions are depends on the data; they are counted as half
                 the map along each axis.
    Source       Girshick 2015, arXiv 1504.08083; by position: Dai et al. 2016, arXiv 1605.06409.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "torchvision::roi_pool torchvision::ps_roi_pool"

    by_position: bool = False

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The regions, and where the largest elements were, as torchvision's operator does."""
        return Saves((1,), maps=(TensorType(y.shape, "int32"),))

    def ops(self, x: TensorType, regions: TensorType, *, y: TensorType) -> Dim:
        height, width = x.shape[2:]
        return regions.shape[0] * y.channels * (height * width // 4)

    def to_torch(self, x: TensorType, regions: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional
        from costcalc.ops.regions import pool

        bins = ints(per_axis(self.size, 2))
        return functional(lambda x, regions: pool(x, regions, bins, self.by_position))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        make: Any = cls
        y = call.add(make(_size(call), call.name.endswith("ps_roi_pool")), call["input"], call["rois"])
        return y, _unread(call)


def _size(call: Call) -> Size | tuple[Size, Size]:
    height, width = call["pooled_height"], call["pooled_width"]
    return height if height == width else (height, width)


def _unread(call: Call) -> Traced:
    """The places that a kernel keeps for its backward pass."""
    from costcalc.ops.constant import Constant

    kept = call.made[1]
    return call.add(Constant(kept.shape, kept.dtype))  # type: ignore[no-any-return]
