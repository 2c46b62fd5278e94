"""What PyTorch sees otherwise without work: conjugates, and numbers of the other sign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.ir.call import Call
from costcalc.ir.op import Example, Op, op
from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    from torch import nn


class SeenTurned(Op):
    """The input's own storage with a mark, by which those who read it turn the sign."""

    is_view = True
    rearranges = True

    torch_name: ClassVar[str]

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        return functional(getattr(torch, self.torch_name))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        return call.add(cls(), *call.tensors())


@op("conjugate")
class Conjugate(SeenTurned):
    """The conjugate of complex numbers; a view.

    Not counted  turning the sign, which is done by who reads it.
    """

    aten = "_conj"
    torch_name = "conj"

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4), "complex64")


@op("negative_view")
class NegativeView(SeenTurned):
    """The input with the other sign, as a view: the imaginary part of a conjugate.

    Not counted  turning the sign, which is done by who reads it.
    """

    aten = "_neg_view"
    torch_name = "_neg_view"

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4))
