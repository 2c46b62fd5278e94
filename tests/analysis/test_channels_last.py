"""Channels last: the same network with its channels second has the same figures, names of axes and receptive fields."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.layout import axis_names
from costcalc.analysis.report import report
from costcalc.difference import diff

LAYERS: list[Callable[[random.Random], str]] = [
    lambda c: (
        f"conv({c.choice([4, 6, 8])}, {c.choice(['1', '3', '(3, 5)'])}, stride={c.choice([1, 2])}, padding='same'"
    ),
    lambda c: "conv(8, 3, padding=((1, 2), (3, 2)), dilation=2, bias=false",
    lambda c: "conv_transpose(4, 3, stride=2, padding=1",
    lambda c: f"max_pool({c.choice([2, 3])}, {c.choice([1, 2])}, padding='same'",
    lambda c: "avg_pool(2, ceil_mode=true",
    lambda c: f"upsample(2, mode='{c.choice(['nearest', 'bilinear'])}'",
    lambda c: "prelu(true",
]


def _spec(chance: random.Random, last: bool) -> str:
    shape = "[65, 59, 3]" if last else "[3, 65, 59]"
    lines = [f"  - {chance.choice(LAYERS)(chance)}{', channels_last=true' if last else ''})" for _ in range(6)]
    lines.append(f"  - global_avg_pool(keepdim=false{', channels_last=true' if last else ''})")
    return f"inputs: {{image: {shape}}}\nlayers:\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(40))
def test_figures_are_those_of_the_twin(tmp_path: Path, seed: int) -> None:
    found = []
    for last in (False, True):
        file = tmp_path / f"net{last}.yaml"
        file.write_text(_spec(random.Random(seed), last), encoding="utf-8")
        graph = load(str(file))
        names = ("batch", "height", "width", "channels") if last else ("batch", "channels", "height", "width")
        assert axis_names(graph, "image") == names
        found.append(report(graph))
    second, last_ = found
    assert last_.total == second.total
    for ours, twin in zip(last_.layers, second.layers, strict=True):
        assert (ours.receptive_field, ours.kind) == (twin.receptive_field, twin.kind)
        assert (ours.macs, ours.ops, ours.params) == (twin.macs, twin.ops, twin.params)
        batch, channels, *places = twin.output_shapes[0]
        assert ours.output_shapes[0] == (batch, *places, channels)


def test_causes_of_a_difference_are_told_as_such(tmp_path: Path) -> None:
    for name, width, size in (("old", 8, 32), ("new", 12, 32), ("large", 8, 64)):
        text = f"inputs: {{x: [{size}, {size}, 3]}}\nlayers:\n  - conv({width}, 3, padding=1, channels_last=true)\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    old, new, large = (load(str(tmp_path / f"{name}.yaml")) for name in ("old", "new", "large"))
    assert [cause.kind for cause in diff(old, new).causes] == ["width"]
    assert [cause.kind for cause in diff(old, large).causes if cause.of("macs")] == ["resolution"]


@pytest.mark.parametrize(("last", "folds"), [(False, True), (True, False)])
def test_a_norm_of_another_axis_is_not_folded(tmp_path: Path, last: bool, folds: bool) -> None:
    """Batch norm has its channels second: after channels last that is the height."""
    shape = "[8, 8, 8]"
    call = f"conv(8, 3, padding=1{', channels_last=true' if last else ''})"
    (tmp_path / "net.yaml").write_text(f"inputs: {{x: {shape}}}\nlayers:\n  - {call}\n  - batch_norm\n")
    graph = load(str(tmp_path / "net.yaml"), fold_norm=True)
    assert (len(graph.nodes) == 1) is folds
