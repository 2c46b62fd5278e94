"""The page as a document: whole in one file, harmless whatever names are in it, and readable without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import costcalc
from costcalc.analysis.explain import explain
from costcalc.analysis.report import report as analysed
from costcalc.backends.escape import harmless, powerless
from costcalc.backends.page.report import html
from costcalc.classes import replace
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv


class Parsed(HTMLParser):
    """A page's tags with their attributes, its text without scripts, its scripts by their type."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts = "", dict[str, str]()
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("type") or tag
            self.scripts.setdefault(self._inside, "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] += data
        else:
            self.text += data


def page_of(model: str | Graph, **setting: Any) -> str:
    graph = costcalc.load(model) if isinstance(model, str) else model
    found = costcalc.analyze(graph, **setting)
    return html(found, graph, costcalc.memory(graph), f"costcalc report {found.name}")


@pytest.fixture(scope="module")
def convnext() -> str:
    return page_of("convnext_t", machine="jetson_orin_nano", bits=16)


def test_it_fetches_nothing_and_its_policy_lets_only_its_own_script_run(convnext: str) -> None:
    found = Parsed(convnext)
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'")
    digest = base64.b64encode(hashlib.sha256(found.scripts["script"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "unsafe-eval" not in policy
    for tag, attributes in found.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form"), tag
        assert "src" not in attributes and not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"@import|url\((?!#)", found.scripts["style"])
    addresses = re.findall(r"https?://[^\s\"'<]+", convnext)
    assert {*addresses} <= {"http://www.w3.org/2000/svg"}  # the name of a language, which nothing asks for


def test_it_is_written_as_it_was_made(convnext: str) -> None:
    """What goes to files and logs is made harmless once more; were the script changed, it would not run."""
    assert powerless(harmless(convnext)) == convnext


def test_sizes() -> None:
    assert len(page_of("resnet50", machine="a100").encode()) < 1_000_000
    assert len(page_of("resnet1202").encode()) < 5_000_000


def test_the_document_tells_it_without_scripts(convnext: str) -> None:
    found = Parsed(convnext)
    text = " ".join(found.text.split())
    assert "4,455,531,264" in text and "multiply-accumulates" in text  # torchvision's table has 4.46 GFLOPS
    assert "stages.0.1.pwconv1" in text and "Alive at the peak" in text
    assert "costcalc report convnext_t" in text and "nothing: every operator has a rule" in text
    first = text[text.index("Where to look first") :]
    assert "stages.2.0.pwconv1 and 8 like it" in first and "bound by memory" in first
    sections = {a["id"]: a for tag, a in found.tags if tag == "section"}
    assert {name for name, a in sections.items() if "hidden" in a} == {"treemap", "graph"}
    # Nothing is cut short in the middle of a sentence.
    assert "…" not in first[: first.index("Layers", 40)]


def test_its_data_are_the_report(convnext: str) -> None:
    (data,) = json.loads(Parsed(convnext).scripts["application/json"])["models"]
    graph = costcalc.load("convnext_t")
    report = costcalc.analyze(graph, machine="jetson_orin_nano", bits=16)
    rows, names, path = data["rows"], [], []
    for label, level in zip(rows["label"], rows["level"], strict=True):
        path[level:] = [f"{path[level - 1]}.{label}" if level else label]
        names.append(path[level])
    assert [names[i] for i in data["order"]] == [layer.name for layer in report.layers]
    for i, name in enumerate(names):
        figures = report[name]
        assert (rows["values"]["macs"][i], rows["values"]["traffic"][i]) == (figures.macs, figures.traffic_bits)
        assert rows["values"]["time"][i] == pytest.approx(figures.time.seconds, rel=1e-5)
        assert rows["block"][i] == (not hasattr(figures, "kind"))
        if hasattr(figures, "kind"):
            assert data["kinds"][rows["kind"][i]] == figures.kind
            lines = {line.name: line for line in explain(graph, report, name).lines}
            told = data["explanations"][rows["explanation"][i]]
            assert {key for key, *_ in told} == {*lines} - {"receptive field", "by FFT"}
            for key, letters, numbers, _ in told:
                assert (lines[key].letters, lines[key].numbers) == (letters, numbers)
    made = dict(zip(graph.inputs, (-1 - k for k in range(len(graph.inputs))), strict=True))
    at = {name: i for i, name in enumerate(names) if not rows["block"][i]}
    for node in graph.nodes:
        made.update(dict.fromkeys(node.outputs, at[node.name]))
        assert {*data["graph"]["reads"][at[node.name]]} == {made[v] for v in node.inputs}


HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "]]><!--<script>", '"><b onclick="x">',
    "&lt;b&gt;", "{{7*7}}${7*7}", "a\u2028b\u2029c", "\u202egnp.exe", "##[error]x", "\n::error::x",
    "javascript:alert(1)", "\x1b[31m", "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_comes_alive(name: str) -> None:
    builder = GraphBuilder(name, {name: TensorType((1, 3, 8, 8))})
    builder.add(f"{name}.x", Conv(4, 3), [name])
    graph = builder.build([f"{name}.x"])
    page = html(analysed(graph), graph, costcalc.memory(graph), f"costcalc report {name}")
    plain, found = Parsed(page_of(_plain())), Parsed(page)
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(a) for _, a in found.tags] == [sorted(a) for _, a in plain.tags]
    assert found.scripts["script"] == plain.scripts["script"]
    assert powerless(harmless(page)) == page
    json.loads(found.scripts["application/json"])
    assert "\u202e" not in page and "\x1b" not in page and len(page) < len(page_of(_plain())) + 20_000


def _plain() -> Graph:
    builder = GraphBuilder("plain", {"image": TensorType((1, 3, 8, 8))})
    builder.add("plain.x", Conv(4, 3), ["image"])
    return builder.build(["plain.x"])


def test_what_a_verification_found_is_in_the_page() -> None:
    from costcalc.verification.result import Check, Difference, Disagreement, Tally, VerifyResult

    graph = _plain()
    checks = (Check("output shapes", 1, 1), Check("receptive fields", 0, 1, note="nothing to <b>see</b>"))
    tally = Tally("fvcore", 3900, 3888, (Difference("batch norm", 12, 1, ("plain.x",)),))
    found = VerifyResult("plain", "run on the CPU", checks, (), (tally,), {})
    text = " ".join(Parsed(html(analysed(graph), graph, None, "", found)).text.split())
    assert (
        "output shapesagree1 layers" in text
        and "receptive fieldsnot compared0 of 1 layersnothing to <b>see</b>" in text
    )
    assert "Nothing contradicts the figures but the witnesses' known faults: run on the CPU." in text
    assert "fvcore 3,900 = 3,888 MACs + 12 batch norm." in text and "verifiedagrees" in text
    wrong = (Disagreement("output shapes", "plain.x", "4×6×6", "<img src=x>", "PyTorch"),)
    page = Parsed(html(analysed(graph), graph, None, "", replace(found, disagreements=wrong)))
    assert "1 figure is contradicted" in page.text and "4×6×6<img src=x>PyTorch" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert "not for this page: --verify" in Parsed(html(analysed(graph), graph)).text


def test_verify_on_the_command_line(printed: Any, tmp_path: Any) -> None:
    pytest.importorskip("torch.nn")
    pytest.importorskip("fvcore")
    spec = tmp_path / "net.yaml"
    spec.write_text("inputs: {x: [3, 8, 8]}\nlayers: [{conv: 'conv(4, 3)'}, relu]\n")
    file = tmp_path / "x.html"
    printed("report", str(spec), "--verify", "--output", str(file))
    text = " ".join(Parsed(file.read_text("utf-8")).text.split())
    assert "output shapesagree2 layers" in text and "--verify" in text and "verifiedagrees" in text


def test_numbers_that_no_browser_holds_are_text() -> None:
    builder = GraphBuilder("huge", {"image": TensorType((10**200, 3, 10**80, 10**80))})
    builder.add("c", Conv(4, 1), ["image"])
    graph = builder.build(["c"])
    (data,) = json.loads(Parsed(html(analysed(graph), graph)).scripts["application/json"])["models"]
    assert data["rows"]["values"]["macs"] == [str(10**360 * 12)[:299] + "…"]


def test_of_the_command_line(printed: Any, tmp_path: Any) -> None:
    file = tmp_path / "a b.html"
    printed("report", "mobilenet_v2", "--engine", "tflm", "--bits", "8", "--batch", "2", "--output", str(file))
    found = Parsed(file.read_text(encoding="utf-8"))
    assert "arena" in found.text and "TensorFlow Lite for Microcontrollers, 8 bits" in found.text
    assert f"costcalc report mobilenet_v2 --batch 2 --bits 8 --engine tflm --output '{file}'" in found.text
