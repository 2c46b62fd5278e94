"""Shift: moving channels instead of convolving them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.errors import OptionError
from costcalc.ir.dims import Dim, minimum, prod
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import IndexMap, Window, each_channel
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import takes_images

if TYPE_CHECKING:
    from torch import nn


@op("shift")
class Shift(Op):
    """Move each channel by an offset of its own within the kernel's window; zeros move in.

    The channels are dealt in order: as many to each offset as divide evenly, offsets in reading
    order (top left first), and the rest to the centre, which does not move. With fewer channels
    than offsets nothing moves.

    MACs         none, and no parameters; but the whole map is read and written.
    Ops          none.
    Not counted  filling the border.
    Source       Wu et al. 2017, arXiv 1711.08141, section 3.
    """

    keeps = "nothing"

    slides = True

    letters = {"kernel": "k", "dilation": "d"}

    kernel: Size = 3
    dilation: Size = 1

    def check(self) -> None:
        if isinstance(self.kernel, int) and self.kernel % 2 == 0:
            raise OptionError(f"shift: kernel={self.kernel} must be odd, to have a centre")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x)

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        k, d, half, axes = self.kernel, self.dilation, self.kernel // 2, len(x.spatial)
        each, along = x.channels // prod([k] * axes), []
        for (
            size
        ) in x.spatial:  # what the offsets leave inside, all of them together: size, and twice size - d, size - 2d …
            steps = minimum(half, size // d)
            along.append(size + 2 * steps * size - d * steps * (steps + 1))
        still = x.channels - each * prod([k] * axes)
        return (x.shape[0] * (each * prod(along) + still * prod(x.spatial)),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        axes = len(x.spatial)
        kernel, dilation, channels = ints((self.kernel, self.dilation, x.channels))
        reach = kernel // 2 * dilation if channels >= kernel**axes else 0
        return (each_channel([Window(1, -reach, reach)] * axes, [dilation] * axes),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from itertools import product

        import torch
        from torch.nn.functional import pad

        kernel, dilation, channels = ints((self.kernel, self.dilation, x.channels))
        axes = len(x.spatial)
        border = kernel // 2 * dilation
        offsets = list(product(range(0, 2 * border + 1, dilation), repeat=axes))
        each = channels // len(offsets)

        # Neighbouring channels that move alike, moved together; those left over stay.
        alike = [(offset, each) for offset in offsets if each] + [((border,) * axes, channels - each * len(offsets))]

        class Shifted(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                wide = pad(x, (border,) * (2 * axes))
                moved = []
                first = 0
                for start, count in alike:
                    part = wide.narrow(1, first, count)
                    for axis, (at, size) in enumerate(zip(start, x.shape[2:], strict=True)):
                        part = part.narrow(2 + axis, at, size)
                    moved.append(part)
                    first += count
                return torch.cat(moved, 1)

        return Shifted()

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 11, 4, 5))
        yield cls(5, dilation=2), TensorType((1, 6, 9))
        yield cls(3), TensorType((1, 8, 3, 3))
