"""Names that would be markup, mentions, formulas or commands: inert for every reader, in every format."""

from __future__ import annotations

import ast
import csv
import html
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costcalc.analysis.report import report
from costcalc.backends import escape
from costcalc.backends.report import render
from costcalc.backends.rows import TableOptions
from costcalc.cli import dispatch
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["@team", "a @team/all b", "#12", "team/models#12", "GH-12", "gh-7", "www.example.org",
         "https://example.org",
         "me@example.org", "mailto:me@example.org", "ftp://example.org", ":octocat:", "<b>x</b>", "<img src=x>",
         "[x](y)",
         "![x](y)", "[x]: y", "`x`", "*x*", "__x__", "~~x~~", "a|b", "&#64;team", "&commat;team", "\\@team",
         "- x", "1. x",
         "# x", "===", "---", "> x", "    x", "$x$", "0123abc", "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef", "!12", "%3",
         "~bug", "&5", "[^1]", "<!-- x", "</details>", "@\u200bteam", "x\n\n# y", "http:\n//example.org"]  # fmt: skip
ALIVE = re.compile(
    r"(?<!\w)[@#]\w|\bgh-\d|https?://|ftp://|mailto:\w|www\.|\w@\w|:[\w+-]+:|(?<!\w)[!$%~&]\d|(?<!\w)[0-9a-f]{7,40}(?!\w)",
    re.IGNORECASE,
)
COMMAND = re.compile(r"^\s*::|##[a-z]*\[", re.MULTILINE | re.IGNORECASE)
COMMANDS = ["::error::x", "a\n::error::x", "a\n  ::add-mask::x", "##[error]x", "a ##vso[task.x]y", "##teamcity[x 'y']",
            "##[x],y", "\n##[x]", "###[x]", "a\r\n::stop::b", "##[a]##[b]"]  # fmt: skip


def _rendered(page: str) -> str:
    """As GitHub renders Markdown, before it looks for mentions."""
    made: str = cmarkgfm.github_flavored_markdown_to_html(page, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    return made


def _assert_inert(name: str) -> None:
    cell = escape.markdown(name)
    page = f"{cell}\n\n- {cell}\n\n**x {cell}**\n\n| a | b |\n| --- | --- |\n| {cell} | y |\n"
    made = _rendered(page)
    tags = set(re.findall(r"</?(\w+)", made))
    assert tags <= {"p", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td"}, made
    assert made.count("<td>") == 2 and made.count("<li>") == 1 and made.count("<p>") == 2 - (not cell), made
    text = html.unescape(re.sub(r"<[^>]*>", "", made))
    assert not ALIVE.search(text), text
    # What people see is the name.
    seen = text.split("\n")[0].replace(escape.APART, "")
    assert seen.split() == escape.visible(name).split(), made


@pytest.mark.parametrize("name", NAMES)
def test_no_name_comes_alive_in_markdown(name: str) -> None:
    _assert_inert(name)


@given(st.text(st.sampled_from("@#:/.w[]()<>!*_`~|&;\\-+=1a0 \ngGhH$%^\"'"), min_size=1, max_size=24).filter(str.strip))
def test_no_text_comes_alive_in_markdown(name: str) -> None:
    _assert_inert(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_comes_alive_in_html(name: str) -> None:
    made = _rendered(f"<details><summary>{escape.html(name)}</summary>\n\nx\n\n</details>\n")
    assert set(re.findall(r"</?(\w+)", made)) == {"details", "summary", "p"}
    text = html.unescape(re.sub(r"<[^>]*>", "", made))
    assert not ALIVE.search(text), text


@pytest.mark.parametrize("name", NAMES)
def test_analyze_escapes_as_the_comment_does(name: str) -> None:
    builder = GraphBuilder(name, {"image": TensorType((1, 3, 8, 8))})
    builder.add(name, Conv(4, 3), ["image"])
    page = render("markdown", report(builder.build([name])), TableOptions())
    made = _rendered(page)
    assert set(re.findall(r"</?(\w+)", made)) <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}, made
    assert not ALIVE.search(html.unescape(re.sub(r"<[^>]*>", "", made)))


# -- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_no_name_is_a_command_and_programs_read_it_as_it_is(name: str) -> None:
    written = escape.json({name: [name]}, indent=1)
    assert not COMMAND.search(written) and json.loads(written) == {name: [name]}
    in_page = escape.data_of_page({name: [name]})
    assert not COMMAND.search(in_page) and json.loads(in_page) == {name: [name]} and not re.search("[<>&]", in_page)
    marked = f"<a b='{escape.xml(name)}'>{escape.xml(name)}</a>"
    assert not COMMAND.search(marked)
    tree = ElementTree.fromstring(marked)
    assert tree.text == tree.get("b") == name.replace("\r", "")
    for escaper in ("terminal", "log", "markdown", "html", "workflow property", "workflow message"):
        text = escape.READERS[escaper](name)
        assert not COMMAND.search(f"x {text}" if escaper == "workflow message" else text), (escaper, text)
    line = escape.csv([[name, "x"]])
    assert not COMMAND.search(line)
    # Behind the end of its quotes a cell has no more: then a space is in it.
    if not ("," in name or name.count("##[") > 1 or "\r" in name):
        assert next(csv.reader(io.StringIO(line, newline=""))) == [name, "x"]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "＝1+1"])
def test_no_cell_is_a_formula(text: str) -> None:
    (cell, lone) = next(csv.reader(io.StringIO(escape.csv([[text, "+"]]), newline="")))
    assert (cell, lone) == (f"'{text}", "+")


FILES = [
    "##[error]a.yaml",
    "a\n::error::b.yaml",
    "::error::c.yaml",
    "##vso[x]d.yaml",
    "##teamcity[e.yaml",
    "@team.yaml",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a spec of each of FILES, each a channel wider than in HEAD, and a config for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    spec = "inputs: {image: [3, 8, 8]}\ntitle: '##[error]t'\nlayers:\n- conv(4, 3)\n"
    config = "version: 1\nmodels:\n"
    for file in FILES:
        Path(file).write_text(spec, encoding="utf-8")
        config += (
            f"- {{model: {json.dumps('./' + file)}, message: '##[error]m', budgets: {{macs: {{max_increase: 1%}}}}}}\n"
        )
    Path("costcalc.yaml").write_text(config, encoding="utf-8")
    who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    plain = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    for args in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *args], env=plain, check=True, capture_output=True)
    for file in FILES:
        Path(file).write_text(spec.replace("4", "5"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("format", ["table", "json", "markdown", "github", "junit", "sarif", "gitlab"])
@pytest.mark.parametrize("to_file", [False, True])
def test_check_gives_no_command_that_is_not_ours(folder: Path, capsys: Any, format: str, to_file: bool) -> None:
    more = ["--output", "out"] if to_file else []
    assert dispatch.outcome(["check", "--base", "HEAD", "--format", format, *more]) == 1
    said = Path("out").read_text(encoding="utf-8") if to_file else capsys.readouterr().out
    lines = [line for line in said.split("\n") if COMMAND.search(line)]
    ours = [line for line in lines if line.startswith("::error file=") and "##" not in line]
    assert lines == ours and bool(ours) == (format == "github")
    if format == "json":
        assert [m["model"] for m in json.loads(said)["models"]] == [f"./{file}" for file in FILES]


@pytest.mark.parametrize("command", ["analyze", "compare", "diff"])
@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_other_commands_give_none(folder: Path, capsys: Any, command: str, format: str) -> None:
    for file in FILES:
        models = [f"./{file}"] * (1 if command == "analyze" else 2)
        models = ["--base", "HEAD", "--", models[0]] if command == "diff" else ["--", *models]
        assert dispatch.outcome([command, "--format", format, *models]) == 0
        assert not COMMAND.search(capsys.readouterr().out), file


READ_AGAIN = {
    "verification/tflite_file.py", "frontends/spec/write.py", "frontends/torch/archive.py", "zoo/build.py",
    "difference/isolated_trace.py", "budget/lock.py", "budget/reuse.py", "calibration/section.py",
}  # fmt: skip
"""Files that write JSON for costcalc itself, or PyTorch: locks, specs, machine files, what processes tell each other.
Where such a text is shown, it passes the reader of terminals and logs."""


def test_no_back_end_has_an_escaper_of_its_own() -> None:
    """Nothing but the table turns signs into entities, writes CSV, or writes JSON that is shown."""
    own = re.compile(r"&(amp|lt|gt|quot|#\d+);|%0A|saxutils|quoteattr|html\.escape|cgi\.escape|csv\.writer")
    package = ROOT / "costcalc"
    for file in package.glob("**/*.py"):
        if file.name == "escape.py":
            continue
        text = file.read_text(encoding="utf-8")
        assert not own.search(text), file
        if file.relative_to(package).as_posix() in READ_AGAIN:
            assert "dumps(" in text, file
            continue
        assert "json.dumps" not in text, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module in ("json", "csv", "html", "xml.sax.saxutils"):
                assert not {a.name for a in node.names} & {"dumps", "writer", "escape", "quoteattr"}, file
            if isinstance(node, ast.FunctionDef):
                assert not re.search(r"escape|quote_?cell|_safe$", node.name), (file, node.name)


def test_every_reader_is_in_the_table() -> None:
    public = {
        name for name, f in vars(escape).items() if callable(f) and getattr(f, "__module__", "") == escape.__name__
    }
    assert {f.__name__ for f in escape.READERS.values()} | {"harmless", "spreadsheet"} == {
        name for name in public if not name.startswith("_")
    }
