"""Normalisation of each place over its last axes or its channels, counted as ``norm`` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, prod
from costcalc.ir.fields import Axis, ints
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import NOTHING, Moment, Saves
from costcalc.ir.tensor import FLOATING_BITS, TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.norm import NORMALISE
from costcalc.ops.traced_steps import beside, own, scaled

if TYPE_CHECKING:
    from torch import nn


class PlaceNorm(Op):
    """What layer and RMS norm share: they normalise the last axes, or the channels of a map."""

    if TYPE_CHECKING:
        axes: Axis  # fields of each
        affine: bool
        channels_first: bool

    def check(self) -> None:
        if self.axes < 1:
            raise OptionError(f"{self.name}: axes={self.axes} must be at least 1, the number of last axes to normalise")
        if self.channels_first and self.axes != 1:
            raise OptionError(f"{self.name}: channels_first normalises the channels alone; leave out axes={self.axes}")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        rank = len(x.shape)
        if self.channels_first:
            yield rank >= 2, f"{self.name} with channels_first takes (batch, channels, …), not {rank} axes"
        yield rank >= self.axes, f"{self.name} normalises the last {self.axes} axes, but the input has {rank}"

    def normalised(self, x: TensorType) -> tuple[Dim, ...]:
        """The sizes of the axes that are normalised together; the weights have them too."""
        return (x.channels,) if self.channels_first else x.shape[-self.axes :]

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, 1) if self.channels_first else mixing(x, *range(-self.axes, 0)),)

    def in_channels_last(self, module: nn.Module, x: TensorType) -> nn.Module:
        """``module``, with the channels of ``x`` moved to the end for it where the option says so."""
        if self.channels_first:
            last = len(x.shape) - 1  # counted from the front: an exporter writes it as it stands
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].movedim(1, last),))
            module.register_forward_hook(lambda _, inputs, output: output.movedim(last, 1))
        return module


@op("layer_norm")
class LayerNorm(PlaceNorm):
    """Normalise each place over its last axis, or the last ``axes`` together.

    With ``channels_first`` it is the channels of a (batch, channels, …) map that are normalised at
    each place, as ConvNeXt does.

    Ops          5 per element; with affine 7, without its bias 6.
    Not counted  dividing by the count, adding ε, the square root: once for each place.
    Source       Ba et al. 2016, arXiv 1607.06450.
    """

    under_autocast = UnderAutocast(keeps_wide=True)

    aten = "layer_norm native_layer_norm"

    axes: Axis = 1
    affine: bool = True
    bias: bool = True
    channels_first: bool = False

    def weights(self, x: TensorType) -> dict[str, Weight]:
        if not self.affine:
            return {}
        weight = parameter(*self.normalised(x), dtype=x.dtype)
        return {"weight": weight, "bias": weight} if self.bias else {"weight": weight}

    def discards(self, x: TensorType, *, y: TensorType) -> tuple[TensorType, ...]:
        places = x.with_shape(x.size // prod(self.normalised(x)))
        return places, places  # mean and deviation of each

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, and mean and deviation of each place."""
        return Saves(inputs=(0,), maps=self.discards(x, y=y))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return (NORMALISE + len(self.weights(x))) * y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        module = nn.LayerNorm(ints(self.normalised(x)), elementwise_affine=self.affine, bias=self.bias)
        return self.in_channels_last(module, x)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        axes, weight, bias = len(call["normalized_shape"]), call["weight"], call["bias"]
        if weight is None or not own(weight, bias, like=call["input"]):
            y = scaled(call, call.add(cls(axes, affine=False), call["input"]), weight, bias)
        else:
            y = call.add(cls(axes, bias=bias is not None), call["input"], weight=weight, bias=bias)
        return beside(call, y)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(axes=2, bias=False), TensorType((2, 3, 4))
        yield cls(channels_first=True), TensorType((2, 3, 4, 5))
        yield cls(affine=False), TensorType((2, 5))


@op("rms_norm")
class RMSNorm(PlaceNorm):
    """Divide each place by the root mean square of its last axis, or of the last ``axes``.

    With ``channels_first`` of the channels of a (batch, channels, …) map, as SSD does but for a constant.

    Ops          3 per element: square, add, scale; with affine 4.
    Not counted  dividing by the count, adding ε, the square root: once for each place.
    Source       Zhang & Sennrich 2019, arXiv 1910.07467.
    """

    aten = "rms_norm _fused_rms_norm"

    axes: Axis = 1
    affine: bool = True
    channels_first: bool = False

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return {"weight": parameter(*self.normalised(x), dtype=x.dtype)} if self.affine else {}

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input and the root of each place; for the gradient of the weight what it is multiplied with. Types below
        32 bits are worked out in float32, of a copy.
        """
        wide = TensorType(x.shape, "float32") if FLOATING_BITS.get(x.dtype, 32) < 32 else x
        places = wide.with_shape(x.size // prod(self.normalised(x)))
        of_input = Saves((0,), maps=(places,)) if wide == x else Saves(maps=(wide, places))
        found = of_input if wanted[0] else NOTHING
        return found._replace(maps=(*found.maps, wide)) if trained else found

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The gradient by way of the root of each place, beside the one by the product: a mean's and two of a square's,
        where the roots, what the weight was multiplied with and the result's gradient have been given up.
        """
        if not wanted[0]:
            return ()
        places = x.size // prod(self.normalised(x))
        return (Moment((x.with_shape((3 if trained else 4) * x.size - places),), spent=True),)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return (3 + len(self.weights(x))) * y.size

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return self.in_channels_last(nn.RMSNorm(ints(self.normalised(x)), elementwise_affine=self.affine), x)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        axes, weight = len(call["normalized_shape"]), call["weight"]
        if weight is None or not own(weight, like=call["input"]):
            return scaled(call, call.add(cls(axes, affine=False), call["input"]), weight, None)
        return call.add(cls(axes), call["input"], weight=weight)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
        yield cls(axes=2, affine=False), TensorType((2, 3, 4))
        yield cls(channels_first=True), TensorType((2, 3, 4, 5))
