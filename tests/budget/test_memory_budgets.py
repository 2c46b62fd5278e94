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
        (
            "320 KiB",
            "costcalc.yaml:6:7: a budget of memory needs an engine, or train, an optimizer: {max: 100 MiB, "
            "engine: tflm}",
        ),
        ("{max: 1 GiB, train: adm}", "costcalc.yaml:6:35: no optimizer called 'adm' (did you mean 'adam'?)"),
        ("{max: 1 GiB, train: adam, engine: eager}", "6:35: memory is an engine's or that of a step of training"),
        ("{max: 1 GiB, checkpoint: auto}", "6:40: checkpoint is for a step of training: add train, an optimizer"),
        ("{max: 1 GiB, train: adam, autocast: fp16}", "6:51: no autocast to 'fp16'"),
        ("{max: 1 GiB, train: adam, checkpoint: 3}", "6:53: '3' is not an amount of memory"),
        ("{max: 1 GiB, train: adam}", "6:7: memory in training is computed for the model as it is, not with 8 bit"),
        ("{max: 320 KiB, engine: tfm}", "no engine called 'tfm' (did you mean 'tflm'?)"),
        ("{max: 320, engine: tflm}", "'320' is not an amount of memory; write bytes with their unit"),
    ],
)
def test_mistakes_are_told_at_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str, says: str
) -> None:
    code, said = checked(tmp_path, capsys, budget)
    assert (code, says in said) == (2, True), said


TRAINED = "version: 1\nmodels:\n  - model: {}\n    at: [{{batch: 2}}]\n    budgets:\n      memory: {}\n"


def trained(folder: Path, capsys: pytest.CaptureFixture[str], budget: str, model: str = "resnet18") -> tuple[int, str]:
    (folder / "costcalc.yaml").write_text(TRAINED.format(model, budget))
    code = outcome(["check", "--config", str(folder / "costcalc.yaml")])
    out, err = capsys.readouterr()
    return code, " ".join((out + err).split())


@pytest.mark.parametrize(
    "asked",
    [
        "sgd",
        "adamw",
        "adamw, checkpoint: auto",
        "adamw, autocast: bfloat16",
        "adamw, checkpoint: auto, autocast: bfloat16",
    ],
)
def test_a_step_of_training_is_held_to_its_budget_up_to_the_last_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    optimizer, *more = asked.split(", ")
    given = dict(one.split(": ") for one in more)
    needed = costcalc.training("resnet18", batch=2, optimizer=optimizer, **given).total_bytes  # type: ignore[arg-type]
    assert trained(tmp_path, capsys, f"{{max: {needed} B, train: {asked}}}")[0] == 0
    code, said = trained(tmp_path, capsys, f"{{max: {needed - 1} B, train: {asked}}}")
    assert code == 1
    assert f"memory in training with {optimizer}" in said
    assert "kept by" in said


def test_layers_done_again_that_are_still_too_much_fail_by_the_least_that_they_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    least = costcalc.training("resnet18", batch=2, optimizer="adamw", checkpoint="auto").total_bytes
    assert trained(tmp_path, capsys, f"{{max: {least} B, train: adamw, checkpoint: {least} B}}")[0] == 0
    code, said = trained(tmp_path, capsys, "{max: 100 MiB, train: adamw, checkpoint: 100 MiB}")
    assert code == 1
    assert "memory in training with adamw, checkpoint 100 MiB 198 MiB is 97.9 MiB over the budget" in said


def test_a_lower_bound_fails_a_budget_that_it_exceeds_and_proves_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.yaml").write_text("name: net\ninputs: {x: [16, 8]}\nlayers:\n  - lstm(8)\n")
    assert trained(tmp_path, capsys, "{max: 1 KiB, train: sgd}", "net.yaml")[0] == 1
    _, said = trained(tmp_path, capsys, "{max: 1 MiB, train: sgd}", "net.yaml")
    assert "memory is not known, at least" in said
    assert "keeps is not known" in said
    assert "1 not checked" in said
