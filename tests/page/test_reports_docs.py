"""docs/reports.md does what it says: its commands run and write their files, its program prints what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_commands_write_their_files(printed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    assert words[0] == "costcalc"
    printed(*words[1:])
    (file,) = tmp_path.iterdir()
    assert file.name == words[-1] and file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_program_prints_what_the_page_shows() -> None:
    ((program, shown),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == shown


def test_the_sizes_that_the_page_tells(printed: Any, tmp_path: Path) -> None:
    for model, said in (("resnet50", 165_000), ("resnet1202", 830_000)):
        file = tmp_path / f"{model}.html"
        printed("report", model, "--output", str(file))
        assert file.stat().st_size == pytest.approx(said, rel=0.1)


def test_the_picture_is_of_the_page_as_it_is() -> None:
    """`python docs/report_picture.py` draws it anew."""
    from runpy import run_path

    known = run_path(str(ROOT / "docs" / "report_picture.py"))
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert len(picture) < 250_000
    assert b"tEXtcostcalc\0" + known["told"](known["page"]()).encode() in picture
    assert "](docs/report.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
