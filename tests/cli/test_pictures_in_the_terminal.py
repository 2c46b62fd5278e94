"""Bars of any figure, the memory timeline, the growth of receptive fields: as long as the numbers are large."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from terminal import process

import costcalc
from costcalc.backends.chart import chart
from costcalc.backends.columns import columns, find_bars
from costcalc.errors import OptionError
from costcalc.pictures.growth import growth

Printed = Callable[..., str]
EIGHTHS = " ▏▎▍▌▋▊▉█"


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def length(text: str) -> float:
    """Of the bar in ``text``, in characters."""
    return sum(EIGHTHS.index(c) / 8 for c in text if c in EIGHTHS and c != " ")


@pytest.mark.parametrize("figure", ["macs", "ops", "params", "traffic", "storage", "weights", "time", "read", "flops"])
def test_bars_are_as_long_as_the_figure_is_large(printed: Printed, figure: str) -> None:
    said = printed("analyze", "resnet18", "--depth", "1", "--bars", figure, "--columns", "kind", "-m", "a100")
    report = costcalc.analyze("resnet18", machine="a100")
    column = find_bars(figure)
    names = ["conv1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "flatten", "fc"]
    values = {name: column.value(report[name]) for name in names}
    drawn = {
        line.split()[0]: length(line) for line in said.splitlines() if line.split()[:1] and line.split()[0] in values
    }
    assert drawn.keys() == values.keys()
    most = max(values.values())
    for name, value in values.items():
        assert drawn[name] == pytest.approx(20 * value / most, abs=1 / 8) and (drawn[name] > 0) == (value > 0)


def test_bars_of_receptive_fields_are_their_longest_sides(printed: Printed) -> None:
    said = printed("analyze", "kws", "--sort", "field", "--bars", "field", "--columns", "field", "--all")
    lines = {line.split()[0]: line for line in said.splitlines() if "█" in line}
    # Windows of 10×4 and 26×20 pixels; the last looks at 74×28, of which 49×10 are there.
    for name, longest in (("conv1.conv", 10), ("block4.depthwise.conv", 26), ("pool", 74)):
        assert length(lines[name]) == pytest.approx(20 * longest / 74, abs=1 / 8)
    assert [*lines].index("pool") < [*lines].index("block4.depthwise.conv") < [*lines].index("conv1.conv")


def test_there_are_bars_of_every_column_of_numbers_and_of_no_other() -> None:
    for name, column in columns().items():
        if column.unit or column.share or name == "field":
            assert find_bars(name).name == name
        else:
            with pytest.raises(OptionError, match="has words"):
                find_bars(name)


def test_bars_are_of_the_table_alone(printed: Printed) -> None:
    for format in ("csv", "json", "markdown", "latex", "html"):
        assert f"not in {format}" in printed("analyze", "kws", "--bars", "macs", "--format", format, code=2)
    assert "machine" in printed("analyze", "kws", "--bars", "time", code=2)
    assert "did you mean" in printed("analyze", "kws", "--bars", "trafic", code=2)


@pytest.mark.parametrize("model", ["resnet18", "vgg16", "kws", "slowfast_r50_8x8", "unet", "convnext_t"])
@pytest.mark.parametrize("width", [80, 200])
def test_the_field_grows_as_the_report_says(
    printed: Printed, monkeypatch: pytest.MonkeyPatch, model: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = printed("field", model)
    found = growth(costcalc.analyze(model))
    lines = [line for line in said.splitlines() if "│" in line]
    assert all(len(line) <= width for line in said.splitlines())
    edge = {line.index("│") for line in lines}
    assert len(edge) == 1  # the image ends in the same place in each line
    parts = [max(a / b for a, b in zip(s.size, found.image, strict=True)) for s in found.layers]
    over = [not s.everything and part > 1 for s, part in zip(found.layers, parts, strict=True)]
    beyond = [bool(line[line.index("│") + 1 :].strip()) for line in lines]
    assert any(beyond) == any(over)
    if any(over):
        noun = "image" if len(found.image) == 2 else "input"
        assert f"first larger than the {noun}: {found.exceeds}" in " ".join(said.split())
    if found.whole:
        assert f"from {found.whole} on each place" in " ".join(said.split())


def test_its_bars_are_parts_of_the_image(printed: Printed) -> None:
    """VGG's windows by hand: 3, 5, 6, 10, 14, 16 … 212 of 224 pixels."""
    said = printed("field", "vgg16")
    lines = {line.split()[0]: line for line in said.splitlines() if "│" in line}
    edge = next(iter(lines.values())).index("│") - re.search(r"▏|█|▎|▍|▌|▋|▊|▉", lines["conv1_1"]).start()  # type: ignore[union-attr]
    for name, size in (("conv1_1", 3), ("pool1", 6), ("conv2_2", 14), ("conv5_3", 196), ("pool5", 212)):
        assert f" {size} " in lines[name]
        assert length(lines[name]) == pytest.approx(edge * size / 224, abs=1 / 8)


def test_what_the_field_says_to_programs(printed: Printed, tmp_path: Path) -> None:
    found = json.loads(printed("field", "kws", "--format", "json"))
    assert (found["image"], found["exceeds"], found["everything"]) == ([49, 10], "block2.depthwise.conv", None)
    assert found["layers"][0] == {
        "layer": "conv1.conv", "size": [10, 4], "seen": [10, 4], "stride": [2, 2], "everything": False, "bound": False
    }  # fmt: skip
    heads, first, *rest = printed("field", "kws", "--format", "csv").splitlines()
    assert (heads, first) == ("layer,size,seen,stride,everything,bound", "conv1.conv,10x4,10x4,2x2,0,0")
    assert len(rest) == len(found["layers"]) - 1
    assert "| block2.depthwise.conv | 18×12 | 2 | 120 % |" in printed("field", "kws", "--format", "markdown")
    spec = tmp_path / "net.yaml"
    spec.write_text("inputs: {x: [8]}\nlayers: [linear(4)]\n")
    assert "no layer whose receptive field" in printed("field", str(spec), code=2)


def test_of_deep_networks_a_screen_shows_some(monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.backends.growth import steps, table

    found = growth(costcalc.analyze("resnet1202"))
    text = table(found, "x", 80, False, lines=30)
    assert len(text.splitlines()) <= 30 and f"of {len(steps(found)):,} layers that change it" in text
    assert found.exceeds in text and text.index("conv1.conv") < text.index("avgpool")
    assert len(table(found, "x", 80, False).splitlines()) > 1000


def test_the_timeline_is_drawn_to_scale(printed: Printed) -> None:
    said = printed("memory", "kws", "--engine", "tflm", "--bits", "8", "--timeline").splitlines()
    memory = costcalc.memory("kws", engine="tflm", bits=8)
    top = next(i for i, line in enumerate(said) if "┤" in line)
    rows = [line.split("┤" if "┤" in line else "│", 1)[1] for line in said[top : top + 8]]
    wide = len(rows[-1].rstrip()) // len(memory.steps) + 1
    for step, at in zip(memory.steps, range(0, 999, wide), strict=False):
        high = sum(" ▁▂▃▄▅▆▇█".index(row.ljust(200)[at]) for row in rows)
        assert high == max(round(64 * step.bytes / memory.peak_bytes), bool(step.bytes))
    assert f"the peak at {memory.peak_step + 1}, {memory.at}" in said[top + 8]


def test_a_peak_is_never_folded_away() -> None:
    values = [1] * 500
    values[333] = 9
    drawn = chart(values, "9", 40, 3, lambda some: max(n for n in some if n is not None))
    assert drawn[0].count("█") == 1 and all(len(line) <= 40 for line in drawn)


@pytest.mark.parametrize(
    "line",
    [["analyze", "kws", "--bars", "macs", "--all"], ["field", "kws"], ["memory", "kws", "--timeline"]],
    ids=lambda line: line[0],
)
def test_colours_obey_and_a_pipe_gets_plain_text(printed: Printed, monkeypatch: pytest.MonkeyPatch, line: Any) -> None:
    plain = printed(*line)
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    painted = printed(*line)
    assert "\x1b[3" in painted and re.sub("\x1b\\[\\d+m", "", painted) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(*line) == plain


@pytest.mark.parametrize(
    "line", [["field", "kws"], ["memory", "kws", "--timeline"], ["analyze", "kws", "--bars", "macs"]]
)
def test_where_a_pipe_takes_ascii_alone(line: list[str]) -> None:
    said = process(*line, PYTHONIOENCODING="ascii", COLUMNS="80").out
    assert "#" in said and said.isascii() and "?" not in said


@pytest.mark.parametrize("model", ["kws", "resnet18", "convnext_t"])
@pytest.mark.parametrize("line", ["analyze {} --depth 1 --bars params", "memory {} --timeline", "field {}"])
def test_forty_columns_have_room_for_bars(
    printed: Printed, monkeypatch: pytest.MonkeyPatch, line: str, model: str
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = printed(*line.format(model).split())
    assert "█" in said and "\x1b" not in said
    drawn = [text for text in said.splitlines() if set(text) & set("█▏▎▍▌▋▊▉┤│")]
    assert max(map(len, drawn)) <= 40 and len(drawn) >= 3
    assert "timeline" not in line or "the peak at" in " ".join(said.split())
