"""An exported program is compared in each module that its calls were made in: MACs, shapes, receptive fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costcalc.cli.dispatch import outcome
from costcalc.frontends.torch.program import Program, by_parts
from costcalc.frontends.torch.tracer import trace
from costcalc.verification import verify
from costcalc.verification.compare import BY_TORCH
from costcalc.verification.result import VerifyResult
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


class Encoder(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, **options)
        self.out = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x))


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"activation": "gelu"}], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_an_encoder_layer_kept_as_one_operator_is_counted_by_both_witnesses(options: dict[str, Any]) -> None:
    x = torch.rand(2, 5, 16)
    with torch.no_grad():
        module = Program(torch.export.export(Encoder(**options).eval(), (x,), strict=True))
        whole = module(x)
        with by_parts(module):
            assert torch.allclose(module(x), whole, atol=1e-5)  # the parts do what the operator does
    found = verify(trace(module, (2, 5, 16)), module)
    assert found.exit_code == 0 and {check.name: check.compared for check in found.checks}[BY_TORCH] == 6
    ran = run(module, (x,))
    counted = {scope: count["macs"] for scope, count in ran.macs.items() if count}
    assert counted == {
        "layer.self_attn": 10 * (16 * 48 + 16 * 16) + 2 * 8 * 5 * 5 * 4, "layer": 10 * 2 * 16 * 32, "out": 10 * 16 * 3
    }  # fmt: skip


class Places(nn.Module):
    """Modules that see unlike many pixels, norms that hide nothing, a module that is called twice."""

    def __init__(self, pool: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.body, self.act = nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.SiLU()
        self.mean = nn.AvgPool2d(pool, 1, pool // 2)
        self.up, self.laid = nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(8, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.act(self.body(self.act(x)) + x)
        y: Tensor = self.laid(self.up(self.mean(x)))
        return y


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv3d(2, 4, 3, padding=2, dilation=2), nn.BatchNorm3d(4), nn.ELU()
        self.pool = nn.MaxPool3d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(self.act(self.norm(self.conv(x))))
        return y.softmax(1)


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.pool, self.last = nn.Conv1d(4, 8, 5), nn.Hardswish(), nn.MaxPool1d(2), nn.PReLU(8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.pool(self.act(self.conv(x))))
        return y


PLACES: dict[str, tuple[nn.Module, tuple[int, ...], int, int]] = {
    "image": (Places(), (1, 3, 32, 32), 9, 6),
    "volume": (Volume(), (1, 2, 8, 8, 8), 4, 2),
    "sequence": (Sequence(), (2, 4, 20), 4, 2),
}
"""A model, its size, how many of its modules make a tensor, and how many change what is seen."""


def results(found: VerifyResult) -> dict[str, int]:
    return {check.name: check.compared for check in found.checks}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", PLACES)
def test_shapes_and_fields_of_a_program_are_compared_module_by_module(name: str, strict: bool) -> None:
    model, size, modules, seeing = PLACES[name]
    module = Program(torch.export.export(model.eval(), (torch.rand(size),), strict=strict))
    found = verify(trace(module, size), module)
    assert found.exit_code == 0
    assert results(found)["output shapes"] >= modules
    assert results(found)["receptive fields"] >= seeing


def test_a_field_that_a_program_does_not_see_is_contradicted() -> None:
    """The pooling of the figures is of 3 pixels, that of the program which is run of 1; all shapes are the same."""
    of_one = Program(torch.export.export(Places(1).eval(), (torch.rand(1, 3, 32, 32),)))
    of_three = Program(torch.export.export(Places(3).eval(), (torch.rand(1, 3, 32, 32),)))
    found = verify(trace(of_three, (1, 3, 32, 32)), of_one)
    assert {d.layer for d in found.disagreements if d.check == "receptive fields"} >= {"mean"}


class Twice(nn.Module):
    """A module that is called twice, between two others; ``cut`` of its second call's input is left out."""

    def __init__(self, cut: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.twice, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
        self.spread = nn.AvgPool2d(1 + 2 * (dilation - 1), 1, dilation - 1)
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.twice(self.spread(self.act(self.twice(x)))[:, :, self.cut :]))
        return y


def as_run(module: nn.Module, is_program: bool) -> nn.Module:
    return Program(torch.export.export(module.eval(), (torch.rand(SIZE),))) if is_program else module.eval()


@pytest.mark.parametrize("is_program", [False, True])
def test_each_call_of_a_module_is_compared_by_itself(is_program: bool) -> None:
    """The second calls of figures and run differ in shape, then in field."""
    ours = as_run(Twice(), is_program)
    found = verify(trace(ours, SIZE), ours)
    assert (found.exit_code, results(found)["output shapes"]) == (0, 5)
    assert results(found)["receptive fields"] == 2
    shorter = verify(trace(ours, SIZE), as_run(Twice(2), is_program))
    assert {d.layer for d in shorter.disagreements if d.check == "output shapes"} >= {"twice_1", "act_1"}
    wider = verify(trace(ours, SIZE), as_run(Twice(dilation=2), is_program))
    assert "twice_1" in {d.layer for d in wider.disagreements if d.check == "receptive fields"}


def test_a_shape_that_a_program_does_not_make_is_contradicted() -> None:
    class Strided(nn.Module):
        def __init__(self, first: int, second: int) -> None:
            super().__init__()
            self.first, self.second = nn.AvgPool2d(1, first), nn.AvgPool2d(1, second)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.second(self.first(x))
            return y

    ours, theirs = (
        Program(torch.export.export(Strided(*strides).eval(), (torch.rand(1, 3, 8, 8),)))
        for strides in ((2, 1), (1, 2))
    )
    found = verify(trace(ours, (1, 3, 8, 8)), theirs)
    wrong = {(d.layer, d.ours, d.theirs) for d in found.disagreements if d.check == "output shapes"}
    assert wrong == {("first", "1×3×4×4", "1×3×8×8")}
