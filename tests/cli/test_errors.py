"""A mistake gets one sentence on standard error and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import process, run

from costcalc.cli.output import say_error

MACHINE = """
title: mine
flops: {float32: 2e9}
bandwidth: 1e9
source: measured
"""

SAYS = {
    "no such command": ("analyse resnet50", "no command called 'analyse' (did you mean 'analyze'?); there are analyze"),
    "no such option": ("analyze resnet50 --dept 2", "no such option: --dept"),
    "no model given": ("analyze", "missing argument 'MODEL'; see costcalc analyze --help"),
    "no such model": ("analyze resnet51", "no model called 'resnet51' (did you mean 'resnet"),
    "no such file": ("analyze nothing/here.yaml", "nothing/here.yaml: there is no such file"),
    "no such format": (
        "analyze resnet18 --format jsn",
        "there is no 'jsn' (did you mean 'json'?); there are table, json",
    ),
    "no such column": (
        "analyze resnet18 --columns mac",
        "no column called 'mac' (did you mean 'macs'?); there are bound",
    ),
    "no such column to sort by": ("analyze resnet18 --sort wide", "no column called 'wide' (did you mean 'write'?)"),
    "a time without a machine": ("analyze resnet18 --columns time", "the column 'time' needs a machine"),
    "sorted by a time without a machine": ("analyze resnet18 --sort time", "the column 'time' needs a machine"),
    "no such machine": (
        "analyze resnet18 -m a10",
        "no machine called 'a10' (did you mean 'a100'?); there are a100, a100",
    ),
    "no rate for the width": (
        "analyze resnet18 -m a100 --bits 7",
        "machine 'a100' has no peak rate for 7-bit elements",
    ),
    "a batch of zero": ("analyze resnet18 --batch 0", "'0' must be a whole number from 1"),
    "a batch of words": ("analyze resnet18 --batch many", "'many' must be a whole number from 1"),
    "no frames a second": ("analyze resnet18 --fps 0", "'0' must be a number from 0.001"),
    "more frames than time has numbers for": (
        "analyze resnet18 --fps 1e308 -f json",
        "fps must be a number from 0.001 to",
    ),
    "endless frames": ("analyze resnet18 --fps inf", "'inf' must be a number from 0.001"),
    "no such layer, and none like it": (
        "explain resnet18 middle",
        "no layer or block called 'middle'; its layers and blocks are conv1, relu, maxpool, layer1, ",
    ),
    "a name that turns the writing": ("analyze a\u202eb", "no model called 'a�b'"),
    "no bits": ("analyze resnet18 --bits 0", "'0' must be a whole number from 1 to 1024"),
    "a shape without sizes": (
        "analyze resnet18 --input 3x2xx4",
        "--input 3x2xx4: a shape is sizes from 1 with x between",
    ),
    "a shape of zero": ("analyze resnet18 --input 3x0x4", "--input 3x0x4: a shape is sizes from 1 with x between them"),
    "shapes in one word": (
        "analyze resnet18 --input a=3x8x8,b=3x8x8",
        "--input a=3x8x8,b=3x8x8: a shape is sizes from 1 with x between them",
    ),
    "a shape with its batch": (
        "analyze resnet18 --input 1x3x64x64",
        "the input image has 3 axes, 3×224×224; the shape given has 4; it is written without the batch, 3x64x64",
    ),
    "two shapes": ("analyze resnet18 -i 3x32x32 -i 3x8x8", "--input gives two shapes; name them"),
    "one shape twice": ("analyze resnet18 -i image=3x8x8 -i image=3x8x8", "--input gives the shape of 'image' twice"),
    "one shape without a name": (
        "analyze resnet18 -i image=3x8x8 -i 3x8x8",
        "--input names one shape and not the other",
    ),
    "an input that is not there": ("analyze resnet18 -i picture=3x8x8", "resnet has no input 'picture'"),
    "a parameter without a value": (
        "analyze resnet18 --set classes",
        "--set classes: a parameter is set as NAME=VALUE",
    ),
    "an explosive value": ("analyze resnet18 --set num_classes=9**9**9", "--set num_classes=9**9**9: "),
    "an unknown parameter": (
        "analyze resnet18 --set numclasses=9",
        "resnet has no parameter 'numclasses' (did you mean",
    ),
    "an image too small": ("analyze alexnet --input 3x8x8", "the window spans 3, the padded input only"),
    "no such layer": (
        "explain resnet18 layer1.0.conv3",
        "resnet18 has no layer or block called 'layer1.0.conv3' (did you",
    ),
    "no such symbol": ("formula resnet18 --symbols hight", "'hight' cannot be a symbol (did you mean 'height'?)"),
    "no such task": ("list --task segment", "there is no task 'segment' (did you mean 'segmentation'?); there are"),
    "no such name": ("list resnext5000", "no model has 'resnext5000' in its name"),
}


@pytest.mark.parametrize("line, sentence", SAYS.values(), ids=SAYS)
def test_a_mistake_gets_one_sentence(capsys: pytest.CaptureFixture[str], line: str, sentence: str) -> None:
    said = run(capsys, *line.split())
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("costcalc: error: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err


MACHINES = {
    "an unknown key": (
        MACHINE.replace("title", "tilte"),
        ":2:1: a machine has no 'tilte' (did you mean 'title'?); it has",
    ),
    "no bandwidth": (
        MACHINE.replace("bandwidth: 1e9", ""),
        "the machine has no bandwidth; it needs title, macs or flops",
    ),
    "no rates": (MACHINE.replace("flops: {float32: 2e9}", ""), "a machine has either macs or flops"),
    "rates twice": (MACHINE + "macs: {float32: 1e9}", "a machine has either macs or flops"),
    "an unknown type": (
        MACHINE.replace("float32", "float23"),
        ":3:9: no element type 'float23' (did you mean 'float32'?)",
    ),
    "a rate in words": (MACHINE.replace("2e9", "fast"), ":3:18: the rate of float32 must be a number from 1"),
    "a negative rate": (MACHINE.replace("2e9", "-1"), ":3:18: the rate of float32 must be a number from 1"),
    "no number": (MACHINE.replace("1e9", "nan"), ":4:12: bandwidth must be a number from 1"),
    "a list": ("- a100", "a machine has keys: bandwidth, caches, calibration"),
    "memory without a unit": (MACHINE + "memory: 80", ":6:9: memory must be a whole number with a unit"),
    "not YAML": ("a: [", "this is not valid YAML"),
}


@pytest.mark.parametrize("text, sentence", MACHINES.values(), ids=MACHINES)
def test_a_mistake_in_a_machine_file_is_placed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    said = run(capsys, "analyze", "lenet5", "--machine", str(file))
    assert said.code == 2
    assert sentence in said.err


def test_a_machine_of_ones_own_is_a_yaml_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MACHINE)
    said = run(capsys, "analyze", "lenet5", "--machine", str(tmp_path / "mine.yaml"))
    assert said.code == 0
    assert "at the peak rates of mine" in said.out


def test_a_mistake_of_ours_is_called_that(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("costcalc.api.report", broken)
    said = run(capsys, "analyze", "lenet5")
    assert said.code == 70
    assert "a mistake in costcalc" in said.err and "KeyError: 'lost'" in said.err
    monkeypatch.setenv("COSTCALC_TRACEBACK", "1")
    with pytest.raises(KeyError):
        run(capsys, "analyze", "lenet5")


def test_no_command_at_all_shows_the_help_and_is_a_mistake() -> None:
    said = process()
    assert said.code == 2
    assert "Usage: costcalc" in said.out


def test_the_version_is_printed() -> None:
    from costcalc import __version__

    assert process("--version") == (0, f"costcalc {__version__}\n", "")


def test_a_message_is_cut_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("begin " + "x" * 10_000 + " end")
    printed = capsys.readouterr().err
    assert len(printed) < 2100 and printed.startswith("costcalc: error: begin x") and printed.endswith("x end\n")
    assert " … 8,010 characters left out … " in printed
