"""Help: every command has it, its examples are true, and the page of commands is made from it."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import pytest
from terminal import ROOT, process, run

from costcalc import load
from costcalc.cli.commands import COMMANDS
from costcalc.cli.reference import page
from costcalc.cli.typer_commands import application

SLOW = ("verify", "trace", "check", "lock", "init", "diff", "compare", "plot")  # their own tests run them
RUN = [
    line
    for name in COMMANDS
    for line in import_module(f"costcalc.cli.{name}").EXAMPLES
    if name not in SLOW and "my/" not in line and "--output" not in line
]


def test_the_page_of_commands_is_made_from_the_help() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert text == page(), "run `python -m costcalc.cli.reference > docs/cli.md`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_explained_and_shown_in_use(name: str) -> None:
    command = application().get_command(None, name)
    assert command.help
    assert all(parameter.help for parameter in command.params), [p.name for p in command.params if not p.help]
    examples = import_module(f"costcalc.cli.{name}").EXAMPLES
    assert examples
    assert all(line.startswith(f"costcalc {name}") and says for line, says in examples.items())


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_prints_its_help(capsys: pytest.CaptureFixture[str], name: str, flag: str) -> None:
    said = run(capsys, name, flag)
    assert said.code == 0
    usage = next(line.strip() for line in said.out.splitlines() if "Usage:" in line)
    assert f"    {usage.removeprefix('Usage: ')}\n" in page(), "the reference has the same line"
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_help_of_all_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "--help")
    assert said.code == 0
    assert all(re.search(rf"^│ {name} ", said.out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("line", RUN)
def test_examples_do_what_they_say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    if "--train" in line:
        pytest.importorskip("torch.nn")
    said = run(capsys, *shlex.split(line)[1:])
    assert (said.code, said.err) == (0, "")
    assert said.out


def test_examples_and_pages_set_parameters_that_the_models_have() -> None:
    pages = [page for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")] if page.name != "zoo.md"]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    told = {found.groups() for line in lines if (found := re.search(r"costcalc \w+ (\w+) --set (\w+)=", line))}
    assert ("mobilenet", "width") in told  # docs/verifying.md, and the help of analyze and verify
    assert all(name in load(model).parameters for model, name in told), told


def test_running_one_command_loads_no_other() -> None:
    code = "import sys; from costcalc.cli.dispatch import outcome; outcome(['list', 'lenet5']); "
    code += "print(*(m for m in sys.modules if m.startswith('costcalc.cli.')))"
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}
    assert loaded & set(COMMANDS) == {"list"}


def test_names_are_completed() -> None:
    def completed(line: str) -> set[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1 + line.endswith(" "))}
        return set(process(_COSTCALC_COMPLETE="complete_bash", **words).out.split())

    assert completed("costcalc an") == {"analyze"}
    assert {"resnet50", "resnet18"} <= completed("costcalc analyze resnet")
    assert {"a100", "a100_40gb"} == completed("costcalc analyze resnet50 --machine a1")
    assert "--depth" in completed("costcalc analyze --de")


@pytest.mark.parametrize(("name", "says"), [("plot", "'costcalc[plot]'"), ("verify", "'costcalc[verify]'")])
def test_brackets_in_a_help_stay(capsys: pytest.CaptureFixture[str], name: str, says: str) -> None:
    assert says in run(capsys, name, "--help").out
    assert says in (ROOT / "docs/cli.md").read_text(encoding="utf-8") and "\\[" not in says
