"""The README and the pages for learning are true: their console blocks are replayed, their Python runs.

    pytest tests/test_learn.py --update-transcripts

writes what the commands print now into the pages. Commands run in the page's own folder, for 80 columns; of a shell
the replay knows `| head -N`, `| tail -N` and `| grep [-E] [-A N] WORD`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from costcalc import zoo
from costcalc.cli.dispatch import outcome

ROOT = Path(__file__).parent.parent
LEARN = ROOT / "docs" / "learn"
PAGES = [ROOT / "README.md", *sorted(LEARN.glob("*.md"))]
CONSOLE = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def filtered(lines: list[str], program: str, *arguments: str) -> list[str]:
    """What comes of ``lines`` in one of the programs that pages use."""
    if program in ("head", "tail"):
        n = -int(arguments[0])
        return lines[:n] if program == "head" else lines[-n:]
    assert program == "grep", program
    *options, word = (a for a in arguments if a != "-E")
    more = int(options[1]) if options[:1] == ["-A"] else 0
    kept: list[str] = []
    last = -1
    for i, line in enumerate(lines):
        if re.search(word, line):
            last = i + more
        if i <= last:
            kept.append(line)
    return kept


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """A block of commands and what they printed → the same with what they print now."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COSTCALC_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def printed(command: str) -> list[str]:
        call, *pipe = (shlex.split(part) for part in re.split(r" \| ", command))
        assert call[0] == "costcalc", command
        capsys.readouterr()
        outcome(call[1:])
        out, err = capsys.readouterr()
        lines = (out + err).splitlines()
        for part in pipe:
            lines = filtered(lines, *part)
        return lines

    def replay(block: str) -> str:
        commands = [line for line in block.splitlines() if line.startswith("$ ")]
        assert commands, "a console block begins with a command"
        return "\n\n".join("\n".join([line, *printed(line[2:])]).rstrip() for line in commands) + "\n"

    return replay


def is_set_up(block: str) -> bool:
    """Whether a block of the README installs things, which CI does."""
    return "pip install" in block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_what_is_printed(
    page: Path, console: Callable[[str], str], pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(page.parent)
    text = page.read_text(encoding="utf-8")
    now = CONSOLE.sub(lambda block: block[0] if is_set_up(block[0]) else console(block[0]), text)
    if pytestconfig.getoption("--update-transcripts"):
        page.write_text(now, encoding="utf-8")
    else:
        assert now == text


@pytest.mark.parametrize(
    "page", [p for p in PAGES if PYTHON.search(p.read_text(encoding="utf-8"))], ids=lambda p: p.stem
)
def test_the_python_on_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(page.parent)
    names = {"my_module": torch.nn.Conv2d(3, 8, 3)}  # the README's stands for the reader's own
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)


def test_a_changed_digit_would_be_noticed(console: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(LEARN)
    block = CONSOLE.search((LEARN / "separable.md").read_text(encoding="utf-8"))
    assert block is not None
    assert console(block[0]) == block[0]
    assert console(block[0].replace("86.4 k", "86.5 k")) != block[0].replace("86.4 k", "86.5 k")


@pytest.mark.parametrize("page", sorted(LEARN.glob("*.md")), ids=lambda page: page.stem)
def test_each_page_shows_formulas_and_output_and_is_short(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "README.md":
        for other in LEARN.glob("*.md"):
            assert other == page or f"]({other.name})" in text, f"the index has no link to {other.name}"
        return
    assert CONSOLE.search(text)
    assert len(text.splitlines()) <= 130
    assert f"]({page.name})" in (LEARN / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", sorted(LEARN.glob("*.yaml")), ids=lambda spec: spec.stem)
def test_each_example_is_used_and_says_what_it_is(spec: Path) -> None:
    found = yaml.safe_load(spec.read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads(Path(zoo.path("schema.json")).read_text(encoding="utf-8")))
    assert found["name"] == spec.stem
    assert found["title"]
    assert any(spec.name in page.read_text(encoding="utf-8") for page in LEARN.glob("*.md"))
