"""The action's own steps, run here against a throwaway repository with a stand-in for the ``gh`` client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from throwaway import Repository

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action"
GH = """\
#!{python}
# A stand-in for GitHub's client: keeps comments in a file, and writes down what it was asked.
import json, os, sys
args = sys.argv[1:]
store = os.environ["GH_STORE"]
state = json.load(open(store))
state["calls"].append(args)
path = next(a for a in args if a.startswith("repos/"))
method = args[args.index("--method") + 1] if "--method" in args else "GET"
if path.endswith("/pulls"):
    head = next(a for a in args if a.startswith("head=")).removeprefix("head=")
    for pull in state["pulls"]:
        if pull["head"] == head and pull["sha"] == os.environ["HEAD_SHA"]:
            print(pull["number"])
elif path.endswith("/artifacts"):
    for artifact in state.get("artifacts", {{}}).get(path.split("/")[-2], []):
        if artifact["name"] == "costcalc-report" and not artifact.get("expired"):
            print(artifact["id"])
elif method == "GET":
    for c in state["comments"]:
        if c["user"] == os.environ["AUTHOR"] and c["body"].startswith("<!-- costcalc check -->"):
            print(c["id"])
else:
    body = open(next(a for a in args if a.startswith("body=@")).removeprefix("body=@"), encoding="utf-8").read()
    if method == "POST":
        state["comments"].append({{"id": 100 + len(state["comments"]), "user": "github-actions[bot]", "body": body}})
    else:
        next(c for c in state["comments"] if str(c["id"]) == path.rsplit("/", 1)[1])["body"] = body
json.dump(state, open(store, "w"))
"""
CONFIG = "version: 1\nmodels: [{name: backbone, model: configs/backbone.yaml, budgets: {macs: {max_increase: 1%}}}]\n"


class Runner:
    """What GitHub's runner gives to a step: files for its outputs, and variables."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        tools = folder / "bin"
        tools.mkdir()
        self._tool(tools / "gh", GH.format(python=sys.executable))
        self.store, self.output, self.summary = folder / "gh.json", folder / "output", folder / "summary.md"
        self.store.write_text(json.dumps({"comments": [], "pulls": [], "calls": []}))
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "COSTCALC_"))},
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable, "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "team/models", "GH_TOKEN": "none", "GH_STORE": str(self.store),
        }  # fmt: skip

    @staticmethod
    def _tool(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def step(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        self.output.write_text("")
        environment = {**self.environment, **variables}
        return subprocess.run(
            ["bash", str(ACTION / script)], cwd=self.repository.folder, env=environment, capture_output=True, text=True
        )

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())

    @property
    def state(self) -> Any:
        return json.loads(self.store.read_text())

    def remember(self, **changes: Any) -> None:
        self.store.write_text(json.dumps(self.state | changes))


@pytest.fixture
def runner(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner on a branch that exceeds its budget; origin is another clone, which has main."""
    repository.write("costcalc.yaml", CONFIG)
    repository.commit()
    origin = tmp_path_factory.mktemp("origin")
    repository.git("clone", "--quiet", "--bare", ".", str(origin))
    repository.git("remote", "add", "origin", str(origin))
    repository.git("checkout", "--quiet", "-b", "wider")
    repository.edit("configs/backbone.yaml", "(width, 7, stride=2)", "(width, 9, stride=2)")
    repository.commit()
    return Runner(repository, tmp_path_factory.mktemp("runner"))


def test_check_annotates_summarises_and_leaves_the_comment(runner: Runner) -> None:
    # origin/main is not there yet: the step fetches it.
    done = runner.step("check.sh", CONFIG="", BASE="", BASE_REF="main", ARGS="")
    assert done.returncode == 0, done.stderr
    assert "::error file=configs/backbone.yaml,line=21," in done.stdout
    assert runner.outputs()["exit-code"] == "1"
    comment = Path(runner.outputs()["comment-file"]).read_text()
    assert comment.startswith("<!-- costcalc check -->\n### ❌ costcalc: 1 budget exceeded")
    assert "since origin/main" in comment
    assert runner.summary.read_text() == comment


def test_check_passes_on_what_the_workflow_says(runner: Runner) -> None:
    runner.repository.git("mv", "costcalc.yaml", "budgets with blank.yaml")
    done = runner.step(
        "check.sh", CONFIG="budgets with blank.yaml", BASE="HEAD", BASE_REF="", ARGS="--strict --fail-on warn"
    )
    assert done.returncode == 0, done.stderr
    assert runner.outputs()["exit-code"] == "0" and "the budget is met" in done.stdout
    assert "No model changed." in Path(runner.outputs()["comment-file"]).read_text()


def test_bad_input_has_code_2_and_a_comment_that_says_where_to_look(runner: Runner) -> None:
    runner.repository.edit("configs/backbone.yaml", "linear(10)", "lineer(10)")
    done = runner.step("check.sh", BASE="HEAD")
    assert done.returncode == 0 and runner.outputs()["exit-code"] == "2"
    assert "did you mean 'linear'?" in done.stderr
    assert "cannot be read" in Path(runner.outputs()["comment-file"]).read_text()


def test_a_working_directory_that_leads_out_of_the_checkout_is_not_used(
    runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside, checkout = tmp_path_factory.mktemp("outside"), str(runner.repository.folder)
    (outside / "costcalc.yaml").write_text("secret: words\n")
    (runner.repository.folder / "models").symlink_to(outside, target_is_directory=True)
    place = {"GITHUB_WORKSPACE": checkout, "WORKING_DIRECTORY": f"{checkout}/models"}
    done = runner.step("check.sh", CONFIG="", BASE="", BASE_REF="", ARGS="", **place)
    assert done.returncode == 1 and "leads out of the checkout" in done.stderr and "secret" not in done.stderr
    done = runner.step("check.sh", CONFIG="", BASE="", BASE_REF="", ARGS="", GITHUB_WORKSPACE=checkout)
    assert done.returncode == 0, done.stderr


def test_a_branch_name_is_no_command(runner: Runner) -> None:
    marker = runner.folder / "ran"
    done = runner.step("check.sh", BASE_REF=f"$(touch {marker})")
    assert done.returncode != 0 and not marker.exists()


def test_the_comment_is_made_once_and_then_updated(runner: Runner) -> None:
    stranger = {"id": 7, "user": "stranger", "body": "<!-- costcalc check -->\nmine"}
    runner.remember(comments=[stranger])
    body = runner.folder / "comment.md"
    for text in ("first", "second"):
        body.write_text(f"<!-- costcalc check -->\n{text} ❌\n")
        done = runner.step("comment.sh", COMMENT_FILE=str(body), NUMBER="12")
        assert done.returncode == 0, done.stderr
    assert [c["body"] for c in runner.state["comments"]] == [stranger["body"], "<!-- costcalc check -->\nsecond ❌\n"]
    assert all("repos/team/models/issues/" in " ".join(call) for call in runner.state["calls"])


@pytest.mark.parametrize(
    ("number", "body"),
    [("12; touch x", "<!-- costcalc check -->\n"), ("", "<!-- costcalc check -->\n"), ("12", "something else\n"),
     ("12", "<!-- costcalc check -->\n" + "x" * 66_000)],
)  # fmt: skip
def test_nothing_is_posted_that_is_no_comment_of_ours(runner: Runner, number: str, body: str) -> None:
    file = runner.folder / "comment.md"
    file.write_text(body)
    done = runner.step("comment.sh", COMMENT_FILE=str(file), NUMBER=number)
    assert done.returncode == 1 and done.stderr.startswith("costcalc: ")
    assert runner.state["calls"] == []


def test_the_second_workflow_finds_the_pull_request_by_its_head(runner: Runner) -> None:
    pulls = [{"number": 3, "head": "fork:wider", "sha": "old"}, {"number": 4, "head": "fork:wider", "sha": "new"}]
    runner.remember(pulls=pulls)
    for sha, number in (("new", "4"), ("none", "")):
        done = runner.step("find_pull_request.sh", HEAD_OWNER="fork", HEAD_BRANCH="wider", HEAD_SHA=sha)
        assert done.returncode == 0, done.stderr
        assert runner.outputs() == {"number": number}


def steps(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / path).read_text())["runs"]["steps"]
    return found


@pytest.mark.parametrize("path", ["action.yml", "action/comment/action.yml"])
def test_no_step_puts_an_expression_into_a_script(path: str) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step
        if "run" in step:
            assert step["shell"] == "bash"


def test_every_script_that_a_step_runs_is_there() -> None:
    named = [
        step["run"] for path in ("action.yml", "action/comment/action.yml") for step in steps(path) if "run" in step
    ]
    scripts = [run.split("$SCRIPTS/")[1].split('"')[0] for run in named if "$SCRIPTS/" in run]
    assert sorted({*scripts}) == [
        "check.sh",
        "comment.sh",
        "find_pull_request.sh",
        "find_report.sh",
        "install.sh",
        "render.py",
    ]
    assert all((ACTION / script).is_file() for script in scripts)


def test_every_input_is_used_and_every_used_input_is_one() -> None:
    import re

    text = (ROOT / "action.yml").read_text()
    declared = set(yaml.safe_load(text)["inputs"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == declared


def test_the_workflow_that_runs_a_stranger_s_code_can_write_nothing() -> None:
    first = yaml.safe_load((ROOT / ".github/workflows/costcalc.yml").read_text())
    second = yaml.safe_load((ROOT / ".github/workflows/costcalc-comment.yml").read_text())
    # YAML 1.1 takes the key `on` for True.
    assert "pull_request" in first[True] and "pull_request_target" not in first[True]
    assert first["permissions"] == {"contents": "read"}
    assert second["permissions"]["pull-requests"] == "write" and list(second[True]) == ["workflow_run"]
    checkouts = [s for s in second["jobs"]["comment"]["steps"] if "checkout" in s.get("uses", "")]
    assert all("ref" not in s.get("with", {}) for s in checkouts)


def test_the_hooks_are_commands_that_there_are() -> None:
    from costcalc.cli.commands import COMMANDS

    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        program, command, *_ = hook["entry"].split()
        assert program == "costcalc" and command in COMMANDS and hook["language"] == "python"


def test_no_step_beside_a_stranger_s_files_holds_a_token() -> None:
    text = (ROOT / "action.yml").read_text()
    assert "token" not in text.replace("A token that can write", "").lower()
    assert not any("checkout" in step.get("uses", "") for step in steps("action/comment/action.yml"))


@pytest.mark.parametrize("path", ["action.yml", "action/comment/action.yml"])
def test_every_step_runs_outside_the_checkout_and_python_isolated(path: str) -> None:
    for step in steps(path):
        assert step.get("working-directory") == ("${{ runner.temp }}" if "run" in step else None), step
    for file in [ROOT / path, *ACTION.glob("*.sh")]:
        for line in file.read_text().splitlines():
            runs = line.strip().startswith(('"$python"', '"$PYTHON"', "python ", "exec", "run: '")) and "ython" in line
            assert not runs or " -I " in line, (file, line)


NAMES = (
    "costcalc",
    "typer",
    "json",
    "pip",
    "sitecustomize",
    "usercustomize",
    "yaml",
    "encodings",
    "venv",
    "jsonschema",
)


def _traps(runner: Runner) -> Path:
    """Modules in the checkout that would be imported from there, and the file that they would make."""
    marker = runner.folder / "ran"
    for name in NAMES:
        text = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
        runner.repository.write(f"{name}.py", text)
        runner.repository.write(f"configs/{name}/__init__.py", text)
    runner.environment["PYTHONPATH"] = f"{runner.repository.folder}{os.pathsep}{runner.repository.folder / 'configs'}"
    return marker


def test_no_file_of_the_checkout_is_imported(runner: Runner) -> None:
    marker = _traps(runner)
    done = runner.step("check.sh", BASE="HEAD")
    assert done.returncode == 0 and runner.outputs()["exit-code"] == "0", done.stderr
    assert not marker.exists()


def test_costcalc_is_installed_apart_from_the_checkout(runner: Runner) -> None:
    marker, log = _traps(runner), runner.folder / "log"
    Runner._tool(
        runner.folder / "bin/python",
        f"""#!/bin/sh
echo "$PWD $0 $*" >> {log}
case "$*" in
  *" venv "*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
esac
""",
    )
    for args, more in (("", False), ("--strict --allow-code", True)):
        done = runner.step("install.sh", PACKAGE="costcalc", ARGS=args)
        assert done.returncode == 0, done.stderr
        made, installed = log.read_text().splitlines()[-2:]
        assert made.startswith(f"{runner.folder} ") and " -I -m venv " in made
        assert ("--system-site-packages" in made) == more
        assert installed.startswith(f"{runner.folder} ") and " -I -m pip install " in installed
        assert runner.outputs() == {"python": f"{runner.folder}/costcalc-python/bin/python"}
    assert not marker.exists()


def _rendered(runner: Runner, record: Any, report: str = "") -> tuple[int, str, str]:
    """What the second workflow makes of a record: exit code, comment, and what is said."""
    file, page = runner.folder / "record.json", runner.folder / "page.md"
    page.unlink(missing_ok=True)
    file.write_text(record if isinstance(record, str) else json.dumps(record))
    done = subprocess.run(
        [sys.executable, "-I", str(ACTION / "render.py"), str(file), str(page), report],
        capture_output=True,
        text=True,
    )
    return done.returncode, page.read_text() if page.exists() else "", done.stderr


def test_the_second_workflow_makes_the_same_comment_anew(runner: Runner) -> None:
    assert runner.step("check.sh", BASE="HEAD~0", BASE_REF="").returncode == 0
    for base in ("HEAD", "HEAD~1"):
        assert runner.step("check.sh", BASE=base).returncode == 0
        record = Path(runner.outputs()["record-file"]).read_text()
        assert _rendered(runner, record) == (0, Path(runner.outputs()["comment-file"]).read_text(), "")


def test_check_leaves_a_page_and_none_where_it_could_not_check(runner: Runner) -> None:
    assert runner.step("check.sh", BASE="HEAD~1").returncode == 0
    page = Path(runner.outputs()["report-file"]).read_text()
    assert page.startswith("<!doctype html>") and "backbone: Causes" in page and "kernel 7→9" in page
    runner.repository.edit("configs/backbone.yaml", "linear(10)", "lineer(10)")
    assert runner.step("check.sh", BASE="HEAD").returncode == 0
    assert runner.outputs()["report-file"] == "" and not Path(runner.folder, "costcalc-report.html").exists()


def test_the_comment_links_to_the_page_by_what_github_says_of_the_run(runner: Runner) -> None:
    kept = [{"id": 5, "name": "other"}, {"id": 6, "name": "costcalc-report", "expired": True}]
    runner.remember(artifacts={"77": [*kept, {"id": 7, "name": "costcalc-report"}], "78": kept})
    server = "https://github.com"
    for run, address in (("77", f"{server}/team/models/actions/runs/77/artifacts/7"), ("78", ""), ("79", "")):
        done = runner.step("find_report.sh", RUN=run, GITHUB_SERVER_URL=server)
        assert done.returncode == 0, done.stderr
        assert runner.outputs() == {"address": address}
    assert runner.step("find_report.sh", RUN="7; touch x", GITHUB_SERVER_URL=server).returncode == 1
    assert runner.step("check.sh", BASE="HEAD~1").returncode == 0
    record = Path(runner.outputs()["record-file"]).read_text()
    _, plain, _ = _rendered(runner, record)
    code, comment, _ = _rendered(runner, record, f"{server}/team/models/actions/runs/77/artifacts/7")
    assert code == 0 and f"[The report]({server}/team/models/actions/runs/77/artifacts/7)" in comment
    assert "as you would run its code" in comment and "The report" not in plain
    for forged in ("javascript:alert(1)", "https://x) [y](https://z", "https://x\n# y", "http://x", "x" * 400):
        assert _rendered(runner, record, forged)[1] == plain


def test_of_an_artifact_nothing_is_trusted(runner: Runner) -> None:
    assert runner.step("check.sh", BASE="HEAD~1").returncode == 0
    record = json.loads(Path(runner.outputs()["record-file"]).read_text())

    def bad(change: Any) -> Any:
        copy = json.loads(json.dumps(record))
        change(copy)
        return copy

    for forged in (
        "", "[]", "{", "[" * 100_000, "<!-- costcalc check -->\nhello", {}, {"schema": 1, "exit_code": 0},
        bad(lambda r: r.update(schema=2)), bad(lambda r: r["verdicts"][0].update(status="<b>")),
        bad(lambda r: r["models"][0]["figures"].update(macs="<b>")), bad(lambda r: r["verdicts"][0].update(limit="1")),
        bad(lambda r: r["models"][0]["diff"]["layers"][0].update(mark="<img>")), bad(lambda r: r.update(notes="x")),
        json.dumps(record).replace(str(record["models"][0]["figures"]["macs"]), "1e999"), '"' + "x" * 17_000_000 + '"',
    ):  # fmt: skip
        code, page, said = _rendered(runner, forged)
        assert (code, page, said.count("\n")) == (1, "", 1), (str(forged)[:80], said)


def test_texts_of_an_artifact_are_escaped_and_bounded(runner: Runner) -> None:
    assert runner.step("check.sh", BASE="HEAD~1").returncode == 0
    record = json.loads(Path(runner.outputs()["record-file"]).read_text())
    evil = "@team </details> [x](https://example.org) ##[error] \n# x"

    def spoilt(tree: Any, key: str = "") -> Any:
        if isinstance(tree, dict):
            return {k: spoilt(v, k) for k, v in tree.items()}
        if isinstance(tree, list):
            return [spoilt(v) for v in tree]
        return evil if isinstance(tree, str) and key not in ("mark", "status", "rule", "metric") else tree

    record = spoilt(record)
    record["notes"] = [evil] * 900
    code, page, said = _rendered(runner, record)
    assert code == 0, said
    assert len(page) < 60_000 and page.startswith("<!-- costcalc check -->\n")
    assert not any(sign in page for sign in ("@team", "[x](", "https://", "##[error]", "\n# x"))
    assert page.count("</details>") == page.count("<details>") <= 1
