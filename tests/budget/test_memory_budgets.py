"""Budgets of what an engine holds: verdicts in the user's units, with the tensors that make the peak."""

from __future__ import annotations

from pathlib import Path

import pytest

import costcalc
from costcalc.cli.dispatch import outcome

CONFIG = "version: 1\nmodels:\n  - model: {}\n    at: [{{bits: 8}}]\n    budgets:\n      memory: {}\n"


def checked(
    folder: Path, capsys: pytest.CaptureFixture[str], budget: str, model: str = "mobilenet_v2"
) -> tuple[int, str]:
    """The exit code and what a check in ``folder`` prints, its spaces and lines run together."""
    (folder / "costcalc.yaml").write_text(CONFIG.format(model, budget))
    code = outcome(["check", "--config", str(folder / "costcalc.yaml")])
    out, err = capsys.readouterr()
    return code, " ".join((out + err).split())


def test_what_is_over_is_told_with_what_lives_at_the_peak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(tmp_path, capsys, "{max: 320 KiB, engine: tflm}")
    assert code == 1
    assert "memory in tflm 2.34 MiB is 2.03 MiB over the budget of 320 KiB (+648.2 %)" in said
    assert "1.19 MiB features.2.depthwise.conv (padded) 1.15 MiB features.2.expand.act mobilenet_v2.yaml:" in said


@pytest.mark.parametrize("engine", ["tflm", "tflite", "mcu", "ideal", "eager"])
def test_a_budget_is_met_up_to_the_last_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str) -> None:
    needed = costcalc.memory("lenet5", engine=engine, bits=8).needed_bytes
    assert checked(tmp_path, capsys, f"{{max: {needed} B, engine: {engine}}}", "lenet5")[0] == 0
    assert checked(tmp_path, capsys, f"{{max: {needed - 1} B, engine: {engine}}}", "lenet5")[0] == 1


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("320 KiB", "costcalc.yaml:6:7: a budget of memory needs an engine: {max: 100 MiB, engine: tflm}"),
        ("{max: 320 KiB, engine: tfm}", "no engine called 'tfm' (did you mean 'tflm'?)"),
        ("{max: 320, engine: tflm}", "'320' is not an amount of memory; write bytes with their unit"),
    ],
)
def test_mistakes_are_told_at_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str, says: str
) -> None:
    code, said = checked(tmp_path, capsys, budget)
    assert (code, says in said) == (2, True), said
