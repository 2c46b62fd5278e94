"""Words of other tools, and a model alone: one sentence that says which line to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from terminal import run

from costcalc.cli.commands import COMMANDS, find_command
from costcalc.cli.suggestions import MEANT, OPTIONS
from costcalc.cli.typer_commands import application

SAYS = {
    "summary resnet50": "no command called 'summary': write costcalc analyze resnet50",
    "profile net.py:Net --depth 2": "write costcalc analyze net.py:Net --depth 2",
    "summary": "write costcalc analyze MODEL",
    "resnet50": "no command called 'resnet50', which is a model: write costcalc analyze resnet50",
    "net.py:Net --input 3x32x32": "is a model: write costcalc analyze net.py:Net --input 3x32x32",
    "timm:resnet50": "is a model: write costcalc analyze timm:resnet50",
    "my/net.onnx": "is a model: write costcalc analyze my/net.onnx",
    "package.module:build": "is a model: write costcalc analyze package.module:build",
    "resnet51": "no command called 'resnet51' (did you mean costcalc analyze resnet",
    "analyse resnet50": "(did you mean 'analyze'?)",
    "flops resnet50": "write costcalc analyze resnet50 --flops",
    "machines": "write costcalc list --machines",
    "help": "write costcalc --help",
    "analyze resnet50 --json": "no such option: --json: write --format json",
    "analyze resnet50 --csv": "write --format csv",
    "analyze resnet50 --latex": "write --format latex",
    "compare resnet18 resnet34 --md": "write --format markdown",
    "compare resnet18 resnet34 --latex": "no such option: --latex",
    "analyze resnet50 --dtype float16": "element types are given by their width, --bits 16",
    "analyze resnet50 --dtype=torch.int8": "--bits 8",
    "memory resnet50 --fp16": "write --bits 16",
    "analyze resnet50 --input-size 3x32x32": "write --input 3x32x32",
    "analyze resnet50 --batch-size 8": "write --batch 8",
    "analyze resnet50 --gpu a100": "write --machine a100",
    "analyze resnet50 --gflops": "write --columns gflops",
    "lock --json": "no such option: --json",
    "memory lenet5 --flops": "no such option: --flops, which analyze, compare, diff, explain, formula have; see",
    "fits lenet5 --sram 320KB": "no such option: --sram: write --ram 320KB",
    "--json resnet50": "options follow a command and what it takes",
    "analyze resnet50 --nothing-like-it": "no such option: --nothing-like-it; see costcalc analyze --help",
}


@pytest.mark.parametrize("line", SAYS)
def test_one_sentence_says_what_to_write(capsys: pytest.CaptureFixture[str], line: str) -> None:
    said = run(capsys, *line.split())
    assert said.code == 2 and said.out == ""
    assert said.err.startswith("costcalc: error: ") and SAYS[line] in said.err and said.err.count("\n") == 1


def test_a_long_line_is_cut_and_a_hostile_name_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run(capsys, "summary", "x" * 5000).err) < 250
    said = run(capsys, "summary", "a\x1b[31m b").err
    assert "\x1b" not in said and "'a" in said, "quoted as a shell wants it, without what a terminal obeys"


def test_what_is_named_instead_is_there() -> None:
    for line in MEANT.values():
        name, *options = line.split()
        if name.startswith("--"):
            continue
        known = {n for p in find_command(name)[0].parameters.values() for n in p.declared.names}
        assert name in COMMANDS and {o for o in options if o.startswith("--")} <= known, line
    every = {n for name in COMMANDS for p in find_command(name)[0].parameters.values() for n in p.declared.names}
    missing = {line for line in OPTIONS.values() if line.split()[0] not in every}
    assert not missing
    assert not {*OPTIONS} & every, "an option that there is needs no other"


def test_help_shows_flags_as_flags_and_formats_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        text = run(capsys, name, "--help").out
        assert "<bool>" not in text and "<str>" not in text and "--no-f" not in text and "BOOLEAN" not in text, name
    text = " ".join(run(capsys, "analyze", "--help").out.replace("│", " ").split())
    assert "table, json, csv, markdown, latex, html" in text
    command = application().get_command(None, "analyze")
    (columns,) = [p for p in command.params if p.name == "columns"]
    for name in ("macs", "flops", "traffic_share", "source", "gflops"):
        assert name in columns.help, name


def test_the_receptive_field_by_its_letters(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "analyze", "resnet18", "--columns", "rf", "--depth", "1")
    assert said.code == 0 and said.out.splitlines()[5].split()[-1] == "7"
    assert run(capsys, "analyze", "resnet18", "--columns", "RF", "--sort", "macs", "--top", "2").code == 0
    assert (
        "435"
        in run(capsys, "check", "resnet18", "--max", "rf=99").err
        + run(capsys, "check", "resnet18", "--max", "rf=99").out
    )


BEGINS = {".csv": "row,", ".json": "{", ".md": "**resnet18**", ".tex": "% needs", ".html": "<!doctype html>"}


@pytest.mark.parametrize("suffix", BEGINS)
def test_the_name_of_the_file_chooses_the_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"x{suffix}"
    assert run(capsys, "analyze", "resnet18", "-o", str(file)).code == 0
    assert file.read_text().startswith(BEGINS[suffix])


def test_a_format_that_a_command_does_not_have_is_refused_and_nothing_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = {
        ("explain", "resnet18", "fc"): ".csv", ("formula", "lenet5"): ".md",
        ("compare", "resnet18", "resnet34"): ".xml",
        ("list",): ".sarif", ("memory", "lenet5"): ".html", ("diff", "resnet18", "resnet34"): ".tex",
    }  # fmt: skip
    for line, suffix in lines.items():
        file = tmp_path / f"x{suffix}"
        said = run(capsys, *line, "-o", str(file))
        assert said.code == 2 and f"{line[0]} writes " in said.err and not file.exists(), line
    for name, says in (
        ("x.xlsx", "a spreadsheet opens x.csv"),
        ("x.png", "`costcalc plot` draws"),
        ("x.docx", "x.tex"),
    ):
        said = run(capsys, "analyze", "resnet18", "-o", str(tmp_path / name))
        assert said.code == 2 and says in said.err and not (tmp_path / name).exists()
    file = tmp_path / "x.json"
    for line in lines:
        assert run(capsys, *line, "-o", str(file)).code == 0
        json.loads(file.read_text())
