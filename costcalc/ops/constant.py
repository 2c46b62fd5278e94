"""Tensors that no layer computes: weights used as values, and constants; and operations without a rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import prod
from costcalc.ir.fields import UNKNOWN, Dtype, Dtypes, Numbers, Shape, Shapes, elements, ints, number
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.op import Example, Op, op
from costcalc.ir.tensor import FLOATING_BITS, TensorType, Weight
from costcalc.ops.element_values import Elements
from costcalc.ops.traced_steps import converted, copied, expanded

if TYPE_CHECKING:
    from torch import nn


class Leaf(Op):
    """What comes from nowhere: a tensor of known shape and element type."""

    if TYPE_CHECKING:
        shape: Shape  # fields of each
        dtype: Dtype

    def infer(self) -> TensorType:
        return TensorType(self.shape, self.dtype)


@op("parameter", inputs=(0, 0))
class Parameter(Leaf):
    """A tensor of the model as a value: position embeddings, class tokens, weights that are computed with.

    It is stored once, with the weights, and read by who uses it.
    """

    is_view = True

    shape: Shape
    dtype: Dtype = "float32"
    trained: bool = True

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight(self.infer(), self.trained)}

    def to_torch(self) -> nn.Module:
        import torch
        from torch import nn

        from costcalc.ops.functional import functional

        # Ones where numbers are computed with: a mask of zeros would leave nothing of what it is put on.
        fill = torch.ones if self.dtype in FLOATING_BITS else torch.zeros
        tensor = fill(ints(self.shape), dtype=getattr(torch, self.dtype))
        return functional(lambda weight: weight, weight=nn.Parameter(tensor) if self.trained else tensor)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield (cls((1, 4, 3)),)
        yield (cls((5,), "int64", trained=False),)


@op("constant", inputs=(0, 0))
class Constant(Leaf):
    """A tensor of numbers known beforehand: zeros, positions, a mask; or random ones.

    ``value`` is what all elements are, or a list of them in their order; a tensor of which nobody says it is 'unknown'.
    Numbers that are infinite are told by words, 'inf' and '-inf', and what is none by 'nan'.

    Not counted  making it: it is the same for every input, unless it is ``random``.
    """

    keeps = "nothing"

    RANDOM: ClassVar = frozenset(
        ("rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "uniform", "normal",
         "bernoulli", "random", "exponential")
    )  # fmt: skip

    aten = """
    constant costcalc::constant empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like
    new_zeros ones ones_like new_ones full full_like new_full fill zero arange linspace logspace eye range
    scalar_tensor tril_indices triu_indices rand randn rand_like randn_like randint randint_like randperm
    hann_window hamming_window bartlett_window blackman_window kaiser_window fft_fftfreq fft_rfftfreq
    empty_permuted uniform normal bernoulli random exponential _efficientzerotensor
    """

    shape: Shape
    dtype: Dtype = "float32"
    random: bool = False
    value: Numbers = 0

    @property
    def is_random(self) -> bool:  # type: ignore[override]
        """Whether it is drawn anew for each input."""
        return self.random

    def evaluate(self, given: tuple[Elements, ...], *, y: TensorType) -> Elements | None:
        if self.random or self.value == UNKNOWN:
            return None
        (size,) = ints([y.size])
        return [*map(number, self.value)] if isinstance(self.value, tuple) else [number(self.value)] * size

    def check(self) -> None:
        if isinstance(self.value, tuple) and all(isinstance(n, int) for n in self.shape):
            wanted = prod(self.shape)
            if len(self.value) != wanted:
                raise OptionError(f"constant: {len(self.value)} values for {wanted} elements")

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name in cls.RANDOM:
            return tuple(call.add(cls(made.shape, made.dtype, True)) for made in call.made)
        filled = call.get("value")
        if call.name == "fill" and isinstance(filled, Traced) and filled.numbers is None:
            (made,) = call.made
            return copied(call, expanded(call, converted(call, filled, made.dtype), *made.shape))
        return tuple(call.add(cls(made.shape, made.dtype, value=_value(call))) for made in call.made)

    def to_torch(self) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        if self.value == UNKNOWN:
            raise NotImplementedError(f"{self.name} has no PyTorch counterpart: its numbers are not in the spec")
        shape, dtype = ints(self.shape), getattr(torch, self.dtype)
        value: Any = self.value
        if isinstance(value, tuple):
            each = [*map(number, value)]
            return functional(lambda: torch.tensor(each, dtype=dtype).reshape(shape))
        return functional(lambda: torch.full(shape, number(value), dtype=dtype))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield (cls((2, 3)),)
        yield (cls((2, 2), "int64", value=(1, 0, -3, 7)),)
        yield (cls((2, 1), value=(0.5, "-inf")),)
        yield (cls((2, 3), random=True),)


FILLED = {"fill": "value", "full": "fill_value", "full_like": "fill_value", "new_full": "fill_value"}
"""Operator → its argument that says what all elements are."""


def _value(call: Call) -> Any:
    """The elements of the tensor that a call made, as ``Constant`` has them."""
    given = call.get("numbers")
    if given is None and call.name in FILLED:
        given = call[FILLED[call.name]]
        given = (given.numbers or ()) if isinstance(given, Traced) else (given,)
    if given is None:
        given = {"ones": (1,), "zero": (0,), "zeros": (0,), "empty": (0,), "_efficientzerotensor": (0,)}.get(
            call.name.removeprefix("new_").removesuffix("_like"), ()
        )
    return elements(given, call.made[0].size)


@op("uncounted", inputs=(0, None))
class Uncounted(Op):
    """The stand-in of an operation that has no rule here. Reports list it, and their totals are lower bounds."""

    RANDOM: ClassVar = frozenset(
        ("poisson", "binomial", "cauchy", "geometric", "log_normal", "rrelu", "rrelu_with_noise", "multinomial",
         "_sample_dirichlet", "_standard_gamma", "_fused_dropout")
    )  # fmt: skip

    is_counted = False

    operator: str
    shapes: Shapes
    dtypes: Dtypes

    @property
    def is_random(self) -> bool:  # type: ignore[override]
        """Whether it is, or may be: only of PyTorch's own operators, which have no namespace, is it known."""
        return "::" in self.operator or " " in self.operator or self.operator in self.RANDOM

    def infer(self, *x: TensorType) -> tuple[TensorType, ...]:
        return tuple(map(TensorType, self.shapes, self.dtypes))

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * len(x)

    def kind(self, *x: TensorType) -> str:
        return self.operator

    @classmethod
    def from_aten(cls, call: Call) -> tuple[Traced, ...]:
        op = cls(call.name, tuple(t.shape for t in call.made), tuple(t.dtype for t in call.made))
        result = call.add(op, *call.tensors())
        return result if isinstance(result, tuple) else (result,)
