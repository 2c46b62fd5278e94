"""Recurrent layers over a sequence: LSTM, GRU and the plain RNN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, equal, prod
from costcalc.ir.fields import Count, Size, ints
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap
from costcalc.ir.nest import Nest
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType, Weight, parameter
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.broadcasting import is_one
from costcalc.ops.traced_steps import expanded, own, reshaped

if TYPE_CHECKING:
    from torch import nn


class Recurrent(Op):
    """What recurrent layers share: at each step one product with the input, one with the state before.

    It takes (batch, length, width) with ``batch_first``, else (length, batch, width), or one sequence
    without a batch; then perhaps the states to start from. It makes the sequence of states and the last
    states.
    """

    under_autocast = UnderAutocast(is_known=False)

    is_bounded_only = True

    gates: ClassVar[int]
    per_state: ClassVar[int]
    """Scalar operations for one element of the state at one step, without biases."""
    kept: ClassVar[int]
    """Elements that PyTorch keeps for the backward pass at each step, for each of the state: what the gates make."""
    states: ClassVar[int] = 1
    torch_name: ClassVar[str]

    roles = {"hidden": "width", "layers": "depth", "bidirectional": "width"}

    hidden: Size
    layers: Size = 1
    bidirectional: bool = False
    bias: bool = True
    batch_first: bool = False

    projection = 0  # the LSTM makes this an option

    def requires(self, x: TensorType, *start: TensorType) -> Iterator[Condition]:
        rank = len(x.shape)
        yield rank in (2, 3), f"{self.name} takes (length, width), with a batch or not, not {rank} axes"
        yield len(start) in (0, self.states), f"{self.name} starts from {self.states} states, not {len(start)}"
        for given, wanted in zip(start, self._last(x), strict=False):
            for a, b in zip(given.shape, wanted.shape, strict=True):
                yield equal(a, b), f"the state to start from must be {wanted}, not {given}"

    def infer(self, x: TensorType, *start: TensorType) -> tuple[TensorType, ...]:
        y = x.with_shape(*x.shape[:-1], self._width * self._directions)
        return (y, *self._last(x))

    def weights(self, x: TensorType, *start: TensorType) -> dict[str, Weight]:
        found: dict[str, Weight] = {}
        for layer, size, suffix in self._cells(x):
            rows = self.gates * self.hidden
            found[f"weight_ih_l{layer}{suffix}"] = parameter(rows, size, dtype=x.dtype)
            found[f"weight_hh_l{layer}{suffix}"] = parameter(rows, self._width, dtype=x.dtype)
            if self.bias:
                found[f"bias_ih_l{layer}{suffix}"] = parameter(rows, dtype=x.dtype)
                found[f"bias_hh_l{layer}{suffix}"] = parameter(rows, dtype=x.dtype)
            if self.projection:
                found[f"weight_hr_l{layer}{suffix}"] = parameter(self.projection, self.hidden, dtype=x.dtype)
        return found

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """By weights, inputs and states; by the input of the first layer and the first states only where needed."""
        if not trained:
            return None
        macs, first = 2 * self.macs(*x, y=y), x[0]
        steps = first.size // first.shape[-1]
        length = first.shape[1 if self.batch_first and len(first.shape) == 3 else 0]
        for layer, size, _ in self._cells(first):
            if layer == 0 and not wanted[0]:
                macs = macs - steps * self.gates * self.hidden * size
            if not any(wanted[1:]):
                macs = macs - steps // length * self.gates * self.hidden * self._width
        return macs

    def macs(self, x: TensorType, *start: TensorType, y: TensorType) -> Dim:
        products: Dim = 0
        for _, size, _ in self._cells(x):
            products = products + self.gates * self.hidden * (size + self._width) + self.projection * self.hidden
        return x.size // x.shape[-1] * products

    def nests(self, x: TensorType, *start: TensorType, y: TensorType) -> tuple[Nest, ...]:
        """Of each cell, over all steps: what it makes of its input, of its state, and of a projection."""
        steps, gates = prod(x.shape[:-1]), self.gates * self.hidden
        found: list[Nest] = []
        below: tuple[int | str, ...] = (0,)
        for layer, size, suffix in self._cells(x):
            if layer and not suffix:
                below = (found[-1].part,)
            end = f"l{layer}{suffix}"
            found.append(Nest(steps, gates, size, part=f"ih_{end}", weight=f"weight_ih_{end}", reads=below))
            before = (f"ih_{end}",)
            found.append(Nest(steps, gates, self._width, part=f"hh_{end}", weight=f"weight_hh_{end}", reads=before))
            if self.projection:
                before = (f"hh_{end}",)
                nest = Nest(steps, self.projection, self.hidden, part=f"hr_{end}", weight=f"weight_hr_{end}")
                found.append(nest._replace(reads=before))
        return tuple(found)

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """What each layer reads, the states, and what the gates make at each step."""
        if not trained:
            return None
        first, *start = x
        steps = first.size // first.shape[-1]
        length = first.shape[1 if self.batch_first and len(first.shape) == 3 else 0]
        copied = self.batch_first and len(first.shape) == 3 and not any(is_one(d) for d in first.shape[:2])
        cells = len(list(self._cells(first)))
        below = cells // self._directions - 1
        each = steps * self.kept + (steps - steps // length) * (self.gates > 1)
        maps = [
            first.with_shape(below * steps, self._width * self._directions),
            first.with_shape(cells * each, self.hidden),
        ]
        maps += [first] * (copied * self._directions) + [t for t in self._last(first) if not start]
        begins = tuple(range(1, len(x)))
        return Saves(begins if copied else (0, *begins), maps=tuple(maps))

    def ops(self, x: TensorType, *start: TensorType, y: TensorType) -> Dim:
        cells = len(list(self._cells(x)))
        each = self.per_state + (2 * self.gates if self.bias else 0)
        return x.size // x.shape[-1] * cells * self.hidden * each

    def index_maps(self, x: TensorType, *start: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * (1 + len(start))

    @property
    def _width(self) -> Dim:
        """Of the state that is handed on."""
        return self.projection or self.hidden

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _cells(self, x: TensorType) -> Iterator[tuple[int, Dim, str]]:
        """Each cell: its layer, the width of its input, the end of its weights' names."""
        (layers,) = ints([self.layers])
        for layer in range(layers):
            size = x.shape[-1] if layer == 0 else self._width * self._directions
            yield layer, size, ""
            if self.bidirectional:
                yield layer, size, "_reverse"

    def _last(self, x: TensorType) -> list[TensorType]:
        """The states after the last step."""
        batch = () if len(x.shape) == 2 else (x.shape[0 if self.batch_first else 1],)
        first = self.layers * self._directions
        widths = (self._width, self.hidden)[: self.states]
        return [x.with_shape(first, *batch, width) for width in widths]

    def to_torch(self, x: TensorType, *start: TensorType) -> nn.Module:
        from torch import nn

        options: dict[str, Any] = {"proj_size": ints([self.projection])[0]} if self.projection else {}
        made: nn.Module = getattr(nn, self.torch_name)(
            *ints((x.shape[-1], self.hidden, self.layers)), bias=self.bias, batch_first=self.batch_first,
            bidirectional=self.bidirectional, **options,
        )  # fmt: skip
        several = self.states > 1
        if several:
            made.register_forward_pre_hook(lambda _, given: (given[0], given[1:]) if len(given) > 1 else given)
        made.register_forward_hook(lambda _, given, out: (out[0], *(out[1] if several else (out[1],))))
        return made

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        weights = call["params"]
        if (call["train"] and call["dropout"] and not call.training) or not own(*weights):
            return NotImplemented
        packed = "batch_sizes" in call.arguments
        x = call["data"] if packed else call["input"]
        width = weights[1].shape[1]
        options: dict[str, Any] = {
            "hidden": weights[0].shape[0] // cls.gates, "layers": call["num_layers"],
            "bidirectional": call["bidirectional"], "bias": call["has_biases"],
            "batch_first": call.get("batch_first", False),
        }  # fmt: skip
        if width != options["hidden"]:
            options["projection"] = width
        op = cls(**options)
        # PyTorch hands the weights over cell by cell, as they are listed here.
        named = dict(zip(op.weights(x.type), weights, strict=True))
        start = call["hx"] if isinstance(call["hx"], (list, tuple)) else [call["hx"]]
        if not packed:
            return call.add(op, x, *start, **named)
        # All steps of all sequences, one after another: as much work as one sequence so long.
        y, *last = call.add(op, x, *(call.add(find_op("select")(1, 0), t) for t in start), **named)
        each = (reshaped(call, t, t.shape[0], 1, t.shape[1]) for t in last)
        return y, *(expanded(call, t, *ints(made.shape)) for t, made in zip(each, call.made[1:], strict=True))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(4), TensorType((5, 2, 3))
        yield cls(4, 2, bidirectional=True, batch_first=True), TensorType((2, 5, 3))
        yield cls(3, bias=False), TensorType((5, 6))


@op("lstm", inputs=(1, 3))
class LSTM(Recurrent):
    """Long short-term memory, with an optional ``projection`` of the state.

    MACs         at each step, for each layer and direction: 4·hidden × (input width + state width), and
                 projection × hidden.
    Ops          22 per state element: 4 sums, 3 sigmoids of 4, 2 tanh, 4 to make cell and state; 8 biases.
    Source       Hochreiter & Schmidhuber 1997; PyTorch, torch.nn.LSTM.
    """

    aten = "lstm"
    gates, per_state, states, torch_name = 4, 22, 2, "LSTM"

    roles = {**Recurrent.roles, "projection": "width"}

    projection: Count = 0  # type: ignore[assignment]

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """At least what it reads and makes: oneDNN's kernels keep a workspace of their own."""
        return Saves(tuple(range(len(x))), (0,), least=True)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield from super().examples()
        make: Any = cls
        yield make(4, 2, bidirectional=True, projection=3), TensorType((5, 2, 3))
        yield make(4), TensorType((5, 2, 3)), TensorType((1, 2, 4)), TensorType((1, 2, 4))


@op("gru", inputs=(1, 2))
class GRU(Recurrent):
    """Gated recurrent unit.

    MACs         at each step, for each layer and direction: 3·hidden × (input width + hidden).
    Ops          17 per state element: 4 to join the products, 2 sigmoids of 4, tanh, 4 to mix; 6 biases.
    Source       Cho et al. 2014, arXiv 1406.1078; PyTorch, torch.nn.GRU.
    """

    aten = "gru"
    gates, per_state, kept, torch_name = 3, 17, 6, "GRU"


@op("rnn", inputs=(1, 2))
class RNN(Recurrent):
    """Elman's recurrent layer.

    MACs         at each step, for each layer and direction: hidden × (input width + hidden).
    Ops          2 per state element: sum and tanh or ReLU; 2 biases.
    Source       Elman 1990; PyTorch, torch.nn.RNN.
    """

    aten = "rnn_tanh rnn_relu"
    gates, per_state, kept, torch_name = 1, 2, 1, "RNN"
