"""Files of strangers, as a pull request brings them: they run no code, leak nothing, and command no CI server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.frontends.sources import SOURCES, source_of
from costcalc.machines import load_machine
from costcalc.models import load

SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n  - relu\n"
LOUD = "from pathlib import Path\nPath('ran').touch()\n"


@pytest.mark.parametrize(
    "model", ["evil.py:x.yaml", "evil:x.yaml", "evil:x.yml", "x.yaml:evil.pt2", "evil.py:a.yaml:Net"]
)
@pytest.mark.parametrize("there", [True, False])
def test_no_name_of_a_model_in_a_config_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, there: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("evil.py").write_text(LOUD, encoding="utf-8")
    Path("costcalc.yaml").write_text(f"version: 1\nmodels:\n  - model: '{model}'\n", encoding="utf-8")
    if there:
        Path(model).write_text(SPEC, encoding="utf-8")
    dispatch.outcome(["check"])
    assert not Path("ran").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("suffix", [s for source in SOURCES.values() if not source.runs_code for s in source.suffixes])
def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(CostcalcError, match=r"is no(t a regular)? file"):
        load(path)


def test_a_spec_in_a_file_with_a_colon_in_its_name_is_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.py:x.yaml").write_text(SPEC, encoding="utf-8")
    assert not source_of("evil.py:x.yaml").runs_code
    assert [node.name for node in load("evil.py:x.yaml").nodes] == ["relu"]


@pytest.mark.parametrize("line", ["use: [SECRET]", "use: [../SECRET]"])
def test_no_file_but_yaml_is_read_because_a_spec_uses_it(tmp_path: Path, line: str) -> None:
    (tmp_path / "SECRET").write_text("password123", encoding="utf-8")
    (tmp_path / "net.yaml").write_text(f"{line}\n{SPEC}", encoding="utf-8")
    with pytest.raises(CostcalcError, match="not a YAML file") as raised:
        load(str(tmp_path / "net.yaml"))
    assert "password" not in str(raised.value)


def test_no_file_but_yaml_is_read_because_a_spec_has_it_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "SECRET").write_text("password123", encoding="utf-8")
    (tmp_path / "net.yaml").write_text(SPEC + "  - m: model('./SECRET')\n", encoding="utf-8")
    with pytest.raises(CostcalcError, match="no model called"):
        load(str(tmp_path / "net.yaml"))


def test_what_a_link_to_a_secret_holds_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password123", encoding="utf-8")
    (tmp_path / "net.yaml").symlink_to(tmp_path / "secret")
    for read in (load, load_machine):
        with pytest.raises(CostcalcError) as raised:
            read(str(tmp_path / "net.yaml"))
        assert "password" not in str(raised.value)


def _run(folder: Path, *args: str) -> str:
    command = [sys.executable, "-m", "costcalc", *args]
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": root}, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode()


def _steers(said: str) -> bool:
    lines = said.splitlines()
    return "\x1b" in said or any(line.lstrip().startswith("::") for line in lines) or "##[" in said


@pytest.mark.parametrize("name", ["a\n::error::b.yaml", "a\x1b[8m.yaml", "##[error]a.yaml"])
def test_a_file_name_in_a_message_commands_neither_terminal_nor_ci_server(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("inputs: {image: [3, 8, 8]}\nlayers: [nope]\n", encoding="utf-8")
    said = _run(tmp_path, "analyze", name)
    assert "no op or block called 'nope'" in said
    assert not _steers(said)


@pytest.mark.parametrize("command", ["analyze", "show", "explain", "formula"])
def test_texts_in_a_spec_command_neither_terminal_nor_ci_server(tmp_path: Path, command: str) -> None:
    texts = "".join(f'{key}: "x\\e[8m\\n::error::y\\n##[add-mask]z"\n' for key in ("title", "source", "notes", "task"))
    (tmp_path / "net.yaml").write_text(texts + SPEC, encoding="utf-8")
    said = _run(tmp_path, command, "net.yaml")
    assert "costcalc: error" not in said
    assert not _steers(said)
