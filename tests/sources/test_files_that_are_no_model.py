"""Files and folders of a kind that is not read: which kind, in a sentence, and what would help."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from costcalc import load
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError

torch = pytest.importorskip("torch")


def _zip(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return stream.getvalue()


def _saved(thing: object) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream)
    return stream.getvalue()


def _scripted() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), stream)
    return stream.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "net.pt": (lambda: _saved({"w": torch.ones(3)}), "a PyTorch checkpoint"),
    "net.pth": (lambda: pickle.dumps({"w": 1}), "a PyTorch checkpoint"),
    "scripted.pt": (_scripted, "a TorchScript program"),
    "any.dat": (lambda: pickle.dumps([1]), "a pickle"),
    "model.safetensors": (_safetensors, "a Safetensors file"),
    "weights.h5": (lambda: b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "a Keras model"),
    "net.keras": (lambda: _zip("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
    "llm.gguf": (lambda: b"GGUF" + b"\0" * 99, "a GGUF file"),
    "net.mlmodel": (lambda: b"\x08\x04\x12\x00", "a Core ML model"),
    "net.engine": (lambda: b"ftrt" + b"\0" * 99, "a TensorRT engine"),
    "net.xml": (lambda: b'<?xml version="1.0"?>\n<net name="a" version="11">', "an OpenVINO network"),
    "flax.msgpack": (lambda: b"\x82\xa6params", "a file of JAX parameters"),
    "arrays.npz": (lambda: _zip("a.npy", "b.npy"), "a file of NumPy arrays"),
    "large.pt": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer of Git LFS"),
    "renamed.bin": (lambda: _zip("net/models/model.json", "net/version"), "an exported PyTorch program"),
    "frozen.pb": (lambda: b"\x0a\x10", "a frozen TensorFlow graph"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_called_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content, title = FILES[name]
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content())
    for model in (name, f"./{name}"):
        with pytest.raises(CostcalcError, match=f"this is {title}.*; "):
            load(model)
    Path("costcalc.yaml").write_text(f"version: 1\nmodels:\n  - {{model: {name}, budgets: {{macs: 1}}}}\n")
    assert dispatch.outcome(["check"]) == 2
    assert title in capsys.readouterr().err


def test_its_size_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    with file.open("wb") as stream:
        stream.write(_saved({"w": torch.ones(3)}))
        stream.truncate(2**33)
    with pytest.raises(CostcalcError, match="this is a PyTorch checkpoint; it has weights, and a network only as code"):
        load(str(file))


FOLDERS = {
    "saved": (["saved_model.pb", "variables/x"], "a TensorFlow SavedModel"),
    "net.mlpackage": (["Manifest.json", "Data/x"], "a Core ML model"),
    "bert": (["config.json", "model.safetensors"], "the folder of a Hugging Face model"),
    "sd": (["model_index.json", "unet/config.json"], "the folder of a diffusers pipeline"),
    "tensors": (["a.safetensors"], "a folder of tensors"),
    "nets": (["net.yaml", "notes.txt"], "a folder; name a model in it"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    files, title = FOLDERS[name]
    for file in files:
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(CostcalcError, match=f"this is {title}"):
        load(str(tmp_path / name))


@pytest.mark.parametrize("cut", [4, 30, 100, 150])
def test_a_broken_archive_is_still_told(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(_saved({"w": torch.ones(3)})[:cut])
    with pytest.raises(CostcalcError, match="this is a PyTorch checkpoint"):
        load(str(file))


def test_a_plain_text_without_a_suffix_is_a_spec(tmp_path: Path) -> None:
    file = tmp_path / "net"
    file.write_text("inputs: {image: [3, 8, 8]}\nlayers:\n  - relu\n", encoding="utf-8")
    assert [node.name for node in load(str(file)).nodes] == ["relu"]
