"""Names of strangers in pages, pictures and files for other programs make what plain ones make."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import costcalc
from costcalc.analysis.report import report
from costcalc.backends.export import FORMATS, Exported, render
from costcalc.backends.page import compare as compare_page
from costcalc.backends.page import diff as diff_page
from costcalc.backends.page import report as report_page
from costcalc.comparison import compare
from costcalc.difference import diff
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine
from costcalc.ops.conv import Conv
from tests.hostile.test_readers import COMMAND

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NAMES = [
    "<img src=x onerror=top=1>", "</script><script>top=1</script>", "--><b>x", "]]><b>x",
    "'\"><b onclick=x>", "<!--", "<!--<script>", "&lt;b&gt;", "javascript:x", "</style><b>", "</title><b>", "{{7*7}}",
    "${7*7}", "$\\frac{1}{2}$", "\\input{x}", "%s{0}", "=1+1", "a: {b: [c", "- x\n- y", "#x", "!!python/x y", "&a *a",
    "::error::x", "##[error]x", "a\n::error::x", "##vso[x]y", "a,b\"c", "\u202eabc", "\ud800", "\x1b[2J", "\x00x",
    "x\u2028y", "__proto__", "constructor", "toString", "layers", "//x", "@team", "a" * 3000, "é😀", " ", "|x|y|",
]  # fmt: skip
PLAIN = [f"n{i}" for i in range(len(NAMES))]
PLACES = [name for name in FORMATS if name != "netron"]  # which is of files: test_netron


def graph_of(names: list[str], title: str, width: int = 4) -> Graph:
    """A convolution for each of ``names``, one after another."""
    builder = GraphBuilder(title, {"image": TensorType((1, 3, 8, 8))})
    last = "image"
    for name in names:
        builder.add(name, Conv(width, 3, padding=1), [last])
        last = name
    return builder.build([last])


def pages(names: list[str]) -> dict[str, str]:
    """All pages of models with these names; the title is a name too, and so are inputs and notes."""
    graph, other = graph_of(names, names[0]), graph_of(names[1:], names[1], 5)
    reports = [report(graph, machine=load_machine("a100")), report(other)]
    held = costcalc.memory(graph, engine="tflm")
    return {
        "report": report_page.html(reports[0], graph, held, names[2]),
        "compare": compare_page.html(compare(reports, names[:2]), [graph, other], (held, held), names[3]),
        "diff": diff_page.html([diff(graph, other)], "macs", names[4], {0: other}),
    }


class Elements(HTMLParser):
    """Which elements there are, with the names of their attributes, and what may lead or run somewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.alive: set[tuple[str, str]] = set()
        self.counts: dict[str, int] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("href", "src", "action", "style", "http-equiv") or name.startswith("on"):
                self.alive.add((name, re.sub(r"-?[\d.]+(e-?\d+)?", "0", value or "")))


@pytest.mark.parametrize("kind", ["report", "compare", "diff"])
def test_pages_have_the_elements_that_plain_names_make(kind: str) -> None:
    strange, plain = Elements(pages(NAMES)[kind]), Elements(pages(PLAIN)[kind])
    assert strange.found == plain.found
    assert strange.alive <= plain.alive, strange.alive - plain.alive
    for tag in ("script", "style", "img", "a", "section", "table", "tr", "iframe", "object", "link", "meta"):
        assert strange.counts.get(tag) == plain.counts.get(tag), tag
    text = pages(NAMES)[kind]
    assert not COMMAND.search(text) and not re.search("[\u202e\ud800\x00\x1b]", text)


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("kind", ["report", "compare", "diff"])
def test_a_browser_makes_the_same_of_them(kind: str, tmp_path: Path) -> None:
    """Once their scripts have drawn."""

    def drawn(names: list[str]) -> Elements:
        file = tmp_path / "page.html"
        file.write_text(pages(names)[kind], encoding="utf-8")
        line = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=3000", "--dump-dom", file.as_uri(),
        ]  # fmt: skip
        dom = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stdout
        assert "inspector" in dom
        return Elements(dom)

    strange, plain = drawn(NAMES), drawn(PLAIN)
    # Labels that do not fit are left out: fewer kinds of elements may come of long names, never others.
    assert strange.found <= plain.found, strange.found - plain.found
    assert {key for key in strange.alive if key[0] != "style"} <= {key for key in plain.alive if key[0] != "style"}
    for tag in ("script", "style", "img", "a", "section", "iframe", "object", "link", "meta"):
        assert strange.counts.get(tag) == plain.counts.get(tag), tag


@pytest.mark.parametrize("kind", ["roofline", "treemap", "receptive_field"])
def test_pictures_have_the_elements_that_plain_names_make(kind: str) -> None:
    pytest.importorskip("matplotlib")
    from costcalc.backends.plots.canvas import rendered

    def drawn(names: list[str]) -> set[tuple[str, tuple[str, ...]]]:
        found = report(graph_of(names, names[0]), machine=load_machine("a100"))
        tree = ElementTree.fromstring(rendered(getattr(found.plot, kind)(), "svg"))
        tags = {(element.tag, tuple(sorted(element.keys()))) for element in tree.iter()}
        assert not {tag for tag, _ in tags if re.search("script|foreignObject|}a$|image", tag)}
        # Letters are paths, and a name is nowhere as text.
        assert "top=1" not in " ".join(tree.itertext())
        return {(tag, keys) for tag, keys in tags if not tag.endswith(("}use", "}path", "}g"))}

    assert drawn(NAMES) <= drawn(PLAIN)


@pytest.mark.parametrize("kind", PLACES)
def test_other_programs_read_what_plain_names_make(kind: str) -> None:
    """As many rows, documents, nodes; and in a log no command."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")

    def written(names: list[str]) -> Any:
        machine = load_machine("a100")
        found = render(kind, Exported(graph_of(names, names[0]), machine=machine))
        if found.data is not None:
            import pyarrow.parquet as parquet

            return parquet.read_table(io.BytesIO(found.data)).num_rows
        text = found.text
        text.encode("utf-8")
        assert not COMMAND.search(text), COMMAND.search(text)
        assert not re.search("[\u202e\x00\x1b]", text)
        assert all(not re.search(r"(?<!\w)@team", line) for line in text.splitlines() if kind == "model-card")
        file = FORMATS[kind].file
        if file.endswith(".json"):
            return shape_of(json.loads(text))
        if file.endswith(".csv"):
            rows = list(csv.reader(io.StringIO(text, newline="")))
            assert not [cell for row in rows for cell in row if re.match(r"\s*[=+@][^\s]", cell)]
            return [len(row) for row in rows]
        if file.endswith(".yaml"):
            return shape_of(list(yaml.safe_load_all(text)))
        head = text.split("---\n")[1]
        return shape_of(yaml.safe_load(head)), len(text.splitlines())

    assert written(NAMES) == written(PLAIN)


def shape_of(data: Any) -> Any:
    """The structure of ``data``: of mappings how many keys they have, of texts nothing."""
    if isinstance(data, dict):
        return sorted((shape_of(value) for value in data.values()), key=repr)
    if isinstance(data, list):
        return [shape_of(value) for value in data]
    return type(data).__name__ if isinstance(data, (int, float)) else "text"
