"""Recurrent kernels as TFLite stores them: each gate's weights apart, states kept from one inference to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.ir.dims import Dim
from costcalc.ir.fields import Count, Size, ints
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.norm import NORMALISE

if TYPE_CHECKING:
    from torch import nn


@op("split_lstm")
class SplitLSTM(Op):
    """Long short-term memory over (length, batch, width), or (batch, length, width) with ``batch_first``.

    Its gates have weights of their own. ``coupled`` leaves the input gate out, which is then 1 less the forget gate;
    ``peephole`` lets gates see the cell; ``normalised`` norms what goes into each gate.

    MACs         at each step gates·hidden × (input width + state width), and projection × hidden.
    Ops          at each step for each state element a sum and a bias for each gate, 4 for each sigmoid, 2 tanh and 4 to
                 make cell and state; 1 more if coupled; 2 for each gate with a peephole; 6 for each gate that is
                 normalised; a bias of the projection.
    Source       Hochreiter & Schmidhuber 1997; TensorFlow Lite, UNIDIRECTIONAL_SEQUENCE_LSTM.
    """

    under_autocast = UnderAutocast(is_known=False)

    is_bounded_only = True
    roles = {"hidden": "width", "projection": "width"}

    hidden: Size
    projection: Count = 0
    coupled: bool = False
    peephole: bool = False
    normalised: bool = False
    projection_bias: bool = False
    batch_first: bool = False

    @property
    def gates(self) -> tuple[str, ...]:
        """Their names; the cell's is the one without a sigmoid."""
        return ("forget", "cell", "output") if self.coupled else ("input", "forget", "cell", "output")

    @property
    def _width(self) -> Dim:
        return self.projection or self.hidden

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 3, f"split_lstm takes batch, length and width, not {len(x.shape)} axes"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:-1], self._width)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        found: dict[str, Weight] = {}
        for gate in self.gates:
            found[f"input_to_{gate}_weights"] = parameter(self.hidden, x.shape[-1], dtype=x.dtype)
            found[f"recurrent_to_{gate}_weights"] = parameter(self.hidden, self._width, dtype=x.dtype)
            found[f"{gate}_gate_bias"] = parameter(self.hidden, dtype=x.dtype)
            if self.peephole and gate != "cell":
                found[f"cell_to_{gate}_weights"] = parameter(self.hidden, dtype=x.dtype)
            if self.normalised:
                found[f"{gate}_layer_norm_coefficients"] = parameter(self.hidden, dtype=x.dtype)
        if self.projection:
            found["projection_weights"] = parameter(self.projection, self.hidden, dtype=x.dtype)
            if self.projection_bias:
                found["projection_bias"] = parameter(self.projection, dtype=x.dtype)
        return found

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        each = len(self.gates) * self.hidden * (x.shape[-1] + self._width) + self.projection * self.hidden
        return x.size // x.shape[-1] * each

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        gates = len(self.gates)
        each = 2 * gates + 4 * (gates - 1) + 6 + self.coupled + 2 * self.peephole * (gates - 1)
        each += (NORMALISE + 1) * self.normalised * gates
        return x.size // x.shape[-1] * (self.hidden * each + self.projection * self.projection_bias)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch
        from torch import nn

        from costcalc.ops.functional import functional

        hidden, width = ints((self.hidden, self._width))

        def run(x: Any, **w: Any) -> Any:
            steps = x.transpose(0, 1) if self.batch_first else x
            state, cell = x.new_zeros(steps.shape[1], width), x.new_zeros(steps.shape[1], hidden)

            def into(gate: str, step: Any, seen: Any) -> Any:
                made = nn.functional.linear(step, w[f"input_to_{gate}_weights"])
                made = made + nn.functional.linear(state, w[f"recurrent_to_{gate}_weights"])
                if f"cell_to_{gate}_weights" in w:
                    made = made + seen * w[f"cell_to_{gate}_weights"]
                if self.normalised:
                    made = made - made.mean(1, keepdim=True)
                    made = made * torch.rsqrt((made * made).mean(1, keepdim=True) + 1e-8)
                    made = made * w[f"{gate}_layer_norm_coefficients"]
                return made + w[f"{gate}_gate_bias"]

            made = []
            for step in steps:
                forget = torch.sigmoid(into("forget", step, cell))
                taken = 1 - forget if self.coupled else torch.sigmoid(into("input", step, cell))
                cell = forget * cell + taken * torch.tanh(into("cell", step, cell))
                state = torch.sigmoid(into("output", step, cell)) * torch.tanh(cell)
                if self.projection:
                    state = nn.functional.linear(state, w["projection_weights"], w.get("projection_bias"))
                made.append(state)
            return torch.stack(made, 1 if self.batch_first else 0)

        return functional(run, **_zeros(self.weights(x)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(4), TensorType((5, 2, 3))
        yield cls(4, 3, coupled=True, peephole=True, projection_bias=True), TensorType((5, 2, 3))
        yield cls(4, normalised=True, batch_first=True), TensorType((2, 5, 3))


@op("simple_rnn")
class SimpleRNN(Op):
    """A plain recurrent layer over (length, batch, width), or (batch, length, width) with ``batch_first``.

    MACs         at each step hidden × (input width + hidden).
    Ops          2 for each state element at each step, the sum and its bias; 1 more with an ``activation``.
    Source       Elman 1990; TensorFlow Lite, UNIDIRECTIONAL_SEQUENCE_RNN.
    """

    under_autocast = UnderAutocast(is_known=False)

    is_bounded_only = True
    roles = {"hidden": "width"}
    choices = {"activation": ("none", "relu", "relu6", "hardtanh", "tanh")}

    hidden: Size
    activation: str = "tanh"
    batch_first: bool = False

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 3, f"simple_rnn takes batch, length and width, not {len(x.shape)} axes"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:-1], self.hidden)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        return {
            "input_weights": parameter(self.hidden, x.shape[-1], dtype=x.dtype),
            "recurrent_weights": parameter(self.hidden, self.hidden, dtype=x.dtype),
            "bias": parameter(self.hidden, dtype=x.dtype),
        }

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (x.shape[-1] + self.hidden)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (2 + (self.activation != "none"))

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch
        from torch import nn

        from costcalc.ops.functional import functional

        (hidden,) = ints((self.hidden,))
        of: dict[str, Any] = {
            "none": lambda v: v, "relu": torch.relu, "relu6": nn.functional.relu6, "tanh": torch.tanh,
            "hardtanh": nn.functional.hardtanh,
        }  # fmt: skip
        activation = of[self.activation]

        def run(x: Any, input_weights: Any, recurrent_weights: Any, bias: Any) -> Any:
            steps = x.transpose(0, 1) if self.batch_first else x
            state, made = x.new_zeros(steps.shape[1], hidden), []
            for step in steps:
                seen = nn.functional.linear(state, recurrent_weights)
                state = activation(nn.functional.linear(step, input_weights, bias) + seen)
                made.append(state)
            return torch.stack(made, 1 if self.batch_first else 0)

        return functional(run, **_zeros(self.weights(x)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(4), TensorType((5, 2, 3))
        yield cls(4, "relu", batch_first=True), TensorType((2, 5, 3))
        yield cls(3, "none"), TensorType((1, 2, 6))


@op("svdf")
class SVDF(Op):
    """A dense layer and one over time, of what the last ``memory`` inferences made; ``rank`` filters make one unit.

    MACs         for each sample units·rank × (features + memory).
    Ops          for each sample a sum for each filter of a unit after the first, and a bias.
    Source       Nakkiran et al. 2015, Compressing deep neural networks using a rank-constrained topology;
                 TensorFlow Lite, SVDF.
    """

    under_autocast = UnderAutocast(is_known=False)

    roles = {"units": "width", "rank": "width", "memory": "kernel"}

    units: Size
    memory: Size
    rank: Size = 1
    bias: bool = True

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == 2, f"svdf takes (batch, features), not {len(x.shape)} axes"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(x.shape[0], self.units)

    def weights(self, x: TensorType) -> dict[str, Weight]:
        filters = self.units * self.rank
        return {
            "weights_feature": parameter(filters, x.shape[1], dtype=x.dtype),
            "weights_time": parameter(filters, self.memory, dtype=x.dtype),
            **({"bias": parameter(self.units, dtype=x.dtype)} if self.bias else {}),
        }

    def macs(self, x: TensorType, *, y: TensorType) -> Dim:
        return x.shape[0] * self.units * self.rank * (x.shape[1] + self.memory)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        return y.size * (self.rank - 1 + self.bias)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,)

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch
        from torch import nn

        from costcalc.ops.functional import functional

        units, memory, rank = ints((self.units, self.memory, self.rank))

        def run(x: Any, weights_feature: Any, weights_time: Any, bias: Any = None) -> Any:
            now = nn.functional.linear(x, weights_feature).t().unsqueeze(2)
            kept = torch.cat([now.new_zeros(*now.shape[:2], memory - 1), now], 2)
            made = torch.bmm(kept, weights_time.unsqueeze(2)).reshape(units, rank, -1).sum(1).t()
            return made if bias is None else made + bias

        return functional(run, **_zeros(self.weights(x)))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(6, 4), TensorType((2, 5))
        yield cls(6, 4, 3, bias=False), TensorType((2, 5))


def _zeros(weights: dict[str, Weight]) -> dict[str, nn.Parameter]:
    """A parameter for each of ``weights``."""
    from torch import nn, zeros

    return {name: nn.Parameter(zeros(ints(weight.type.shape))) for name, weight in weights.items()}
