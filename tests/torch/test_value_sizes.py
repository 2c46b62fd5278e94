"""Sizes that values decide: listed with what they decide, and what they make of the totals.

Expected figures are written out; torch's FlopCounterMode counts the same on real runs that select so many.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costcalc.analysis.records import Report, runs  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.analysis.sizes import sizes  # noqa: E402
from costcalc.backends.report import render  # noqa: E402
from costcalc.backends.rows import TableOptions  # noqa: E402
from costcalc.cli.dispatch import outcome  # noqa: E402
from costcalc.comparison import compare  # noqa: E402
from costcalc.difference import diff  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch.tracer import trace, trace_run  # noqa: E402
from costcalc.ir.graph import Graph, GraphBuilder  # noqa: E402
from costcalc.ir.op import find_op  # noqa: E402
from costcalc.ir.tensor import TensorType  # noqa: E402
from costcalc.transforms.fold_norm import fold_norm  # noqa: E402

SCHEMA = Path(__file__).parents[2] / "docs/report.schema.json"


class Kept(nn.Module):
    """A layer on all rows, and two on those that it keeps."""

    def __init__(self, keep: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.all = nn.Linear(4, 4, bias=False)
        self.some = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False))
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        y = self.all(x)
        result: Tensor = self.some(y[self.keep(y)])
        return result


ROWS, ALL, SOME = 12, 12 * 4 * 4, 4 * 8 + 8 * 2
KEEP: dict[str, Callable[[Tensor], Tensor]] = {
    "a mask": lambda y: y.sum(1) > 0,
    "places": lambda y: (y[:, 0] > 0).nonzero().squeeze(1),
    "where": lambda y: torch.where(y[:, 0] > y[:, 1])[0],
}


def traced(keep: str = "a mask", **settings: int) -> Graph:
    return trace(Kept(KEEP[keep]), (ROWS, 4), assume=settings)


def by_run(keep: str, seed: int) -> tuple[int, int]:
    """Rows that are kept in a real run, and MACs by torch's counter."""
    torch.manual_seed(seed)
    model, x = Kept(KEEP[keep]), torch.randn(ROWS, 4)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        rows = len(model(x))
    return rows, int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", KEEP)
def test_totals_are_upper_bounds_while_a_size_that_is_the_most_is_not_set(keep: str, seed: int) -> None:
    whole = report(traced(keep))
    assert whole.total.macs == ALL + ROWS * SOME
    assert {whole.mark(name) for name in ("macs", "ops", "traffic", "storage", "peak")} == {"≤"}
    assert not whole.is_complete
    rows, theirs = by_run(keep, seed)
    ours = report(traced(keep, selected=rows))
    assert ours.total.macs == ALL + rows * SOME == theirs <= whole.total.macs
    assert ours.is_complete and {ours.mark(name) for name in ("macs", "peak", "intensity", "params")} == {""}


def test_figures_that_no_size_decides_are_not_marked_and_a_ratio_is_no_bound() -> None:
    whole = report(traced())
    assert [whole.mark(name) for name in ("params", "buffers", "weights", "layers", "receptive_field")] == [""] * 5
    assert whole.mark("intensity") == "≈"


def test_a_size_that_is_not_the_most_bounds_nothing() -> None:
    def distinct(y: Tensor) -> Tensor:
        return torch.unique(y[:, 0]).long()

    whole = report(trace(Kept(distinct), (ROWS, 4)))
    (size,) = whole.sizes
    assert (size.size, size.most, size.bounds) == (1, ROWS, False)
    assert whole.mark("macs") == "≈" and whole.mark("params") == ""


def test_a_layer_without_a_rule_and_a_size_together_bound_nothing() -> None:
    size = traced().sizes[0]
    builder = GraphBuilder("odd", {"x": TensorType((ROWS, 4))})
    made = builder.add("odd", find_op("uncounted")("aten.odd", ((ROWS, 4),), ("float32",)), ["x"])
    from dataclasses import replace

    graph = builder.build(made)
    assert report(graph).mark("macs") == "≥"
    both = report(replace(graph, sizes=(size._replace(layers=("odd",)),)))
    assert (both.mark("macs"), both.mark("params"), both.mark("intensity")) == ("≈", "≥", "≈")


def test_json_has_each_size_with_the_layers_that_it_decides() -> None:
    record = report(traced()).to_dict()
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(record)
    (size,) = record["sizes"]
    assert {key: size[key] for key in ("name", "size", "most", "given", "bounds", "met")} == {
        "name": "selected", "size": ROWS, "most": ROWS, "given": False, "bounds": True, "met": False,
    }  # fmt: skip
    names = [row["name"] for row in record["layers"]]
    decided = [name for first, last in size["layers"] for name in names[first : last + 1]]
    assert decided == list(traced().sizes[0].layers)
    assert {"some.0", "some.1"} <= {*decided} and "all" not in decided
    assert "sizes" not in report(trace(nn.Linear(4, 4), (1, 4))).to_dict()


@pytest.mark.parametrize("format", ["table", "markdown", "csv"])
def test_each_format_marks_the_totals_and_says_how_to_set_the_size(format: str) -> None:
    def text(whole: Report) -> str:
        return " ".join(render(format, whole, TableOptions(width=400)).replace("\\", "").split())

    said = text(report(traced()))
    assert "selected = 12, the most that there can be: elements that are selected by value; decides 3 layers" in said
    assert "--set selected=NUMBER" in said
    assert ("≤ 768" in said) == (format != "csv")
    said = text(report(traced(selected=5)))
    assert "≤" not in said and "NUMBER" not in said
    assert ("selected = 5 as set, of at most 12" in said) == (format != "csv")


def test_many_sizes_of_a_kind_are_one_line() -> None:
    def many(y: Tensor) -> Tensor:
        return torch.cat([(y[:, i] > 0).nonzero().squeeze(1) for i in range(4)])

    line, how = sizes(report(trace(Kept(many), (ROWS, 4))))
    assert line.startswith("selected_1 … selected_4 (4) = 12, the most that there can be")
    assert how.endswith("--set selected_1=NUMBER or --set selected=NUMBER for all of a kind")


def test_nothing_is_best_beside_what_may_be_less() -> None:
    small = report(traced(selected=5))
    lines = {line.figure.name: line for line in compare([report(traced()), small]).lines}
    assert lines["macs"].best == frozenset()  # the other may be less
    assert lines["macs"].values == (ALL + ROWS * SOME, ALL + 5 * SOME)


def test_a_diff_says_that_figures_are_bounds() -> None:
    (note,) = diff(traced(), traced(selected=5)).notes
    assert "upper bounds while 1 size that values decide is not set" in note


def test_folding_norms_keeps_the_sizes() -> None:
    class Normed(Kept):
        def __init__(self) -> None:
            super().__init__(KEEP["a mask"])
            self.some = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))

    graph = trace(Normed(), (ROWS, 4))
    folded = fold_norm(graph)
    assert graph.sizes[0].layers[-1] == "some.1"
    assert folded.sizes == (graph.sizes[0]._replace(layers=graph.sizes[0].layers[:-1]),)
    assert report(folded).mark("macs") == "≤"


def test_runs_of_places() -> None:
    found: Any = runs([0, 1, 5, 7, 8, 9])
    assert found == [[0, 1], [5, 5], [7, 9]]


MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x[x[:, 0] > 0])
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with a model whose values decide a size."""
    (tmp_path / "net.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "net.py:Net"


@pytest.mark.parametrize(
    "command", ["analyze {}", "compare {} lenet5", "diff {} {}", "check {} --max macs=1M"], ids=lambda c: c.split()[0]
)
def test_strict_exits_4_while_a_size_is_not_set(model: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = [*command.format(model, model).split(), "--input", "4", "--batch", "6"]
    if command.startswith("compare"):
        line = [*line[:2], model, *line[3:]]
    assert outcome(line) == 0
    assert outcome([*line, "--strict"]) == 4
    assert outcome([*line, "--strict", "--set", "selected=3"]) == 0
    capsys.readouterr()


def test_a_spec_that_trace_writes_says_what_was_taken(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["trace", model, "--input", "4", "--batch", "6"]) == 0
    first, then, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("# selected = 6, the most that there can be: elements that are selected by value")
    assert then.startswith("# totals with ≤ are upper bounds") and then.endswith("--set selected=NUMBER")


WIDTH = 4
SELECTING: list[Callable[[nn.Module, Tensor, int, float], Tensor]] = [
    lambda layer, x, i, c: layer(x[x[:, i] > c]),
    lambda layer, x, i, c: layer(x[(x.sum(1) > c).nonzero().squeeze(1)]),
    lambda layer, x, i, c: layer(x[torch.where(x[:, i] < c)[0]]),
    lambda layer, x, i, c: layer(torch.masked_select(x, (x[:, i] > c)[:, None]).view(-1, WIDTH)),
    lambda layer, x, i, c: torch.cat([layer(x), x[x[:, i] > c]]),
    lambda layer, x, i, c: layer(x[: len(torch.unique((x[:, i] * 3).round()))]),
    lambda layer, x, i, c: layer(x.index_select(0, torch.nonzero(x[:, i] > c)[:, 0])),
    lambda layer, x, i, c: layer(torch.cat([x[x[:, i] > c], x[x[:, i] <= c]])),
    lambda layer, x, i, c: layer(x.relu()),
]


class Chain(nn.Module):
    """Layers, each on what one of ``SELECTING`` keeps."""

    def __init__(self, drawn: random.Random) -> None:
        super().__init__()
        self.steps = [
            (drawn.choice(SELECTING), drawn.randrange(WIDTH), drawn.uniform(-0.6, 0.6))
            for _ in range(drawn.randrange(1, 4))
        ]
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in self.steps)

    def forward(self, x: Tensor) -> Tensor:
        for (select, axis, least), layer in zip(self.steps, self.layers, strict=True):
            x = select(layer, x, axis, least)
        return x


@pytest.mark.parametrize("seed", range(40))
def test_a_run_a_bound_and_the_sizes_that_the_run_met_agree_with_torchs_counter(seed: int) -> None:
    drawn = random.Random(seed)
    torch.manual_seed(seed)
    model, x = Chain(drawn).eval(), torch.randn(drawn.randrange(3, 12), WIDTH)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    theirs = int(counter.get_total_flops()) // 2
    assumed = trace(model, tuple(x.shape))
    run = trace_run(model, [x], assumed)
    assert report(run).total.macs == theirs
    assert [size.name for size in run.sizes] == [size.name for size in assumed.sizes]
    set_so = report(trace(model, tuple(x.shape), assume={size.name: size.size for size in run.sizes}))
    assert set_so.total.macs == theirs and set_so.mark("macs") == ""
    whole = report(assumed)
    assert (whole.mark("macs") == "") == (not whole.unset)
    if whole.mark("macs") == "≤":
        assert theirs <= whole.total.macs


def test_what_a_run_on_real_tensors_met_bounds_nothing_and_cannot_be_set() -> None:
    def keep(y: Tensor) -> Tensor:
        if float(y.sum()) > 1e9:
            y = y @ y.t()
        return y[:, 0] < 1e9

    model = Kept(keep).eval()
    whole = report(trace(model, (ROWS, 4)))
    (size,) = whole.sizes
    assert (size.size, size.met, size.given, size.bounds) == (ROWS, True, False, False)
    assert whole.mark("macs") == "≈"  # with other values there is another product
    line, how = sizes(whole)
    assert line.startswith("selected = 12 in this run")
    assert how == "totals with ≈ are those of the values in this run, which decide 1 size"
    with pytest.raises(CostcalcError, match="'selected' cannot be set: Kept asks for values"):
        trace(model, (ROWS, 4), assume={"selected": 3})
