"""File names and revisions that are no words: found by git, written into configs and annotations, never obeyed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from costcalc.cli import dispatch

SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n- head: conv(4, 3)\n"
NAMES = ["sp ace.yaml", "-dash.yaml", "--output=x.yaml", "é ü.yaml", "new\nline.yaml", "esc\x1b[31m.yaml", "a:b.yaml",
         "a..b.yaml", ":(top)x.yaml", "*.yaml", "q\"uo'te.yaml", "::error::.yaml", "tab\t.yaml", "back\\slash.yaml",
         "evil.py:x.yaml", "😀.yaml"]  # fmt: skip


def _git(*args: str) -> None:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    subprocess.run(["git", *args], env={**os.environ, **settings, **who}, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose HEAD has a spec of each name, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    _git("init", "--quiet", "--initial-branch", "main")
    for name in NAMES:
        Path(name).write_text(SPEC, encoding="utf-8")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "specs")
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], code: int, *args: str) -> str:
    assert dispatch.outcome(list(args)) == code
    said = capsys.readouterr()
    return said.out + said.err


def test_a_spec_of_any_name_is_compared_with_its_revision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        Path(name).write_text(SPEC.replace("4", "5"), encoding="utf-8")
    for name in NAMES:
        told = _run(capsys, 0, "diff", "--base", "HEAD", "--", f"./{name}")
        assert "MACs 3.89 k → 4.86 k (+25.0 %)" in told, name


def test_init_writes_names_that_check_reads_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(capsys, 0, "init")
    _run(capsys, 0, "lock")
    _run(capsys, 0, "check", "--locked")
    told = _run(capsys, 0, "check", "--base", "HEAD", "--format", "json")
    assert told.count('"metric": "macs"') == len(NAMES)


def test_init_passes_by_what_it_cannot_read_or_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in ("yaml", "tflite", "param"):
        os.mkfifo(f"pipe.{suffix}")
    Path("endless.yaml").symlink_to("/dev/zero")
    Path(os.fsdecode(b"\xff.yaml")).write_text(SPEC, encoding="utf-8")
    assert f"{len(NAMES) - 5} more" in _run(capsys, 0, "init")


def test_no_file_name_gives_a_command_to_the_ci_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(capsys, 0, "init")
    for name in NAMES:
        Path(name).write_text(SPEC.replace("4", "9"), encoding="utf-8")
    for form in ("github", "table", "markdown"):
        lines = _run(capsys, 1, "check", "--base", "HEAD", "--format", form).splitlines()
        commands = [line for line in lines if line.lstrip().startswith("::")]
        assert all(line.startswith(("::error file=", "::notice title=costcalc::")) for line in commands)
        assert bool(commands) == (form == "github")
        assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(
    "revision", ["--output=written", "-n1", "--all", "^HEAD", "a\0b", "a\nb", "HEAD^{tree}", "HEAD:x", ":/1", "-", "*"]
)
@pytest.mark.parametrize("command", ["diff", "check"])
def test_a_revision_that_is_none_is_no_option_of_git(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, revision: str
) -> None:
    Path("costcalc.yaml").write_text("version: 1\nmodels:\n- model: sp ace.yaml\n", encoding="utf-8")
    assert "git knows no revision" in _run(capsys, 2, command, "--base", revision)
    assert not Path("written").exists()


def test_nothing_that_gits_settings_name_is_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".gitattributes").write_text("*.yaml diff=evil\n", encoding="utf-8")
    for setting in ("diff.external", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor", "core.pager"):
        _git("config", setting, f"touch ran-{setting}; cat")
    Path("sp ace.yaml").write_text(SPEC.replace("4", "5"), encoding="utf-8")
    assert "+25.0 %" in _run(capsys, 0, "diff", "--base", "HEAD")
    assert not list(folder.glob("ran-*"))


def test_a_variant_that_no_revision_has_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sp ace.yaml has no variant 'v'" in _run(capsys, 2, "diff", "--base", "HEAD", "sp ace.yaml:v")
