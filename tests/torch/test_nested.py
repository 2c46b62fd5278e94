"""Nested tensors: of jagged ones layers do the sum over the real lengths, and attention that over their squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
LENGTHS = (3, 5, 2)
ENDS = (0, 3, 8, 10)


class Layers(nn.Module):
    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.function, self.layer, self.norm = forward, nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, *x: Any) -> Any:
        return self.function(self, *x)


def attention(m: Layers, x: Tensor) -> Tensor:
    heads = m.layer(x).unflatten(-1, [2, 4]).transpose(1, 2)
    made = nn.functional.scaled_dot_product_attention(heads, heads, heads)
    return made.transpose(1, 2).flatten(-2)


def jagged() -> Tensor:
    return torch.nested.nested_tensor([torch.ones(n, 8) for n in LENGTHS], layout=torch.jagged)


LINEAR = sum(LENGTHS) * 64
CASES: dict[str, tuple[Callable[..., Any], int]] = {
    "linear": (lambda m, x: m.layer(x), LINEAR),
    "norm and activation": (lambda m, x: torch.relu(m.norm(m.layer(x))) + x, LINEAR),
    "attention": (attention, LINEAR + 2 * 8 * sum(n * n for n in LENGTHS)),
    "padded": (lambda m, x: m.layer(x.to_padded_tensor(0.0)), len(LENGTHS) * max(LENGTHS) * 64),
}


@pytest.mark.parametrize("name", CASES)
def test_an_input_of_sequences(name: str) -> None:
    forward, macs = CASES[name]
    graph = trace(Layers(forward), jagged())

    assert not report(graph).uncounted and report(graph).total.macs == macs
    assert graph.inputs[0] == "x.0.values" and graph.types["x.0.values"].shape == (10, 8)
    if name != "padded":
        assert graph.types[graph.outputs[0]].shape == (10, 8)


def test_sequences_that_a_forward_puts_together() -> None:
    def forward(m: Layers, x: Tensor) -> Tensor:
        made: Tensor = attention(m, torch.nested.nested_tensor_from_jagged(x, torch.tensor(ENDS))).values()
        return made

    assert report(trace(Layers(forward), (10, 8))).total.macs == CASES["attention"][1]

    def of_a_list(m: Layers, *x: Tensor) -> Tensor:
        return m.layer(torch.nested.as_nested_tensor(list(x), layout=torch.jagged)).to_padded_tensor(0.0)

    found = report(trace(Layers(of_a_list), (3, 8), (5, 8)))
    assert found.total.macs == 8 * 64 and not found.uncounted


def test_what_has_no_rule_is_refused_in_a_sentence() -> None:
    with pytest.raises(CostcalcError, match="a nested tensor is of the jagged layout"):
        trace(Layers(lambda m, x: m.layer(x)), torch.nested.nested_tensor([torch.ones(3, 8)]))
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    with pytest.raises(CostcalcError, match="takes them whole, without sizes to count by; pad them"):
        trace(encoder, jagged())
