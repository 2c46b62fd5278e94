"""Fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim, prod
from costcalc.ir.fields import Size, ints
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import INPUT, NOTHING, Saves
from costcalc.ir.tensor import TensorType, Weight, parameter

if TYPE_CHECKING:
    from torch import nn


@op("linear")
class Linear(Op):
    """Multiply the last axis by a matrix, at every place of the others.

    MACs         one for each weight at every place: outputs × input features.
    Ops          adding the bias: 1 per output.
    Source       PyTorch, torch.nn.Linear.
    """

    channel_axis = -1

    aten = "linear"

    computes = "y[b..., m] += x[b..., c] * weight[m, c]"
    letters = {"out_features": "m"}
    roles = {"out_features": "width"}

    out_features: Size
    bias: bool = True

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield bool(x.shape), "linear takes an input with at least one axis, not a scalar"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:-1], self.out_features)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        weight = parameter(self.out_features, x.shape[-1], dtype=x.dtype)
        return {"weight": weight} | ({"bias": parameter(self.out_features, dtype=x.dtype)} if self.bias else {})

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * x.shape[-1]

    def nests(self, x: TensorType, *, y: TensorType) -> tuple[Nest, ...]:
        return (Nest(prod(x.shape[:-1]), self.out_features, x.shape[-1], weight="weight"),)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """The input, for the gradient of the weight."""
        return INPUT._replace(stacks=((0, 1),)) if trained else NOTHING

    def reuse(self, x: TensorType) -> Dim:
        return 1

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size if self.bias else 0

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, -1),)

    # PyTorch counterpart: built when verifying.

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        width, out_features = ints((x.shape[-1], self.out_features))
        return nn.Linear(width, out_features, self.bias)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        from costcalc.ops.traced_steps import add_bias, own, swapped

        weight, bias = call["weight"], call["bias"]
        if len(weight.shape) != 2 or not own(weight):
            y: Traced = call.add(
                find_op("matmul")(), call["input"], swapped(call, weight) if len(weight.shape) > 1 else weight
            )
            return y if bias is None else add_bias(call, y, bias)
        with_bias = bias is not None and own(bias) and bias.shape == weight.shape[:1]
        y = call.add(
            cls(weight.shape[0], bias=with_bias), call["input"], weight=weight, bias=bias if with_bias else None
        )
        return y if bias is None or with_bias else add_bias(call, y, bias)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(5), TensorType((2, 3))
        yield cls(4, bias=False), TensorType((2, 3, 6))
        yield cls(2), TensorType((1, 2, 3, 5))
        yield cls(3), TensorType((7,))
