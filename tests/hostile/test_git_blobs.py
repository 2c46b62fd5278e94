"""A repository that is small and shows much: one large file under many names is read as often as it is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_git_of_strangers import _git

MOST_MEGABYTES = 200
"""Of a command on such a repository: a quarter more than reading the file once takes; all names took 2,500."""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs the memory that a process took")
@pytest.mark.parametrize("command", [["check", "--base", "HEAD"], ["diff", "net.yaml", "--base", "HEAD"]])
def test_one_file_under_many_names_is_not_read_under_each(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("inputs: {image: [3, 8, 8]}\nlayers:\n- conv(4, 3)\n", encoding="utf-8")
    Path("costcalc.yaml").write_text(
        "version: 1\nmodels: [{model: net.yaml, budgets: {macs: 1 G}}]\n", encoding="utf-8"
    )
    Path("large.yaml").write_text("# " + "x" * (8 * 1024**2 - 9) + "\n", encoding="utf-8")
    _git("init", "--quiet", "--initial-branch", "main")
    _git("add", "--all")
    blob = _git("rev-parse", ":large.yaml")
    shown = [word for i in range(150) for word in ("--cacheinfo", f"100644,{blob},large{i}.yaml")]
    _git("update-index", "--add", *shown)
    _git("commit", "--quiet", "--message", "one")
    stored = sum(path.stat().st_size for path in Path(".git").rglob("*") if path.is_file())
    assert stored < 1_000_000
    line = [sys.executable, "-m", "costcalc", *command]
    child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    assert child.returncode == 0, said
    megabytes = used.ru_maxrss / (1024 if sys.platform.startswith("linux") else 1024**2)
    assert megabytes < MOST_MEGABYTES
