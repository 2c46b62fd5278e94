"""Arithmetic on whole tensors: of several with broadcasting, and sums along axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim
from costcalc.ir.fields import ints
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Moment, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import before_sums, broadcast, joint_dtype, stretches
from costcalc.ops.element_values import Elements, each, stretched

if TYPE_CHECKING:
    from torch import nn


class Combination(Op):
    """One operator between the inputs, element by element; sizes of 1 stretch."""

    operator: ClassVar[str]
    """The function in Python's ``operator`` module."""

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        yield from stretches(*(t.shape for t in x))

    def infer(self, *x: TensorType) -> TensorType:
        return TensorType(broadcast(*(t.shape for t in x)), joint_dtype(*x))

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return (len(x) - 1) * y.size

    def hands_back(self, *x: TensorType, y: TensorType) -> tuple[bool, ...]:
        return tuple([self.rearranges and t.shape == y.shape for t in x])

    def evaluate(self, given: tuple[Elements, ...], *x: TensorType, y: TensorType) -> Elements | None:
        operands = [stretched(of, ints(t.shape), ints(y.shape)) for of, t in zip(given, x, strict=True)]
        made: Elements | None = operands[0]
        for other in operands[1:]:
            made = made and each(self.name, (made, other), y.dtype, y.dtype)
        return made

    def to_torch(self, *x: TensorType) -> nn.Module:
        import operator
        from functools import reduce

        from costcalc.ops.functional import functional

        combine: Callable[..., Any] = getattr(operator, self.operator)
        return functional(lambda *inputs: reduce(combine, inputs))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        from costcalc.ops.elementwise import combination

        return combination(cls, call)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((2, 3, 4)), TensorType((2, 3, 4))
        yield cls(), TensorType((2, 3, 4, 5)), TensorType((2, 3, 1, 1))
        yield cls(), TensorType((5,)), TensorType((2, 4, 1))


@op("add", inputs=(2, None))
class Add(Combination):
    """Sum of the inputs.

    Ops          1 per output for each input after the first.
    """

    keeps = "nothing"
    rearranges = True

    aten = "add"

    operator = "add"

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield from super().examples()
        yield cls(), TensorType((2, 3)), TensorType((2, 3)), TensorType((1, 3))


@op("multiply", inputs=(2, None))
class Multiply(Combination):
    """Product of the inputs, element by element.

    Ops          1 per output for each input after the first.
    Not counted  as MACs: nothing is accumulated.
    """

    aten = "mul multiply"

    weighs = True

    operator = "mul"

    def leaves(self, mask: int) -> Callable[[Any], bool]:
        return bool

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """Each factor that meets one whose gradient is wanted; of several the products on the way are factors too."""
        inputs: set[int] = set()
        maps = []
        before = wanted[0]
        for i in range(1, len(x)):
            if before:
                inputs.add(i)
            if wanted[i] and i == 1:
                inputs.add(0)
            elif wanted[i]:
                maps.append(TensorType(broadcast(*(t.shape for t in x[:i])), joint_dtype(*x[:i])))
            before = before or wanted[i]
        return Saves(tuple(sorted(inputs)), maps=tuple(maps))

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        return before_sums(x, y, wanted, (True,) * len(x))


@op("subtract", inputs=(2, 2))
class Subtract(Combination):
    """First input minus the second.

    Ops          1 per output.
    """

    keeps = "nothing"

    aten = "sub subtract"

    operator = "sub"

    def hands_back(self, *x: TensorType, y: TensorType) -> tuple[bool, ...]:
        return x[0].shape == y.shape, False  # that of the second changes its sign

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        return before_sums(x, y, wanted, (False, True))


@op("divide", inputs=(2, 2))
class Divide(Combination):
    """First input over the second.

    Ops          1 per output.
    """

    aten = "div divide true_divide"

    operator = "truediv"

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return Saves((0, 1) if wanted[1] else (1,))

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """Three steps on the way to the gradient of what is divided by, which comes first."""
        by = wanted[1] and x[1].shape == y.shape
        first = (Moment((y, y, y) if by else (y, y, y, y), (1,) if by else ()),) if wanted[1] else ()
        return (*first, *before_sums(x, y, wanted, (True, True)))
