"""``costcalc list``: which models it chooses, that each figure is what ``analyze`` finds, and that it fits."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from terminal import ROOT, run

from costcalc import zoo
from costcalc.api import analyze

Capture = pytest.CaptureFixture[str]
VIDEO = {"c3d", "slowfast_r50_8x8", "mc3_18", "r2d_18", "r2plus1d_18", "r3d_18"}


def listed(capsys: Capture, *arguments: str) -> list[str]:
    """The names that the command lists."""
    said = run(capsys, "list", *arguments)
    assert (said.code, said.err) == (0, "")
    return [line.split()[0] for line in said.out.splitlines()[1:]]


def refused(capsys: Capture, *arguments: str) -> str:
    """The sentence that the command ends with."""
    said = run(capsys, "list", *arguments)
    assert (said.code, said.out) == (2, "")
    return said.err.removeprefix("costcalc: error: ").rstrip("\n")


def test_a_name_is_a_part_or_a_pattern_of_names_and_families(capsys: Capture) -> None:
    assert listed(capsys, "wrn_40") == ["wrn_40_1", "wrn_40_2", "wrn_40_4", "wrn_40_8"]
    assert listed(capsys, "vgg1[19]") == ["vgg11", "vgg19"]
    assert listed(capsys, "shiftnet") == ["shiftnet_a", "shiftnet_b"]
    assert set(listed(capsys)) == set(zoo.models())


def test_tasks_and_families_choose(capsys: Capture) -> None:
    assert set(listed(capsys, "--task", "video")) == VIDEO
    assert set(listed(capsys, "--task", "video", "--family", "c3d")) == {"c3d"}


def test_limits_are_amounts_and_both_hold(capsys: Capture) -> None:
    cheap = listed(capsys, "--max-macs", "60M", "--max-params", "1M")
    assert "mobilenet_0.25" in cheap  # 41 M MACs, 0.47 M parameters
    assert "mobilenet_v3_small" not in cheap  # 56.5 M MACs, but 2.5 M parameters
    assert "resnet110" not in cheap  # 253 M MACs
    costs = zoo.figures()
    assert set(cheap) == {m for m, c in costs.items() if c["macs"] <= 60_000_000 and c["params"] <= 1_000_000}


def test_numbers_sort_from_the_largest_and_words_from_a(capsys: Capture) -> None:
    assert listed(capsys, "efficientnet_b[0-3]", "--sort", "macs") == [f"efficientnet_b{i}" for i in (3, 2, 1, 0)]
    assert listed(capsys, "resnet[12][08]", "--sort", "family") == ["resnet18", "resnet20"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resnt"], "no model has 'resnt' in its name"),
        (["--task", "segmentatoin"], "did you mean 'segmentation'?"),
        (
            ["--task", "video", "--family", "vgg"],
            "none of these 6 models has family 'vgg'; they have c3d, slowfast, video_resnet",
        ),
        (["--max-macs", "1k"], f"of these {len(zoo.models())} models ad01 has 264,192 MACs, the least"),
        (["--max-macs", "600 MFLOPs"], "one multiply-accumulate is two FLOPs"),
        (["--machines", "--task", "video"], "--task is for models; --machines takes a name and a format"),
        (["--machines", "a1000"], "no machine has 'a1000' in its name; there are a100"),
    ],
)
def test_what_fits_nothing_is_answered_with_what_there_is(capsys: Capture, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(capsys, *arguments)


@pytest.mark.parametrize("width", [80, 100, 140, 200])
@pytest.mark.parametrize("kind", [[], ["--machines"]], ids=["models", "machines"])
def test_the_table_fits_and_uses_its_width(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, width: int, kind: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(capsys, "list", *kind).out.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("machine  " if kind else "model  ")
    if not kind:
        assert {"task", "input", "MACs", "params"} <= set(lines[0].split())
        assert ("year" in lines[0].split()) is (width > 80)
        assert ({"family", "source", "title"} <= set(lines[0].split())) is (width == 200)
        assert max(map(len, lines)) > {80: 75, 100: 80, 140: 135, 200: 195}[width]
        assert width == 200 or not any("…" in line.split("  ")[1] for line in lines), "nor is a task"
    for name in zoo.models() if not kind else ["jetson_orin_nano"]:
        assert any(line.startswith(f"{name} ") for line in lines), "a name is never cut"


def test_without_a_terminal_all_columns_are_there_and_whole(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "0")  # which is not a width
    narrow = run(capsys, "list").out
    monkeypatch.delenv("COLUMNS")
    printed = run(capsys, "list").out
    assert narrow == printed
    head = printed.splitlines()[0]
    assert head.split() == ["model", "family", "task", "input", "MACs", "params", "year", "source", "title"]
    assert "…" not in printed and len(printed.splitlines()) == 1 + len(zoo.models())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(capsys, "list", "--output", str(tmp_path / "list"))
    assert (tmp_path / "list").read_text(encoding="utf-8") == printed


def test_formats_tell_the_same_exactly(capsys: Capture) -> None:
    found = json.loads(run(capsys, "list", "--task", "detection", "--format", "json").out)
    assert found["schema"] == 1
    first = next(model for model in found["models"] if model["name"] == "r_fcn_resnet50")
    assert first["inputs"] == {"image": [1, 3, 600, 1000], "regions": [300, 5]}  # regions have no batch
    assert (first["family"], first["task"], first["year"]) == ("r_fcn", "detection", 2016)

    text = run(capsys, "list", "--task", "detection", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    same = ("name", "family", "macs", "params", "year", "source")
    assert [[row[key] for key in same] for row in rows] == [[str(m[key]) for key in same] for m in found["models"]]

    lines = run(capsys, "list", "--task", "detection", "--format", "markdown").out.splitlines()
    assert len(lines) == 2 + len(rows)
    assert {line.count(" | ") for line in lines} == {8}


def test_machines_have_the_formats_too(capsys: Capture) -> None:
    found = json.loads(run(capsys, "list", "--machines", "h100", "--format", "json").out)["machines"]
    assert [machine["name"] for machine in found] == ["h100"]
    row = next(csv.DictReader(io.StringIO(run(capsys, "list", "--machines", "h100", "--format", "csv").out)))
    assert (row["memory"], float(row["bandwidth"])) == ("80000000000", found[0]["bandwidth"])


@pytest.mark.parametrize("model", ["lenet5", "c3d", "faster_rcnn_vgg16", "retinanet_resnet50_fpn"])
def test_what_is_listed_is_what_is_analysed(model: str) -> None:
    # faster_rcnn takes a second input; retinanet's heads share their weights among five maps.
    report, listed = analyze(model), zoo.figures()[model]
    assert (listed["macs"], listed["params"]) == (report.total.macs, report.total.params)
    assert listed["inputs"] == {name: list(shape) for name, shape in report.inputs.items()}


def test_the_list_reads_no_spec() -> None:
    import subprocess
    import sys

    code = "import sys; from costcalc.cli.dispatch import outcome; outcome(['list']); "
    code += "print(*(m for m in sys.modules if m.startswith('costcalc.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "costcalc.zoo" in loaded
    assert not {m for m in loaded if m.startswith(("costcalc.frontends", "costcalc.ops", "costcalc.ir"))}
