"""``costcalc pack``: what it reads and writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from costcalc.cli.dispatch import outcome
from costcalc.packing import search, search_loops
from costcalc.packing.problem import problem
from costcalc.packing.records import Buffer

ROWS = "name,first,last,bytes\na,0,1,8\nb,1,2,24\nc,2,3,16\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tensors.csv"
    path.write_text(ROWS)
    return str(path)


def test_a_file_is_packed(file: str, capsys: Capture) -> None:
    assert outcome(["pack", file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "arena     40 B  40 bytes for 3 tensors, the least possible"
    assert lines[2].split() == ["tensor", "bytes", "offset", "steps"]
    assert outcome(["pack", file, "--format", "json", "--capacity", "1KiB"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["arena_bytes"], found["optimal"], found["fits"]) == (40, True, True)
    assert found["tensors"][0] == {"name": "a", "first": 0, "last": 1, "bytes": 8, "offset": 24}


def test_what_is_written_as_csv_can_be_read_again(file: str, tmp_path: Path, capsys: Capture) -> None:
    again = tmp_path / "offsets.csv"
    assert outcome(["pack", file, "--format", "csv", "--output", str(again)]) == 0
    assert again.read_text().splitlines()[1] == "a,0,1,8,24"
    assert outcome(["pack", str(again), "--format", "markdown"]) == 0
    assert "| b | 24 | 0 | 1 | 2 |" in capsys.readouterr().out


def test_a_capacity_that_is_too_small_is_exit_code_1(file: str, capsys: Capture) -> None:
    assert outcome(["pack", file, "--capacity", "39B"]) == 1
    assert "39 bytes: nothing fits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,first,last,bytes\na,2,1,8\n", "tensors.csv:2: 'a': last is 1, before first, which is 2"),
        (b"\xff\xfe", "tensors.csv is not text in UTF-8"),
        (b"a\x00b", "the first line must name the columns"),
    ],
)
def test_files_that_are_none_get_a_sentence(tmp_path: Path, capsys: Capture, content: bytes, says: str) -> None:
    path = tmp_path / "tensors.csv"
    path.write_bytes(content)
    assert outcome(["pack", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_a_capacity_without_a_unit_and_a_missing_file_are_said(file: str, capsys: Capture) -> None:
    assert outcome(["pack", file, "--capacity", "40"]) == 2
    assert "--capacity 40: write bytes with their unit" in capsys.readouterr().err
    assert outcome(["pack", file + "x"]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err


def test_machine_code_searches_as_python_does() -> None:
    """The same functions, so the same nodes and the same offsets."""
    pytest.importorskip("numba")
    buffers = [Buffer(str(i), i % 7, i % 7 + i % 3, 8 * (i % 5 + 1)) for i in range(40)]
    p, _ = problem(buffers, [b.bytes for b in buffers])
    for height in (max(p.load) - 1, max(p.load), max(p.load) + 4):
        slow, fast = (next(search.runs(p, height, 3, fast=fast)) for fast in (False, True))
        assert slow == fast or (slow.ended != search_loops.FOUND and slow[0] == fast[0] and slow[2:] == fast[2:])
