"""The pages of comparisons and of changes: what they tell without scripts; as safe as the report's."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_page import HOSTILE, Parsed

import costcalc
from costcalc.analysis.report import report as analysed
from costcalc.backends.escape import harmless, powerless
from costcalc.backends.page import check as check_page
from costcalc.backends.page import compare as compare_page
from costcalc.backends.page import diff as diff_page
from costcalc.comparison import compare
from costcalc.difference import diff
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.pictures.waterfall import waterfall


def written(printed: Any, file: Path, *line: str) -> Parsed:
    printed(*line, "--output", str(file))
    page = file.read_text(encoding="utf-8")
    found = Parsed(page)
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(found.scripts["script"].encode()).digest()).decode()
    assert policy is not None and f"script-src 'sha256-{digest}'" in policy
    assert not [a for _, a in found.tags if "src" in a or not (a.get("href") or "#").startswith("#")]
    return found


def test_models_side_by_side(printed: Any, tmp_path: Path) -> None:
    line = ("compare", "resnet18", "mobilenet", "--machine", "a100", "--engine", "eager")
    found = written(printed, tmp_path / "x.html", *line)
    models = json.loads(found.scripts["application/json"])["models"]
    assert [m["total"]["macs"] for m in models] == [1_814_073_344, costcalc.analyze("mobilenet").total.macs]
    assert all(m["memory"]["held"] and m["roofline"]["points"] for m in models)
    assert "1.81 G" in found.text and "costcalc compare resnet18 mobilenet --machine a100 --engine eager" in found.text
    views = [(a["data-drawing"], a["data-model"]) for _, a in found.tags if "data-drawing" in a]
    assert {(name, str(i)) for name in ("treemap", "roofline", "memory", "layers") for i in (0, 1)} == {*views}


def test_what_is_left_over_is_never_the_longest_bar() -> None:
    reports = [costcalc.analyze(name) for name in ("mobilenet", "resnet50")]
    page = compare_page.html(compare(reports), [costcalc.load(name) for name in ("mobilenet", "resnet50")])
    bars = re.findall(r'<tr><td>([^<]*)</td><td class=b><i style="width:([\d.e-]+)%">', page)
    others = [width for name, width in bars if re.fullmatch(r"\d+ others", name)]
    assert others and {*others} == {"0"}
    assert max(float(width) for _, width in bars) == 100


def test_a_change_falls_from_old_to_new(printed: Any, tmp_path: Path) -> None:
    found = written(printed, tmp_path / "x.html", "diff", "resnet18", "resnet34")
    assert "1.81 G → 3.66 G (+102.0 %)" in found.text and "layer3.2" in found.text
    assert "costcalc diff resnet18 resnet34 --by macs" in found.text
    _, new = json.loads(found.scripts["application/json"])["models"]
    changed = {change.name for change in costcalc.diff("resnet18", "resnet34").layers if change.mark != "="}
    path: list[str] = []
    for i, (label, level) in enumerate(zip(new["rows"]["label"], new["rows"]["level"], strict=True)):
        path[level:] = [f"{path[level - 1]}.{label}" if level else label]
        assert (i in new["changed"]) == (path[level] in changed)


@pytest.mark.parametrize(("old", "new"), [("resnet18", "resnet34"), ("resnet50", "resnet18"), ("vgg16", "resnet18")])
def test_bars_of_a_waterfall_are_as_long_as_their_changes(old: str, new: str) -> None:
    fall = waterfall(costcalc.diff(old, new), "params")
    drawn = Parsed(diff_page.drawing(fall))
    bars = [(a["class"], re.findall(r"[\d.e-]+(?=%)", a["style"] or "")) for tag, a in drawn.tags if tag == "i"]
    most = max(fall.old, fall.new, *(step.end for step in fall.steps))
    spans = [(0, fall.old, "ends"), *((s.start, s.end, "up" if s.change > 0 else "down") for s in fall.steps)]
    for (kind, (left, wide)), (start, end, wanted) in zip(bars, [*spans, (0, fall.new, "ends")], strict=True):
        low, high = sorted((start, end))
        assert kind == wanted and float(left) == pytest.approx(100 * low / most, abs=0.01)
        assert float(wide) == pytest.approx(100 * (high - low) / most, abs=0.01)


def two(name: str) -> list[Graph]:
    graphs = []
    for channels in (4, 6):
        builder = GraphBuilder(name, {name: TensorType((1, 3, 8, 8))})
        builder.add(f"{name}.x", Conv(channels, 3), [name])
        graphs.append(builder.build([f"{name}.x"]))
    return graphs


def pages(name: str) -> list[str]:
    graphs = two(name)
    reports = [analysed(graph) for graph in graphs]
    return [
        compare_page.html(compare(reports, [name, name]), graphs, (), name),
        diff_page.html([diff(*graphs, name=name)], "macs", name),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_comes_alive(name: str) -> None:
    for page, plain in zip(pages(name), pages("plain"), strict=True):
        made, known = Parsed(page), Parsed(plain)
        assert [tag for tag, _ in made.tags] == [tag for tag, _ in known.tags]
        assert [sorted(a) for _, a in made.tags] == [sorted(a) for _, a in known.tags]
        assert powerless(harmless(page)) == page and not re.search("\u202e|\x1b", page)
        json.loads(made.scripts["application/json"])


def test_a_model_that_is_new_has_a_page(tmp_path: Path) -> None:
    from costcalc.difference.records import Diff

    (graph, _) = two("net")
    new = Diff("net", None, analysed(graph), (), ())
    assert "net: added" in Parsed(diff_page.html([new], "macs")).text
    assert "nothing changed" in Parsed(diff_page.html([], "macs")).text


def checked(name: str) -> str:
    """The page of a check of two nets that are called so, of which one became wider."""
    old, new = two(name)
    found = costcalc.check(new, budgets={"macs": "1 k"}, compare_to=old)
    return check_page.html(found, name)


def test_the_page_of_a_check_says_what_failed_and_why() -> None:
    old, new = two("net")
    budgets: Any = {"macs": {"max_increase": "1%"}, "params": "1 M"}
    outcome = costcalc.check(new, budgets=budgets, compare_to=old)
    found = Parsed(check_page.html(outcome, "costcalc check"))
    text = " ".join(found.text.split())
    # 3·3·3 multiplications for each of 6×6 places of a channel more: 4 channels were 3,888, 6 are 5,832.
    assert "1 budget exceeded, 1 met" in text and "+1.94 k (+50.0 %) from 3.89 k to 5.83 k" in text
    assert "width: out_channels 4→6 (net.x)" in text
    assert [a["class"] for tag, a in found.tags if tag == "li" and a.get("class") in ("fail", "ok")] == ["fail", "ok"]
    (_, data) = json.loads(found.scripts["application/json"])["models"]
    assert data["changed"] == [data["rows"]["label"].index("net.x")]


def test_the_page_of_a_check_where_nothing_is_known_from_before() -> None:
    outcome = costcalc.check("resnet18", budgets={"macs": "1 G"})
    found = Parsed(check_page.html(outcome))
    assert "814 M over the budget" in found.text and "layer1.0.conv1" in found.text
    assert {a["id"] for tag, a in found.tags if tag == "section"} >= {"verdicts", "models", "0-treemap", "0-layers"}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_comes_alive_in_the_page_of_a_check(name: str) -> None:
    page = checked(name)
    made, known = Parsed(page), Parsed(checked("plain"))
    assert [(tag, sorted(a)) for tag, a in made.tags] == [(tag, sorted(a)) for tag, a in known.tags]
    assert powerless(harmless(page)) == page and not re.search("\u202e|\x1b", page)
