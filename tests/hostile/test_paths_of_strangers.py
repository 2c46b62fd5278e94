"""What files of strangers name lies in their repository or folder, and nothing of what lies outside is quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.cli import dispatch

SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n- conv(4, 3)\n"
CONFIG = "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: 1 M}}\n"
SECRET = "password123: {hidden\n"
MACHINE = "title: mine\nmacs: {float32: 1e9}\nbandwidth: 1e9\nsource: made up\n"
BLOCKS = "blocks:\n  double(c):\n  - conv(c, 3)\n  - conv(c, 3)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, the working directory; beside it lie a spec, blocks, a machine and a secret."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / ".git").mkdir()
    monkeypatch.chdir(top)
    (tmp_path / "secret.yaml").write_text(SECRET, encoding="utf-8")
    (tmp_path / "net.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(MACHINE, encoding="utf-8")
    return top


def _refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert dispatch.outcome(list(args)) == 2
    said = capsys.readouterr().err
    assert "password" not in said and "hidden" not in said
    return said


@pytest.mark.parametrize("name", ["../../{}.yaml", "{top}/../{}.yaml", "link.yaml", "linked/{}.yaml"])
@pytest.mark.parametrize("file", ["secret", "net"])
def test_a_config_names_no_model_outside(folder: Path, capsys: Any, name: str, file: str) -> None:
    Path("sub/link.yaml").symlink_to(f"../../{file}.yaml")
    Path("sub/linked").symlink_to("../..")
    model = name.format(file, top=folder)
    Path("sub/costcalc.yaml").write_text(CONFIG.replace("net.yaml", model), encoding="utf-8")
    for command in ("check", "lock"):
        said = _refused(capsys, command, "--config", "sub/costcalc.yaml")
        assert "sub/costcalc.yaml:3:" in said and "leads out of the repository of this file" in said


@pytest.mark.parametrize("file", ["../../secret.yaml", "../../blocks.yaml", "link.yaml"])
def test_a_spec_uses_no_file_outside(folder: Path, capsys: Any, file: str) -> None:
    Path("sub/link.yaml").symlink_to("../../secret.yaml")
    Path("sub/net.yaml").write_text(f"use: [{file}]\n{SPEC}- double(4)\n", encoding="utf-8")
    assert "sub/net.yaml:1:" in (said := _refused(capsys, "analyze", "sub/net.yaml"))
    assert "because a spec names it" in said


def test_a_spec_has_no_model_outside(folder: Path, capsys: Any) -> None:
    Path("sub/net.yaml").write_text(SPEC + "- b: model('../../secret.yaml')\n", encoding="utf-8")
    assert "leads out of the repository" in _refused(capsys, "analyze", "sub/net.yaml")


def test_a_config_names_no_machine_outside(folder: Path, capsys: Any) -> None:
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    for file in ("../secret.yaml", "../mine.yaml"):
        budget = f"{{time: {{max: 1 s, machine: {file}}}}}"
        Path("costcalc.yaml").write_text(CONFIG.replace("{macs: 1 M}", budget), encoding="utf-8")
        assert "leads out of the repository" in _refused(capsys, "check")


def test_what_nobody_named_is_no_link_that_leads_out(folder: Path, capsys: Any) -> None:
    Path("costcalc.yaml").symlink_to("../secret.yaml")
    assert "is not read because nobody names it" in _refused(capsys, "check")
    Path("costcalc.yaml").unlink()
    Path("costcalc.yaml").write_text(CONFIG, encoding="utf-8")
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    Path("costcalc.lock").symlink_to("../secret.yaml")
    assert "the lock is a link that leads out" in _refused(capsys, "check")


def test_of_a_link_that_is_named_nothing_is_quoted(folder: Path, capsys: Any) -> None:
    Path("link.yaml").symlink_to("../secret.yaml")
    for args in (
        ["analyze", "link.yaml"],
        ["analyze", "lenet5", "--machine", "link.yaml"],
        ["check", "--config", "link.yaml"],
    ):
        assert "nothing of it is quoted" in _refused(capsys, *args)


def test_who_types_a_command_names_any_file(folder: Path, capsys: Any) -> None:
    for args in (
        ["analyze", "../net.yaml", "--machine", "../mine.yaml"],
        ["check", "../net.yaml", "--max", "macs=1M"],
        ["diff", "../net.yaml", "lenet5"],
    ):
        assert dispatch.outcome(args) == 0, capsys.readouterr().err


def test_inside_the_repository_folders_above_are_reached(folder: Path) -> None:
    Path("blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    Path("sub/net.yaml").write_text(
        f"use: [../blocks.yaml]\n{SPEC}- double(4)\n- b: model('resnet18')\n", encoding="utf-8"
    )
    names = [node.name for node in costcalc.load("sub/net.yaml").nodes]
    assert len(names) > 60  # with the shipped model, whose file lies elsewhere


def test_without_a_repository_a_spec_reaches_its_folder(folder: Path, capsys: Any) -> None:
    Path(".git").rmdir()
    Path("blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    Path("sub/net.yaml").write_text(f"use: [../blocks.yaml]\n{SPEC}- double(4)\n", encoding="utf-8")
    assert "leads out of the folder of this file" in _refused(capsys, "analyze", "sub/net.yaml")
    assert costcalc.load("sub/net.yaml", within=".").nodes
