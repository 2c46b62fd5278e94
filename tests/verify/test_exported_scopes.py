"""MACs of an exported program are compared in each module that its calls were made in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from costcalc.cli.dispatch import outcome
from costcalc.frontends.torch.program import Program
from costcalc.frontends.torch.tracer import trace
from costcalc.verification import verify
from costcalc.verification.compare import BY_TORCH
from costcalc.verification.run import run


class Net(nn.Module):
    """A product in the forward beside modules, one of which is called twice."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, first, padding=first // 2), nn.ReLU(), nn.Conv2d(4, 3, second, padding=second // 2)
        )
        self.again = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.again(self.again(self.body(x)))
        return y @ y.mT


SIZE = (1, 3, 8, 8)


def program(first: int, second: int) -> Program:
    return Program(torch.export.export(Net(first, second).eval(), (torch.zeros(SIZE),)))


def test_what_a_program_counts_is_told_by_module() -> None:
    ran = run(program(3, 1), (torch.zeros(SIZE),))
    counted = {scope: count["macs"] for scope, count in ran.macs.items() if count}
    # 8×8 places: 3·9·4 each, 4·3 each; 24 rows of 8·8, twice; 3 products of 8×8 by 8×8.
    assert counted == {"body.0": 64 * 108, "body.2": 64 * 12, "again": 2 * 24 * 64, "": 3 * 512}


@pytest.mark.parametrize("sizes", [(3, 1), (1, 3)])
def test_right_figures_agree_in_each_module(sizes: tuple[int, int]) -> None:
    module = program(*sizes)
    assert verify(trace(module, SIZE), module).exit_code == 0


def test_equal_totals_do_not_hide_layers_that_differ() -> None:
    found = verify(trace(program(3, 1), SIZE), program(1, 3))
    wrong = {d.layer: (d.ours, d.theirs) for d in found.disagreements if d.check == BY_TORCH}
    assert wrong == {"body.0": ("6,912", "768"), "body.2": ("768", "6,912")}


def test_the_command_does_it_for_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Net(3, 1).eval(), (torch.zeros(SIZE),)), path)
    assert outcome(["verify", str(path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["disagreements"] == []
