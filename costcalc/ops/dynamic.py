"""Convolution whose kernel is computed by the network: standardised, mixed from several, made from the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal
from costcalc.ir.fields import Counts, Pads, Size, Sizes, ints
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.conv import Conv
from costcalc.ops.conv_transpose import ConvTranspose

if TYPE_CHECKING:
    from torch import Tensor, nn


@op("dynamic_conv", inputs=(2, 2))
class DynamicConv(Op):
    """A conv, or with ``transposed`` its transpose, that takes its kernel as second input, shaped as PyTorch does.

    MACs         as the conv with a weight of its own.
    Not counted  computing the kernel: that is other layers' work.
    Source       PyTorch, torch.nn.functional.conv2d; as layers: Yang et al. 2019, arXiv 1904.04971.
    """

    under_autocast = UnderAutocast(takes="narrower")

    slides = True

    letters = {"stride": "s", "padding": "p", "dilation": "d", "groups": "g"}
    roles = {"output_padding": "padding"}

    stride: Sizes = 1
    padding: Pads = 0
    output_padding: Counts = 0
    dilation: Sizes = 1
    groups: Size = 1
    transposed: bool = False

    def conv(self, weight: TensorType) -> Conv | ConvTranspose:
        """The same conv with a weight of its own."""
        kernel = weight.shape[2:]
        if self.transposed:
            return ConvTranspose(
                weight.shape[1] * self.groups, kernel, self.stride,
                self.padding,  # type: ignore[arg-type]  # it refuses words
                self.output_padding, self.dilation, self.groups, bias=False,
            )  # fmt: skip
        return Conv(weight.shape[0], kernel, self.stride, self.padding, self.dilation, self.groups, bias=False)

    def requires(self, x: TensorType, weight: TensorType) -> Iterator[Condition]:
        yield len(weight.shape) == len(x.shape), f"the kernel has {len(weight.shape)} axes, the input {len(x.shape)}"
        yield from self.conv(weight).requires(x)
        (_, wanted), *_ = self.conv(weight).weights(x).items()
        for given, size in zip(weight.shape, wanted.type.shape, strict=True):
            yield equal(given, size), f"the kernel must be {wanted.type}, not {weight}"

    def infer(self, x: TensorType, weight: TensorType) -> TensorType:
        return self.conv(weight).infer(x)

    def macs(self, x: TensorType, weight: TensorType, *, y: TensorType) -> Dim:
        return self.conv(weight).macs(x, y=y)

    def nests(self, x: TensorType, weight: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        return tuple(nest._replace(weight="", reads=(0, 1)) for nest in self.conv(weight).nests(x, y=y))

    def saves(
        self, x: TensorType, weight: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> Saves | None:
        """Both, as a conv keeps its weight too."""
        found = self.conv(weight).saves(x, y=y, trained=trained, wanted=wanted)
        return found and found._replace(inputs=(*found.inputs, 1))

    def reads(self, x: TensorType, weight: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        return (*self.conv(weight).reads(x, y=y), weight.size)

    def mixes_parts(self) -> bool:
        return self.groups != 1

    def index_maps(self, x: TensorType, weight: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (*self.conv(weight).index_maps(x, y=y), ALL_TO_ALL)

    def kind(self, x: TensorType, weight: TensorType) -> str:
        return f"dynamic {self.conv(weight).kind(x)}"

    def to_torch(self, x: TensorType, weight: TensorType) -> nn.Module:
        from torch.nn import functional as F

        from costcalc.ops.functional import functional

        made = self.conv(weight).to_torch(x)
        names = ("stride", "padding", "output_padding", "dilation", "groups") if self.transposed else (
            "stride", "padding", "dilation", "groups",
        )  # fmt: skip
        options = {name: getattr(made, name) for name in names}
        kind = "conv_transpose" if self.transposed else "conv"
        apply = getattr(F, f"{kind}{len(ints(x.spatial))}d")
        return functional(lambda x, weight: apply(x, weight, **options))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2, 1), TensorType((1, 4, 5, 6)), TensorType((6, 4, 3, 3))
        yield cls(groups=2, padding=1), TensorType((1, 4, 7)), TensorType((2, 2, 3))
        yield cls(2, transposed=True), TensorType((1, 4, 3, 3)), TensorType((4, 3, 2, 2))
        yield cls(2, 0, 1, 2, transposed=True), TensorType((1, 2, 4)), TensorType((2, 3, 3))


@op("weight_norm", inputs=(2, 2))
class WeightNorm(Op):
    """A weight from its direction and its length: g · v / |v|, a length for each place along one axis, or one for all.

    It makes the weight and the lengths of v.

    Ops          4 per element: square and add for the length, divide, multiply.
    Not counted  the roots, once for each length.
    Source       Salimans & Kingma 2016, arXiv 1602.07868.
    """

    aten = "_weight_norm_interface _weight_norm"

    def requires(self, v: TensorType, g: TensorType) -> Iterator[Condition]:
        fits = len(g.shape) in (0, len(v.shape))
        yield fits, f"the lengths {g} must be one, or have as many axes as the direction {v}"

    def infer(self, v: TensorType, g: TensorType) -> tuple[TensorType, ...]:
        return v, g

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves((0, 1), (1,))

    def ops(self, v: TensorType, g: TensorType, *, y: TensorType) -> Dim:
        return 4 * v.size

    def index_maps(self, v: TensorType, g: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ALL_TO_ALL, ALL_TO_ALL

    def to_torch(self, v: TensorType, g: TensorType) -> nn.Module:
        from torch import linalg

        from costcalc.ops.functional import functional

        summed = tuple(axis for axis in range(len(v.shape)) if not g.shape or g.shape[axis] == 1)
        over = summed or (len(v.shape),)  # a length for each element: of an axis of one

        def normed(v: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
            length = linalg.vector_norm(v[..., None], dim=over, keepdim=True)[..., 0]
            return v * (g / length), length.reshape(g.shape)

        return functional(normed)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        made = call.add(cls(), call["v"], call["g"])
        return made[: len(call.made)]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((4, 3)), TensorType((4, 1))
        yield cls(), TensorType((4, 3, 2)), TensorType(())
