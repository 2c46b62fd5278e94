"""Configs, locks and earlier reports that no honest program wrote: a sentence and code 2, at once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costcalc.cli import dispatch

CONFIG = "version: 1\nmodels:\n  - model: net.yaml\n"
LONG = "9" * 6000  # more digits than Python turns into a number


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a spec and a config."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("inputs: {image: [3, 8, 8]}\nlayers:\n- conv(4, 3)\n", encoding="utf-8")
    Path("costcalc.yaml").write_text(f"{CONFIG}    budgets: {{macs: {{max_increase: 2%}}}}\n", encoding="utf-8")
    return tmp_path


def _refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert dispatch.outcome(list(args)) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("at", [f"input: 3x{LONG}x8", f"input: [3, {LONG}, 8]", f"batch: {LONG}", f"bits: {LONG}"])
def test_a_number_of_thousands_of_digits_in_a_config(folder: Path, capsys: Any, at: str) -> None:
    Path("costcalc.yaml").write_text(f"{CONFIG}    at: [{{{at}}}]\n", encoding="utf-8")
    assert "costcalc.yaml:4:" in _refused(capsys, "check")


@pytest.mark.parametrize("number", [LONG, "0x" + "f" * 6000])
def test_a_number_of_thousands_of_digits_in_toml(folder: Path, capsys: Any, number: str) -> None:
    text = f'[tool.costcalc]\nversion = 1\nmodels = [{{model = "net.yaml", at = [{{batch = {number}}}]}}]\n'
    Path("own.toml").write_text(text, encoding="utf-8")
    assert "own.toml" in _refused(capsys, "check", "--config", "own.toml")


def test_a_budget_of_time_needs_a_machine_however_it_is_written(folder: Path, capsys: Any) -> None:
    for budget in ("12 ms", "{max: 12 ms}"):
        Path("costcalc.yaml").write_text(f"{CONFIG}    budgets: {{time: {budget}}}\n", encoding="utf-8")
        assert "needs a machine" in _refused(capsys, "check")


@pytest.mark.parametrize("how", ["fifo", "/dev/zero"])
@pytest.mark.parametrize("name", ["costcalc.lock", "own.toml", "report.json", "own.yaml"])
def test_what_never_ends_is_not_read(folder: Path, capsys: Any, name: str, how: str) -> None:
    if how == "fifo":
        os.mkfifo(name)
    else:
        Path(name).symlink_to(how)
    option = {".lock": [], ".json": ["--compare-to", name]}.get(Path(name).suffix, ["--config", name])
    said = _refused(capsys, "check", *option)
    # A link that nobody named, and a link that leads away from what is named, are refused before they are looked at.
    assert any(why in said for why in ("not a regular file", "leads out of", "nothing of it is quoted"))


def test_an_empty_config_is_not_told_what_a_spec_has(folder: Path, capsys: Any) -> None:
    Path("costcalc.yaml").write_text("", encoding="utf-8")
    assert _refused(capsys, "check") == "costcalc: error: costcalc.yaml: the file is empty\n"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1"])
def test_an_earlier_report_with_figures_that_are_none(folder: Path, capsys: Any, value: str) -> None:
    report = f'{{"total": {{"macs": {value}}}, "model": {{"name": "net", "inputs": {{}}}}}}'
    Path("report.json").write_text(report, encoding="utf-8")
    assert "not a report of costcalc" in _refused(capsys, "check", "--compare-to", "report.json")


def _set(part: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry.__setitem__(part, value)


@pytest.mark.parametrize(
    "change",
    [
        _set("figures", [1]),
        _set("figures", {"macs": float("nan")}),
        _set("figures", {"macs": "many"}),
        _set("figures", {"macs": -1}),
        _set("figures", {"macs": True}),
        _set("inputs", 5),
        _set("outputs", 5),
        _set("layers", "abc"),
        _set("graph", 5),
        _set("made_by", 5),
        lambda entry: entry.pop("layers"),
    ],
)
@pytest.mark.parametrize("args", [["check"], ["check", "--locked"], ["lock"]])
def test_a_lock_with_a_forged_checksum(
    folder: Path, capsys: Any, change: Callable[[dict[str, Any]], None], args: list[str]
) -> None:
    assert dispatch.outcome(["lock"]) == 0
    lock = json.loads(Path("costcalc.lock").read_text(encoding="utf-8"))
    entry = lock["models"]["net.yaml"][""]
    entry["graph"] = "another"
    change(entry)
    made = json.dumps(lock["models"], ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    lock["sha256"] = hashlib.sha256(made.encode()).hexdigest()
    Path("costcalc.lock").write_text(json.dumps(lock), encoding="utf-8")
    assert "the lock lacks a part" in _refused(capsys, *args)


@pytest.mark.parametrize("version", [0, -1, True, False])
def test_a_lock_of_a_version_that_never_was(folder: Path, capsys: Any, version: Any) -> None:
    assert dispatch.outcome(["lock"]) == 0
    lock = json.loads(Path("costcalc.lock").read_text(encoding="utf-8")) | {"version": version}
    Path("costcalc.lock").write_text(json.dumps(lock), encoding="utf-8")
    assert "this is not a lock of costcalc" in _refused(capsys, "check")


def test_a_lock_that_is_a_link_is_not_written_through(folder: Path, capsys: Any) -> None:
    Path("precious").write_text("mine", encoding="utf-8")
    Path("costcalc.lock").symlink_to("precious")
    assert "is a link" in _refused(capsys, "lock", "--update")
    assert Path("precious").read_text(encoding="utf-8") == "mine"


MACHINE = "title: mine\nmacs: {{float32: 1}}\nbandwidth: {}\nsource: made up\n"


def test_the_file_of_a_machine_is_relative_to_the_config(folder: Path, capsys: Any) -> None:
    # 4 × 36 outputs of 27 MACs each, at one a second; the traffic is less.
    Path("sub").mkdir()
    Path("sub/mine.yaml").write_text(MACHINE.format(1), encoding="utf-8")
    Path("net.yaml").rename("sub/net.yaml")
    budget = "    budgets: {time: {max: 3887 s, machine: mine.yaml}}\n"
    Path("sub/costcalc.yaml").write_text(CONFIG + budget, encoding="utf-8")
    assert dispatch.outcome(["check", "--config", "sub/costcalc.yaml"]) == 1
    assert "3,888 s is 1.00 s over" in " ".join(capsys.readouterr().out.split())


def test_a_machine_that_there_is_not_is_an_error_where_it_is_named(folder: Path, capsys: Any) -> None:
    for name, says in (("mine.yaml", "mine.yaml: there is no such file"), ("a10", "yaml:5:7: no machine called 'a10'")):
        budget = f"    budgets:\n      time: {{max: 1 s, machine: {name}}}\n"
        Path("costcalc.yaml").write_text(CONFIG + budget, encoding="utf-8")
        assert says in _refused(capsys, "check")


@pytest.mark.parametrize("number", ["0", "-1", "nan", "1e-320", "0.5", "1e999", "[1]", ""])
def test_a_machine_moves_at_least_a_byte_a_second(folder: Path, capsys: Any, number: str) -> None:
    Path("mine.yaml").write_text(MACHINE.format(number), encoding="utf-8")
    assert "mine.yaml:3:" in _refused(capsys, "analyze", "net.yaml", "--machine", "mine.yaml")
