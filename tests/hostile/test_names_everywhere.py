"""Every command in every format, on files whose names and texts would steer whoever reads them: all come out inert."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cmarkgfm
import pytest

from costcalc.backends.export import FORMATS
from costcalc.cli import dispatch
from tests.onnx_files import onnx_writer as onnx

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = [
    "<img src=x onerror=top=1>", "a\n::error::x", "##[error]x", "x ##vso[task.x]y", "@team #12 www.example.org",
    "[x](http://example.org)", "=1+1", "\u202ea\x1b[8mb\x1b[31mq\x1b]0;t\x07\x9b31m", "|x|`y`*z*",
    "GH-12 deadbeefcafe1", "%n::warning::x",
]  # fmt: skip
TEXT = "##[error]x ::e @team #12 <b>x [x](http://example.org) www.example.org =1 \u202e\u061c\x1b[31mq\x1b[8m\x9b31m|y"
"""A title, a source, a message."""
FILE = "##[error]x @team #1 <b>x www.example.org,=1"
BROKEN = "a\n::error::x"
COMMAND = re.compile(r"^\s*::(?!(?:error|warning) file=)|##[a-z]*\[", re.MULTILINE | re.IGNORECASE)
STEERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
    "|\x1b(?!\\[(?:[012]|3[1236])m)|\x1b\\[31mq"
)
ALIVE = re.compile(r"(?<!\w)[@#]\w|\bgh-\d|https?://|www\.|\w@\w", re.IGNORECASE)
MARKUP = {
    "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "em", "code", "h2", "h3", "details",
    "summary", "br", "sub",
}  # fmt: skip
SPEC = (
    "name: net\ntitle: {title}\ninputs: {{image: [3, 8, 8]}}\n"
    "layers:\n- a: conv({width}, 3, padding=1)\n- b: linear(5)\n"
)


def with_texts(file: Path) -> str:
    """A shipped file with a title and a source that steer."""
    return re.sub(r"(?m)^(title|source):.*$", lambda found: f"{found[1]}: {json.dumps(TEXT)}", file.read_text())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    nodes, weights, last = [], [], "image"
    for i, name in enumerate(NAMES):
        weights.append(onnx.tensor(f"{name} w", [4, 4 if i else 3, 3, 3]))
        nodes.append(onnx.node("Conv", [last, f"{name} w"], [name], name=name, pads=[1, 1, 1, 1]))
        last = name
    graph = onnx.Graph(nodes, [onnx.value("image", [1, 3, 8, 8])], [onnx.value(last, None)], weights)
    for name in (FILE, BROKEN):
        onnx.saved(tmp_path / f"{name}.onnx", graph)
    Path(f"{FILE}m.yaml").write_text(with_texts(CONFIGS / "machines" / "a100.yaml"), encoding="utf-8")
    Path(f"{FILE}e.yaml").write_text(with_texts(CONFIGS / "energy" / "horowitz_45nm.yaml"), encoding="utf-8")
    rows = [["model", "@team ##[error]x", "top1"], [f"./{FILE}.onnx", "=1+1", "76"], ["net.yaml", "##vso[x]y", "=75"]]
    with Path(f"{FILE}t.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    with Path(f"{FILE}p.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerow(["name", "first", "last", "bytes"])
        csv.writer(stream).writerows([name, i, i + 2, 8 * (i + 1)] for i, name in enumerate(NAMES))
    tensors: dict[str, Any] = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate(NAMES)
    }
    head = json.dumps({**tensors, "__metadata__": {name: name for name in NAMES}}).encode()
    Path(f"{FILE}.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(4 * len(NAMES)))
    config = "version: 1\nmodels:\n"
    for name in (f"{FILE}.onnx", f"{FILE}.yaml", "net.yaml"):
        config += (
            f"- {{name: {json.dumps(TEXT + name[-4:] + str(len(name)))}, model: {json.dumps('./' + name)}, "
            f"message: {json.dumps(TEXT)}, budgets: {{macs: 1, params: {{max_increase: 0.1%}}, "
            f"time: {{max: 1 ns, machine: {json.dumps(f'./{FILE}m.yaml')}}}}}}}\n"
        )
    Path("costcalc.yaml").write_text(config, encoding="utf-8")
    for width, subject in ((4, "::error::x ##[error]x @team <b>x www.example.org |y="), (6, "=##vso[x]y \u202e")):
        for name in (f"{FILE}.yaml", "net.yaml"):
            Path(name).write_text(SPEC.format(title=json.dumps(TEXT), width=width), encoding="utf-8")
        for args in (["init", "-q"], ["add", "--all"], ["commit", "-qm", subject]):
            who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
            plain = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
            subprocess.run(["git", *args], env=plain, check=True, capture_output=True)
    Path("net.yaml").write_text(SPEC.format(title=json.dumps(TEXT), width=7), encoding="utf-8")
    yield tmp_path


def lines() -> Iterator[tuple[str, list[str]]]:
    """Command lines, each with the format that it writes."""
    machine, energy = f"./{FILE}m.yaml", f"./{FILE}e.yaml"
    model, spec = f"./{FILE}.onnx", f"./{FILE}.yaml"
    every = ["table", "json", "csv", "markdown"]
    for format in (*every, "latex", "html"):
        yield format, ["analyze", "-f", format, "--machine", machine, "--energy", energy, "--", model]
    for command in ("memory", "traffic", "field"):
        for format in every:
            yield format, [command, "-f", format, "--", model]
    for format in ("text", "json"):
        yield format, ["explain", "-f", format, "--", model]
        yield format, ["formula", "-f", format, "--", spec]
        yield format, ["fits", "--ram", "1MiB", "-f", format, "--", model]
    for format in (*every, "latex"):
        yield format, ["table", "-f", format, "--machine", machine, "--with", f"./{FILE}t.csv", "--", model, "net.yaml"]
    for format in (*every, "html"):
        yield format, ["compare", "-f", format, "--machine", machine, "--energy", energy, "--", model, spec]
        yield format, ["diff", "-f", format, "--machine", machine, "--", model, spec]
        yield format, ["diff", "-f", format, "HEAD~1..HEAD"]
    for name in FORMATS:
        if name != "parquet":
            yield FORMATS[name].file.rpartition(".")[2], ["export", name, "--machine", machine, "--", model]
    for format in every:
        yield format, ["pack", "-f", format, "--", f"./{FILE}p.csv"]
        yield format, ["weights", "-f", format, "--", f"./{FILE}.safetensors"]
        yield format, ["history", "-f", format, "--", "net.yaml"]
    for format in ("table", "json", "markdown", "github", "junit", "sarif", "gitlab"):
        yield format, ["check", "--base", "HEAD~1", "-f", format]
    for broken in (f"./{BROKEN}.onnx", f"./{BROKEN}.yaml", f"./{FILE}.onnx:{TEXT}"):
        for command in ("analyze", "explain", "trace", "show", "formula", "memory", "export netron", "history"):
            yield "text", [*command.split(), "--", broken]
    for args in (["check", "--base", TEXT], ["analyze", "--machine", TEXT, "--", spec], ["list", TEXT], [TEXT]):
        yield "text", args
    yield "text", ["check", "--report", f"./{FILE}.html"]
    yield "text", ["lock"]
    yield "text", ["init", "--config", f"./{FILE}c.yaml"]


def test_every_command_in_every_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for format, args in lines():
        codes.append(dispatch.outcome(args))
        said = capsys.readouterr()
        for text in said:
            assert not COMMAND.search(text), (args, COMMAND.search(text))
            assert not STEERS.search(text), (args, STEERS.search(text))
        assert codes[-1] in (0, 1, 2), (args, said.err)
        if said.out:
            READ.get(format, lambda text: None)(said.out)
    assert codes.count(2) < 32 and codes.count(1) > 6  # else little of it was written at all


def read_markdown(text: str) -> None:
    """As GitHub renders it: nothing but our own tables and headings."""
    made = cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    assert set(re.findall(r"</?(\w+)", made)) <= MARKUP, set(re.findall(r"</?(\w+)", made)) - MARKUP
    said = html.unescape(re.sub(r"<[^>]*>", "", made))
    assert not ALIVE.search(said), ALIVE.search(said)


def read_card(text: str) -> None:
    read_markdown(text.split("---\n")[2])


def read_csv(text: str) -> None:
    """No cell is a formula."""
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not [cell for cell in row if re.match(r"\s*[=+@]\S|\s*-[^\d\s]", cell)], row


def read_html(text: str) -> None:
    assert not re.search(r"<(img|iframe|object)\b|\son\w+\s*=\s*[\"']?top", text)


def read_findings(text: str) -> None:
    """What a server shows beside code: SARIF has links in its messages."""
    found = json.loads(text)
    told = [one["message"]["text"] for one in found["runs"][0]["results"]] if "runs" in found else [
        one["description"] for one in found
    ]  # fmt: skip
    assert len(told) > 3
    for message in told:
        assert "](" not in message and not re.search("[\u202e\u061c\x1b\x9b]", message), message


READ = {
    "markdown": read_markdown, "md": read_card, "csv": read_csv, "html": read_html, "json": json.loads,
    "sarif": read_findings, "gitlab": read_findings, "junit": ElementTree.fromstring,
}  # fmt: skip


def test_records_at_a_prompt(folder: Path) -> None:
    """What Python prints of them, in a notebook or in a log of tests."""
    import costcalc

    model, spec = f"./{FILE}.onnx", f"./{FILE}.yaml"
    report, other = costcalc.analyze(model), costcalc.analyze(spec)
    held, changed = costcalc.memory(model), costcalc.diff(model, spec)
    checked = costcalc.check()
    graph = costcalc.load(model)
    records = [graph, report, other, report.layers[0], costcalc.compare(model, spec), changed, held, checked, *checked]
    for record in (*records, *checked.results):
        for text in (repr(record), str(record), getattr(record, "_repr_html_", str)()):
            assert not COMMAND.search(text) and not STEERS.search(text), (type(record), text)
