"""Repositories of less than a megabyte that ask for much: each command is done within bounds, or refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_git_of_strangers import _git

from costcalc.cli import dispatch

ROOT = Path(__file__).parents[2]
SECONDS, GIGABYTES = 10, 1
"""Of CPU, git's included, and of memory. What is promised is 5 seconds; a slow machine is given twice that."""
SPEC = "inputs: {image: [8, 8, 8]}\nlayers:\n- conv(8, 1)\n"
CONFIG = "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: {max_increase: 1%}}}\n"
WIDE = "parameters: {w: 8}\nvariants: {" + ", ".join(f"v{i}: {{w: {i + 1}}}" for i in range(3000)) + "}\n"
Commits = list[dict[str, str]]


def with_config(first: dict[str, str], *more: dict[str, str], model: str = "net.yaml") -> Commits:
    return [{"costcalc.yaml": CONFIG.replace("net.yaml", model), **first}, *more]


def deep(count: int) -> str:
    return f"{SPEC}- for i in range({count}):\n  - conv(8, 1)\n"


FOLDERS = "/".join("d" * 300)
CASES: dict[str, Commits] = {
    "commits": with_config({"net.yaml": SPEC}, *({"net.yaml": f"{SPEC}- conv({i + 1}, 1)\n"} for i in range(1000))),
    "commits of a deep model": with_config(
        {"net.yaml": deep(20_000)}, *({"net.yaml": f"{deep(20_000)}- conv({i + 1}, 1)\n"} for i in range(60))
    ),
    "folders": with_config(
        {"net.yaml": SPEC, f"{FOLDERS}/x.yaml": SPEC}, {"net.yaml": f"{SPEC}- relu\n", f"{FOLDERS}/x.yaml": deep(3)}
    ),
    "specs": with_config(
        {"net.yaml": SPEC, **{f"n{i}.yaml": f"{SPEC}- conv({i + 1}, 1)\n" for i in range(1000)}},
        {f"n{i}.yaml": f"{SPEC}- conv({i + 2}, 1)\n" for i in range(1000)},
    ),
    "deep specs": with_config(
        {"net.yaml": SPEC, **{f"n{i}.yaml": deep(30_000 + i) for i in range(60)}},
        {f"n{i}.yaml": deep(30_001 + i) for i in range(60)},
    ),
    "variants": with_config(
        {"net.yaml": WIDE + SPEC.replace("8, 1", "w, 1")}, {"net.yaml": WIDE + SPEC.replace("8, 1", "w, 3")},
        model="net.yaml:v1",
    ),
    "users of one file": with_config(
        {
            "b.yaml": "blocks:\n  double(c):\n  - conv(c, 1)\n",
            "net.yaml": SPEC,
            **{f"n{i}.yaml": f"use: [b.yaml]\n{SPEC}- double({i + 1})\n" for i in range(600)},
        },
        {"b.yaml": "blocks:\n  double(c):\n  - conv(c, 3, padding=1)\n"},
    ),
    "large files": with_config(
        {"net.yaml": SPEC, "big.yaml": SPEC + "# no more than a remark\n" * 2_000_000},
        {"net.yaml": "# no more than a remark\n" * 2_000_000, "big.yaml": SPEC + "# another\n" * 4_000_000},
    ),
    "a large lock": with_config({"net.yaml": SPEC, "costcalc.lock": "[" * 4_000_000}, {"net.yaml": f"{SPEC}- relu\n"}),
    "names": with_config(
        {"net.yaml": SPEC, **{f"dir{i % 60}/some_long_name_{i}.txt": "x" for i in range(15_000)}},
        {"net.yaml": f"{SPEC}- relu\n"},
    ),
}  # fmt: skip
QUICK = ("variants", "commits of a deep model")
COMMANDS = (
    ["check"], ["check", "--base", "HEAD~1"], ["diff", "HEAD~1..HEAD"], ["diff", "--base", "HEAD~1"],
    ["lock", "--update"], ["history", "net.yaml"], ["init", "--config", "new.yaml"],
)  # fmt: skip


def imported(commits: Commits, refs: int = 0) -> bytes:
    """What ``git fast-import`` makes the commits of, and so many branches at the last."""
    parts: list[bytes] = []
    for number, files in enumerate(commits, 1):
        parts.append(f"commit refs/heads/main\ncommitter a <a@b.c> {1700000000 + number} +0000\ndata 1\nc\n".encode())
        for name, text in files.items():
            data = text.encode()
            parts.append(f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n")
    parts += [f"reset refs/heads/b{i}\nfrom refs/heads/main\n\n".encode() for i in range(refs)]
    return b"".join(parts)


def made(folder: Path, commits: Commits, refs: int = 0) -> None:
    """The repository, packed, below a megabyte."""
    _git("init", "--quiet", "--initial-branch", "main")
    stream = imported(commits, refs)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input=stream, check=True, capture_output=True)
    _git("gc", "--quiet", "--prune=now")
    subprocess.run(["git", "checkout", "--quiet", "--force", "main"], cwd=folder, check=False, capture_output=True)
    assert sum(path.stat().st_size for path in (folder / ".git").rglob("*.pack")) < 1_000_000


def held(folder: Path, commits: Commits, refs: int = 0) -> None:
    """Every command, within the bounds."""
    resource = pytest.importorskip("resource")
    made(folder, commits, refs)

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "costcalc", *command], cwd=folder, capture_output=True, text=True, check=False,
            preexec_fn=bounded, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode in (0, 1, 2), (command, done.returncode, done.stderr[-300:])
        assert "Traceback" not in done.stderr and "mistake in costcalc" not in done.stderr
        (folder / "new.yaml").unlink(missing_ok=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", QUICK)
def test_a_repository_that_grows(case: str, folder: Path) -> None:
    held(folder, CASES[case])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_every_repository_that_grows(case: str, folder: Path) -> None:
    held(folder, CASES[case])


@pytest.mark.long
def test_a_repository_of_many_branches(folder: Path) -> None:
    held(folder, CASES["users of one file"], refs=8000)


def test_what_changed_in_very_many_layers_is_to_be_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from costcalc.budget import history
    from costcalc.difference import revisions

    monkeypatch.setattr(revisions, "MOST_LAYERS", 10)
    monkeypatch.setattr(history, "MOST_LAYERS", 10)
    made(folder, with_config({"net.yaml": deep(3)}, *({"net.yaml": deep(4 + i)} for i in range(3))))
    capsys.readouterr()
    assert dispatch.outcome(["diff", "HEAD~1..HEAD"]) == 2
    assert capsys.readouterr().err == (
        "costcalc: error: the models that changed have more than 10 layers; name some of them\n"
    )
    assert dispatch.outcome(["diff", "HEAD~1..HEAD", "net.yaml"]) == 0
    assert dispatch.outcome(["history", "net.yaml"]) == 0
    assert "2 older commits are left out" in capsys.readouterr().out
