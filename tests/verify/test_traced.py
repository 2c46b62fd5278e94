"""A traced model against the very module that it was traced from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from costcalc.cli.dispatch import outcome
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.models import load
from costcalc.verification import verify
from costcalc.verification.result import VerifyResult


def verified(module: nn.Module, *shape: int) -> VerifyResult:
    result = verify(trace(module, shape), module)
    assert result.agrees, result.disagreements
    return result


class Sequence(nn.Module):
    """Attention, a recurrent layer and a norm, with calls between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same")
        self.norm = nn.GroupNorm(2, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.lstm = nn.LSTM(8, 5, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        y: torch.Tensor = self.lstm(tokens)[0].mean(1)
        return y


def test_fvcores_zeros_are_named_one_by_one() -> None:
    sums = str(verified(Sequence(), 1, 3, 4, 4).tallies[0])
    # 16 places. Conv 16·8·27; projections 4·16·8·8; products 2·16·16·8; LSTM 2 directions × 16 steps × 4·5·(8 + 5).
    assert sums == (
        "fvcore 4,736 = 19,968 MACs + 5·128 group norm − 3,456 convolution with padding given by name, counted 0"
        " − 4,096 fused attention, counted 0 − 8,320 recurrent layers, counted 0"
    )


class Turns(nn.Module):
    """A spatial transformer: a grid from six numbers that the image gives."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Linear(3, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        theta = self.where(x.mean((2, 3))).reshape(-1, 2, 3)
        grid = nn.functional.affine_grid(theta, [*x.shape], align_corners=False)
        return nn.functional.grid_sample(x, grid, align_corners=False)


def test_torchs_zero_for_an_affine_grid_is_named() -> None:
    sums = str(verified(Turns(), 2, 3, 8, 7).tallies[1])
    # the linear layer 2·3·6; for each of 2·8·7 places (x, y, 1) times 3×2
    assert sums == "torch's FlopCounterMode 36 = 708 MACs − 672 grids from affine maps, counted 0"


class Reuse(nn.Module):
    """One block three times under two names, a shared weight, an unread result and a layer that is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.block = self.alias = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
        self.first, self.second, self.never = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(7, 7)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.alias(self.block(self.block(x)))
        _ = x @ x
        y: torch.Tensor = self.second(self.first(x.mean((2, 3))))
        return y


def test_a_block_called_again_counts_again_and_its_weights_do_not() -> None:
    result = verified(Reuse(), 1, 3, 4, 4)
    # 3 convs of 16·3·27, two linear layers of 3·3; the product 3·4·4·4 that nobody reads
    assert [t.ours for t in result.tallies] == [3 * 1296 + 2 * 9 + 192] * 2
    assert "− 192 unused results, pruned from the trace" in str(result.tallies[0])


class Elsewhere(nn.Module):
    """Uses the weights of a layer without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.inner.weight)


def test_work_done_with_the_weights_of_a_layer_that_is_not_called_is_the_callers() -> None:
    assert verified(Elsewhere(), 1, 4).tallies[1].ours == 16


class Between(nn.Module):
    """A function between two convolutions; the field of the second is 5, whatever the function's slope."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.before = nn.Conv1d(2, 3, 3, padding=1)
        self.beside = nn.Conv1d(2, 3, 3, padding=1)
        self.after = nn.Conv1d(3, 2, 3, padding=1)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.after(self.function(self.before(x), self.beside(x)))
        return y


STEPS: dict[str, Any] = {
    "round": lambda a, b: torch.round(a),
    "round, a method": lambda a, b: a.round(),
    "round, in place": lambda a, b: a.round_(),
    "sign": lambda a, b: a.sign(),
    "sign, in place": lambda a, b: a.sign_(),
    "floor": lambda a, b: torch.floor(a),
    "ceil": lambda a, b: a.ceil(),
    "trunc": lambda a, b: torch.trunc(a),
    "quantised and back": lambda a, b: (a / 0.1).round().clamp(-8, 7) * 0.1,
    "hard shrinking": lambda a, b: F.hardshrink(a),
    "soft shrinking": lambda a, b: F.softshrink(a),
    "threshold": lambda a, b: F.threshold(a, 3.0, 0.0),
}
GATES: dict[str, Any] = {
    "product with a comparison": lambda a, b: a * (a > b),
    "where": lambda a, b: torch.where(a > b, a, b),
    "where one is a number": lambda a, b: torch.where(b > 1, a, 0.0),
    "masked_fill": lambda a, b: a.masked_fill(b > -1, 0.0),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_without_slope_depends_on_what_it_is_a_step_of(name: str) -> None:
    (check,) = [c for c in verified(Between(STEPS[name]), 1, 2, 12).checks if c.name == "receptive fields"]
    assert check.compared
    assert "upper bounds" not in check.note


@pytest.mark.parametrize("name", GATES)
def test_what_data_choose_is_a_bound(name: str) -> None:
    (check,) = [c for c in verified(Between(GATES[name]), 1, 2, 12).checks if c.name == "receptive fields"]
    assert check.compared


def test_an_input_of_one_axis_is_seen_along_it() -> None:
    class Waveform(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 4, 10, stride=5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv(x[None, None])
            return y

    (check,) = [c for c in verified(Waveform(), 200).checks if c.name == "receptive fields"]
    assert check.compared


def test_a_spec_with_a_mask_on_its_weights_is_confirmed(tmp_path: Path) -> None:
    # In a spec the mask is a tensor without values. Of zeros, or of norms that are zero, nothing would be left.
    for number, prepare in enumerate((lambda m: prune.l1_unstructured(m, "weight", 0.4), nn.utils.spectral_norm)):
        path = tmp_path / f"masked{number}.yaml"
        path.write_text(write(trace(prepare(nn.Conv2d(4, 6, 3, padding=1)), (1, 4, 10, 10))), encoding="utf-8")
        result = verify(load(path))
        assert result.agrees, result.disagreements


def test_the_command_takes_a_module_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef net(width=4):\n    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())\n"
    )
    assert outcome(["verify", f"{tmp_path / 'mine.py'}:net", "--input", "3x8x8", "--set", "width=6"]) == 0
    assert "fvcore 5,832 = 5,832 MACs" in capsys.readouterr().out  # 6·6·6·27


def test_a_model_whose_inputs_are_no_plain_tensors_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "named.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n"
        "    def forward(self, *, left, right):\n        return left + right\n"
    )
    where = f"{tmp_path / 'named.py'}:Net"
    assert outcome(["verify", where, "--input", "left=3x8", "--input", "right=3x8"]) == 2
    assert "its inputs are not tensors, one after another" in capsys.readouterr().err
