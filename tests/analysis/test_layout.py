"""Which axis of an input is which: found through permutes, reshapes and repeats, or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import costcalc
from costcalc.analysis.layout import axis_names
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write
from costcalc.frontends.torch.tracer import trace
from costcalc.verification import verify


class Net(nn.Module):
    def __init__(self, run: Callable[[nn.ModuleList, Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.run, self.layers = run, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.layers, x)


def conv(channels: int = 3) -> nn.Module:
    return nn.Conv2d(channels, 4, 3, padding=1)


BATCH, COLOURS, HEIGHT, WIDTH, LENGTH = "batch", "channels", "height", "width", "length"
CASES: dict[str, tuple[nn.Module, tuple[int, ...], tuple[str, ...], tuple[int, ...] | str]] = {
    "n×c×h×w": (Net(lambda m, x: m[0](x), conv()), (1, 3, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (3, 3)),
    "n×h×w×c": (
        Net(lambda m, x: m[0](x.permute(0, 3, 1, 2)), conv()),
        (1, 8, 9, 3), (BATCH, HEIGHT, WIDTH, COLOURS), (3, 3),
    ),
    "c×h×w": (Net(lambda m, x: m[0](x), conv()), (3, 8, 9), (COLOURS, HEIGHT, WIDTH), (3, 3)),
    "n×h×w": (Net(lambda m, x: m[0](x[:, None]), conv(1)), (2, 8, 9), (BATCH, HEIGHT, WIDTH), (3, 3)),
    "n×t×c×h×w": (
        Net(lambda m, x: m[0](x.flatten(0, 1)), conv()),
        (2, 5, 3, 8, 9), (BATCH, "", COLOURS, HEIGHT, WIDTH), (3, 3),
    ),
    "n×t×c×h×w, then along t": (
        Net(
            lambda m, x: m[1](m[0](x.flatten(0, 1)).view(2, 5, 4, 8, 9).transpose(1, 2)),
            conv(), nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0)),
        ),
        (2, 5, 3, 8, 9), (BATCH, "frames", COLOURS, HEIGHT, WIDTH), (3, 3, 3),
    ),
    "n×c×d×h×w": (
        Net(lambda m, x: m[0](x), nn.Conv3d(3, 4, 3)),
        (1, 3, 5, 8, 9), (BATCH, COLOURS, "depth", HEIGHT, WIDTH), (3, 3, 3),
    ),
    "a waveform n×t": (Net(lambda m, x: m[0](x.unsqueeze(1)), nn.Conv1d(1, 4, 5, 2)), (2, 99), (BATCH, LENGTH), (5,)),
    "n×t×c": (
        Net(lambda m, x: m[0](x.transpose(1, 2)), nn.Conv1d(6, 4, 5, 2)), (2, 50, 6), (BATCH, LENGTH, COLOURS), (5,),
    ),
    "colours mixed first": (
        Net(lambda m, x: m[1](m[0](x).permute(0, 3, 1, 2)), nn.Linear(3, 6), conv(6)),
        (1, 8, 9, 3), (BATCH, HEIGHT, WIDTH, COLOURS), (3, 3),
    ),
    "grey made three": (
        Net(lambda m, x: m[0](x.repeat(1, 3, 1, 1)), conv()), (1, 1, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (3, 3),
    ),
    "patches by reshape": (
        Net(lambda m, x: m[0](x.reshape(1, 3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)),
            nn.Linear(12, 6)),
        (1, 3, 8, 8), (BATCH, COLOURS, HEIGHT, WIDTH), (2, 2),
    ),
    "a linear layer on each of a row": (
        Net(lambda m, x: m[0](x), nn.Linear(6, 6)), (1, 10, 6), (BATCH, LENGTH, COLOURS), (1,)
    ),
    "columns mixed first": (
        Net(lambda m, x: m[0](x.softmax(3)), conv()), (1, 3, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (3, 9),
    ),
    "rows mixed by weights first": (
        Net(lambda m, x: m[1](m[0](x.mT).mT), nn.Linear(8, 5), conv()),
        (1, 3, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (8, 3),
    ),
    "n×h×w×c, columns mixed first": (
        Net(lambda m, x: m[0](x.softmax(2).permute(0, 3, 1, 2)), conv()),
        (1, 8, 9, 3), (BATCH, HEIGHT, WIDTH, COLOURS), (3, 9),
    ),
    "c×d×h×w, depth mixed first": (
        Net(lambda m, x: m[0](x.softmax(1)), nn.Conv3d(3, 4, 3, padding=1)),
        (3, 5, 6, 7), (COLOURS, "depth", HEIGHT, WIDTH), (5, 3, 3),
    ),
    "a row mixed first": (
        Net(lambda m, x: m[0](x.softmax(2)), nn.Conv1d(3, 4, 3)), (1, 3, 9), (BATCH, COLOURS, LENGTH), "global",
    ),
    "a recurrent layer first": (
        Net(lambda m, x: m[1](m[0](x)[0].transpose(1, 2)), nn.GRU(6, 5, batch_first=True), nn.Conv1d(5, 4, 3)),
        (1, 12, 6), (BATCH, LENGTH, COLOURS), "global",
    ),
    "attention first": (
        Net(lambda m, x: m[1](m[0](x, x, x)[0].transpose(1, 2)),
            nn.MultiheadAttention(6, 2, batch_first=True), nn.Conv1d(6, 4, 3)),
        (1, 12, 6), (BATCH, LENGTH, COLOURS), "global",
    ),
    "the columns' mean taken off": (
        Net(lambda m, x: m[0](x - x.mean(3, keepdim=True)), conv()),
        (1, 3, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (3, 9),
    ),
    "along a diagonal": (
        Net(lambda m, x: m[0](x.diagonal(0, 2, 3)), nn.Conv1d(3, 4, 3)),
        (1, 3, 8, 9), (BATCH, COLOURS, HEIGHT, WIDTH), (3, 3),
    ),
    "all mixed at once": (
        Net(lambda m, x: m[0](x.flatten(1)), nn.Linear(192, 6)),
        (1, 3, 8, 8), (BATCH, COLOURS, HEIGHT, WIDTH), "global",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_graph_tells_which_axis_is_which(case: str, tmp_path: Path) -> None:
    module, shape, names, sees = CASES[case]
    graph = trace(module, shape)
    report = costcalc.analyze(graph)
    field = report.layers[-1].receptive_field

    assert axis_names(graph, graph.inputs[0]) == names == report.layout[graph.inputs[0]]
    assert (field.size if isinstance(field, ReceptiveField) else field) == sees
    assert verify(graph, module).exit_code == 0
    spec = tmp_path / "net.yaml"
    spec.write_text(write(graph), encoding="utf-8")
    assert costcalc.analyze(str(spec)).layout == report.layout


@pytest.mark.parametrize(
    ("shape", "run"),
    [
        ((1, 3, 8, 9), lambda m, x: x.softmax(3)),
        ((1, 6, 50), lambda m, x: x.mean(2)),
        ((1, 6, 50), lambda m, x: x.cumsum(1)),
    ],
    ids=["softmax", "mean", "cumsum"],
)
def test_what_mixes_any_axis_tells_nothing(
    shape: tuple[int, ...], run: Callable[[nn.ModuleList, Tensor], Tensor]
) -> None:
    report = costcalc.analyze(trace(Net(run), shape))
    assert set(*report.layout.values()) == {""}
    assert [layer.receptive_field for layer in report.layers] == ["unknown"]


class Untold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2))  # of four axes: two channels, or two places


def test_where_nothing_tells_the_field_is_unknown_until_it_is_said(tmp_path: Path) -> None:
    graph = trace(Untold(), (1, 8, 9, 3))
    assert set(axis_names(graph, "x")) == {""}
    assert [layer.receptive_field for layer in costcalc.analyze(graph).layers] == ["unknown"]

    report = costcalc.analyze(graph, layout="hwc")
    assert report.layout == {"x": (BATCH, HEIGHT, WIDTH, COLOURS)}
    assert report.layers[-1].receptive_field == "global"

    path = tmp_path / "net.yaml"
    path.write_text('inputs: {x: {shape: [8, 9, 3], layout: hwc}}\nlayers: ["mean([1, 2])"]\n', encoding="utf-8")
    assert costcalc.analyze(str(path)).layout == report.layout
    assert "layout: nhwc" in write(costcalc.load(str(path)))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = dispatch.outcome([*arguments])
    out, err = capsys.readouterr()
    return code, out + err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nhwx", "layout 'nhwx': a layout has a letter for each axis, as in nhwc: n batch, c channels, "),
        ("nhhw", "layout 'nhhw' names an axis twice"),
        ("nthwcd", "layout 'nthwcd' has 6 axes, and the input image 4"),
        ("picture=nhwc", "no input 'picture'; it has image"),
    ],
)
def test_a_layout_that_does_not_fit_is_said(given: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "analyze", "lenet5", "--layout", given)
    assert code == 2 and sentence in said


def test_a_layout_is_said_on_the_command_line_and_in_a_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.yaml").write_text('inputs: {x: [8, 9, 3]}\nlayers:\n  - half: "mean([1, 2])"\n', encoding="utf-8")
    code, said = run(capsys, "analyze", str(tmp_path / "net.yaml"), "--layout", "nhwc", "--format", "json")
    assert code == 0 and '"global"' in said
    config = tmp_path / "costcalc.yaml"
    budgets = "budgets: {receptive_field: {min: 8, at: half}}"
    for layout, says in (("", "receptive_field is not known"), (", at: [{layout: hwc}]", "is the whole image")):
        config.write_text(
            f"version: 1\nmodels:\n  - {{model: net.yaml, {budgets}{layout}}}\n",
            encoding="utf-8",
        )
        code, said = run(capsys, "check", "--config", str(config))
        assert says in said
    config.write_text("version: 1\nmodels:\n  - {model: net.yaml, at: [{layout: hwq}]}\n", encoding="utf-8")
    code, said = run(capsys, "check", "--config", str(config))
    assert code == 2 and f"{config}:3:" in said and "layout 'hwq'" in said


def test_a_layout_the_user_says_goes_before_what_the_graph_tells() -> None:
    module = Net(lambda m, x: m[0](x.permute(0, 3, 1, 2)), conv())
    graph = trace(module, (1, 8, 9, 3))
    wrong = costcalc.analyze(graph, layout="nchw")
    assert wrong.layout == {"x": (BATCH, COLOURS, HEIGHT, WIDTH)}
    with pytest.raises(CostcalcError):
        costcalc.analyze(graph, layout="nc")
    assert torch.is_tensor(module(torch.zeros(1, 8, 9, 3)))
