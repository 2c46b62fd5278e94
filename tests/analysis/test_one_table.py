"""One table of figures: what is only in it is shown, compared, recorded, attributed and held to budgets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from costcalc import analyze, load
from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import COUNT, FIGURES, Figure
from costcalc.analysis.layer_costs import OpUse
from costcalc.difference import diff
from costcalc.ir.dims import Dim

SMALL = """
inputs: {image: [3, 8, 8]}
layers:
- stem: conv(4, 3, bias=false)
- relu
- tail: conv(5, 1, bias=false)
"""
LARGE = SMALL.replace("conv(4, 3", "conv(6, 3")
# MACs: 4·3·9·36 and 5·4·36; of each, 32 bits of weight times 32 of activation.
STEM, TAIL = 32 * 32 * 4 * 3 * 9 * 36, 32 * 32 * 5 * 4 * 36
GROWN = 32 * 32 * (6 * 3 * 9 * 36 + 5 * 6 * 36)


def bit_operations(use: OpUse) -> Dim:
    """MACs × bits of a weight × bits of an activation; without weights, of both inputs."""
    weights = [weight.type for weight in use.weights.values()]
    (first, second) = (use.inputs[0], (weights or use.inputs)[-1]) if use.inputs else (use.output, use.output)
    macs: Dim = use.op.macs(*use.inputs, y=use.output)
    return macs * use.element_bits(first) * use.element_bits(second)


@pytest.fixture(autouse=True)
def bops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that is only in the table, for as long as a test runs."""
    figure = Figure("bops", "BOPs", COUNT, "bit operations", "bops", done=bit_operations)
    monkeypatch.setitem(FIGURES, "bops", figure)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "large.yaml").write_text(LARGE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_in_records(folder: Path) -> None:
    report = analyze("small.yaml")
    assert [layer.bops for layer in report.layers] == [STEM, 0, TAIL]  # type: ignore[attr-defined]
    assert report.total.bops == STEM + TAIL  # type: ignore[attr-defined]
    assert analyze("small.yaml", bits=8).total.bops == (STEM + TAIL) // 16  # type: ignore[attr-defined]
    assert "bops" in dir(report.total) and not hasattr(report.total, "nops")


def test_in_the_table_and_the_totals(printed: Callable[..., str]) -> None:
    text = printed("analyze", "small.yaml")
    (line,) = [line for line in text.splitlines() if line.startswith("BOPs")]
    assert f"{STEM + TAIL:,}" in line and line.endswith("bit operations")
    table = printed("analyze", "small.yaml", "--columns", "bops", "--exact")
    rows = [line.split() for line in table.splitlines() if line.startswith(("stem", "tail", "total"))]
    assert [row[-1] for row in rows[:3]] == [f"{STEM:,}", f"{TAIL:,}", f"{STEM + TAIL:,}"]
    wide = printed("analyze", "small.yaml", "--sort", "bops")
    assert [line.split()[0] for line in wide.splitlines()[4:7]] == ["stem", "tail", "relu"]


def test_in_csv_json_and_markdown(printed: Callable[..., str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed("analyze", "small.yaml", "--format", "csv"))))
    assert [int(row["bops"]) for row in rows] == [STEM, 0, TAIL, 0, STEM + TAIL], "layers, what rows share, the total"
    record = json.loads(printed("analyze", "small.yaml", "--format", "json"))
    assert [layer["bops"] for layer in record["layers"]] == [STEM, 0, TAIL] and record["total"]["bops"] == STEM + TAIL
    assert f"| BOPs | {STEM + TAIL:,} | bit operations |" in printed("analyze", "small.yaml", "--format", "markdown")


def test_in_comparisons(printed: Callable[..., str]) -> None:
    record = json.loads(printed("compare", "small.yaml", "large.yaml", "--format", "json"))
    assert [model["figures"]["bops"] for model in record["models"]] == [STEM + TAIL, GROWN]
    assert ["bops" in model["best_in"] for model in record["models"]] == [True, False]
    assert "BOPs" in printed("compare", "small.yaml", "large.yaml")


def test_in_differences(printed: Callable[..., str]) -> None:
    (record,) = json.loads(printed("diff", "small.yaml", "large.yaml", "--format", "json"))
    assert record["figures"]["bops"] == {"old": STEM + TAIL, "new": GROWN}
    assert sum(cause["effect"]["bops"] for cause in record["causes"]) == GROWN - STEM - TAIL
    rows = list(csv.DictReader(io.StringIO(printed("diff", "small.yaml", "large.yaml", "--format", "csv"))))
    stem = next(row for row in rows if row["name"] == "stem")
    assert (int(stem["old_bops"]), int(stem["new_bops"])) == (STEM, STEM * 6 // 4)
    assert "BOPs" in printed("diff", "small.yaml", "large.yaml", "--by", "bops")


def test_causes_of_all_figures_add_up(folder: Path) -> None:
    found = diff(load("small.yaml"), load("large.yaml"))
    for name in ("macs", "bops", "storage", "traffic"):
        assert sum(cause.of(name) for cause in found.causes) == found.change(name), name


def test_in_budgets_also_of_layers_and_in_the_lock(folder: Path, printed: Callable[..., str]) -> None:
    config = "version: 1\nmodels:\n- name: net\n  model: {}\n  budgets: {{bops: {{max: 1G, max_increase: 1%}}}}\n"
    config += "  layers: {{stem: {{bops: {}}}}}\n"
    (folder / "costcalc.yaml").write_text(config.format("small.yaml", STEM))
    printed("lock")
    locked = json.loads((folder / "costcalc.lock").read_text())
    assert locked["models"]["net"][""]["figures"]["bops"] == STEM + TAIL
    printed("check")
    (folder / "costcalc.yaml").write_text(config.format("large.yaml", STEM))
    verdicts = json.loads(printed("check", "--format", "json", code=1))["verdicts"]
    failed = {(v["rule"], v["layers"]): v for v in verdicts if v["status"] == "fail"}
    assert failed.keys() == {("max", "stem"), ("max_increase", None)}
    assert failed["max", "stem"]["value"] == STEM * 6 // 4
    assert failed["max_increase", None]["value"] == GROWN and failed["max_increase", None]["because"]


def test_against_the_json_of_before(folder: Path, printed: Callable[..., str]) -> None:
    (folder / "before.json").write_text(printed("analyze", "small.yaml", "--format", "json"))
    config = "version: 1\nmodels:\n- name: small\n  model: small.yaml\n  budgets: {bops: {max_increase: 0%}}\n"
    (folder / "costcalc.yaml").write_text(config)
    (verdict,) = json.loads(printed("check", "--compare-to", "before.json", "--format", "json"))["verdicts"]
    assert verdict["status"] == "ok" and verdict["baseline"] == STEM + TAIL


def test_in_closed_form_and_explained(printed: Callable[..., str]) -> None:
    totals = {t["name"]: t for t in json.loads(printed("formula", "small.yaml", "--format", "json"))["totals"]}
    assert totals["bops"]["value"] == STEM + TAIL and "h" in totals["bops"]["formula"]
    figures = json.loads(printed("explain", "small.yaml", "stem", "--format", "json"))["figures"]
    (told,) = [figure for figure in figures if figure["name"] == "bops"]
    assert told["value"] == STEM and told["formula"]


def test_in_pages(folder: Path, printed: Callable[..., str]) -> None:
    printed("report", "small.yaml", "--output", "page.html")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', (folder / "page.html").read_text())
    assert data
    (model,) = json.loads(data[1])["models"]
    assert {"name": "bops", "title": "BOPs", "unit": "count", "says": "bit operations"} in model["figures"]
    assert model["total"]["bops"] == STEM + TAIL and STEM in model["rows"]["values"]["bops"]
    for page in (printed("diff", "small.yaml", "large.yaml", "--format", "html"), printed(
        "compare", "small.yaml", "large.yaml", "--format", "html"
    )):  # fmt: skip
        assert "BOPs" in page and f"{STEM}" in page


def test_in_files_for_other_programs(folder: Path, printed: Callable[..., str]) -> None:
    metrics = json.loads(printed("export", "metrics", "small.yaml"))
    assert metrics["bops"] == STEM + TAIL
    (graph,) = json.loads(printed("export", "model-explorer", "small.yaml"))["graphs"]
    nodes = {node["id"]: {a["key"]: a["value"] for a in node["attrs"]} for node in graph["nodes"]}
    assert (nodes["stem"]["BOPs"], nodes["tail"]["BOPs"]) == (f"{STEM:,}", f"{TAIL:,}")
    assert graph["groupNodeAttributes"][""]["BOPs"] == f"{STEM + TAIL:,}"
    colours = printed("export", "node-data", "small.yaml", "--by", "bops")
    assert "BOPs" in colours and f"{STEM}" in colours
    assert f"{STEM + TAIL:,}" in printed("export", "model-card", "small.yaml")


def test_in_pictures(folder: Path, printed: Callable[..., str]) -> None:
    pytest.importorskip("matplotlib")
    for name, line in {
        "treemap": ("small.yaml", "--by", "bops"),
        "waterfall": ("small.yaml", "large.yaml", "--by", "bops"),
        "pareto": ("small.yaml", "large.yaml", "--x", "bops", "--y", "params"),
    }.items():
        printed("plot", name, *line, "--output", f"{name}.svg")
        assert "BOPs" in (folder / f"{name}.svg").read_text(), name


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_what_layers_add_comes_to_the_total(name: str) -> None:
    """Every figure that adds up: of a diff from nothing, and of the layers in a report but for what they share."""
    report = analyze(name)
    found = diff(None, load(name))
    added = Amounts.sum(change.after for change in found.layers if change.after)
    for figure in FIGURES.values():
        if figure.is_recorded:
            assert added[figure.name] == report.total.amounts[figure.name], figure.name
            if not figure.held:
                assert figure.of(report.total) == sum(figure.of(layer) for layer in report.layers), figure.name


def test_records_add_and_subtract() -> None:
    a, b = Amounts(macs=5, ops=1), Amounts(macs=2, read=3)
    assert a + b == {"macs": 7, "ops": 1, "read": 3} and a - b == {"macs": 3, "ops": 1, "read": -3}
    assert a == {"macs": 5, "ops": 1}, "what is added up stays as it was"
    assert Amounts.sum([a, b, b]) == {"macs": 9, "ops": 1, "read": 6}


def test_every_figure_is_shown_somewhere_and_has_one_rule() -> None:
    keys: list[Any] = [figure.key for figure in FIGURES.values()]
    assert len(set(keys)) == len(keys)
    for name, figure in FIGURES.items():
        rules = [figure.done, figure.moved, figure.held, figure.sum_of or None, figure.derived, figure.whole]
        assert name == figure.name and sum(rule is not None for rule in rules) == 1 and figure.shown


def test_the_schema_of_the_json_has_every_recorded_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FIGURES, "bops")
    schema = json.loads((Path(__file__).parent.parent.parent / "docs/report.schema.json").read_text(encoding="utf-8"))
    recorded = [figure.key for figure in FIGURES.values() if figure.is_recorded]
    assert sorted(recorded) == sorted(schema["$defs"]["figures"]["required"])
