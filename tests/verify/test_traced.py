"""A traced model against the very module that it was traced from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from costcalc.cli.frame import outcome
from costcalc.frontends.torch.tracer import trace
from costcalc.verify import verify
from costcalc.verify.result import VerifyResult


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
    assert [t.macs for t in result.tallies] == [3 * 1296 + 2 * 9 + 192] * 2
    assert "− 192 unused results, pruned from the trace" in str(result.tallies[0])


class Elsewhere(nn.Module):
    """Uses the weights of a layer without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.inner.weight)


def test_work_done_with_the_weights_of_a_layer_that_is_not_called_is_the_callers() -> None:
    assert verified(Elsewhere(), 1, 4).tallies[1].macs == 16


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
