"""Plain command lines are read without Typer: what they mean is what Typer says that they mean, on many of them."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from terminal import ROOT, clean, process

from costcalc.cli import typer_commands
from costcalc.cli.commands import COMMANDS, find_command
from costcalc.cli.parameters import Command, CommandParameter
from costcalc.cli.plain import values
from costcalc.errors import CostcalcError

Given = dict[str, tuple[type, Any]]


def by_typer(monkeypatch: pytest.MonkeyPatch, name: str, args: list[str]) -> Given | None:
    """What Typer gives to each parameter, with its type; None if it finds a mistake or prints help."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(Command, "__call__", lambda self, **given: found.append(given))
    try:
        typer_commands.main([name, *args])
    except (CostcalcError, SystemExit):
        return None
    return {key: (type(value), value) for key, value in found[0].items()} if found else None


def plainly(name: str, args: list[str]) -> Given | None:
    """What the reader of plain lines gives to each parameter; None if it leaves the line to Typer."""
    command, _ = find_command(name)
    given = values(command, args)
    if given is None:
        return None
    whole = {key: given.get(key, p.default) for key, p in command.parameters.items()}
    return {key: (type(value), value) for key, value in whole.items()}


GOOD = [
    "1",
    "8",
    "3x8x8",
    "resnet50",
    "a=b",
    "1.5",
    "x y",
    "ä",
    "configs/net.yaml:v",
    "=",
    "a-b",
    "1_000",
    " 7",
    "+3",
    "1e3",
]
BAD = ["", "-", "--", "-1", "--bits", "-x", "0", "99999999999999999999", "nan", "inf", "None", "--help", "-h", "-b8"]
BAD += ["-fjson", "--format=", "--exact=1", "--no-exact", "--bit", "--version", "TABLE", "-ob", "-b=2"]


def right(parameter: CommandParameter, chance: random.Random) -> str:
    """A value that ``parameter`` is likely to take."""
    if issubclass(parameter.kind, Enum):
        return str(chance.choice([*parameter.kind]).value)
    if parameter.kind in (int, float):
        return str(chance.choice((1, 2, 16, 1000)))
    return chance.choice(GOOD)


def lines(name: str, count: int) -> Iterator[list[str]]:
    """Argument lists for the command: options and arguments in any order, some of them wrong."""
    command, _ = find_command(name)
    chance = random.Random(name)
    parameters = list(command.parameters.values())
    for _ in range(count):
        parts: list[list[str]] = []
        for p in chance.sample(parameters, chance.randint(0, min(6, len(parameters)))):
            times = chance.choice((1, 1, 1, 2)) if p.several or chance.random() < 0.1 else 1
            for _ in range(times):
                if not p.declared.names:
                    parts.append([right(p, chance)])
                elif p.kind is bool:
                    parts.append([chance.choice(p.declared.names)])
                else:
                    option, value = chance.choice(p.declared.names), right(p, chance)
                    parts.append([f"{option}={value}"] if chance.random() < 0.3 else [option, value])
        if chance.random() < 0.7:
            parts += [[right(p, chance)] for p in parameters if not p.declared.names and p.required]
            given = {text.partition("=")[0] for part in parts for text in part}
            needed = [p for p in parameters if p.required and p.declared.names and given.isdisjoint(p.declared.names)]
            parts += [[p.declared.names[0], right(p, chance)] for p in needed]
        chance.shuffle(parts)
        line = [text for part in parts for text in part]
        if chance.random() < 0.4:
            line.insert(chance.randint(0, len(line)), chance.choice((*GOOD, *BAD)))
        if line and chance.random() < 0.1:
            del line[chance.randrange(len(line))]
        yield line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_plain_line_means_what_it_means_to_typer(monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str) -> None:
    plain = 0
    for args in lines(name, 80):
        ours = plainly(name, args)
        if ours is not None:
            plain += 1
            assert ours == by_typer(monkeypatch, name, args), args
    assert plain >= 10, "most of what is right is plain"


@pytest.mark.parametrize("text", BAD)
def test_what_is_odd_is_left_to_typer(text: str) -> None:
    command, _ = find_command("analyze")
    assert values(command, ["resnet50", text]) is None or text in (
        "0",
        "99999999999999999999",
        "nan",
        "inf",
        "None",
        "TABLE",
    )
    assert values(command, ["resnet50", "--bits", text]) is None
    assert values(command, ["resnet50", "--format", text]) is None


@pytest.mark.parametrize(
    "line",
    ["analyze", "analyze lenet5 --bits x", "analyze lenet5 --bits -3", "compare lenet5 -f", "analyze lenet5 alexnet",
     "analyse lenet5", "analyze lenet5 --formt json", "--bogus", "", "--version", "analyze lenet5 --format yaml",
     "list --sort size", "list --machines", "show lenet5"],
)  # fmt: skip
def test_a_whole_command_says_the_same_either_way(line: str) -> None:
    args = line.split()
    ours = process(*args)
    code = "from costcalc.cli import main, plain; plain.values = lambda *_: None; main()"
    theirs = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, env=clean({}), capture_output=True, text=True, check=False
    )
    assert (ours.code, ours.out, ours.err) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_a_plain_line_imports_no_typer() -> None:
    code = "import sys; from costcalc.cli.dispatch import outcome; outcome(['analyze', 'lenet5', '--bits', '8']); "
    code += "print('typer' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"


def test_completion_is_typers() -> None:
    said = process(_COSTCALC_COMPLETE="complete_bash", COMP_WORDS="costcalc analyze --form", COMP_CWORD="2")
    assert said.out.split() == ["--format"]
