"""FLOPs, two for each MAC: nowhere unless they are asked for, and there the double of the MACs to the digit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from costcalc import analyze
from costcalc.amounts.formatting import beside
from costcalc.amounts.parsing import amount, step
from costcalc.analysis.figures import FIGURES, find_named, named
from costcalc.budget.ratchet import rounded_up
from costcalc.errors import CostcalcError

MACS = 1_814_073_344
"""Of ResNet-18 at 3x224x224, as `docs/zoo.md` holds it against the literature."""
Printed = Callable[..., str]


def test_nobody_who_does_not_ask_sees_any(printed: Printed) -> None:
    for line in (
        "analyze resnet18 --depth 1", "analyze resnet18 --format json", "analyze resnet18 --format csv",
        "analyze resnet18 --depth 1 --format markdown", "compare resnet18 resnet34", "diff resnet18 resnet34",
        "diff resnet18 resnet34 --format json", "formula resnet18", "explain resnet18 fc",
    ):  # fmt: skip
        assert "flops" not in printed(*line.split()).lower(), line


def test_in_the_table_beside_the_macs(printed: Printed) -> None:
    lines = printed("analyze", "resnet18", "--depth", "1", "--flops", "--exact").splitlines()
    assert "MACs FLOPs" in " ".join(lines[3].split())
    assert any(line.startswith("FLOPs") and f"{2 * MACS:,}" in line and "two for each MAC" in line for line in lines)


@pytest.mark.parametrize("asked", [["--flops"], ["--columns", "macs,flops"], ["--columns", "macs,gflops"]])
def test_in_every_format(asked: list[str], printed: Printed) -> None:
    report = analyze("resnet18")
    record = json.loads(printed("analyze", "resnet18", *asked, "--format", "json"))
    assert record["total"]["flops"] == 2 * MACS
    assert all(layer["flops"] == 2 * layer["macs"] for layer in record["layers"] + record["blocks"])
    (head, *rows) = csv.reader(io.StringIO(printed("analyze", "resnet18", *asked, "--format", "csv")))
    name = "gflops" if "macs,gflops" in asked else "flops"
    per, at, macs = 10**9 if name == "gflops" else 1, head.index(name), head.index("macs")
    assert [Fraction(row[at]) * per for row in rows] == [2 * int(row[macs]) for row in rows]
    for format in ("markdown", "latex", "html"):
        assert "FLOPs" in printed("analyze", "resnet18", *asked, "--depth", "1", "--format", format), format
    assert report.total.flops == 2 * MACS  # type: ignore[attr-defined]
    assert [layer.flops for layer in report] == [2 * layer.macs for layer in report]  # type: ignore[attr-defined]


def test_counts_in_the_unit_that_a_name_says(printed: Printed) -> None:
    text = printed("analyze", "resnet18", "--depth", "1", "--columns", "GFLOPs,mparams,gmacs")
    total = next(line for line in text.splitlines() if line.startswith("total")).split()
    assert total[1:] == ["3.628", "11.690", "1.814"], "3,628,146,688, 11,689,512 and 1,814,073,344"
    exact = printed("analyze", "resnet18", "--columns", "gflops", "--exact")
    assert "3.628146688" in exact
    assert printed("analyze", "resnet18", "--sort", "gflops", "--top", "1").splitlines()[5].startswith("conv1.conv")


def test_compared(printed: Printed) -> None:
    rows = [line.split() for line in printed("compare", "resnet18", "resnet34", "--flops").splitlines()]
    assert ["FLOPs", "3.63", "G", "*", "7.33", "G", "2.02×"] in rows
    record = json.loads(printed("compare", "resnet18", "resnet34", "--flops", "--format", "json"))
    assert record["models"][0]["figures"]["flops"] == 2 * MACS


def test_changed_and_because_of_what(printed: Printed) -> None:
    (record,) = json.loads(printed("diff", "resnet18", "resnet34", "--by", "gflops", "--format", "json"))
    grown = record["figures"]["flops"]["new"] - record["figures"]["flops"]["old"]
    assert grown == sum(cause["effect"]["flops"] for cause in record["causes"]) == 2 * 1_849_688_064
    assert "largest change of FLOPs" in printed("diff", "resnet18", "resnet34", "--by", "flops")
    assert "FLOPs" in printed("diff", "resnet18", "resnet34", "--flops", "--format", "markdown")


def test_explained_and_in_closed_form(printed: Printed) -> None:
    text = printed("explain", "resnet18", "layer1.0.conv1.conv", "--flops")
    assert "2·n·m·e·f·(c/g)·k·k" in text and "= 231,211,008 (231 M)" in text
    macs, flops = (
        next(t for t in json.loads(printed("formula", "lenet5", "--flops", "--format", "json"))["totals"]
             if t["name"] == name)
        for name in ("macs", "flops")
    )  # fmt: skip
    assert flops["value"] == 2 * macs["value"] and flops["formula"] != macs["formula"]


CONFIG = """\
version: 1
models:
- model: resnet18
  budgets:
    gflops: {max: 3.6, max_increase: 0.1}
  layers:
    fc: {flops: {max: 1 MFLOPs}}
exempt: [{model: resnet18, metric: gflops, until: 2999-01-01, reason: none}]
"""


def test_budgets_in_flops(tmp_path: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "costcalc.yaml"
    config.write_text(CONFIG.partition("exempt")[0])
    text = printed("check", code=1)
    assert "3.63 G is 28.1 M over the budget of 3.60 G" in text and "FLOPs are two for each MAC" in text
    assert "236 M  conv1.conv" in text, "the largest layers, by the same figure"
    assert "1.02 M is 24.0 k over the budget of 1 M" in text.replace("1.00 M", "1 M")
    printed("lock")
    record = json.loads(printed("check", "--format", "json", code=1))
    changed = next(v for v in record["verdicts"] if v["rule"] == "max_increase")
    assert changed["status"] == "ok" and changed["baseline"] == 2 * MACS, "of the lock, which keeps MACs"
    assert record["models"][0]["figures"]["flops"] == 2 * MACS
    config.write_text(CONFIG.replace("3.6,", "3.9,").replace("1 MFLOPs", "1.2 MFLOPs"))
    printed("check", "--ratchet")
    assert "{max: 3.63, max_increase: 0.1}" in config.read_text() and "{max: 1.03 MFLOPs}" in config.read_text()


def test_budgets_of_the_command_line(printed: Printed) -> None:
    assert "over the budget of 3.60 G" in printed("check", "resnet18", "--max", "gflops=3.6", code=1)
    assert "all" in printed("check", "resnet18", "--max", "flops=3.7 GFLOPs,mparams=12")
    assert "whose name says the unit; write gflops: 3.6" in printed("check", "resnet18", "--max", "gflops=3.6G", code=2)


def test_amounts_say_what_they_count_if_they_like() -> None:
    assert amount("8.2 GFLOPs", FIGURES["flops"]) == amount("8.2G", FIGURES["flops"]) == 8_200_000_000
    assert amount("26Mparams", FIGURES["params"]) == 26_000_000 and amount("7 macs", FIGURES["macs"]) == 7
    assert amount("8.2", FIGURES["flops"], "G") == 8_200_000_000 and amount("2", FIGURES["params"], "k") == 2000
    assert step("0.1", FIGURES["flops"], up=True, prefix="G").allowed(1) == 10**8
    assert beside(FIGURES["flops"], 28_600_000, 10**8, "0.1 GFLOPs") == ("0.0286 G", "0.1 G")
    assert rounded_up(Fraction(8_178_368_512), "8.2 GFLOPs", FIGURES["flops"]) == "8.18 GFLOPs"
    assert rounded_up(Fraction(8_178_368_512), "8.2", FIGURES["flops"], "G") == "8.18"
    with pytest.raises(CostcalcError, match="one multiply-accumulate is two FLOPs"):
        amount("8.2 GFLOPs", FIGURES["macs"])


@pytest.mark.parametrize("name", ["gram", "gtime", "gstorage", "g", "", "xmacs", "gpeak"])
def test_what_is_no_count_in_a_unit_is_no_name(name: str) -> None:
    assert named(name) is None
    with pytest.raises(CostcalcError, match="no figure called"):
        find_named(name)
