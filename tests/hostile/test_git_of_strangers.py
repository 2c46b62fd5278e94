"""Checkouts of strangers: git uses the repository by its own .git alone, and runs nothing that files of it name."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from costcalc.cli import dispatch
from costcalc.difference.revisions import parse_range
from costcalc.difference.safe_git import ENVIRONMENT, SETTINGS, GitError, environment, find_home, repository_of

ROOT = Path(__file__).resolve().parents[2]
SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n- head: conv(4, 3)\n"
CONFIG = "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: {max_increase: 1%}}}\n"


def _git(*args: str, folder: str = ".") -> str:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *args], cwd=folder, env={**plain, **settings, **who}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, the working directory, whose HEAD has ``sub/net.yaml``; there it is a channel wider now."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    monkeypatch.chdir(top)
    _git("init", "--quiet", "--initial-branch", "main")
    Path("sub/net.yaml").write_text(SPEC, encoding="utf-8")
    Path("sub/costcalc.yaml").write_text(CONFIG, encoding="utf-8")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "specs")
    Path("sub/net.yaml").write_text(SPEC.replace("4", "5"), encoding="utf-8")
    return top


def _base(capsys: pytest.CaptureFixture[str], *args: str) -> int:
    """The MACs that ``check --base HEAD`` in ``sub`` compares with."""
    assert dispatch.outcome(["check", *args, "--base", "HEAD", "--format", "json"]) == 1
    found: int = json.loads(capsys.readouterr().out)["verdicts"][0]["baseline"]
    return found


OF_HEAD = 4 * 6 * 6 * 27


def test_plain_files_that_look_like_a_repository_are_none(folder: Path, capsys: Any) -> None:
    _git("init", "--quiet", "--bare", "sub")
    assert _base(capsys, "--config", "sub/costcalc.yaml") == OF_HEAD


def test_the_working_directory_may_look_like_a_repository(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    _git("init", "--quiet", "--bare", "sub")
    _git("config", "core.fsmonitor", f"touch {folder}/ran", folder="sub")
    monkeypatch.chdir("sub")
    assert _base(capsys) == OF_HEAD
    assert dispatch.outcome(["diff", "--base", "HEAD"]) == 0
    assert "+25.0 %" in capsys.readouterr().out
    assert not (folder / "ran").exists()


def test_without_another_repository_it_is_said_what_was_refused(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _git("init", "--quiet", "--bare", "sub")
    Path("sub/costcalc.yaml").write_text(CONFIG, encoding="utf-8")
    assert dispatch.outcome(["check", "--config", "sub/costcalc.yaml", "--base", "HEAD"]) == 2
    said = capsys.readouterr().err
    assert "is not in a git repository" in said and "plain files make that up, so it is not used" in said


@pytest.mark.parametrize("where", ["inner", "../inner"])
def test_a_file_called_git_names_no_repository_among_the_files(folder: Path, where: str) -> None:
    _git("init", "--quiet", "--bare", str(Path("sub", where)))
    Path("sub/.git").write_text(f"gitdir: {where}\n", encoding="utf-8")
    with pytest.raises(GitError, match="among the files of the checkout, which is not used"):
        repository_of("sub")


def test_second_working_trees_and_submodules_are_repositories(folder: Path) -> None:
    for place in ("../second", "inside"):
        _git("worktree", "add", "--quiet", "--detach", place)
        assert repository_of(f"{place}/sub").root == str(Path(place).resolve())
    _git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(folder), "module")
    assert repository_of("module/sub").root == str(folder / "module")


def test_the_environment_does_not_choose_the_repository(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    _git("init", "--quiet", "../other")
    monkeypatch.setenv("GIT_DIR", str(folder.parent / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")
    assert _base(capsys, "--config", "sub/costcalc.yaml") == OF_HEAD


def test_no_program_runs_because_of_attributes_hooks_or_settings(folder: Path, capsys: Any) -> None:
    Path(".gitattributes").write_text("*.yaml filter=f diff=f\n", encoding="utf-8")
    hook = Path(".git/hooks/post-index-change")
    hook.write_text(f"#!/bin/sh\ntouch {folder}/ran-hook\n", encoding="utf-8")
    hook.chmod(0o755)
    for key in (
        *("filter.f.clean", "filter.f.smudge", "filter.f.process", "diff.f.textconv", "diff.f.command"),
        *("diff.external", "core.fsmonitor", "core.sshCommand", "core.pager", "core.alternateRefsCommand"),
    ):
        _git("config", key, f"touch {folder}/ran-{key}; cat")
    os.utime("sub/costcalc.yaml")  # so that git would look at it again
    assert _base(capsys, "--config", "sub/costcalc.yaml") == OF_HEAD
    assert dispatch.outcome(["diff", "--base", "HEAD"]) == 0
    assert "+25.0 %" in capsys.readouterr().out
    assert not list(folder.glob("ran-*"))


def test_attributes_change_no_line_that_is_told(folder: Path, capsys: Any) -> None:
    Path(".gitattributes").write_text("*.yaml -diff -text eol=crlf\n", encoding="utf-8")
    assert dispatch.outcome(["diff", "--base", "HEAD", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["causes"][0]["source"] == "sub/net.yaml:3"


def test_no_object_stands_for_another(folder: Path, capsys: Any) -> None:
    other = folder.parent / "wide.yaml"
    other.write_text(SPEC.replace("4", "40"), encoding="utf-8")
    _git("replace", _git("rev-parse", "HEAD:sub/net.yaml"), _git("hash-object", "-w", str(other)))
    assert _base(capsys, "--config", "sub/costcalc.yaml") == OF_HEAD


def test_a_file_named_like_a_range_of_revisions_changes_no_meaning(folder: Path, capsys: Any) -> None:
    _git("commit", "--quiet", "--all", "--message", "wider")
    Path("HEAD~1..HEAD").write_text(SPEC, encoding="utf-8")
    assert parse_range("HEAD~1..HEAD") is not None
    assert dispatch.outcome(["diff", "HEAD~1..HEAD"]) == 0
    assert "+25.0 %" in capsys.readouterr().out


def test_links_and_what_lies_outside_are_not_read_as_the_base(folder: Path, capsys: Any) -> None:
    (folder.parent / "secret").write_text("password123", encoding="utf-8")
    Path("sub/link.yaml").symlink_to("../../secret")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "link")
    assert dispatch.outcome(["diff", "HEAD~1..HEAD"]) == 0
    assert "password" not in "".join(capsys.readouterr())


def test_every_call_of_git_has_the_settings(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    run, calls = subprocess.run, []

    def seen(command: list[str], **options: Any) -> Any:
        calls.append((command, options))
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", seen)
    _base(capsys, "--config", "sub/costcalc.yaml")
    dispatch.outcome(["diff", "--base", "HEAD"])
    assert len(calls) > 8
    for command, options in calls:
        given = options["env"]
        named = {
            given[f"GIT_CONFIG_KEY_{i}"]: given[f"GIT_CONFIG_VALUE_{i}"] for i in range(int(given["GIT_CONFIG_COUNT"]))
        }
        assert command[0] == "git" and named == SETTINGS and ENVIRONMENT.items() <= given.items()
        assert given["GIT_CEILING_DIRECTORIES"] == str(Path(options["cwd"]).parent)


def test_variables_of_git_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG_PARAMETERS"):
        monkeypatch.setenv(name, "x")
    given = environment("/nowhere")
    assert not {"GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG_PARAMETERS"} & set(
        given
    )


def test_git_is_started_in_one_place() -> None:
    starts = re.compile(r"""\[\s*["']git["']|^\s*git |\$\(git |! git """, re.MULTILINE)
    files = [*ROOT.glob("costcalc/**/*.py")]
    found = {
        f.relative_to(ROOT).as_posix() for f in files if f.is_file() and starts.search(f.read_text(encoding="utf-8"))
    }
    assert found == {"costcalc/difference/safe_git.py"}


def test_no_repository_is_none(tmp_path: Path) -> None:
    assert find_home(str(tmp_path)) is None
