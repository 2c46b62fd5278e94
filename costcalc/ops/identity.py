"""What does nothing at inference: its output is its input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.call import Call, Traced
from costcalc.ir.op import Example, Op, find_op, op
from costcalc.ir.saved import NOTHING, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import beside, copied

if TYPE_CHECKING:
    from torch import nn


@op("identity")
class Identity(Op):
    """The input."""

    rearranges = True

    aten = "contiguous clone identity"

    is_view = True
    is_identity = True
    only_moves = True

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Identity()

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        (x,) = call.tensors()
        return copied(call, x) if call.copies or call.name == "clone" else x

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))


class Drops(Op):
    """What leaves something out at random, with a probability ``p``, in training alone."""

    if TYPE_CHECKING:
        p: float  # a field of each

    is_view = True
    is_identity = True
    only_moves = True

    @property
    def is_view_in_training(self) -> bool:  # type: ignore[override]
        """Nothing is dropped with a probability of 0."""
        return self.p == 0


@op("dropout")
class Dropout(Drops):
    """Zero elements at random in training; at inference, the input.

    Traced code that drops at inference too multiplies by a mask and a scale.

    Source       Srivastava et al. 2014.
    """

    aten = "dropout feature_dropout alpha_dropout native_dropout feature_alpha_dropout"

    p: float = 0.5

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """A factor for each element, 0 or 1 / (1 - p), in the input's element type."""
        if self.p == 0:
            return NOTHING
        return Saves(maps=(x.with_shape() if self.p == 1 else x,))

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.p)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        x = call.tensors()[0]
        if call.training:
            p = float(call["p"]) if call["train"] else 0.0
            if p == 0 or not call.name.startswith("feature_"):
                return beside(call, call.add(cls(p), x))
            shape = (*x.shape[:2], *(1 for _ in x.shape[2:]))  # a channel is kept or lost whole
            return call.add(find_op("multiply")(), x, call.add(find_op("constant")(shape, x.type.dtype, random=True)))
        if call["train"]:  # where the code says so; the random numbers are not counted
            # Of weights alone it would be known beforehand, were the mask no input.
            mask = (call.add(find_op("constant")(x.shape, x.type.dtype, random=True)),) if x.settled else ()
            return beside(call, call.add(find_op("elementwise")("multiply", times=2), x, *mask))
        return call.add(cls(float(call["p"])), x)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(0.1), TensorType((2, 3, 4))


@op("stochastic_depth")
class StochasticDepth(Drops):
    """Drop a residual branch at random in training; at inference, the input.

    Source       Huang et al. 2016, arXiv 1603.09382.
    """

    p: float = 0.1

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """A factor for each example, 0 or 1 / (1 - p)."""
        if self.p == 0:
            return NOTHING
        return Saves(maps=(x.with_shape(x.shape[0], *(1 for _ in x.shape[1:])),))

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import Tensor, nn

        kept = 1 - self.p

        class StochasticDepth(nn.Module):
            """Nothing at inference; in training an example keeps the branch or loses it whole."""

            def forward(self, x: Tensor) -> Tensor:
                if not self.training or kept == 1:
                    return x
                noise = x.new_empty((x.shape[0], *(1,) * (x.ndim - 1))).bernoulli_(kept)
                return x * (noise.div_(kept) if kept else noise)

        return StochasticDepth()

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(0.1), TensorType((2, 3, 4))
