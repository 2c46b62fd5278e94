"""Normalisation over the batch, and over parts of one example.

The rule for the arithmetic: subtracting the mean, squaring, summing, scaling and so on count 1 for
each element that they touch. What happens once for each mean (dividing by the count, adding ε, the
square root) is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, divides
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType, Weight, buffer, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.traced_steps import beside, converted, own, reshaped, scaled

if TYPE_CHECKING:
    from torch import nn

NORMALISE = 5  # add into the mean, subtract it, square, add into the variance, scale
AFFINE = 2  # multiply by the weight, add the bias


class RunningNorm(Op):
    """A norm by channel that can carry running statistics from training."""

    least_rank: ClassVar[int]
    module: ClassVar[str]
    if TYPE_CHECKING:
        affine: bool  # fields of each
        track_running_stats: bool
        counter: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes = len(x.shape)
        wanted = "(batch, channels, up to 3 spatial axes)"
        yield self.least_rank <= axes <= 5, f"{self.name} takes {wanted}, not {axes} axes"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        found: dict[str, Weight] = {}
        if self.affine:
            found |= {"weight": parameter(x.channels, dtype=x.dtype), "bias": parameter(x.channels, dtype=x.dtype)}
        if self.track_running_stats:
            found |= {
                "running_mean": buffer(x.channels, dtype=x.dtype),
                "running_var": buffer(x.channels, dtype=x.dtype),
            }
            if self.counter:
                found["num_batches_tracked"] = buffer(dtype="int64", read=0)
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
        if not self.counter:
            made.num_batches_tracked = None  # type: ignore[assignment]
        return made


@op("batch_norm")
class BatchNorm(RunningNorm):
    """Normalise each channel by the mean and variance that training gathered.

    PyTorch keeps a ``counter`` of training steps with them, files of other formats do not.

    Ops          2 per element: the four vectors fold into one scale and one shift a channel.
                 Without running statistics 5, and 2 more if affine.
    Not counted  folding the vectors; updating the running statistics.
    Source       Ioffe & Szegedy 2015, arXiv 1502.03167.
    """

    under_autocast = UnderAutocast(keeps_wide=True)

    aten = "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training"

    least_rank, module = 2, "BatchNorm"

    affine: bool = True
    track_running_stats: bool = True
    counter: bool = True

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and mean and deviation of each channel."""
        each = x.with_shape(x.channels)
        return Saves(inputs=(0,), maps=(each, each))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        if self.track_running_stats:
            return super().index_maps(x, y=y)
        return (mixing(x, 0, *range(2, len(x.shape))),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return beside(call, tracking_norm(call, cls, tracks=_tracks(call, not call.get("training"))))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(affine=False), TensorType((2, 3))
        yield cls(counter=False), TensorType((2, 3))
        yield cls(track_running_stats=False), TensorType((2, 3, 7))
        yield cls(affine=False, track_running_stats=False), TensorType((2, 2, 3, 2, 2))


@op("instance_norm")
class InstanceNorm(RunningNorm):
    """Normalise each channel of each example over its places.

    Ops          5 per element, and 2 more if affine; 2 per element with running statistics.
    Not counted  dividing by the count, adding ε, the square root: once for each channel.
    Source       Ulyanov et al. 2016, arXiv 1607.08022.
    """

    under_autocast = UnderAutocast(keeps_wide=True)

    aten = "instance_norm"

    least_rank, module = 3, "InstanceNorm"

    affine: bool = False
    track_running_stats: bool = False
    counter: bool = True

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, mean and deviation of each channel of each example; and its own vectors, repeated for each."""
        each = x.with_shape(x.shape[0] * x.channels)
        repeated = (1 if self.affine else 0) + (2 if self.track_running_stats else 0)
        return Saves(inputs=(0,), maps=(each,) * (2 + repeated))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        if self.track_running_stats:
            return super().index_maps(x, y=y)
        return (mixing(x, *range(2, len(x.shape))),)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return tracking_norm(call, cls, tracks=_tracks(call, not call["use_input_stats"]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(affine=True), TensorType((2, 3, 7))
        yield cls(affine=True, track_running_stats=True), TensorType((1, 2, 3, 2, 2))
        yield cls(track_running_stats=True, counter=False), TensorType((2, 3, 4))


@op("group_norm")
class GroupNorm(Op):
    """Normalise each of ``groups`` groups of channels of each example over its channels and places.

    Ops          5 per element, and 2 more if affine.
    Not counted  dividing by the count, adding ε, the square root: once for each group.
    Source       Wu & He 2018, arXiv 1803.08494.
    """

    under_autocast = UnderAutocast(keeps_wide=True)

    aten = "group_norm native_group_norm"

    letters = {"groups": "g"}

    groups: Size
    affine: bool = True

    def requires(self, x: TensorType) -> Iterator[Condition]:
        if len(x.shape) < 2:
            yield False, f"group_norm takes (batch, channels, …), not {len(x.shape)} axes"
            return
        yield divides(self.groups, x.channels), f"groups={self.groups} must divide the {x.channels} channels"

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return (
            {"weight": parameter(x.channels, dtype=x.dtype), "bias": parameter(x.channels, dtype=x.dtype)}
            if self.affine
            else {}
        )

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        groups = x.with_shape(x.shape[0], self.groups)
        return groups, groups  # mean and deviation of each

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and mean and deviation of each group."""
        return Saves(inputs=(0,), maps=self.discards(x, y=y))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return (NORMALISE + (AFFINE if self.affine else 0)) * y.size

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, *range(1, len(x.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        groups, channels = ints((self.groups, x.channels))
        return nn.GroupNorm(groups, channels, affine=self.affine)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        groups = call.get("num_groups") or call["group"]
        return beside(call, channel_norm(call, lambda affine: cls(groups, affine)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 4, 3, 5))
        yield cls(1), TensorType((2, 6, 5))
        yield cls(3, affine=False), TensorType((2, 6))


def _tracks(call: Call, by_running: bool) -> bool:
    """Whether a norm has running statistics, which a model that is trained only writes."""
    return call.get("running_mean") is not None and (call.training or by_running)


def tracking_norm(call: Call, norm: Callable[..., RunningNorm], *, tracks: bool) -> Traced:
    """A norm by running statistics where it ``tracks`` them, by those of its input otherwise.

    Statistics are often in a higher precision than the input, and so is the norm then.
    """
    if not tracks:
        return channel_norm(call, lambda affine: norm(affine=affine, track_running_stats=False))
    weight, bias = call["weight"], call["bias"]
    mean, variance = call["running_mean"], call["running_var"]
    x = converted(call, call["input"], mean.type.dtype)
    affine = weight is not None and bias is not None and own(weight, bias, like=x)
    counter = f"{mean.weight.rpartition('.')[0]}.num_batches_tracked".lstrip(".")
    if own(mean, variance, like=x) and mean.weight and not mean.trained and counter in call.known:
        weights = {"weight": weight, "bias": bias} if affine else {}
        y = call.add(
            norm(affine=affine, track_running_stats=True), x, **weights, running_mean=mean, running_var=variance
        )
    elif own(mean, variance, weight, bias, like=x):  # frozen: its scale and its shift are known beforehand
        return converted(call, by_channel(call, x, *_folded(call, weight, bias, mean, variance)), call.made[0].dtype)
    else:  # the network computes them: a scale and a shift all the same
        affine, y = False, by_channel(call, x, variance, mean)
    return converted(call, y if affine else by_channel(call, y, weight, bias), call.made[0].dtype)


def _folded(
    call: Call, weight: Traced | None, bias: Traced | None, mean: Traced, variance: Traced
) -> tuple[Traced, Traced]:
    """The scale α/σ of a norm and its shift β − μ·α/σ, from its vectors."""
    scale: Traced = call.add(find_op("elementwise")("rsqrt"), variance)
    if weight is not None:
        scale = call.add(find_op("multiply")(), weight, scale)
    shift: Traced = call.add(find_op("multiply")(), mean, scale)
    shift = call.add(find_op("elementwise")("neg"), shift) if bias is None else call.add(
        find_op("subtract")(), bias, shift
    )  # fmt: skip
    return scale, shift


def channel_norm(call: Call, make: Callable[[bool], Op]) -> Traced:
    """A norm with a weight and a bias for each channel: its own, or computed ones after it."""
    weight, bias = call["weight"], call["bias"]
    if weight is not None and bias is not None and own(weight, bias, like=call["input"]):
        return call.add(make(True), call["input"], weight=weight, bias=bias)  # type: ignore[no-any-return]
    return by_channel(call, call.add(make(False), call["input"]), weight, bias)


def by_channel(call: Call, y: Traced, weight: Traced | None, bias: Traced | None) -> Traced:
    """``y`` scaled and shifted channel by channel."""
    each = (1,) * (len(y.shape) - 2)
    return scaled(call, y, *(t and reshaped(call, t, *t.shape, *each) for t in (weight, bias)))
