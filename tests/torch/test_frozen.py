"""What training leaves as it is: counted among the parameters, and not among the trainable ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import costcalc
from costcalc.analysis.report import report
from costcalc.backends.module import to_module
from costcalc.backends.report.summary import facts
from costcalc.budget.lock import entry, graph_hash, graph_of
from costcalc.cli.dispatch import outcome
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.transforms.fold_norm import fold_norm


class LowRank(nn.Module):
    """A frozen linear layer beside a trained update of rank 2."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(16, 8)
        self.down, self.up = nn.Parameter(torch.zeros(2, 16)), nn.Parameter(torch.zeros(8, 2))
        self.base.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T  # type: ignore[no-any-return]


def backbone() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 10))
    model[:2].requires_grad_(False)
    return model


@pytest.mark.parametrize(("model", "shape"), [(LowRank(), (1, 16)), (backbone(), (1, 3, 8, 8))])
def test_trainable_parameters_are_those_that_ask_for_gradients(model: nn.Module, shape: tuple[int, ...]) -> None:
    total = costcalc.analyze(model, shape).total
    assert total.params == sum(p.numel() for p in model.parameters())
    assert total.trainable_params == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("model", "shape"), [(LowRank(), (1, 16)), (backbone(), (1, 3, 8, 8))])
def test_a_spec_that_a_trace_is_written_as_keeps_what_is_frozen(
    model: nn.Module, shape: tuple[int, ...], tmp_path: Path
) -> None:
    graph = trace(model, shape)
    (tmp_path / "net.yaml").write_text(write(graph), encoding="utf-8")
    again = costcalc.load(str(tmp_path / "net.yaml"))
    assert report(again).total == report(graph).total
    built = to_module(again)
    for parameters in (model.parameters(), built.parameters()):
        assert sum(p.numel() for p in parameters if p.requires_grad) == report(graph).total.trainable_params


def test_layers_that_share_a_frozen_weight_count_none() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.b.weight = self.a.weight
            self.a.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x))  # type: ignore[no-any-return]

    total = costcalc.analyze(Tied(), (1, 8)).total
    assert (total.params, total.trainable_params) == (64, 0)


def test_the_totals_tell_them_where_they_are_others() -> None:
    frozen, plain = (costcalc.trace(m, (1, 3, 8, 8)) for m in (backbone(), backbone().requires_grad_(True)))
    assert [f.figure for f in facts(report(frozen)) if f.name == "trainable"] == ["2,890"]
    assert not [f for f in facts(report(plain)) if f.name == "trainable"]


def test_a_lock_keeps_them_and_tells_when_something_is_frozen() -> None:
    frozen, plain = (costcalc.trace(m, (1, 3, 8, 8)) for m in (backbone(), backbone().requires_grad_(True)))
    assert graph_hash(frozen) != graph_hash(plain)
    kept = entry(frozen, report(frozen), "net", "")
    again = graph_of(kept)
    assert again is not None and report(again).total.trainable_params == kept.figures["trainable"] == 2890


def test_a_folded_norm_leaves_a_frozen_layer_frozen() -> None:
    total = costcalc.analyze(fold_norm(costcalc.trace(backbone(), (1, 3, 8, 8)))).total
    assert (total.params, total.trainable_params) == (224 + 2890, 2890)


def test_budgets_hold_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "from torch import nn\ndef net():\n  m = nn.Linear(8, 8)\n  m.weight.requires_grad = False\n  return m\n"
    Path("net.py").write_text(lines, encoding="utf-8")
    for most, code in ((8, 0), (7, 1)):
        Path("costcalc.yaml").write_text(
            f"version: 1\nmodels:\n- {{model: 'net.py:net', at: [{{input: [8]}}], budgets: {{trainable: {most}}}}}\n"
        )
        assert outcome(["check", "--allow-code"]) == code, capsys.readouterr()
    capsys.readouterr()
    assert outcome(["analyze", "net.py:net", "--input", "8", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["trainable_params"] == 8
