"""Pooling to a given size, and over the whole map."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.errors import OptionError
from costcalc.ir.call import Call, once
from costcalc.ir.dims import Dim, gcd, prod
from costcalc.ir.expr import Expr
from costcalc.ir.fields import Sizes, ints, per_axis
from costcalc.ir.index_map import AxisMap, IndexMap, Window, ratio, whole
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import INPUT, NOTHING, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import is_one
from costcalc.ops.conv import takes_images

if TYPE_CHECKING:
    from torch import nn


class AdaptivePool(Op):
    """What pooling to a given size shares: output ``o`` of ``m`` pools the inputs from ⌊o·size/m⌋ to ⌈(o+1)·size/m⌉."""

    slides = True

    torch_name: ClassVar[str]
    if TYPE_CHECKING:  # each pooling states its own options
        size: Sizes

    def check(self) -> None:
        given = self.size if isinstance(self.size, tuple) else (self.size,)
        if any(isinstance(size, Expr) for size in given):
            raise OptionError(f"{self.name}: size={self.size} must be known, not a symbol")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.size)

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *per_axis(self.size, len(x.spatial)))

    def pooled(self, x: TensorType) -> Dim:
        """Elements in all windows together; where sizes do not divide, windows overlap.

        Along an axis ⌈(o+1)·n/m⌉ - ⌊o·n/m⌋ over all ``o`` adds up to n + m - gcd(n, m).
        """
        sizes = per_axis(self.size, len(x.spatial))
        along = (n + m - gcd(n, m) for n, m in zip(x.spatial, sizes, strict=True))
        return x.shape[0] * x.channels * prod(along)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        pairs = zip(ints(x.spatial), ints(y.spatial), strict=True)
        axes = (None if m == 1 else _bins(2 + i, n, m) for i, (n, m) in enumerate(pairs))
        return ((AxisMap(0), AxisMap(1), *axes),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        pool = getattr(nn, f"{self.torch_name}{len(x.spatial)}d")
        module: nn.Module = pool(ints(per_axis(self.size, len(x.spatial))))
        return module

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        from costcalc.ops.traced_steps import images

        x, size = call["self"], call["output_size"]
        y = images(call, x, len(size), lambda x: call.add(cls(once(size)), x))
        # Max pooling returns beside it where the largest were, for its backward pass.
        rest = (call.add(find_op("constant")(t.shape, t.dtype)) for t in call.made[1:])
        return (y, *rest) if len(call.made) > 1 else y

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 4, 6))
        yield cls((3, 1)), TensorType((1, 2, 7, 5))
        yield cls(4), TensorType((1, 2, 6))
        yield cls((2, 3, 2)), TensorType((1, 2, 3, 2, 4))


@op("adaptive_avg_pool")
class AdaptiveAvgPool(AdaptivePool):
    """The mean of each of ``size`` bins, which overlap where sizes do not divide.

    MACs         none.
    Ops          one for each element of each bin: the additions and one division.
    Source       PyTorch, torch.nn.AdaptiveAvgPool2d.
    """

    aten = "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"

    torch_name = "AdaptiveAvgPool"

    roles = {"size": "resolution"}

    size: Sizes

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input; to a size of 1 it is a mean, which needs nothing."""
        return NOTHING if all(is_one(size) for size in y.spatial) else INPUT

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return self.pooled(x)


@op("adaptive_max_pool")
class AdaptiveMaxPool(AdaptivePool):
    """The largest element of each of ``size`` bins, which overlap where sizes do not divide.

    MACs         none.
    Ops          comparisons, one fewer than a bin has elements.
    Source       PyTorch, torch.nn.AdaptiveMaxPool2d.
    """

    aten = "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"

    torch_name = "AdaptiveMaxPool"

    roles = {"size": "resolution"}

    size: Sizes

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return self.pooled(x) - y.size

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and where the largest elements were."""
        return Saves(inputs=(0,), maps=(TensorType(y.shape, "int64"),))

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(y.shape, "int64"),)  # where the largest were, for training


class GlobalPool(Op):
    """What pooling over all places shares."""

    slides = True

    torch_name: ClassVar[str]
    if TYPE_CHECKING:
        keepdim: bool

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x)

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *(1 for _ in x.spatial if self.keepdim))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ((AxisMap(0), AxisMap(1), *(None for _ in y.shape[2:])),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        pool: nn.Module = getattr(nn, f"{self.torch_name}{len(x.spatial)}d")(1)
        return pool if self.keepdim else nn.Sequential(pool, nn.Flatten())

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(keepdim=False), TensorType((2, 3, 4, 2))
        yield cls(), TensorType((1, 2, 7))
        yield cls(channels_last=True), TensorType((1, 3, 4, 2))
        yield cls(keepdim=False, channels_last=True), TensorType((1, 3, 4, 2))


@op("global_avg_pool")
class GlobalAvgPool(GlobalPool):
    """The mean of each channel, as (batch, channels, 1, 1), or (batch, channels) without ``keepdim``.

    MACs         none.
    Ops          one per input element: the additions and one division a channel.
    Source       Lin et al. 2013, arXiv 1312.4400, section 3.2.
    """

    keeps = "nothing"

    torch_name = "AdaptiveAvgPool"

    keepdim: bool = True
    channels_last: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size


@op("global_max_pool")
class GlobalMaxPool(GlobalPool):
    """The largest element of each channel, as (batch, channels, 1, 1), or (batch, channels) without ``keepdim``.

    MACs         none.
    Ops          comparisons, one fewer than a channel has elements.
    Source       PyTorch, torch.nn.AdaptiveMaxPool2d(1).
    """

    torch_name = "AdaptiveMaxPool"

    keepdim: bool = True
    channels_last: bool = False

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.size - y.size

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and where the largest elements were."""
        return Saves(inputs=(0,), maps=(TensorType(y.shape, "int64"),))

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(y.shape, "int64"),)  # where the largest were, for training


def _bins(axis: int, n: int, m: int) -> AxisMap:
    """Output ``o`` pools from ⌊o·n/m⌋ to ⌈(o+1)·n/m⌉ - 1; over all ``o`` both are rounded by up to 1 - gcd(n, m)/m."""
    return _bins_of(n, m)._replace(axis=axis)


@lru_cache(maxsize=256)  # one ``sees`` for all axes alike: what follows from it is then told once
def _bins_of(n: int, m: int) -> AxisMap:
    step = ratio(n, m)
    rounded = ratio(step.denominator - 1, step.denominator)
    window = Window(step, -rounded, whole(step + rounded - 1))
    return AxisMap(0, window, sees=lambda o: (o * n // m, -(-(o + 1) * n // m) - 1))
