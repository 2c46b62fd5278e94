"""``costcalc history``: figures over commits, of specs by reading git's objects, of code by the lock of each commit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from throwaway import Repository

from costcalc.analysis.records import Report
from costcalc.budget.lock import lock_text, parse_lock

SPEC = """\
name: small
parameters: {width: 4}
inputs: {image: [3, 8, 8]}
layers:
  - conv: conv(width, 3, padding=1)
  - head: linear(2)
"""


def macs(width: int) -> int:
    """3·9 taps of each channel on 8×8 places, and 2 outputs for each of 8 columns of each row and channel."""
    return width * 27 * 64 + width * 8 * 8 * 2


@pytest.fixture
def team(empty: Repository) -> Repository:
    """A spec of 4, 8 and 16 channels in three commits, a broken one between them, and a commit of something else."""
    empty.write("a.yaml", SPEC)
    empty.commit("first")
    empty.git("tag", "v1.0")
    empty.edit("a.yaml", "width: 4", "width: 8")
    empty.commit("wider")
    empty.write("README", "about\n")
    empty.commit("nothing of the model")
    empty.edit("a.yaml", "padding=1", "padding=1, oops=3")
    empty.commit("broken")
    empty.edit("a.yaml", "padding=1, oops=3", "padding=1")
    empty.edit("a.yaml", "width: 8", "width: 16")
    empty.commit("wider still | @team ::error::x")
    return empty


def rows(printed: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(printed)))


def test_a_spec_over_the_commits_that_touched_it(team: Repository) -> None:
    code, printed = team.run("history", "a.yaml", "--figure", "macs,params", "--format", "csv")
    assert code == 0
    found = rows(printed)
    assert [row["macs"] for row in found] == [str(macs(4)), str(macs(8)), "", str(macs(16))]
    assert found[2]["subject"] == "broken" and "oops" in found[2]["reason"] and found[0]["reason"] == ""
    assert found[0]["commit"] == team.git("rev-parse", "v1.0").strip()


def test_the_table_has_changes_and_a_chart(team: Repository) -> None:
    code, printed = team.run("history", "a.yaml")
    assert code == 0
    lines = printed.splitlines()
    assert lines[0] == "a.yaml: 4 commits that touched it, from a.yaml"
    assert [line.split()[-1] for line in lines[3:5]] == ["first", "wider"]
    assert "+100.0 %" in lines[4] and "+100.0 %" in lines[6]
    assert any(line.endswith("oops'; it has kernel, dilation, bias …") or "oops" in line for line in lines[7:9])
    top = next(line for line in lines if line.startswith("MACs"))
    assert "┤" in top and top.count("█") == 5  # only the last reaches the top
    bottom = next(line for line in lines if line.lstrip().startswith("0 ┤"))
    assert bottom.count("█") == 15  # three of them begin at 0


def test_since_a_revision(team: Repository) -> None:
    code, printed = team.run("history", "a.yaml", "--since", "v1.0", "--format", "json")
    found = json.loads(printed)
    assert code == 0 and found["schema"] == 1
    assert [row["subject"] for row in found["commits"]][:2] == ["wider", "broken"]
    assert found["commits"][0]["figures"] == {"macs": macs(8), "params": 8 * 28 + 2 * 64 * 0 + 8 * 2 + 2}
    assert "git knows no revision 'v2'" in team.fails("history", "a.yaml", "--since", "v2")


def test_a_file_of_blocks_belongs_to_the_specs_that_use_it(team: Repository) -> None:
    team.write("parts.yaml", "blocks:\n  part(n):\n    - conv: conv(n, 3)\n")
    team.write("b.yaml", "name: b\nuse: [parts.yaml]\ninputs: {image: [3, 8, 8]}\nlayers:\n  - a: part(4)\n")
    team.commit("two files")
    team.edit("parts.yaml", "conv(n, 3)", "conv(n, 5)")
    team.commit("larger kernel")
    found = rows(team.run("history", "b.yaml", "--format", "csv")[1])
    assert [row["macs"] for row in found] == [str(4 * 27 * 36), str(4 * 75 * 16)]


def test_subjects_of_commits_are_escaped(team: Repository) -> None:
    printed = team.run("history", "a.yaml", "--format", "markdown")[1]
    assert "| @team" not in printed and printed.count("| `") == 4
    for format in ("table", "csv", "json", "markdown"):
        for line in team.run("history", "a.yaml", "--format", format)[1].splitlines():
            assert not line.lstrip().startswith("::")


def test_setups_and_names_of_the_config(team: Repository) -> None:
    config = "version: 1\nmodels:\n  - {name: small, model: a.yaml, at: [{input: 3x8x8}, {input: 3x16x16}]}\n"
    team.write("costcalc.yaml", config)
    found = rows(team.run("history", "small", "--format", "csv")[1])
    assert [row["at"] for row in found] == ["3x8x8"] * 4 + ["3x16x16"] * 4
    assert int(found[4]["macs"]) > int(found[0]["macs"])
    told = team.fails("history", "smal")
    assert told.startswith("costcalc.yaml has no model 'smal' (did you mean 'small'?)")
    found = rows(team.run("history", "a.yaml", "--input", "3x4x4", "--format", "csv")[1])
    assert {row["at"] for row in found} == {"3x4x4"}


NET = """\
from torch import nn

class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 8)
"""


@pytest.fixture
def code(empty: Repository) -> Repository:
    """A model that is code, whose lock three commits changed, one of them for another model."""
    pytest.importorskip("torch.nn")
    empty.write(".gitignore", "__pycache__\n")
    empty.write("net.py", NET)
    empty.write("costcalc.yaml", "version: 1\nmodels:\n  - {name: net, model: 'net.py:Net', at: [{input: 4}]}\n")
    for subject, width in (("first", 8), ("wider", 16), ("as before", 16)):
        text = NET.replace("4, 8", f"4, {width}")
        empty.write("net.py", text + f"# {subject}\n")
        if subject == "as before":
            more = empty.read("costcalc.yaml") + "  - {name: other, model: lenet5}\n"
            empty.write("costcalc.yaml", more)
        assert empty.run("lock", "--update", "--allow-code")[0] == 0
        empty.commit(subject)
    return empty


def test_code_over_the_locks_of_commits_and_nothing_runs(code: Repository) -> None:
    code.write("net.py", "raise SystemExit('it ran')\n")
    for name in ("net", "net.py:Net"):
        done, printed = code.run("history", name, "--format", "csv")
        found = rows(printed)
        assert done == 0 and [row["macs"] for row in found] == ["32", "64"], printed
        assert [row["subject"] for row in found] == ["first", "wider"]
    assert code.run("history", "net", "--figure", "traffic,flops")[0] == 0  # a sum that it keeps, and one it does not
    assert "costcalc.lock does not keep time" in code.fails("history", "net", "--figure", "macs,time")
    assert "which has it at 4" in code.fails("history", "net", "--input", "9")


def test_locks_that_cannot_be_read_are_told(code: Repository) -> None:
    code.write("costcalc.lock", "{")
    code.commit("broken")
    found = rows(code.run("history", "net", "--format", "csv")[1])
    assert found[-1]["macs"] == "" and "not a lock of costcalc" in found[-1]["reason"]
    code.git("rm", "--quiet", "costcalc.lock")
    code.commit("gone")
    assert rows(code.run("history", "net", "--format", "csv")[1])[-1]["reason"] == "there is no lock"


def test_what_has_no_history(empty: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert "is not a spec's path, and there is no costcalc.yaml" in empty.fails("history", "resnet50")
    empty.write("a.yaml", SPEC)
    assert "git knows no revision" in empty.fails("history", "a.yaml")
    empty.commit()
    empty.write("b.yaml", SPEC)
    assert empty.run("history", "b.yaml")[1].startswith("b.yaml: 0 commits that touched it")
    outside = tmp_path_factory.mktemp("outside") / "a.yaml"
    Path(outside).write_text(SPEC, encoding="utf-8")
    assert "is not in a git repository" in empty.fails("history", str(outside))
    assert "no figure called 'mac'" in empty.fails("history", "a.yaml", "--figure", "mac")


def test_figures_that_are_no_more_than_bounds_say_so(team: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "mark", lambda self, figure: "≥" if figure == "macs" else "")
    first = json.loads(team.run("history", "a.yaml", "--format", "json")[1])["commits"][0]
    assert first["figures"]["macs"] == macs(4) and first["marks"] == {"macs": "≥"}
    assert rows(team.run("history", "a.yaml", "--format", "csv")[1])[0]["marks"] == "≥ macs"
    assert "≥ 7.42 k" in team.run("history", "a.yaml")[1]
    assert "| ≥ 7.42 k |" in team.run("history", "a.yaml", "--format", "markdown")[1]


def test_so_do_those_of_locks_with_layers_without_a_rule(code: Repository) -> None:
    lock = parse_lock((code.folder / "costcalc.lock").read_bytes(), "x")
    entry = lock.entries["net", "4"]
    bound = entry._replace(graph="sha256:" + "0" * 64, figures={**entry.figures, "uncounted": 2})
    code.write("costcalc.lock", lock_text(lock._replace(entries={("net", "4"): bound})))
    code.commit("two without a rule")
    asked = ("history", "net", "--figure", "macs,uncounted", "--format", "json")
    *exact, last = json.loads(code.run(*asked)[1])["commits"]
    assert [row["marks"] for row in exact] == [{}, {}] and last["marks"] == {"macs": "≈"}


def test_a_commit_without_a_figure_is_a_dot_in_the_chart_and_told_in_markdown(team: Repository) -> None:
    lines = team.run("history", "a.yaml", "--figure", "macs")[1].splitlines()
    bottom = next(line for line in lines if line.lstrip().startswith("0 ┤"))
    assert bottom.count("·") == 5 and sum(line.count("·") for line in lines if "│" in line or "┤" in line) == 5
    assert "oops" in team.run("history", "a.yaml", "--format", "markdown")[1]
