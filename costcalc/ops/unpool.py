"""Undoing max pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, equal
from costcalc.ir.fields import Counts, Sizes, ints, per_axis
from costcalc.ir.index_map import IndexMap, Window, each_channel, ratio
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.conv import takes_images

if TYPE_CHECKING:
    from torch import Tensor, nn


@op("max_unpool", inputs=(2, 2))
class MaxUnpool(Op):
    """Put each element back where a ``max_pool`` with ``indices`` took it from, with zeros elsewhere.

    It takes the values and those indices. ``stride`` is the kernel unless given; ``size`` says how
    large the pooled map was where the division left a rest. Each output is said to see what
    indices of a pooling with the same options can bring it.

    MACs         none.
    Ops          none.
    Not counted  clearing the output.
    Source       Zeiler & Fergus 2013, arXiv 1311.2901, section 2.1; PyTorch, torch.nn.MaxUnpool2d.
    """

    under_autocast = UnderAutocast(takes="float32")

    is_bounded_only = True

    slides = True

    aten = "max_unpool2d max_unpool3d"

    letters = {"kernel": "k", "stride": "s", "padding": "p"}
    roles = {"size": "resolution"}

    kernel: Sizes
    stride: Sizes | None = None
    padding: Counts = 0
    size: Sizes | None = None

    def requires(self, x: TensorType, indices: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.kernel, self.stride, self.padding, self.size)
        yield len(x.shape) == len(indices.shape), f"the indices must be {x}, not {indices}"
        for a, b in zip(x.shape, indices.shape, strict=True):
            yield equal(a, b), f"the indices must be {x}, not {indices}"
        whole = indices.dtype.startswith("int")
        yield whole, f"the indices must be whole numbers, as max_pool(indices=True) makes, not {indices.dtype}"
        for full, made, (_, s, _) in zip(self._full(x), self._made(x), self._axes(x), strict=True):
            yield at_least(made, 1), f"padding leaves nothing of the output: {made}"
            said = f"size={made} must be above {full - s} and below {full + s}"
            yield at_least(made - 1, full - s), said
            yield at_least(full + s - 1, made), said

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *self._made(x))

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves((1,))

    def index_maps(self, x: TensorType, indices: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        # Window i of the pooling starts at s·i - p and has k elements, so o lies in those from (o + p - k + 1) / s.
        bounds = ((s, p - k + 1, p) for k, s, p in self._axes(x))
        window = each_channel([Window(ratio(1, s), ratio(lo, s), ratio(hi, s)) for s, lo, hi in bounds])
        return window, window

    def _made(self, x: TensorType) -> tuple[Dim, ...]:
        return tuple(self._full(x)) if self.size is None else per_axis(self.size, len(x.spatial))

    def _full(self, x: TensorType) -> Iterator[Dim]:
        """The size of each axis if the pooling left no rest."""
        for size, (k, s, p) in zip(x.spatial, self._axes(x), strict=True):
            yield (size - 1) * s + k - 2 * p

    def _axes(self, x: TensorType) -> Iterator[tuple[Dim, Dim, Dim]]:
        n = len(x.spatial)
        stride = self.kernel if self.stride is None else self.stride
        return zip(per_axis(self.kernel, n), per_axis(stride, n), per_axis(self.padding, n), strict=True)

    def to_torch(self, x: TensorType, indices: TensorType) -> nn.Module:
        import torch

        n = len(x.spatial)
        unpool = (torch.nn.MaxUnpool1d, torch.nn.MaxUnpool2d, torch.nn.MaxUnpool3d)[n - 1]
        inner = unpool(*map(ints, zip(*self._axes(x), strict=True)))
        made = list(ints(self._made(x)))

        class Unpooled(torch.nn.Module):
            def forward(self, x: Tensor, indices: Tensor) -> Tensor:
                y: Tensor = inner(x, indices, made)
                return y

        return Unpooled()

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        from costcalc.ops.traced_steps import images, reshaped

        # The call says the output size alone; the pooling it undoes is taken to have tiled its input.
        x, indices, size = call["self"], call["indices"], tuple(call["output_size"])
        kernel = tuple(max(made // given, 1) for made, given in zip(size, x.shape[-len(size) :], strict=True))
        if len(indices.shape) == len(size) + 1:
            indices = reshaped(call, indices, 1, *indices.shape)
        return images(call, x, len(size), lambda x: call.add(cls(once(kernel), size=once(size)), x, indices))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 2, 3)), TensorType((2, 3, 2, 3), "int64")
        yield cls(3, stride=2, padding=1, size=6), TensorType((1, 2, 3)), TensorType((1, 2, 3), "int64")
