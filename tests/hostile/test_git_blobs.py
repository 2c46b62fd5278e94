"""A repository that is small and shows much: one large file under many names is read as often as it is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_git_of_strangers import _git

MOST_MEGABYTES = 200
"""Of a command on such a repository: a quarter more than reading the file once takes; all names took 2,500."""


PROBE = """
import sys
from costcalc.cli.dispatch import outcome
assert outcome(sys.argv[1:]) == 0
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""
"""On Linux what a process took at the most; what ``wait4`` says of a child begins at what its parent had."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the memory that a process took")
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
    said = subprocess.run([sys.executable, "-c", PROBE, *command], capture_output=True, text=True, check=True).stderr
    assert int(said.splitlines()[-1]) < MOST_MEGABYTES
