"""What values decide is not a contradiction: a run is held against the graph with the sizes that its values make."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("fvcore")

from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.verification import verify  # noqa: E402
from costcalc.verification.result import VerifyResult  # noqa: E402


class Model(nn.Module):
    """A convolution, and a head on what a function makes of its map and the image."""

    def __init__(self, function: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)
        self.function = function

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(image)
        return y, self.function(self.head, y, image)


def by_mask(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    return head(y.permute(0, 2, 3, 1)[image[:, 0] > 0.7])  # type: ignore[no-any-return]


def nothing(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    return head(y.permute(0, 2, 3, 1)[image[:, 0] > 2])  # type: ignore[no-any-return]


def by_places(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    batch, row, column = torch.where(image[:, 1] < 0.2)
    return head(y[batch, :, row, column])  # type: ignore[no-any-return]


def told_apart(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    return head(y[0, :, 0, : len(torch.unique((image[0, 0, 0] * 4).int()))].t())  # type: ignore[no-any-return]


def drawn(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    return head(y.permute(0, 2, 3, 1)[torch.rand(image.shape[0], 12, 12) > 0.5])  # type: ignore[no-any-return]


def a_loop(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    made = [head(y[0, :, 0].t()) for _ in range(int((image[0, 0, 0] > 0.5).sum().item()))]
    return torch.stack(made).sum(0) if made else y


def routed(head: nn.Module, y: Tensor, image: Tensor) -> Tensor:
    tokens = y.flatten(2).transpose(1, 2)[0]
    return head(tokens[tokens.topk(2, -1)[1].eq(3).any(-1)])  # type: ignore[no-any-return]


WAYS = [by_mask, nothing, by_places, told_apart, drawn, a_loop, routed]


def verified(way: Callable[[nn.Module, Tensor, Tensor], Tensor], seed: int) -> VerifyResult:
    torch.manual_seed(seed)
    model = Model(way).eval()
    return verify(trace(model, (1, 3, 12, 12)), model)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_run_with_other_values_contradicts_nothing(
    way: Callable[[nn.Module, Tensor, Tensor], Tensor], seed: int
) -> None:
    result = verified(way, seed)
    assert result.disagreements == ()
    assert "with the values of this run" in result.ran
    assert all(tally.total == tally.ours for tally in result.tallies)


def test_it_says_which_sizes_the_values_made() -> None:
    torch.manual_seed(1)
    result = verified(by_mask, 1)
    (size,) = result.sizes.values()
    assert 0 < size < 144  # about three in ten of the 144 pixels
    assert f"run with: selected = {size}" in result.ran
    assert result.to_dict()["sizes"] == {"selected": size}
    macs = 144 * 8 * 27 + size * 8 * 5
    assert {tally.total for tally in result.tallies} == {macs}  # by both counters


def test_a_model_without_such_sizes_is_not_traced_again() -> None:
    model = Model(lambda head, y, image: head(y.flatten(2).transpose(1, 2)))
    result = verify(trace(model, (1, 3, 12, 12)), model)
    assert result.agrees and "with the values" not in result.ran
    assert "sizes" not in result.to_dict()


def test_a_wrong_figure_is_contradicted_also_where_values_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.ir.op import find_op

    monkeypatch.setattr(find_op("linear"), "macs", lambda self, x, *, y: 3 * y.size * x.shape[-1])
    assert not verified(by_mask, 0).agrees


def test_counts_are_those_of_a_run() -> None:
    """FlopCounterMode on the same image, which selects as many."""
    torch.manual_seed(5)
    model, image = Model(by_mask).eval(), torch.rand(1, 3, 12, 12)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    from costcalc.analysis.report import report

    kept = int((image[:, 0] > 0.7).sum())
    ours = report(trace(model, image, assume={"selected": kept})).total.macs
    assert ours == int(counter.get_total_flops()) // 2
