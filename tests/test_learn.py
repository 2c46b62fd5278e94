"""The README and the pages for learning are true: their console blocks are replayed, their Python runs.

    pytest tests/test_learn.py --update-transcripts

writes what the commands print now into the pages, and draws their pictures anew. Commands run in the page's own folder,
for 80 columns; of a shell the replay knows `| head -N`, `| tail -N` and `| grep [-E] [-A N] WORD`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

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
    assert len(PICTURE.sub("", text).splitlines()) <= 130
    assert f"]({page.name})" in (LEARN / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", sorted(LEARN.glob("*.yaml")), ids=lambda spec: spec.stem)
def test_each_example_is_used_and_says_what_it_is(spec: Path) -> None:
    found = yaml.safe_load(spec.read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads(Path(zoo.path("schema.json")).read_text(encoding="utf-8")))
    assert found["name"] == spec.stem
    assert found["title"]
    assert any(spec.name in page.read_text(encoding="utf-8") for page in LEARN.glob("*.md"))


PICTURE = re.compile(r"^<!-- picture: (costcalc plot .+ -o (\S+\.svg)) -->\n!\[(.+)\]\((\S+)\)$", re.MULTILINE)
PICTURES = {found[2]: (page, found) for page in PAGES for found in PICTURE.finditer(page.read_text(encoding="utf-8"))}
SVG = "{http://www.w3.org/2000/svg}"
GLYPH = re.compile(r"(?<=DejaVuSans)(-Bold|-Oblique)?-[0-9a-f]+")
"""What a glyph is called: by its number in the font's file, which the system's has otherwise than matplotlib's own."""


def drawn(svg: str) -> list[float]:
    """Every coordinate of what an SVG draws, but of its letters, which are another version's as well."""
    found: list[float] = []
    left = [ElementTree.fromstring(svg)]
    while left:
        element = left.pop()
        if element.tag == f"{SVG}defs" or element.get("id", "").startswith("text_"):
            continue
        for name in ("d", "x", "y"):
            found += [round(float(n), 1) for n in re.findall(r"-?\d+\.?\d*", element.get(name, ""))]
        left += element
    return found


@pytest.mark.parametrize("file", PICTURES)
def test_pictures_are_what_is_drawn_now(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    pytest.importorskip("matplotlib")
    page, found = PICTURES[file]
    monkeypatch.chdir(page.parent)
    assert found[4] == file and len(found[3]) > 30, "a picture says in words what it shows"
    assert outcome([*shlex.split(found[1])[1:-1], str(tmp_path / file)]) == 0
    now = (tmp_path / file).read_text(encoding="utf-8")
    if pytestconfig.getoption("--update-transcripts"):
        (page.parent / file).write_text(now, encoding="utf-8")
    there = (page.parent / file).read_text(encoding="utf-8")
    assert len(there) < 100_000
    made_by = [re.search(r"Matplotlib v[\d.]+", svg) for svg in (there, now)]
    if all(made_by) and made_by[0][0] == made_by[1][0]:  # type: ignore[index]
        assert GLYPH.sub("", there) == GLYPH.sub("", now)
    assert drawn(there) == drawn(now)


def test_every_picture_is_shown_and_there_is_one_on_several_pages() -> None:
    assert {path.name for path in LEARN.glob("*.svg")} == {*PICTURES}
    assert len({page for page, _ in PICTURES.values()}) >= 4


def test_pictures_show_the_numbers_of_their_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    import costcalc
    from costcalc.amounts import units

    monkeypatch.chdir(LEARN)

    def curves(*models: str) -> list[list[float]]:
        found = costcalc.compare(*models) if len(models) > 1 else costcalc.analyze(*models)
        axes = found.plot.receptive_field().axes[0]
        return [[float(y) for y in line.get_ydata()] for line in axes.lines if len(line.get_ydata()) > 2]

    # receptive_field.md, "By hand": the column R.
    assert curves("field.yaml")[0] == [3, 5, 7, 8, 12, 20]
    # dilated.md: 3, 5, 7 and 3, 7, 15.
    assert curves("dilated.yaml:plain", "dilated.yaml:dilated") == [[3, 5, 7], [3, 7, 15]]
    # bandwidth.md, "By hand": 3.61 M MACs and 3.21 MB in 47 µs; without its norm nothing of that changes.
    report = costcalc.analyze("mobilenet", machine="jetson_orin_nano", fold_norm=True)
    points = [tuple(c.get_offsets()[0]) for c in report.plot.roofline().axes[0].collections]
    first = (3_612_672 / 3_212_544, 3_612_672 / (3_212_544 / 68e9))  # with the 32 numbers of the bias
    assert any(point == pytest.approx(first, rel=1e-6) for point in points)
    # groups.md: the models of its table, by their MACs and milliseconds there.
    names = [f"shufflenet_1x_g{n}" for n in (1, 3, 8)]
    figure = costcalc.compare(*names, machine="jetson_orin_nano").plot.pareto("macs", "time")
    shown = sorted(tuple(c.get_offsets()[0]) for c in figure.axes[0].collections)
    totals = [costcalc.analyze(name, machine="jetson_orin_nano").total for name in names]
    assert shown == sorted((total.macs, pytest.approx(total.time.seconds)) for total in totals)
    page = (LEARN / "groups.md").read_text(encoding="utf-8")
    assert all(units.seconds(total.time.seconds) in page for total in totals)
