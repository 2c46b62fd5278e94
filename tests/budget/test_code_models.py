"""Budgets of models that are PyTorch code: what they are compared with, where causes are; nothing passes unseen."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from throwaway import Repository

from costcalc.cli.diff import _ways_of_config

pytest.importorskip("torch.nn")

NET = """\
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, width=8, depth=2):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *[nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)]
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = self.blocks(x)
        return self.head(x.mean((2, 3)))
"""
CONFIG = """\
version: 1
models:
  - name: net
    model: net.py:Net
    at: [{input: 3x16x16}]
    budgets: {macs: {max: 100 M, max_increase: 2%}, params: {max: 1 M}}
"""
# 3·8·9 + 2·8·8·9 taps on 16×16 places, and 80 of the head.
MACS = (3 * 8 * 9 + 2 * 8 * 8 * 9) * 256 + 80


@pytest.fixture
def team(empty: Repository) -> Repository:
    """A model that is code with its budgets and its lock on main, and a branch beside it."""
    empty.write("net.py", NET)
    empty.write("costcalc.yaml", CONFIG)
    empty.write(".gitignore", "__pycache__\n")
    assert empty.run("lock", "--allow-code") == (0, "wrote costcalc.lock: 1 measurement\n")
    empty.commit("the model and its lock")
    empty.git("checkout", "--quiet", "-b", "branch")
    return empty


def grow(team: Repository) -> None:
    """A pull request that makes the model larger and its lock fit."""
    team.edit("net.py", "width=8", "width=64")
    assert team.run("lock", "--update", "--allow-code")[0] == 0
    team.commit("wider")


def test_a_growth_with_a_lock_that_fits_it_does_not_pass(team: Repository) -> None:
    grow(team)
    code, printed = team.run("check", "--allow-code", "--base", "main")
    grown = (3 * 64 * 9 + 2 * 64 * 64 * 9) * 256 + 640
    assert code == 1, printed
    assert f"({(grown - MACS) / MACS:+.1%}".replace("%", "") in printed  # 55-fold or so
    assert "since costcalc.lock at main, 2% allowed" in printed
    assert "width: out_channels 8→64" in printed and "net.py:6" in printed  # the line that was edited


def test_without_a_base_the_cause_is_the_line_that_makes_the_layer(team: Repository) -> None:
    team.edit("net.py", "nn.Conv2d(3, width, 3, padding=1)", "nn.Conv2d(3, width, 7, padding=3)")
    code, printed = team.run("check", "--allow-code")
    assert code == 1
    told = next(line for line in printed.splitlines() if "kernel 3→7" in line)
    assert told.endswith("net.py:8")


def test_a_failed_max_with_a_base_names_causes(team: Repository) -> None:
    team.edit("costcalc.yaml", "{max: 100 M, max_increase: 2%}", "{max: 1 M}")
    grow(team)
    code, printed = team.run("check", "--allow-code", "--base", "main")
    assert code == 1 and "over the budget of" in printed and "width: out_channels 8→64" in printed


def test_a_model_that_did_not_change_is_as_before(team: Repository) -> None:
    code, printed = team.run("check", "--allow-code", "--base", "main")
    assert code == 0 and "as before" in printed and printed.endswith("all 3 budgets met\n")


def without_lock(team: Repository) -> None:
    """The base has no lock; the branch has one that fits what the model is there."""
    team.git("checkout", "--quiet", "main")
    team.git("rm", "--quiet", "costcalc.lock")
    team.commit("no lock")
    team.git("checkout", "--quiet", "branch")
    team.git("reset", "--quiet", "--hard", "main")
    grow(team)


def test_what_cannot_be_compared_is_marked_in_every_format_and_strict_fails(team: Repository) -> None:
    without_lock(team)
    asked = ("check", "--allow-code", "--base", "main")
    code, printed = team.run(*asked)
    assert code == 0
    assert "⚠       net at 3x16x16: macs" in printed and "there is no costcalc.lock at main" in printed
    assert printed.splitlines()[-1] == "1 not checked, 2 met"
    assert team.run(*asked, "--strict")[0] == 4
    comment = team.run(*asked, "--format", "markdown")[1]
    assert "✅" not in comment and "### ⚠️ costcalc: 1 not checked, 2 met" in comment
    assert "- ⚠️ net at 3x16x16: macs" in comment
    assert "::warning file=costcalc.yaml,line=6" in team.run(*asked, "--format", "github")[1]
    (result,) = json.loads(team.run(*asked, "--format", "sarif")[1])["runs"][0]["results"]
    assert result["level"] == "warning" and "not checked" in result["message"]["text"]
    (issue,) = json.loads(team.run(*asked, "--format", "gitlab")[1])
    assert issue["severity"] == "info" and "not checked" in issue["description"]
    suite = ElementTree.fromstring(team.run(*asked, "--format", "junit")[1].split("?>\n", 1)[1])
    assert len(suite.findall(".//skipped")) == 1
    statuses = [v["status"] for v in json.loads(team.run(*asked, "--format", "json")[1])["verdicts"]]
    assert sorted(statuses) == ["ok", "ok", "unchecked"]


def test_a_base_without_the_model_or_at_another_input_is_not_checked(team: Repository) -> None:
    team.edit("costcalc.yaml", "3x16x16", "3x32x32")
    code, printed = team.run("check", "--allow-code", "--base", "main", "--strict")
    assert code == 4 and "costcalc.lock at main does not have it; commit one there, or add --trace-base" in printed


@pytest.mark.parametrize("text", ["{", '{"version": 99, "models": {}, "sha256": ""}', "<<<<<<< ours\n"])
def test_a_lock_of_the_base_that_cannot_be_used_compares_nothing(team: Repository, text: str) -> None:
    team.git("checkout", "--quiet", "main")
    team.write("costcalc.lock", text)
    team.commit("a broken lock")
    team.git("checkout", "--quiet", "-B", "branch")
    code, printed = team.run("check", "--allow-code", "--base", "main", "--strict")
    assert code == 4 and "costcalc.lock at main" in printed and "Traceback" not in printed


def test_the_base_traced_by_a_process_of_its_own(team: Repository) -> None:
    without_lock(team)
    before = [team.git(*args) for args in (["status", "--porcelain"], ["worktree", "list"])]
    code, printed = team.run("check", "--allow-code", "--base", "main", "--trace-base")
    assert code == 1 and "since main, 2% allowed" in printed and "width: out_channels 8→64" in printed
    assert [team.git(*args) for args in (["status", "--porcelain"], ["worktree", "list"])] == before
    # A helper of the checkout that the base does not have: then it is not the base that was traced.
    team.git("checkout", "--quiet", "main")
    team.edit(
        "net.py", "from torch import nn\n", f"from torch import nn\nopen({str(team.folder / 'data')!r}).close()\n"
    )
    team.commit("it reads a file by its whole path")
    team.git("checkout", "--quiet", "-B", "branch")
    team.write("data", "x")
    team.edit("net.py", "width=8", "width=16")
    code, printed = team.run("check", "--allow-code", "--base", "main", "--trace-base", "--strict")
    assert code == 4 and "it used 'data' of the checkout" in printed


def test_what_the_options_need(team: Repository) -> None:
    assert "add --allow-code" in team.fails("check", "--base", "main")
    assert "add --allow-code" in team.fails("check", "--base", "main", "--trace-base")
    assert "add --base REV" in team.fails("check", "--allow-code", "--trace-base")


def test_a_model_beside_a_config_in_a_folder(team: Repository) -> None:
    (team.folder / "ci").mkdir()
    for file in ("net.py", "costcalc.yaml"):
        (team.folder / file).rename(team.folder / "ci" / file)
    team.write("ci/package/__init__.py", "from net import Net\n")
    more = "  - {name: other, model: 'package:Net', at: [{input: 3x16x16}], budgets: {macs: 1 G}}\n"
    team.write("ci/costcalc.yaml", CONFIG + more)
    code, printed = team.run("check", "--allow-code", "--config", "ci/costcalc.yaml")
    assert code == 0 and printed.splitlines()[-1] == "1 not checked, 3 met", printed
    team.write("ci/costcalc.yaml", CONFIG.replace("net.py", "../../net.py"))
    Path(team.folder.parent, "net.py").write_text(NET, encoding="utf-8")
    assert "leads out of the repository" in team.fails("check", "--allow-code", "--config", "ci/costcalc.yaml")


def test_diff_of_two_revisions_of_a_model_that_is_code(team: Repository) -> None:
    team.edit("net.py", "nn.Conv2d(3, width, 3, padding=1)", "nn.Conv2d(3, width, 5, padding=2)")
    team.edit("net.py", "depth=2", "depth=3")
    team.write("other.py", NET.replace("width=8", "width=4"))
    team.commit("deeper")
    asked = ("diff", "HEAD~1..HEAD", "net.py:Net", "--input", "3x16x16")
    assert "which diff does not run" in team.fails(*asked) and "--allow-code" in team.fails(*asked)
    code, printed = team.run(*asked, "other.py:Net", "--allow-code")
    assert code == 0 and "other.py:Net: added, MACs" in printed
    depth = next(line for line in printed.splitlines() if "depth  " in line)
    kernel = next(line for line in printed.splitlines() if "kernel 3→5" in line)
    assert kernel.endswith("net.py:8") and depth.endswith("net.py:6"), printed
    told = team.fails("diff", "--base", "HEAD", "gone.py:Net", "--allow-code")
    assert "there is no gone.py in HEAD nor in the working tree" in told


def test_a_diff_of_revisions_takes_the_inputs_that_the_config_says(team: Repository) -> None:
    team.edit("net.py", "width=8", "width=16")
    team.edit("costcalc.yaml", "{input: 3x16x16}", "{input: 3x16x16}, {input: 3x32x32, bits: 8}")
    team.commit("wider")
    code, printed = team.run("diff", "HEAD~1..HEAD", "net.py:Net", "--allow-code")
    assert code == 0 and "net.py:Net at 3x16x16: MACs" in printed and "width  " in printed
    assert "net.py:Net at 3x32x32, 8 bit: MACs" in printed, printed
    ways = _ways_of_config(16, "net.py:Net")
    assert [way.label for way in ways] == ["3x16x16, 16 bit", "3x32x32, 16 bit"]
    assert [(way.bits, way.choices) for way in ways] == [(16, {"input": (3, s, s)}) for s in (16, 32)]
    assert _ways_of_config(None, "other.py:Net") == []


def test_the_base_of_a_package_beside_a_config_from_anywhere(
    empty: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty.write("ci/package/__init__.py", NET)
    empty.write("ci/costcalc.yaml", CONFIG.replace("net.py:Net", "package:Net"))
    empty.write(".gitignore", "__pycache__\n")
    empty.commit()
    empty.git("checkout", "--quiet", "-b", "branch")
    empty.edit("ci/package/__init__.py", "width=8", "width=16")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    config = str(empty.folder / "ci/costcalc.yaml")
    code, printed = empty.run("check", "--allow-code", "--config", config, "--base", "main", "--trace-base")
    assert code == 1 and "since main, 2% allowed" in printed and "width: out_channels 8→16" in printed
