"""A receptive field that no place was proved to see whole is said to be an upper bound, wherever it is told.

What places really see is found by gradients: every function is smooth and increases, weights and inputs are positive.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import costcalc
from costcalc.amounts.formatting import field_text
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.cli.dispatch import outcome
from costcalc.frontends.torch.tracer import trace
from costcalc.verification import verify


class Net(nn.Module):
    def __init__(self, run: Callable[[nn.ModuleList, Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.run, self.layers = run, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.layers, x)


def conv(inputs: int = 3) -> nn.Module:
    return nn.Conv2d(inputs, 3, 3, padding=1)


def up(x: Tensor, mode: str = "nearest") -> Tensor:
    return F.interpolate(x, scale_factor=2, mode=mode)


def rows(x: Tensor) -> Tensor:
    """The number of each row, as a column."""
    return torch.arange(12, device=x.device)[:, None]


SIZE = (1, 3, 12, 12)
EXACT = {
    "conv": Net(lambda m, x: m[0](x), conv()),
    "a residual": Net(lambda m, x: m[0](x) + x, conv()),
    "even indices": Net(lambda m, x: m[0](x[:, :, [0, 2, 4, 6, 8]]), conv()),
    "resized, then conv": Net(lambda m, x: m[0](up(x)), conv()),
    "interpolated, then conv": Net(lambda m, x: m[0](up(x, "bilinear")), conv()),
    "channels joined and mixed": Net(lambda m, x: m[1](torch.cat([m[0](x), x], 1)), conv(), conv(6)),
    "channels joined, mixed, cut": Net(lambda m, x: m[1](torch.cat([m[0](x), x], 1))[:, :1], conv(), conv(6)),
    "written over a part, wider": Net(lambda m, x: torch.slice_scatter(x, m[0](x[:, :, :6]), 2, 0, 6), conv()),
    "rows cut and joined": Net(lambda m, x: torch.cat([x[:, :, :4], x[:, :, 4:]], 2)),
    "each pixel twice": Net(lambda m, x: m[0](x.repeat_interleave(2, 2)), conv()),
    "transposed": Net(lambda m, x: m[0](x), nn.ConvTranspose2d(3, 3, 3, 2, 1)),
    "adaptive": Net(lambda m, x: F.adaptive_avg_pool2d(x, 5)),
    "roll": Net(lambda m, x: x.roll(2, 2)),
    "roll, then conv": Net(lambda m, x: m[0](x.roll(2, 2)), conv()),
    "roll, then every third": Net(lambda m, x: m[0](x.roll(-5, 2))[:, :, 1::3], conv()),
    "uneven indices": Net(lambda m, x: x[:, :, [0, 1, 7]]),
    "uneven indices, then conv": Net(lambda m, x: m[0](x[:, :, [0, 1, 7, 2, 2, 9]]), conv()),
    "a permutation and back": Net(lambda m, x: x[:, :, [3, 0, 2, 1]][:, :, [1, 3, 2, 0]]),
    "indices, then dilated": Net(
        lambda m, x: m[0](x[:, :, [0, 9, 1, 8, 2, 7, 3]]), nn.Conv2d(3, 3, 3, padding=2, dilation=2)
    ),
    "a small U-Net": Net(lambda m, x: m[0](torch.cat([x, up(m[1](F.avg_pool2d(x, 2)))], 1)), conv(6), conv()),
    "a U-Net of two levels": Net(
        lambda m, x: m[0](torch.cat([x, up(m[1](F.avg_pool2d(x, 2)) + up(F.avg_pool2d(x, 4), "bilinear"))], 1)),
        conv(6),
        conv(),
    ),
    "rows joined the other way": Net(lambda m, x: m[0](torch.cat([x[:, :, 4:], x[:, :, :4]], 2)), conv()),
    "rows of a coarser map": Net(lambda m, x: m[0](torch.cat([F.avg_pool2d(x, (2, 1)), x[:, :, 6:]], 2)), conv()),
    "beside its mirror image": Net(lambda m, x: m[0](x + x.flip(2)), conv()),
    "transposed from a coarse map": Net(lambda m, x: m[0](F.avg_pool2d(x, 2)), nn.ConvTranspose2d(3, 3, 3, 2, 1)),
    "resized between coarse places": Net(
        lambda m, x: m[0](F.interpolate(F.avg_pool2d(x, 3), size=7, mode="bilinear")), conv()
    ),
    "written over from elsewhere": Net(lambda m, x: m[0](torch.slice_scatter(x, x[:, :, :3], 2, 9, 12)), conv()),
    "put to places in any order": Net(lambda m, x: m[0](x.index_copy(2, torch.tensor([7, 1]), x[:, :, 3:5])), conv()),
    "added at places in any order": Net(lambda m, x: m[0](x.index_add(2, torch.tensor([7, 1]), x[:, :, 3:5])), conv()),
    "a mask of rows": Net(lambda m, x: m[0](x * (rows(x) < 7)), conv()),
    "a mask of one row": Net(lambda m, x: m[0](x * (rows(x) == 4)), conv()),
    "a mask of every fourth row": Net(lambda m, x: m[0](x * (rows(x) % 4 == 0).float()), conv()),
    "rows that are filled": Net(lambda m, x: m[0](x.masked_fill(rows(x) >= 2, 0.0)), conv()),
    "rows that are chosen": Net(lambda m, x: m[0](torch.where(rows(x) >= 10, x, 0.0)), conv()),
    "the other rows": Net(lambda m, x: m[0](torch.where(rows(x) >= 1, 1.0, x)), conv()),
    "a mask of a rectangle": Net(lambda m, x: m[0](x * ((rows(x) < 2) & (rows(x).mT > 3))), conv()),
    "a mask of numbers that were regrouped": Net(
        lambda m, x: m[0](x * (torch.arange(12, device=x.device).reshape(3, 2, 2) < 7).reshape(12, 1).float()), conv()
    ),
    "a mask of channels": Net(lambda m, x: m[0](x * torch.tensor([1.0, 0.0, 1.0])[:, None, None]), conv()),
    "tiled": Net(lambda m, x: m[0](x[:, :, :7].repeat(1, 1, 2, 1)), conv()),
    "columns of a cut axis": Net(lambda m, x: m[0](x.unflatten(2, (3, 4)).transpose(2, 3).flatten(2, 3)), conv()),
    "filled at places": Net(lambda m, x: m[0](x.index_fill(2, torch.tensor([1, 4, 6, 9]), 2.0)), conv()),
    "pasted into zeros": Net(lambda m, x: m[0](torch.zeros_like(x).slice_scatter(x[:, :, ::4], 2, 0, 3)), conv()),
}
TOLD = {
    "the channels that see less": Net(lambda m, x: torch.cat([m[0](x), x], 1)[:, 3:], conv()),
    "one of two beside zeros": Net(lambda m, x: torch.cat([m[0](x), x * 0.5], 1)[:, 4:5], conv()),
    "each channel by itself, and those that see less": Net(
        lambda m, x: m[1](torch.cat([m[0](x), x], 1))[:, 3:], conv(), nn.Conv2d(6, 6, 1, groups=6)
    ),
    "groups of unlike channels, and those that see less": Net(
        lambda m, x: m[1](torch.cat([x, m[0](x)], 1))[:, :2], conv(), nn.Conv2d(6, 4, 3, padding=1, groups=2)
    ),
    "unlike channels, shuffled": Net(lambda m, x: F.channel_shuffle(torch.cat([m[0](x), x], 1), 2)[:, 1:2], conv()),
    "shuffled there and back": Net(lambda m, x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2)),
    "below the diagonal": Net(lambda m, x: m[0](x.tril()), conv()),
    "above the diagonal": Net(lambda m, x: m[0](x.triu(5)), conv()),
    "a mask below the diagonal": Net(lambda m, x: m[0](x * torch.ones(12, 12, device=x.device).tril()), conv()),
    "a mask of single places": Net(lambda m, x: m[0](x * torch.eye(12, device=x.device)), conv()),
    "patches summed": Net(lambda m, x: F.fold(F.unfold(x, 3, padding=1), (12, 12), 3, padding=1)),
    "wide patches summed": Net(
        lambda m, x: m[0](F.fold(F.unfold(x, (3, 2), 2, 1, (1, 3)) * 2, (12, 12), (3, 2), 2, 1, (1, 3))), conv()
    ),
    "rolled rows in windows": Net(lambda m, x: x.roll(2, 2).unflatten(2, (3, 4)).flatten(2, 3)),
    "means of windows": Net(lambda m, x: (x.unflatten(2, (3, 4)) + x.unflatten(2, (3, 4)).mean(3, True)).flatten(2, 3)),
    "means of rolled windows": Net(
        lambda m, x: (lambda w: (w + w.mean(3, True)).flatten(2, 3).roll(-2, 2))(x.roll(2, 2).unflatten(2, (3, 4)))
    ),
}
"""What no line is drawn around tightly: each element is told by itself."""
BOUNDS = {
    "a triangle of what was mirrored": (
        Net(lambda m, x: m[0](F.pad(x, (1, 1, 1, 1), mode="reflect").tril()), conv()),
        3,
    ),
    "put where data say": (Net(lambda m, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)), 1),
}


def seen_by_gradients(module: nn.Module) -> int:
    """The most rows that one row of the output depends on, in one piece."""
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(0.5, 1.5)
    x = (torch.rand(SIZE) + 0.5).requires_grad_()
    y = module(x)
    most = 0
    for row in range(y.shape[2]):
        (gradient,) = torch.autograd.grad(y[:, :, row, y.shape[3] // 2].sum(), x, retain_graph=True)
        rows = (gradient != 0).any(3).any(1).nonzero()[:, 1].tolist()
        most = max([most, *([rows[-1] - rows[0] + 1] if rows else [])])
    return most


def field_of(module: nn.Module) -> ReceptiveField:
    field = costcalc.analyze(trace(module, SIZE)).layers[-1].receptive_field
    assert isinstance(field, ReceptiveField)
    return field


@pytest.mark.parametrize("case", EXACT)
def test_what_is_no_bound_is_seen_by_some_place(case: str) -> None:
    field = field_of(EXACT[case])
    assert not field.bound and field.size[0] == seen_by_gradients(EXACT[case])
    assert verify(trace(EXACT[case], SIZE), EXACT[case]).exit_code == 0


@pytest.mark.parametrize("case", TOLD)
def test_what_lies_on_no_line_is_told_element_by_element(case: str) -> None:
    field = field_of(TOLD[case])
    assert not field.bound and field.size[0] == field.seen[0] == seen_by_gradients(TOLD[case])
    assert verify(trace(TOLD[case], SIZE), TOLD[case]).exit_code == 0


@pytest.mark.parametrize("case", BOUNDS)
def test_what_is_a_bound_is_said_to_be_one(case: str) -> None:
    module, really = BOUNDS[case]
    field = field_of(module)
    assert field.bound and field_text(field).startswith("≤ ")
    assert field.size[0] >= seen_by_gradients(module) == really
    assert verify(trace(module, SIZE), module).exit_code == 0


def test_zeros_of_a_mask_contradict_nothing() -> None:
    module = Net(lambda m, x: m[0](x * (torch.arange(12, device=x.device) < 7)), conv())
    assert field_of(module).size == (3, 3)
    assert verify(trace(module, SIZE), module).exit_code == 0


DIAGONALS: dict[str, Callable[[Tensor], Tensor]] = {
    "main": lambda x: x.diagonal(0, 2, 3),
    "beside it": lambda x: x.diagonal(1, 2, 3),
    "the other one": lambda x: x.flip(3).diagonal(0, 2, 3),
    "every second": lambda x: x.diagonal(-1, 2, 3)[..., ::2],
    "from its end": lambda x: x.diagonal(0, 2, 3).flip(-1),
    "put back": lambda x: torch.diag_embed(x.diagonal(0, 2, 3)).mean(-1),
}


@pytest.mark.parametrize("case", DIAGONALS)
def test_a_diagonal_moves_along_both_axes(case: str) -> None:
    """A map of 3×3 windows, its diagonal, and a window of 3 along that."""
    module = Net(lambda m, x: m[1](DIAGONALS[case](m[0](x))).unsqueeze(3), conv(), nn.Conv1d(3, 3, 3, padding=1))
    field = field_of(module)
    assert not field.bound and field.size == (seen_by_gradients(module),) * 2
    assert verify(trace(module, SIZE), module).exit_code == 0


def test_what_a_mask_leaves_nothing_of_sees_nothing() -> None:
    module = Net(lambda m, x: m[0](x * torch.zeros(12)), conv())
    assert costcalc.analyze(trace(module, SIZE)).layers[-1].receptive_field is None
    assert verify(trace(module, SIZE), module).exit_code == 0


def test_a_dilated_kernel_on_nothing_but_padding_sees_nothing() -> None:
    module = Net(lambda m, x: m[0](x.mean(3, keepdim=True)), nn.Conv2d(3, 4, 2, padding=1, dilation=2))
    assert costcalc.analyze(trace(module, SIZE)).layers[-1].receptive_field is None
    assert seen_by_gradients(module) == 0 and verify(trace(module, SIZE), module).exit_code == 0


def test_a_part_of_a_diagonal_that_lies_in_zeros_sees_nothing() -> None:
    module = Net(lambda m, x: torch.diag_embed(x.movedim(1, -1))[..., 0, 1:] * 2)
    assert costcalc.analyze(trace(module, SIZE)).layers[-1].receptive_field is None
    assert seen_by_gradients(module) == 0  # off the diagonal


SPEC = """
inputs: {x: [3, 32, 32]}
layers:
- mirrored: pad((0, 1), 'reflect')
- a: conv(4, (35, 3), padding=(17, 0))
- part: triangle
"""


def test_every_output_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")

    def said(*arguments: str) -> str:
        outcome([*arguments])
        return capsys.readouterr().out

    (record,) = [
        la for la in json.loads(said("analyze", str(path), "--format", "json"))["layers"] if la["name"] == "part"
    ]
    assert record["receptive_field"]["bound"] is True
    assert "≤ 32×3 (35×3)" in said("analyze", str(path), "--columns", "name,rf")
    assert "at most 35×3 pixels" in said("explain", str(path), "part")
    assert "≤ 32×3 (35×3)" in said("compare", str(path), "lenet5")
    compared = json.loads(said("compare", str(path), "lenet5", "--format", "json"))
    assert compared["models"][0]["receptive_field_text"] == "≤ 32×3 (35×3)"


@pytest.mark.parametrize(
    ("budget", "status", "says"),
    [
        ("{min: 2, at: part}", "unchecked", "≤ 3, at least 2 allowed: an upper bound, which proves no least"),
        ("{min: 4, at: part}", "fail", "≤ 3 is 1 under the budget of 4"),
        ("{max: 40, at: part}", "ok", "≤ 35, at most 40 allowed"),
        ("{max: 30, at: part}", "fail", "≤ 35 is 5 over the budget of 30"),
        ("{min: 3, at: a}", "ok", "3, at least 3 allowed"),
    ],
)
def test_a_bound_proves_no_least(
    budget: str, status: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.yaml").write_text(SPEC, encoding="utf-8")
    config = tmp_path / "costcalc.yaml"
    config.write_text(
        f"version: 1\nmodels:\n  - {{model: net.yaml, budgets: {{receptive_field: {budget}}}}}\n", encoding="utf-8"
    )
    code = outcome(["check", "--config", str(config), "--format", "json"])
    (verdict,) = json.loads(capsys.readouterr().out)["verdicts"]
    assert (verdict["status"], code) == (status, 1 if status == "fail" else 0)
    assert verdict["says"].replace(" px", "").startswith(says)
