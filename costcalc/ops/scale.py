"""Scaling that is fixed, learned or local."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.dims import Dim
from costcalc.ir.fields import Axis, Size, ints
from costcalc.ir.index_map import AxisMap, IndexMap, Window
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import INPUT, NOTHING, Moment, Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.axes import has_axes, position

if TYPE_CHECKING:
    from torch import nn


@op("scale")
class Scale(Op):
    """Multiply by a fixed number.

    Ops          1 per element.
    """

    keeps = "nothing"

    factor: float

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        factor = self.factor
        return functional(lambda x: x * factor)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(0.17), TensorType((2, 3, 4))


@op("layer_scale")
class LayerScale(Op):
    """Multiply each channel by a trained factor; ``axis`` says which axis the channels are.

    Ops          1 per element.
    Source       Touvron et al. 2021, arXiv 2103.17239.
    """

    under_autocast = UnderAutocast(widens=True)

    axis: Axis = 1

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, self.axis)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        at = position(self.axis, x)
        return {"gamma": parameter(x.shape[at], *(1,) * (len(x.shape) - at - 1), dtype=x.dtype)}

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return INPUT if trained else NOTHING

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The gradient of the factors, before it is summed."""
        return (Moment((y,)),) if trained else ()

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn, ones

        from costcalc.ops.functional import functional

        shape = ints(self.weights(x)["gamma"].type.shape)
        return functional(lambda x, gamma: x * gamma, gamma=nn.Parameter(ones(shape)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4, 5))
        yield cls(-1), TensorType((2, 3, 4))


@op("local_response_norm")
class LocalResponseNorm(Op):
    """x / (k + α/size · Σ x²)^β over ``size`` neighbouring channels.

    Ops          size + 4 per element: a square, size - 1 additions, then multiply, add, power, divide.
    Not counted  that windows overlap and their sums could be shared; the ends, where there are fewer channels.
    Source       Krizhevsky et al. 2012, section 3.3.
    """

    under_autocast = UnderAutocast(is_known=False)

    letters = {"size": "k"}
    roles = {"size": "kernel"}

    size: Size = 5

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) >= 3, f"local_response_norm takes (batch, channels, places …), not {len(x.shape)} axes"

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input; its squares, padded; their mean, and what the input is divided by."""
        padded = x.with_shape(x.shape[0], x.channels + self.size - 1, *x.spatial)
        return Saves(inputs=(0,), maps=(padded, y, y))

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The gradient of what the input is divided by, and two steps on the way to it, beside that of the input."""
        return (Moment((y, y, y)),)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (self.size + 4)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        (size,) = ints([self.size])
        window = Window(1, -(size // 2), (size - 1) // 2)
        return (tuple(AxisMap(axis, window) if axis == 1 else AxisMap(axis) for axis in range(len(x.shape))),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.LocalResponseNorm(*ints([self.size]))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 7, 3, 4))
        yield cls(2), TensorType((1, 5, 4))
