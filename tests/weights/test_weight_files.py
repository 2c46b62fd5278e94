"""Files of weights: what their headers say, by hand and by other readers; and headers that lie."""

from __future__ import annotations

import importlib
import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.frontends.weights import read_weights
from costcalc.frontends.weights.gguf import BLOCKS
from tests.tflite.writing_tflite import File


def safetensors(header: Any, data: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


HEADER = {
    "__metadata__": {"format": "pt", "head.weight": "embed.weight"},
    "embed.weight": {"dtype": "BF16", "shape": [10, 4], "data_offsets": [0, 80]},
    "fp4": {"dtype": "F4", "shape": [3, 8], "data_offsets": [80, 92]},
    "step": {"dtype": "I64", "shape": [], "data_offsets": [92, 100]},
    "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [100, 100]},
}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(*tensors: tuple[str, tuple[int, ...], int, int], data: int, keys: bytes = b"", count: int = 0) -> bytes:
    """Tensors as (name, axes with the innermost first, type, offset)."""
    lines = b"".join(
        text(name) + struct.pack("<I", len(axes)) + b"".join(struct.pack("<Q", a) for a in axes)
        + struct.pack("<IQ", kind, offset)
        for name, axes, kind, offset in tensors
    )  # fmt: skip
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + keys + lines
    return head + bytes(-len(head) % 32 + data)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("llama")
TOKENS = text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc")
SCORES = text("scores") + struct.pack("<IIQ", 9, 6, 3) + bytes(12)
LLAMA = gguf(
    ("token_embd.weight", (256, 8), 12, 0), ("blk.0.ffn.weight", (64, 4), 8, 1152), ("again", (256, 8), 12, 0),
    data=1152 + 272, keys=ARCHITECTURE + TOKENS + SCORES, count=3,
)  # fmt: skip


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors(HEADER, 100))
    found = read_weights(str(path))
    rows = {t.name: (t.type, t.shape, t.bits, t.bytes, t.tied) for t in found.tensors}
    assert rows["embed.weight"] == ("BF16", (10, 4), 16, 80, "")
    assert rows["fp4"] == ("F4", (3, 8), 4, 12, "")
    assert rows["head.weight"] == ("BF16", (10, 4), 16, 0, "embed.weight")
    assert found.total() == {"name": "total", "tensors": 5, "elements": 65, "bytes": 100, "bits": 800 / 65}


def test_gguf(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(LLAMA)
    found = read_weights(str(path))
    first, second, third = found.tensors
    # Q4_K: 256 weights in 144 bytes; Q8_0: 32 in 34. Axes are listed the other way round.
    assert (first.type, first.shape, first.bits, first.bytes) == ("Q4_K", (8, 256), 4.5, 8 * 144)
    assert (second.type, second.shape, second.bits, second.bytes) == ("Q8_0", (4, 64), 8.5, 4 * 2 * 34)
    assert (third.bytes, third.tied) == (0, "token_embd.weight")
    assert found.about == "llama" and "engines take token_embd.weight" in found.notes[0]
    assert found.types()[0] == {"name": "Q4_K", "tensors": 2, "elements": 2048, "bytes": 1152, "bits": 4.5}


def test_blocks_are_those_of_the_formats_own_package() -> None:
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("the package gguf is not installed")
    constants = importlib.import_module("gguf.constants")
    theirs = {int(kind): (kind.name, *sizes) for kind, sizes in constants.GGML_QUANT_SIZES.items()}
    assert theirs == BLOCKS


def test_tflite(tmp_path: Path) -> None:
    f = File()
    x, y = f.tensor("x", 1, 6), f.tensor("y", 1, 3)
    w = f.weight("w", 3, 6, dtype="int4", scales=3)
    f.operator("FULLY_CONNECTED", [x, w, -1], [y], {})
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    (tensor,) = read_weights(str(path)).tensors
    assert (tensor.name, tensor.type, tensor.bits, tensor.bytes) == ("w", "int4 per axis 0", 4, 9)


def test_a_buffer_of_two_tensors_is_stored_once_whatever_they_are_called(tmp_path: Path) -> None:
    f = File()
    x, y = f.tensor("x", 1, 6), f.tensor("y", 1, 3)
    w = f.weight("w", 3, 6)
    f.tensors.append(f.tensors[w])  # as another graph of the file names it
    f.operator("FULLY_CONNECTED", [x, w, -1], [y], {})
    path = tmp_path / "net.tflite"
    path.write_bytes(f.bytes([x], [y]))
    found = read_weights(str(path))
    assert [(t.name, t.bytes, t.tied) for t in found.tensors] == [("w", 72, ""), ("w", 0, "w")]
    assert found.total() == {"name": "total", "tensors": 2, "elements": 18, "bytes": 72, "bits": 32}


def test_an_index_of_several_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors(header, 8))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {"one": "one.safetensors", "two": "two.safetensors", "three": "two.safetensors"}})
    )
    found = read_weights(str(index))
    assert [t.name for t in found.tensors] == ["one", "two"] and found.total()["bytes"] == 16
    assert found.notes == ("the index names 1 tensors that no file has, three first",)
    for outside in ("../one.safetensors", "/etc/passwd", "a/b.safetensors", ".."):
        index.write_text(json.dumps({"weight_map": {"one": outside}}))
        with pytest.raises(CostcalcError, match="which does not lie beside it"):
            read_weights(str(index))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(LLAMA)
    assert dispatch.outcome(["weights", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "GGUF version 3, llama" in printed and "8×256" in printed and "4.5" in printed
    assert "3 tensors, 2,304 elements, 1,424 bytes, 4.944 bits a weight" in printed
    for format in ("json", "csv", "markdown"):
        assert dispatch.outcome(["weights", str(path), "--format", format]) == 0
        assert "Q4" in capsys.readouterr().out
    assert dispatch.outcome(["weights", str(path), "--by-type", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["types"][0]["bits"] == 4.5
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04")
    assert dispatch.outcome(["weights", str(tmp_path / "net.pt")]) == 2
    assert "this is a PyTorch checkpoint" in capsys.readouterr().err


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    header = {"w": {"dtype": "F32", "shape": [2**20, 512], "data_offsets": [0, 2**31]}}
    with path.open("wb") as stream:
        stream.write(safetensors(header, 0))
        stream.truncate(stream.tell() + 2**31)
    assert read_weights(str(path)).total()["bytes"] == 2**31


def _header(**changes: Any) -> bytes:
    about = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    return safetensors({"w": {key: value for key, value in about.items() if value is not None}}, 8)


WRONG = {
    "cut off": (b"\xff" * 8 + b"{}", "the file is cut off"),
    "large": (struct.pack("<Q", 2**26) + b"{" + bytes(2**26), "the header has 67,108,864 bytes; at most"),
    "no JSON": (safetensors(b"{oops", 0), "the header is not JSON"),
    "deep": (safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000, 0), "the header is not JSON"),
    "a list": (safetensors(b'{}'.replace(b"{}", b"[]"), 0), "the header is not JSON object"),
    "twice": (safetensors(b'{"a":1,"a":2}', 0), "the header names a key twice"),
    "lacks": (_header(dtype=None), "lacks one of dtype, shape and data_offsets"),
    "type": (_header(dtype="F31"), "has an element type 'F31' that is not known"),
    "negative": (_header(shape=[-2]), "has no shape of whole numbers"),
    "outside": (_header(data_offsets=[0, 99]), "does not lie in the file"),
    "backwards": (_header(data_offsets=[8, 0]), "does not lie in the file"),
    "size": (_header(shape=[3]), "has 8 bytes, and its shape and type need 12"),
    "huge": (_header(shape=[2**62, 2**62]), "its shape and type need"),
    "axes": (_header(shape=[1] * 20), "at most 16 of them"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_safetensors_header_that_lies(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(WRONG[name][0])
    with pytest.raises(CostcalcError) as raised:
        read_weights(str(path))
    assert WRONG[name][1] in str(raised.value) and "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_bytes_of_two_tensors_do_not_overlap(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    path.write_bytes(safetensors({"a": one, "b": one}, 8))
    with pytest.raises(CostcalcError, match="begin within those of"):
        read_weights(str(path))


BAD = {
    "version": (b"GGUF" + struct.pack("<I", 1) + bytes(16), "GGUF of version 1"),
    "counts": (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 2**40), "tensors and"),
    "a text": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**60), "a text has"),
    "a list": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 2**61),
        "goes beyond its end",
    ),
    "texts": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**50), "have more than"),
    "lists": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 9) * 9, ""),
    "kind": (gguf(("w", (4,), 99, 0), data=64), "has a type 99 that is not known"),
    "rows": (gguf(("w", (100,), 12, 0), data=999), "which blocks of 256 do not divide"),
    "beyond": (gguf(("w", (256,), 0, 0), data=64), "goes beyond its end"),
    "axes": (gguf(("w", (1,) * 9, 0, 0), data=64), "has 9 axes"),
    "large": (gguf(("w", (2**60, 2**60), 0, 0), data=64), ""),
    "align": (gguf(data=0, keys=text("general.alignment") + struct.pack("<II", 4, 0), count=1), "aligned to 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_gguf_header_that_lies(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(BAD[name][0])
    with pytest.raises(CostcalcError) as raised:
        read_weights(str(path))
    assert BAD[name][1] in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_random_damage_and_cuts(tmp_path: Path, kind: str) -> None:
    good = LLAMA if kind == "gguf" else safetensors(HEADER, 100)
    path, chance = tmp_path / f"m.{kind}", random.Random(2)
    for i in range(400):
        data = bytearray(good)
        if i % 4 == 0:
            data = data[: chance.randrange(len(data))]
        for _ in range(chance.choice([1, 2, 5]) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read_weights(str(path))
        except CostcalcError as error:
            assert "\n" not in str(error)


def test_names_steer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.safetensors"
    name = "w\x1b[8m\n::error::x\n##[error]"
    path.write_bytes(safetensors({name: HEADER["embed.weight"]}, 80))
    for format in ("table", "json", "csv", "markdown"):
        assert dispatch.outcome(["weights", str(path), "--format", format]) == 0
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert not any(line.lstrip().startswith(("::", "##[")) for line in printed.splitlines())
