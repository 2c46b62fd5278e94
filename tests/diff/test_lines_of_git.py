"""What git is asked of files, against values worked out by hand and git's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from costcalc.difference.git import _name_of, edited_lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (b"a\nb\nc\n", b"a\nX\nc\nd\n", {2, 4}),  # one edited, one added
        (b"a\nb\nc\n", b"a\nc\n", {1}),  # gone: the one before
        (b"a\nb\n", b"b\n", {1}),  # gone from the top: the first
        (b"", b"a\nb\n", {1, 2}),
        (b"a\n", b"a\n", set()),
        (b"a\nb\nc\nd\n", b"w\nx\nc\nz\n", {1, 2, 4}),
    ],
)
def test_the_lines_that_came_or_changed(before: bytes, after: bytes, lines: set[int]) -> None:
    assert edited_lines(before, after) == lines


@pytest.mark.parametrize("data", [b"", b"a", b"version: 1\n" * 1000])
def test_a_file_has_the_name_that_git_gives_it(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    asked = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True)
    assert _name_of(file, 40) == asked.stdout.strip()
