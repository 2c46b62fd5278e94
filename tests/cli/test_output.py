"""Where output goes: pipes that close, disks that fill, terminals of all kinds, files written whole or not at all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import COMMAND, ROOT, clean, process, run

from costcalc.backends.terminal import width
from costcalc.cli.output import ASCII
from costcalc.errors import CostcalcError
from costcalc.writing import write_whole

ANALYZE = [*COMMAND, "analyze", "resnet50"]
posix = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and signals as POSIX has them")


@posix
@pytest.mark.parametrize("options", [[], ["--format", "json"], ["--format", "csv"]], ids=["table", "json", "csv"])
def test_a_reader_that_stops_early_ends_the_command_quietly(options: list[str]) -> None:
    line = f"{' '.join([*ANALYZE, *options])} | head -1"
    done = subprocess.run(line, shell=True, cwd=ROOT, env=clean({}), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


@posix
def test_a_pipe_closed_before_anything_is_written_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    writer = subprocess.run(ANALYZE, cwd=ROOT, env=clean({}), stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (writer.returncode, writer.stderr) == (-signal.SIGPIPE, b"")


@posix
def test_no_standard_output_at_all_is_said() -> None:
    line = f"{sys.executable} -m costcalc analyze resnet50 >&-"
    done = subprocess.run(line, shell=True, cwd=ROOT, env=clean({}), stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, b"costcalc: error: standard output is closed\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("options", [[], ["--format", "json"]], ids=["table", "json"])
def test_a_full_disk_is_said_in_a_sentence(options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*ANALYZE, *options], cwd=ROOT, env=clean({}), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"costcalc: error: the output cannot be written: No space left on device\n"
    said = process("analyze", "resnet50", "--output", "/dev/full")
    assert (said.code, said.err) == (2, "costcalc: error: /dev/full cannot be written: No space left on device\n")


@posix
def test_ctrl_c_ends_the_command_quietly() -> None:
    code = "import time, costcalc.api as api; api.report = lambda *a, **k: (print('now', flush=True), time.sleep(30))"
    code += "; from costcalc.cli import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, "analyze", "lenet5"],
        cwd=ROOT,
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"now\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "cost.json"
    file.write_text("old")
    file.chmod(0o640)
    assert process("analyze", "lenet5", "--format", "json", "--output", str(file)).code == 0
    assert file.read_text().startswith("{") and file.read_text().endswith("}\n")
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_to_the_new_text(tmp_path: Path) -> None:
    file, link = tmp_path / "real.txt", tmp_path / "link.txt"
    file.write_text("old")
    link.symlink_to(file)
    write_whole(str(link), "new")
    assert link.is_symlink() and file.read_text() == "new"


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cost.txt"
    file.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CostcalcError, match=r"cost\.txt cannot be written: No space left on device"):
        write_whole(str(file), "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_mistake_leaves_the_file_as_it_was(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cost.txt"
    file.write_text("old")
    assert run(capsys, "analyze", "resnet5", "--output", str(file)).code == 2
    assert file.read_text() == "old"


@pytest.mark.parametrize("target", ["missing/cost.txt", ".", "a\0b"])
def test_a_place_that_cannot_be_written_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, target: str
) -> None:
    said = run(capsys, "analyze", "lenet5", "--output", str(tmp_path / target) if "\0" not in target else target)
    assert said.code == 2
    assert "cannot be written: " in said.err and said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "the C locale": {"LC_ALL": "C"},
}


@pytest.mark.parametrize("environment", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize(
    "args",
    [["analyze", "lenet5", "-m", "a100"], ["explain", "lenet5", "c1"], ["formula", "lenet5", "--symbols", "batch"]],
)
def test_an_encoding_without_our_signs_gets_others(args: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run([*COMMAND, *args], cwd=ROOT, env=clean(environment), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    if environment.get("PYTHONIOENCODING") == "ascii":
        assert done.stdout.isascii() and b"?" not in done.stdout
        assert b"1x1x32x32" in done.stdout or args[0] == "formula"


def test_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text('source: "a \\e[2J\\e]0;title\\a \\x9b b"\ninputs: {x: [4]}\nlayers: [linear(4)]\n')
    said = run(capsys, "analyze", str(file))
    assert said.code == 0
    assert not set(said.out) & set("\x1b\x07\x9b")
    file.write_text('inputs: {x: [4]}\nlayers: ["\\e[2Jlinear(4)"]\n')
    said = run(capsys, "analyze", str(file))
    assert said.code == 2 and "\x1b" not in said.err


def test_every_sign_has_a_way_to_be_written_in_ascii() -> None:
    assert all(plain.isascii() for plain in ASCII.values())
    signs = {
        c for path in (ROOT / "costcalc").rglob("*.py") for c in path.read_text(encoding="utf-8") if not c.isascii()
    }
    said = set("×·–…≥→⌊⌋⌈⌉µ²−─█▉▊▋▌▍▎▏")
    assert said <= signs & set(ASCII)


def test_colour_goes_to_terminals_only_unless_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(capsys, "analyze", "lenet5").out
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    painted = run(capsys, "analyze", "lenet5").out
    assert "\x1b[1m" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(capsys, "analyze", "lenet5").out == plain


def test_a_file_is_never_coloured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    run(capsys, "analyze", "lenet5", "--output", str(tmp_path / "table.txt"))
    assert "\x1b" not in (tmp_path / "table.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns, expected", [("132", 132), ("0", 80), ("-3", 80), ("wide", 80), ("9" * 30, 80)])
def test_the_width_is_that_of_columns_if_it_is_one(
    monkeypatch: pytest.MonkeyPatch, columns: str, expected: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: (_ for _ in ()).throw(OSError()))
    assert width() == expected


@posix
def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; from costcalc.cli import main; os.rmdir(os.getcwd()); sys.argv[1:] = ['check']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=gone, env=clean({"PYTHONPATH": str(ROOT)}), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "costcalc: error: the folder in which costcalc was started is gone\n"
