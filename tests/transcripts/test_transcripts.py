"""Console sessions, replayed: each ``$ costcalc …`` line prints what stands below it, for 80 columns.

    pytest tests/transcripts --update-transcripts

writes what they print now, here and into the pages that show a session after ``<!-- transcript: name.txt -->``.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from costcalc.cli.dispatch import outcome

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SESSIONS = sorted(HERE.glob("*.txt"))
SHOWN = re.compile(r"(<!-- transcript: (\S+) -->\n```(?:console)?\n)(.*?)(```\n)", re.DOTALL)
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.exists()]


def replay(session: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The session's commands, each with what it prints now; a code other than 0 in a line of its own."""
    parts = []
    for line in session.splitlines():
        if not line.startswith("$ "):
            continue
        program, *args = shlex.split(line[2:], comments=True)
        assert program == "costcalc", line
        capsys.readouterr()
        code = outcome(args)
        out, err = capsys.readouterr()
        printed = (out + err).replace("\r\n", "\n")  # CSV has both, by its standard
        parts.append(f"{line}\n{printed}" + (f"[exit code {code}]\n" if code else ""))
    return "\n".join(parts)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COSTCALC_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("file", SESSIONS, ids=lambda file: file.stem)
def test_a_session_replays(file: Path, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config) -> None:
    session = file.read_text(encoding="utf-8")
    now = replay(session, capsys)
    if pytestconfig.getoption("--update-transcripts"):
        file.write_text(now, encoding="utf-8")
    else:
        assert now == session


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_sessions_as_they_are(page: Path, pytestconfig: pytest.Config) -> None:
    text = page.read_text(encoding="utf-8")

    def current(match: re.Match[str]) -> str:
        return match[1] + (HERE / match[2]).read_text(encoding="utf-8") + match[4]

    now = SHOWN.sub(current, text)
    assert text.count("<!-- transcript:") == len(SHOWN.findall(text)), "a session is shown in a block of ``` below it"
    if pytestconfig.getoption("--update-transcripts"):
        page.write_text(now, encoding="utf-8")
    else:
        assert now == text


def test_a_changed_line_would_be_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    session = (HERE / "mistakes.txt").read_text(encoding="utf-8")
    assert replay(session.replace("resnet51", "resnet52"), capsys) != session
