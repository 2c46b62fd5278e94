"""A throwaway repository with a model in it, and the command line run there as a user runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from costcalc.cli.dispatch import outcome

SPEC = (Path(__file__).parents[2] / "docs/backbone.yaml").read_text(encoding="utf-8")
NET = """\
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x)
"""
"""A model that is code: net.py."""
DEPTHS, STEM, LOOP = 6, 21, 25
"""The lines of SPEC that say so."""


class Repository:
    """A git repository in a temporary folder, which is the working directory while a test runs."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def git(self, *args: str) -> str:
        # No settings of the machine that runs the tests.
        environment = {
            **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        done = subprocess.run(
            ["git", *args], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def commit(self, message: str = "change") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert text.count(old) == 1, (old, text.count(old))
        self.write(name, text.replace(old, new))

    def run(self, *args: str) -> tuple[int, str]:
        """The exit code, and what was printed to standard output and error."""
        self._capsys.readouterr()
        code = outcome(list(args))
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def fails(self, *args: str) -> str:
        """The one sentence of a command that ends with code 2."""
        code, printed = self.run(*args)
        assert code == 2, printed
        assert printed.startswith("costcalc: error: ") and printed.count("\n") == 1, printed
        return printed.removeprefix("costcalc: error: ").strip()


def open_repository(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty repository on the branch main."""
    monkeypatch.chdir(folder)
    for name in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR", "COSTCALC_TODAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / f"{folder.name}-cache"))
    repository = Repository(folder, capsys)
    repository.git("init", "--quiet", "--initial-branch", "main")
    return repository
