"""Small traps of single commands, each met once."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from costcalc.cli import dispatch

SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n- head: conv(4, 3)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], code: int, *args: str) -> str:
    assert dispatch.outcome(list(args)) == code
    said = capsys.readouterr()
    return said.out + said.err


@pytest.mark.skipif(not (find_spec("torch") and find_spec("fvcore")), reason="verify needs both")
@pytest.mark.parametrize("layers", ["relu", "global_avg_pool, flatten, linear(10**30)"])
def test_verify_refuses_what_no_tensor_can_hold(capsys: pytest.CaptureFixture[str], layers: str) -> None:
    side = "10**30" if layers == "relu" else "8"
    Path("net.yaml").write_text(f"inputs: {{image: [3, {side}, 8]}}\nlayers: [{layers}]\n", encoding="utf-8")
    assert "net has tensors larger than PyTorch's can be" in _run(capsys, 2, "verify", "net.yaml")


def test_init_writes_each_model_once_and_only_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ends in .yaml" in _run(capsys, 2, "init", "lenet5", "--config", "own.toml")
    assert not Path("own.toml").exists()
    _run(capsys, 0, "init", "lenet5", "lenet5")
    assert "all 4 budgets met" in _run(capsys, 0, "check")


def test_a_name_in_other_letters_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'resnet50'?" in _run(capsys, 2, "analyze", "ResNet50")
    assert "did you mean 'a100'?" in _run(capsys, 2, "analyze", "lenet5", "--machine", "A100")


@pytest.mark.parametrize("at", ["'a", "(", "-"])
def test_an_expression_that_is_none_is_told_with_its_place(capsys: pytest.CaptureFixture[str], at: str) -> None:
    Path("net.yaml").write_text(f"inputs: {{image: [3, 8, 8]}}\nlayers:\n- conv({at}\n", encoding="utf-8")
    said = _run(capsys, 2, "analyze", "net.yaml")
    assert said.startswith("costcalc: error: net.yaml:3:")
    assert "detected at line" not in said


def test_every_command_is_in_the_table_of_what_it_runs_and_reads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    heads = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    told = {name for head in heads for name in re.findall(r"`([a-z]+)", head)}
    assert set(dispatch.COMMANDS) <= told, set(dispatch.COMMANDS) - told
