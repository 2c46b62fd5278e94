"""What is printed for GitHub, GitLab, CI servers and code scanning; and that hostile names stay names."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from throwaway import Repository

from costcalc.backends import escape
from costcalc.backends.budget.comment import MARKER, MOST, cut

HOSTILE = "x|<b>@team #1 ::error::y [a](https://evil) `z` \u202e"
CONFIG = """\
version: 1
models:
  - name: backbone
    model: configs/backbone.yaml
    budgets:
      macs: {max: 20 M, max_increase: 1%}
      params: {max_increase: 0.1%, level: warn}
      storage: 1 GiB
      receptive_field: {min: 10}
    message: "Over budget? See docs/edge-target.md"
exempt: [{model: backbone, metric: receptive_field, until: 2099-01-01, reason: none}]
"""


@pytest.fixture
def changed(repository: Repository) -> Repository:
    """A repository whose model is over its budgets since the last commit."""
    repository.write("costcalc.yaml", CONFIG)
    repository.commit()
    repository.edit("configs/backbone.yaml", "(width, 7, stride=2)", "(width, 9, stride=2)")
    return repository


def test_github_annotations_are_at_the_edited_line(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "github")
    assert code == 1
    commands = [line for line in printed.splitlines() if line.startswith("::")]
    assert len(commands) == 3
    first = "::error file=configs/backbone.yaml,line=21,title=backbone%3A macs::"
    assert commands[0].startswith(first) and commands[1].startswith(first)
    assert commands[2].startswith("::warning file=configs/backbone.yaml,line=21,title=backbone%3A params::")
    assert "%0A+1.57 M  kernel: kernel 7→9, padding 3→4 (stem.conv)" in commands[0]
    assert commands[0].endswith("%0AOver budget? See docs/edge-target.md")


@pytest.mark.parametrize("where", ["above", "inside"])
def test_a_config_in_a_folder_is_annotated_with_the_files_of_the_repository(
    changed: Repository, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    changed.write("ci/costcalc.yaml", CONFIG.replace("configs/backbone.yaml", "../configs/backbone.yaml"))
    if where == "inside":
        monkeypatch.chdir(changed.folder / "ci")
    config = ["--config", "ci/costcalc.yaml"] if where == "above" else []
    _, printed = changed.run("check", *config, "--base", "HEAD", "--format", "github")
    assert printed.startswith("::error file=configs/backbone.yaml,line=21,title=")
    _, printed = changed.run("check", *config, "--base", "HEAD", "--format", "gitlab")
    assert {issue["location"]["path"] for issue in json.loads(printed)} == {"configs/backbone.yaml"}
    # People are shown the file as they see it from where they are.
    _, printed = changed.run("check", *config, "--base", "HEAD")
    path = "configs/backbone.yaml" if where == "above" else "../configs/backbone.yaml"
    assert f"  {path}:21\n" in printed and "ci/.." not in printed


def test_the_lines_of_a_model_are_aligned(repository: Repository) -> None:
    repository.write("costcalc.yaml", CONFIG.replace("20 M", "1 G"))
    _, printed = repository.run("check", "--base", "HEAD")
    starts = [len(found[0]) for found in re.finditer(r"^ok      backbone: \w+ +", printed, re.M)]
    assert len(starts) == 5 and set(starts) == {len("ok      backbone: receptive_field  ")}


def test_github_shows_ten_at_most_and_writes_the_summary(changed: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    setups = ", ".join(f"{{input: 3x{n}x{n}}}" for n in range(64, 256, 16))
    changed.edit("costcalc.yaml", "    budgets:\n", f"    at: [{setups}]\n    budgets:\n")
    summary = changed.write("summary.md", "before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    _, printed = changed.run("check", "--base", "HEAD", "--format", "github")
    commands = [line for line in printed.splitlines() if line.startswith("::")]
    assert len([c for c in commands if c.startswith(("::error", "::warning"))]) == 10
    assert commands[-1].startswith("::notice") and "26 more" in commands[-1]
    # The most exceeded first: the largest image.
    assert "3x240x240" in commands[0]
    assert summary.read_text().startswith(f"before\n{MARKER}\n")


def test_two_measurements_of_a_model_are_told_apart(changed: Repository) -> None:
    at = "    at: [{input: 3x64x64}, {input: 3x64x64, fold_norm: true}]\n"
    changed.edit("costcalc.yaml", "    budgets:\n", f"{at}    budgets:\n")
    _, printed = changed.run("check", "--base", "HEAD", "--format", "markdown")
    found = re.findall(r"<details><summary>(.*?): 1 layer changed", printed)
    assert found == ["backbone at 3x64x64", "backbone at 3x64x64, norms folded"]


def test_the_comment_says_verdict_table_causes_and_what_to_do(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "markdown")
    assert code == 1
    lines = printed.splitlines()
    assert lines[0] == MARKER
    assert lines[1] == "### ❌ costcalc: 2 budgets exceeded, 1 warning, 2 met"
    (row,) = [line for line in lines if line.startswith("| backbone |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "30.2 M (+5.5 %)<br>**10.2 M over**"
    assert cells[2] == "179 k (+0.9 %)"
    assert re.fullmatch(r"[\d.]+ MiB \(\+0\.\d %\)<br>[\d.]+ (MiB|GiB) left", cells[3])
    (why,) = [line for line in lines if line.startswith("- **+1.57 M MACs, +1.54 k params** kernel: ")]
    assert why.endswith("kernel 7→9, padding 3→4 (stem.conv) — configs/backbone.yaml&#58;21")
    assert "<details><summary>backbone: 1 layer changed, 0 added, 0 removed</summary>" in lines
    assert any(line.startswith("<sub>") and "uncounted; not verified in this run" in line for line in lines)
    assert lines[-1].startswith("**What to do:** undo a cause above")
    assert len(printed) < MOST


def test_a_comment_on_nothing_changed_is_short(repository: Repository) -> None:
    repository.write("costcalc.yaml", "version: 1\nmodels: [{model: configs/backbone.yaml, budgets: {macs: 1 G}}]\n")
    repository.commit()
    code, printed = repository.run("check", "--base", "HEAD", "--format", "markdown")
    assert code == 0
    assert "### ✅ costcalc: the budget is met" in printed and "No model changed." in printed


def test_a_comment_stays_below_the_limit_however_large_the_change(repository: Repository) -> None:
    repository.write("costcalc.yaml", "version: 1\nmodels: [{model: configs/backbone.yaml, budgets: {macs: 1 G}}]\n")
    repository.commit()
    repository.edit("configs/backbone.yaml", "depths: [2, 2, 2]", "depths: [200, 200, 200]")
    _, printed = repository.run("check", "--base", "HEAD", "--format", "markdown")
    assert len(printed) < MOST
    assert "more layers …" in printed and printed.startswith(MARKER) and "**What to do:**" in printed


@given(
    st.lists(st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=30), max_size=60),
    st.integers(80, 400),
)
def test_a_cut_keeps_both_ends_within_the_limit(lines: list[str], most: int) -> None:
    text = "\n".join(lines)
    short = cut(text, most)
    assert len(short) <= most
    assert short == text or "lines left out …" in short


def test_a_cut_closes_what_it_opened() -> None:
    text = "\n".join(["head", "<details>", *["row"] * 100, "</details>", "tail"])
    short = cut(text, 200)
    assert short.count("<details>") == short.count("</details>") == 1
    assert short.index("</details>") < short.index("left out")


def test_junit_is_read_by_an_xml_parser(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "junit")
    assert code == 1
    root = ElementTree.fromstring(printed)
    assert root.tag == "testsuites" and root.attrib["tests"] == "5" and root.attrib["failures"] == "2"
    (suite,) = root
    cases = list(suite)
    assert [case.attrib["name"] for case in cases] == [
        "macs max", "macs max_increase", "params max_increase", "storage max", "receptive_field min",
    ]  # fmt: skip
    failed = [case for case in cases if case.find("failure") is not None]
    assert len(failed) == int(suite.attrib["failures"]) == 2
    assert failed[0].attrib["file"] == "configs/backbone.yaml" and failed[0].attrib["line"] == "21"
    assert "kernel 7→9" in str(failed[0].findtext("failure"))


def test_sarif_has_what_the_standard_requires(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "sarif")
    assert code == 1
    log = json.loads(printed)
    check_sarif(log)
    results = log["runs"][0]["results"]
    assert [(r["ruleId"], r["level"]) for r in results] == [
        ("macs/max", "error"), ("macs/max_increase", "error"), ("params/max_increase", "warning"),
    ]  # fmt: skip
    location = results[0]["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "configs/backbone.yaml"}, "region": {"startLine": 21}}


def check_sarif(log: dict[str, Any]) -> None:
    """The properties that sections 3.13 to 3.54 of SARIF 2.1.0 require of the objects that we write."""
    assert log.keys() == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    for run in log["runs"]:
        assert run.keys() <= {"tool", "results", "columnKind"} and run["tool"]["driver"]["name"]
        assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
        rules = run["tool"]["driver"]["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for result in run["results"]:
            assert result["message"]["text"] and result["level"] in ("none", "note", "warning", "error")
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert all(isinstance(v, str) for v in result["partialFingerprints"].values())
            for suppression in result.get("suppressions", []):
                assert suppression["kind"] in ("inSource", "external")
            for location in result.get("locations", []):
                physical = location["physicalLocation"]
                assert (
                    "\\" not in physical["artifactLocation"]["uri"] and " " not in physical["artifactLocation"]["uri"]
                )
                assert physical["region"]["startLine"] >= 1


def test_gitlab_issues_have_what_it_requires(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "gitlab")
    assert code == 1
    issues = json.loads(printed)
    assert [issue["severity"] for issue in issues] == ["major", "major", "minor"]
    assert len({issue["fingerprint"] for issue in issues}) == 3
    for issue in issues:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["location"] == {"path": "configs/backbone.yaml", "lines": {"begin": 21}}


def test_a_fingerprint_stays_when_the_amount_changes(changed: Repository) -> None:
    def prints() -> list[str]:
        return [i["fingerprint"] for i in json.loads(changed.run("check", "--base", "HEAD", "--format", "gitlab")[1])]

    before = prints()
    changed.edit("configs/backbone.yaml", "(width, 9, stride=2)", "(width, 11, stride=2)")
    assert sorted(prints()) == sorted(before)


def test_json_has_every_verdict_and_the_diff(changed: Repository) -> None:
    code, printed = changed.run("check", "--base", "HEAD", "--format", "json")
    found = json.loads(printed)
    assert (found["schema"], found["exit_code"], code) == (1, 1, 1)
    assert [v["status"] for v in found["verdicts"]] == ["fail", "fail", "warn", "ok", "ok"]
    verdict = found["verdicts"][0]
    assert (verdict["value"], verdict["limit"], verdict["over"]) == (30_196_352, 20_000_000, 10_196_352)
    (cause,) = found["models"][0]["diff"]["causes"]
    assert cause["kind"] == "kernel" and cause["effect"]["macs"] == 1_572_864
    # Numbers in a JSON of ours are numbers that JSON has.
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("format", ["table", "json", "markdown", "github", "junit", "sarif", "gitlab"])
def test_hostile_names_stay_names(repository: Repository, format: str) -> None:
    quoted = json.dumps(HOSTILE)
    model = f"  - {{name: {quoted}, model: lenet5, message: {quoted}, budgets: {{macs: 1}}}}"
    text = f"version: 1\nmodels:\n{model}\n"
    repository.write("costcalc.yaml", text)
    code, printed = repository.run("check", "--format", format)
    assert code == 1
    ours = ("::error file=costcalc.yaml", "::error title=", "::notice")
    assert not [line for line in printed.splitlines() if line.lstrip().startswith("::") and not line.startswith(ours)]
    if format in ("json", "sarif", "gitlab"):
        json.loads(printed)
    elif format == "junit":
        ElementTree.fromstring(printed)
    elif format == "markdown":
        assert not re.search(r"<b>|@team|\u202e|(?<!\\)\]\(|https://|(?<!&)#1", printed)


@given(st.text(max_size=60))
def test_nothing_gets_out_of_a_cell_of_markdown(text: str) -> None:
    escaped = escape.markdown(text)
    assert not re.search(r"[<>|`@\n\r]|(?<!\\)[*_\[\]~]|(?<!&)#", escaped)


@given(st.text(max_size=60))
def test_nothing_gets_out_of_a_workflow_command(text: str) -> None:
    assert not re.search(r"[\r\n:,]", escape.workflow_property(text))
    assert not re.search(r"[\r\n]", escape.workflow_data(text))
    shown = escape.visible(text)
    assert not shown.lstrip().startswith("::") and "##[" not in shown


@given(st.text(max_size=60))
def test_any_text_is_well_formed_in_xml(text: str) -> None:
    ElementTree.fromstring(f'<a b="{escape.xml(text)}">{escape.xml(text)}</a>')


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    assert escape.spreadsheet("=1+1") == "'=1+1" and escape.spreadsheet("@x") == "'@x"
    assert escape.spreadsheet("+") == "+" and escape.spreadsheet(-3) == -3 and escape.spreadsheet(None) == ""


@pytest.mark.parametrize("stops", ["", "--strict", "--fail-on"])
def test_what_ends_a_check_is_a_failure_in_every_format(repository: Repository, stops: str) -> None:
    """What is not checked with --strict, and warnings with --fail-on warn: a server that reads a file sees them too."""
    what = {"": "", "--strict": "unchecked", "--fail-on": "warn"}[stops]
    budget = "{max_increase: 1%}" if what != "warn" else "{max: 1 M, level: warn}"
    repository.write(
        "costcalc.yaml", f"version: 1\nmodels: [{{model: configs/backbone.yaml, budgets: {{macs: {budget}}}}}]\n"
    )
    options = [stops, *["warn"] * (what == "warn")] if stops else []

    def printed(format: str) -> str:
        code, text = repository.run("check", "--format", format, *options)
        assert code == {"": 0, "unchecked": 4, "warn": 1}[what]
        return text

    suite = ElementTree.fromstring(printed("junit").encode())
    assert (suite.get("failures"), len(suite.findall(".//failure"))) == (("1", 1) if stops else ("0", 0))
    assert [issue["severity"] for issue in json.loads(printed("gitlab"))] == (["major"] if stops else ["info"])
    (result,) = json.loads(printed("sarif"))["runs"][0]["results"]
    assert result["level"] == ("error" if stops else "warning")
    assert printed("github").startswith("::error " if stops else "::warning ")
    assert ("with --strict that fails: the exit code is 4" in printed("table")) is (what == "unchecked")
