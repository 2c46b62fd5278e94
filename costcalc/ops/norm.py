"""Normalisation over the batch, and over parts of one example.

The rule for the arithmetic: subtracting the mean, squaring, summing, scaling and so on count 1 for
each element that they touch. What happens once for each mean (dividing by the count, adding ε, the
square root) is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from costcalc.ir.dims import Dim
from costcalc.ir.fields import ints
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType, Weight, buffer, parameter
from costcalc.ir.window import Sight, mixing

if TYPE_CHECKING:
    from torch import nn

NORMALISE = 5  # add into the mean, subtract it, square, add into the variance, scale
AFFINE = 2  # multiply by the weight, add the bias


class ChannelNorm(Op):
    """What norms of (batch, channels, …) share."""

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) >= 2, f"{self.name} takes (batch, channels, …), not {len(x.shape)} axes"


class RunningNorm(ChannelNorm):
    """A norm by channel that can carry running statistics from training."""

    least_rank: ClassVar[int]
    module: ClassVar[str]
    if TYPE_CHECKING:
        affine: bool  # fields of each
        track_running_stats: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes = len(x.shape)
        wanted = "(batch, channels, up to 3 spatial axes)"
        yield self.least_rank <= axes <= 5, f"{self.name} takes {wanted}, not {axes} axes"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        found: dict[str, Weight] = {}
        if self.affine:
            found |= {"weight": parameter(x.channels), "bias": parameter(x.channels)}
        if self.track_running_stats:
            found |= {"running_mean": buffer(x.channels), "running_var": buffer(x.channels)}
            found["num_batches_tracked"] = buffer(dtype="int64", read=False)
        return found

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        if self.track_running_stats:
            return 2 * y.size
        return (NORMALISE + (AFFINE if self.affine else 0)) * y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        rank = max(len(x.shape) - 2, 1)
        made: nn.Module = getattr(nn, f"{self.module}{rank}d")(
            *ints([x.channels]), affine=self.affine, track_running_stats=self.track_running_stats
        )
        return made


@op("batch_norm")
class BatchNorm(RunningNorm):
    """Normalise each channel by the mean and variance that training gathered.

    Ops          2 per element: the four vectors fold into one scale and one shift a channel.
                 Without running statistics 5, and 2 more if affine.
    Not counted  folding the vectors; updating the running statistics.
    Source       Ioffe & Szegedy 2015, arXiv 1502.03167.
    """

    least_rank, module = 2, "BatchNorm"

    affine: bool = True
    track_running_stats: bool = True

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        if self.track_running_stats:
            return super().sights(x, y=y)
        return (mixing(x, 0, *range(2, len(x.shape))),)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(affine=False), TensorType((2, 3))
        yield cls(track_running_stats=False), TensorType((2, 3, 7))
        yield cls(affine=False, track_running_stats=False), TensorType((2, 2, 3, 2, 2))
