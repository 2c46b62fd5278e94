"""TFLite files of strangers: cut off, damaged, endless, with names that steer: read, or refused in a sentence."""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from tests.tflite.writing_tflite import File, Table, flat

TRIES = int(os.environ.get("COSTCALC_FUZZ", "300"))


def _file() -> bytes:
    f = File()
    x, w, b = f.tensor("x", 1, 8, 8, 4, open=(0,)), f.weight("a/Conv2D", 4, 3, 3, 2), f.weight("b", 4)
    y, z = f.tensor("y", 1, 4, 4, 4), f.tensor("z", 1, 64)
    f.operator("CONV_2D", [x, w, b], [y], {0: ("byte", 0), 1: ("int", 2), 2: ("int", 2), 3: ("byte", 1)})
    f.operator("RESHAPE", [y, f.numbers(1, 64)], [z], {})
    return f.bytes([x], [z])


def _read(path: Path) -> str:
    """Whether the file was ``read``, or the one sentence by which it was refused."""
    try:
        report(load(str(path)))
    except CostcalcError as error:
        assert "\n" not in str(error)
        return str(error)
    return "read"


def test_cut_off_anywhere(tmp_path: Path) -> None:
    data, path = _file(), tmp_path / "net.tflite"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        assert _read(path)
    path.write_bytes(b"")
    assert "the file is empty" in _read(path)


def test_damaged_anywhere(tmp_path: Path) -> None:
    data, path, chance = _file(), tmp_path / "net.tflite", random.Random(5)
    read = 0
    for _ in range(TRIES):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(len(data))
            changed[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        path.write_bytes(changed)
        started = time.process_time()
        read += _read(path) == "read"
        assert time.process_time() - started < 5
    assert read  # some bytes do not matter


def test_offsets_that_lead_back_are_not_followed_for_ever(tmp_path: Path) -> None:
    """A hundred thousand graphs, tensors and operators that are all the one table at the root."""
    path = tmp_path / "net.tflite"
    data = bytearray(flat(Table({0: ("count", 3), 2: ("tables", [Table({})]), 4: ("tables", [Table({})])})))
    (root,) = struct.unpack_from("<I", data, 0)
    count, start = 900, len(data)
    data += struct.pack("<I", count) + b"".join(
        struct.pack("<I", (root - (start + 4 + 4 * i)) % 2**32) for i in range(count)
    )
    fields = root - struct.unpack_from("<i", data, root)[0]
    (slot,) = struct.unpack_from("<H", data, fields + 4 + 2 * 2)
    struct.pack_into("<I", data, root + slot, start - (root + slot))
    path.write_bytes(data)
    assert "damaged or cut off" in _read(path)


@pytest.mark.parametrize(("field", "what"), [(0, "1,000,000 tensors; at most"), (3, "1,000,000 operators; at most")])
def test_millions_are_refused(tmp_path: Path, field: int, what: str) -> None:
    path = tmp_path / "net.tflite"
    empty = Table(
        {0: ("tables", []), 1: ("ints", []), 2: ("ints", []), 3: ("tables", []), field: ("ints", [4] * 10**6)}
    )
    path.write_bytes(flat(Table({0: ("count", 3), 2: ("tables", [empty]), 4: ("tables", [Table({})])})))
    assert what in _read(path)


@pytest.mark.parametrize("kind", ["RELU", "own"])
def test_many_operators_of_one_name_take_seconds(tmp_path: Path, kind: str) -> None:
    f = File()
    x = last = f.tensor("x", 1, 8)
    for _ in range(4000):
        y = f.tensor("a/y", 1, 8)
        f.operator(kind, [last], [y], custom=kind == "own")
        last = y
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [last]))
    started = time.process_time()
    assert _read(path) == "read"
    assert time.process_time() - started < 5


@pytest.mark.parametrize("shape", [(1, -1, 8), (-5,), (1, 2**31 - 1, 2**31 - 1, 2**31 - 1), (0, 4)])
def test_sizes_that_are_none(tmp_path: Path, shape: tuple[int, ...]) -> None:
    f = File()
    x, y = f.tensor("x", *shape), f.tensor("y", *shape)
    f.operator("RELU", [x], [y])
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    _read(path)


def test_what_is_read_before_it_is_made(tmp_path: Path) -> None:
    f = File()
    x, y, z = f.tensor("x", 1, 8), f.tensor("y", 1, 8), f.tensor("z", 1, 8)
    f.operator("ADD", [x, z], [y])
    f.operator("RELU", [y], [z])
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [z]))
    assert "is read before it is made" in _read(path)


def test_names_steer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f = File()
    x = f.tensor("x\x1b[8m\n::error::x", 1, 8)
    y = f.tensor("y\n##[error]\x07" + "a" * 5000, 1, 8)
    f.operator("own\x1b[2J\n::set-output::", [x], [y], custom=True)
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    for command in ("analyze", "explain", "trace"):
        assert dispatch.outcome([command, str(path)]) == 0
        printed = "".join(capsys.readouterr())
        assert "\x1b" not in printed and "\x07" not in printed
        assert not any(line.lstrip().startswith(("::", "##[")) for line in printed.splitlines())


def test_other_files_under_that_name(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "pointer of Git LFS" in _read(path)
    path.write_bytes(b"\0" * 100)
    assert "this is not a TFLite model" in _read(path)
    assert "there is no such file" in _read(tmp_path / "none.tflite")
    (tmp_path / "dir.tflite").mkdir()
    assert "directory" in _read(tmp_path / "dir.tflite")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    os.mkfifo(path)
    assert _read(path) == f"{path}: this is not a regular file; a TFLite model is a file"


def test_a_scope_of_signs_alone_gives_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f = File()
    x, w = f.tensor("x", 1, 8, 8, 4), f.weight("--/Conv2D", 4, 3, 3, 4)
    y = f.tensor("y", 1, 8, 8, 4)
    f.operator("CONV_2D", [x, w], [y], {0: ("byte", 0), 1: ("int", 1), 2: ("int", 1), 3: ("byte", 1)})
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    assert {node.name.partition(".")[0] for node in load(str(path)).nodes} == {"y"}
    assert dispatch.outcome(["analyze", str(path)]) == 0
    assert "relu" in capsys.readouterr().out


def test_elements_from_anywhere_have_more_axes_than_they_are_of(tmp_path: Path) -> None:
    from costcalc.analysis.axes import named_axes
    from costcalc.ir.graph import GraphBuilder
    from costcalc.ir.op import find_op
    from costcalc.ir.tensor import TensorType

    builder = GraphBuilder("net", {"x": TensorType((7, 5, 2)), "at": TensorType((3, 4), "int32")})
    picked = builder.add("picked", find_op("gather")((7, 1, 3, 1, 1, 4)), ["x", "at"])
    graph = builder.build(builder.add("kept", find_op("relu")(), picked))
    assert set(named_axes(graph)) == {"x", "at"}
