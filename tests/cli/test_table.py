"""What ``analyze`` shows: rows that add up to their totals, within the width, in every format."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from terminal import run

from costcalc.api import analyze
from costcalc.backends.columns import columns
from costcalc.backends.rows import TableOptions, flat, tree

COUNTS = ("macs", "ops", "params", "buffers", "weights", "storage", "read", "write", "traffic")
VIEWS = {
    "all layers": [],
    "folded once": ["--depth", "1"],
    "folded twice": ["--depth", "2"],
    "the largest": ["--top", "4"],
    "the largest blocks by traffic": ["--depth", "1", "--sort", "traffic", "--top", "2"],
    "sorted by storage": ["--sort", "storage"],
    "one row": ["--top", "1"],
    "more rows than there are": ["--top", "10000"],
}
# A block with a weight that both its layers share, beside what all models have: tensors between layers, views.
TIED = """
name: tied
inputs: {tokens: [8, 16]}
layers:
  - body:
      - up: linear(16)
      - relu
      - again: linear(16, weights='body.up')
  - flatten
  - head: linear(4)
"""


@pytest.fixture(params=["resnet18", "squeezenet1_1", "tied"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param != "tied":
        return str(request.param)
    file = tmp_path / "tied.yaml"
    file.write_text(TIED)
    return str(file)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_columns_of_csv_add_up_to_their_totals(capsys: pytest.CaptureFixture[str], model: str, view: list[str]) -> None:
    said = run(capsys, "analyze", model, "--machine", "a100", "--format", "csv", *view)
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.code == 0
    assert [row["row"] for row in rows].count("total") == 1 and rows[-1]["row"] == "total"
    for name in COUNTS:
        head = next(key for key in rows[0] if key in (name, f"{name}_bits"))
        values = [int(row[head]) for row in rows]
        assert sum(values[:-1]) == values[-1] > 0 or (name == "buffers" and values[-1] == 0), name
    seconds = [float(row["time_seconds"] or 0) for row in rows]
    assert sum(seconds[:-1]) == pytest.approx(seconds[-1], rel=1e-12)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_columns_of_the_table_add_up_to_their_totals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: str, view: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    said = run(capsys, "analyze", model, "--exact", "--columns", ",".join(COUNTS), *view)
    head, _, *body, _, last = said.out.split("\n\n")[1].splitlines()
    ends = [match.end() for match in re.finditer(r"\S+", head)]  # numbers stand flush right under their titles
    assert head.split() == ["layer", *(columns()[name].title for name in COUNTS)]

    def figures(line: str) -> list[int]:
        cells = [line[start:end].strip() for start, end in pairwise(ends)]
        found = [re.search(r"(?:^|\s)(-?[\d,]+(?: B)?)$", cell) for cell in cells]
        return [exact(match[1]) if match else 0 for match in found]  # nothing stands where nothing is shared

    # A heading stands for the deeper rows that follow it; only rows without such are summed.
    depth = [len(line) - len(line.lstrip()) for line in [*body, last]]
    leaves = [figures(line) for i, line in enumerate(body) if depth[i + 1] <= depth[i]]
    assert last.startswith("total")
    for i, name in enumerate(COUNTS):
        assert sum(row[i] for row in leaves) == figures(last)[i], name


def exact(cell: str) -> int:
    """``cell`` as a number; an empty one is nothing."""
    return int(cell.removesuffix(" B").replace(",", "") or 0)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_columns_of_markdown_add_up_to_their_totals(
    capsys: pytest.CaptureFixture[str], model: str, view: list[str]
) -> None:
    said = run(capsys, "analyze", model, "--format", "markdown", "--exact", "--columns", ",".join(COUNTS), *view)
    table = said.out.split("\n\n")[1].splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table[2:]]
    for i, name in enumerate(COUNTS, start=1):
        values = [exact(row[i]) for row in rows]
        assert sum(values[:-1]) == values[-1], name
    assert rows[-1][0] == "total"


def test_every_row_of_a_tree_stands_under_its_block() -> None:
    report = analyze("resnet18")
    rows = tree(report, TableOptions())
    path: list[str] = []
    for row in rows:
        if row.role in ("layer", "heading"):
            path = [*path[: row.level], row.label]
            assert ".".join(path) == row.name
    assert [row.name for row in rows if row.role == "layer"] == [layer.name for layer in report.layers]


def test_a_block_of_one_layer_is_written_as_that_layer() -> None:
    names = {row.label for row in tree(analyze("mobilenet"), TableOptions(depth=2))}
    assert "features" in names and "avgpool" in names


def test_depth_0_leaves_the_totals_only(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "analyze", "resnet50", "--depth", "0")
    assert said.code == 0
    assert "layer1" not in said.out.partition("\npeak")[0]
    assert "4,089,184,256" in said.out


@pytest.mark.parametrize("width", [40, 80, 132, 500])
@pytest.mark.parametrize("options", [[], ["--machine", "a100", "--fps", "30"], ["--depth", "1"]], ids=" ".join)
@pytest.mark.parametrize("name", ["mobilenet", "densenet121"])
def test_lines_keep_to_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, options: list[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = run(capsys, "analyze", name, *options)
    table = said.out.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= width
    assert len({len(line) for line in table if line.startswith("─")}) == 1
    if width >= 80:
        assert max(map(len, said.out.splitlines())) <= width


def test_a_wider_terminal_shows_more_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []
    for width in ("80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        heads.append(set(run(capsys, "analyze", "resnet18").out.split("\n\n")[1].splitlines()[0].split()))
    assert heads[0] < heads[1]
    assert {"layer", "kind", "output", "MACs", "params", "traffic"} <= heads[0]
    assert {"storage", "ops", "RF", "source"} <= heads[1]


def test_numbers_are_never_cut_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    said = run(capsys, "analyze", "mobilenet", "--depth", "2")
    assert said.code == 0
    assert re.search(r"^  0 +10.8 M$", said.out, re.MULTILINE)
    monkeypatch.setenv("COLUMNS", "1")
    assert "569 M" in run(capsys, "analyze", "mobilenet").out


def test_a_layer_cheap_in_macs_and_slow_in_bytes_is_plain_to_see(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    # The depthwise layers of MobileNet-v1 do 3 % of its MACs (17.3 M of 568.7 M) and move as much as the pointwise.
    said = run(capsys, "analyze", "mobilenet", "--machine", "a100", "--bits", "16", "--depth", "3")
    row = next(line for line in said.out.splitlines() if line.startswith("    depthwise"))
    macs, time = (float(share) for share in re.findall(r"([\d.]+)%", row))
    assert macs < 1 and time > 5
    assert "memory" in row
    bars = re.findall(r"[█▉▊▋▌▍▎▏]+", row)
    assert len(bars) == 2 and len(bars[0]) < len(bars[1])


def test_what_has_no_rule_is_named_and_makes_every_total_a_lower_bound(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(
        "inputs: {image: [3, 8, 8]}\n"
        "layers:\n  - conv(4, 3)\n  - odd: uncounted('aten.odd', [[1, 4, 6, 6]], ['float32'])\n"
    )
    said = run(capsys, "analyze", str(file))
    assert said.code == 0
    assert "≥ 3,888" in said.out  # 4·6·6 places × 27 taps
    known = "no rule is known: aten.odd ×1 (odd: 1×4×6×6 → 1×4×6×6); every total with ≥ leaves it out"
    assert f"not counted, {known}" in " ".join(said.out.split())
    assert run(capsys, "analyze", str(file), "--strict").code == 4
    assert run(capsys, "analyze", "lenet5", "--strict").code == 0
    listed = json.loads(run(capsys, "analyze", str(file), "--format", "json").out)["uncounted"]
    assert [(one["name"], one["op"]) for one in listed] == [("odd", "aten.odd")]
    page = run(capsys, "analyze", str(file), "--format", "markdown").out
    assert "≥ 3.89 k" in page
    assert f"Not counted, {known}." in page
    rows = csv.DictReader(io.StringIO(run(capsys, "analyze", str(file), "--format", "csv").out))
    odd, total = (row for row in rows if row["name"] in ("odd", "total"))
    assert (odd["name"], odd["kind"], odd["input"], odd["output"]) == ("odd", "aten.odd", "1x4x6x6", "1x4x6x6")
    assert (total["macs"], total["kind"]) == ("3888", f"not counted, {known}")


def test_frames_a_second_need_bandwidth(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "analyze", "mobilenet", "--machine", "jetson_nano", "--fps", "1000")
    traffic = analyze("mobilenet").total.traffic_bits
    assert isinstance(traffic, int)
    assert f"{traffic / 8 * 1000 / 1e9:.0f} GB/s" in said.out
    assert "needed for 1,000 passes a second, 541.6% of what it has" in said.out
    assert "too slow" in said.out
    said = run(capsys, "analyze", "mobilenet", "--machine", "a100", "--fps", "10000")
    time = analyze("mobilenet", machine="a100").total.time
    assert time is not None and f"{1 / time.seconds:,.0f} fps  by the roofline, where 10,000 are wanted" in said.out


@pytest.mark.parametrize(
    ("model", "bits", "expected"),
    [
        ("mobilenet", "8", "1.53 MiB peak; the machine has 1.04 MiB of RAM"),
        ("mobilenet", "8", "4.06 MiB weights; the machine has 2.00 MiB of flash"),
        ("mobilenet_0.25", "32", "1.53 MiB peak; the machine has 1.04 MiB of RAM"),
        ("mobilenet_0.5", "8", ""),  # 784 KiB, and 1.3 MB of weights, which go to flash
        ("mobilenet_0.25", "8", ""),  # 392 KiB and 0.5 MB of weights
    ],
)
def test_a_model_larger_than_the_machine_is_said_to_be(
    capsys: pytest.CaptureFixture[str], model: str, bits: str, expected: str
) -> None:
    said = " ".join(run(capsys, "analyze", model, "--machine", "stm32h743", "--bits", bits).out.split())
    assert ("too large" in said) == bool(expected)
    assert expected in said


def test_a_name_cannot_become_a_formula_in_a_spreadsheet() -> None:
    from costcalc.backends.report.csv import csv as as_csv
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ir.tensor import TensorType
    from costcalc.ops.conv import Conv

    builder = GraphBuilder("net", {"image": TensorType((1, 3, 8, 8))})
    builder.add('=HYPERLINK("x"),\n', Conv(4, 3), ["image"])
    text = as_csv(analyze(builder.build(['=HYPERLINK("x"),\n'])), TableOptions())
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1][1] == '\'=HYPERLINK("x"),\n'
    assert {len(row) for row in rows} == {len(rows[0])}
    assert text.endswith("\r\n")


def test_markdown_takes_names_as_they_are() -> None:
    from costcalc.backends.report.markdown import markdown
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ir.tensor import TensorType
    from costcalc.ops.conv import Conv

    builder = GraphBuilder("net", {"image": TensorType((1, 3, 8, 8))})
    builder.add("a|b_c<i>", Conv(4, 3), ["image"])
    assert "| a&#124;b\\_c&lt;i&gt; | conv |" in markdown(analyze(builder.build(["a|b_c<i>"])), TableOptions())


def test_sizes_beyond_any_unit_are_still_right(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_text(f"inputs: {{x: [{10**30}]}}\nlayers: [linear({10**30})]\n")
    said = run(capsys, "analyze", str(file))
    assert (said.code, said.err) == (0, "")
    assert "1.00e60" in said.out
    macs: Any = json.loads(run(capsys, "analyze", str(file), "--format", "json").out)["total"]["macs"]
    assert macs == 10**60


def test_a_time_beyond_any_number_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    file.write_text("inputs: {x: [10**300]}\nlayers: [linear(10**300)]\n")
    said = run(capsys, "analyze", str(file), "--machine", "a100")
    assert said.code == 2
    assert "its time on a machine is beyond any number of seconds" in said.err


def test_flat_rows_are_the_ones_that_add_up() -> None:
    report = analyze("resnet18")
    *rows, total = flat(report, TableOptions(depth=1))
    assert sum(row.figures.macs for row in rows) == total.figures.macs  # type: ignore[misc]
    assert {row.role for row in rows} == {"layer", "block", "shared"}
