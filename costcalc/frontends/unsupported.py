"""Files and folders that are no model here: of which kind each is, by its first bytes or what is in it, and what helps.

Nothing is imported, unpacked or run to tell: of a file its first bytes, of an archive the names in its directory, of a
folder the names of its files.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError, UnknownName
from costcalc.frontends.python_classes import module_classes, to_choose_from
from costcalc.frontends.sources import SOURCES, source_of

MOST_NAMES = 2000
"""Members of an archive, or files of a folder, that are looked at."""
MOST_DIRECTORY = 2**22
"""Bytes of the directory of an archive that is looked at."""

TRACE = "name the code that builds the network instead: FILE.py:NAME, MODULE:NAME, torchvision:NAME or timm:NAME"
EXPORT = "torch.export.save(torch.export.export(model, (x,)), 'net.pt2') writes what is read: FILE.pt2"


class UnreadKind(NamedTuple):
    """A kind of file that is not a model here: what it is called, with an article, and what would help."""

    title: str
    helps: str


CHECKPOINT = UnreadKind("a PyTorch checkpoint", f"it has weights, and a network only as code; {TRACE}")
TORCHSCRIPT = UnreadKind("a TorchScript program", f"export the module that it was made from: {EXPORT}")
PICKLE = UnreadKind("a pickle, which is code", f"it is not opened; {TRACE}")
KERAS = UnreadKind(
    "a Keras model", "convert it: tf.lite.TFLiteConverter.from_keras_model(model).convert() gives a .tflite"
)
SAVED = UnreadKind("a TensorFlow SavedModel", "convert it: tf.lite.TFLiteConverter.from_saved_model(folder).convert()")
TENSORS = UnreadKind("a file of tensors", f"it has weights and no network; {TRACE}")
LISTED = f"it has weights and no network: `costcalc weights` lists them; {TRACE}"
COREML = UnreadKind("a Core ML model", "take the model that it was converted from, or its ONNX or TFLite file")
ENGINE = UnreadKind("a TensorRT engine", "it is compiled for one card; take the ONNX file that it was built from")
OPENVINO = UnreadKind("an OpenVINO network", "take the ONNX, TFLite or PyTorch model that it was converted from")
HUGGING = UnreadKind(
    "the folder of a Hugging Face model", f"name code that builds it from its config, without weights; {TRACE}"
)
LFS = UnreadKind("a pointer of Git LFS, not the file itself", "`git lfs pull` gets the file")
CODE = UnreadKind("Python code", "say what in it is the model, as in FILE.py:NAME")
ARRAYS = UnreadKind("a file of NumPy arrays", f"it has values and no network; {TRACE}")
FROZEN = UnreadKind("a frozen TensorFlow graph", "convert it with tf.lite.TFLiteConverter, which writes a .tflite")
SAFETENSORS = UnreadKind("a Safetensors file", LISTED)
GGUF = UnreadKind("a GGUF file", LISTED)
ORT = UnreadKind("a model in ONNX Runtime's own format", "take the ONNX file that it was converted from")
EXECUTORCH = UnreadKind("an ExecuTorch program", f"take the module that it was lowered from: {EXPORT}")
ARCHIVE = UnreadKind("an archive", "unpack it and name the model in it")
COMPILED = UnreadKind("a program compiled for a device", "take the model that it was compiled from")

BEGINS: tuple[tuple[int, bytes, UnreadKind], ...] = (
    (0, b"version https://git-lfs", LFS),
    (0, b"\x89HDF\r\n\x1a\n", KERAS),
    (0, b"GGUF", GGUF),
    (0, b"ftrt", ENGINE),
    (0, b"\x93NUMPY", ARRAYS),
    (4, b"TFL3", UnreadKind("a TFLite model", "give it a name that ends in .tflite")),
    (4, b"ORTM", ORT),
    (4, b"ET", EXECUTORCH),
    (0, b"7767517\n", UnreadKind("an ncnn network", "give it a name that ends in .param")),
    (0, b"hsqs", COMPILED),
)  # fmt: skip
"""(offset, bytes) → kind."""

ENDS: dict[str, UnreadKind] = {
    ".pt": CHECKPOINT, ".pth": CHECKPOINT, ".ckpt": CHECKPOINT, ".bin": TENSORS,
    ".safetensors": SAFETENSORS,
    ".pkl": PICKLE, ".pickle": PICKLE, ".joblib": PICKLE, ".h5": KERAS, ".hdf5": KERAS, ".keras": KERAS,
    ".gguf": GGUF, ".mlmodel": COREML, ".mlpackage": COREML, ".mlmodelc": COREML,
    ".engine": ENGINE, ".plan": ENGINE, ".trt": ENGINE, ".npz": ARRAYS, ".npy": ARRAYS, ".pb": FROZEN,
    ".msgpack": UnreadKind("a file of JAX parameters", f"it has weights and no network; {TRACE}"),
    ".ptl": TORCHSCRIPT, ".py": CODE,
    ".ipynb": UnreadKind("a notebook", "put the code of the model into a file and name it: FILE.py:NAME"),
    ".pdmodel": UnreadKind("a PaddlePaddle model", "convert it to ONNX with paddle2onnx"),
    ".caffemodel": UnreadKind("a Caffe model", "convert it to ONNX, or write a spec of it"),
    ".prototxt": UnreadKind("a Caffe network", "convert it to ONNX, or write a spec of it"),
    ".cfg": UnreadKind("a config of another tool", "write a spec of it, or trace its PyTorch model"),
    ".mnn": UnreadKind("an MNN model", "take the ONNX or TFLite file that it was converted from"),
    ".rknn": COMPILED, ".hef": COMPILED, ".dlc": COMPILED, ".om": COMPILED, ".blob": COMPILED, ".vmfb": COMPILED,
    ".ort": ORT, ".pte": EXECUTORCH, ".tar": ARCHIVE, ".gz": ARCHIVE, ".zip": ARCHIVE,
}  # fmt: skip
"""Suffix → kind, for what the first bytes do not tell."""


def refuse_unread(path: str) -> None:
    """Raise ``SpecError`` if the file or folder at ``path`` is of a kind that is known and not read."""
    kind = kind_of(path)
    if kind is CODE:
        raise UnknownName(f"{path[:80]} is Python code; {of_python(path)}")
    if kind is not None:
        raise SpecError(f"this is {kind.title}; {kind.helps}", Location(path))


def of_python(path: str, what: str = "it") -> str:
    """What to do for the file of Python at ``path``, called ``what``: name a module in it; the last, say."""
    known = module_classes(path)
    example = f"{path[:80]}:{known[-1] if known else 'Net'}"
    return f"say what in {what} is the model, as in {example}{to_choose_from(known) if len(known) > 1 else ''}"


HUBS = ("hf", "huggingface", "huggingface_hub", "transformers", "diffusers", "hub", "torch.hub")


LIBRARIES = {"timm": "timm", "torchvision": "torchvision"}
SAME_AS_HF = ("huggingface", "huggingface_hub", "transformers", "diffusers")
"""What others put before a model that here is ``hf:NAME``."""
_OWNER_AND_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def of_hub(name: str) -> str:
    """What to do for a model of a hub that ``name`` seems to name; "" if it names none."""
    hub, colon, model = name.partition(":")
    if not colon or hub not in HUBS:
        return ""
    if hub in SAME_AS_HF:
        return f"write hf:{model[:60]}, whose configuration is read from the local cache, a folder or a config.json"
    return (
        "models of a hub are not read by name; write what builds it, without its weights, into a file and name that: "
        f"net.py:build with `def build(): return AutoModel.from_config(AutoConfig.from_pretrained('{model[:60]}'))`"
    )


def refuse_foreign(name: str) -> None:
    """Raise ``UnknownName`` for a name as hubs have them, and for a path as Windows has it where that leads nowhere."""
    hub = of_hub(name)
    if hub:
        raise UnknownName(f"'{name[:80]}': {hub}")
    owner, _, model = name.partition("/")
    is_named = _OWNER_AND_NAME.fullmatch(name) and not re.fullmatch(r"\.[A-Za-z]\w{0,7}", Path(name).suffix)
    if is_named and not Path(owner).exists():
        library = f"{owner}:{model}" if owner in LIBRARIES else f"hf:{name}"
        raise UnknownName(f"there is no file {name}; a model of {LIBRARIES.get(owner, 'Hugging Face')} is {library}")
    if os.sep == "/" and WINDOWS.match(name) and not Path(name).exists():
        raise UnknownName(f"there is no '{name[:80]}'; {of_windows(name)}")


WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\.{0,2}\\")


def of_windows(name: str) -> str:
    """What to say of a path of Windows on a system that has others; "" for another path."""
    if os.sep != "/" or not WINDOWS.match(name):
        return ""
    here = name.replace("\\", "/").rpartition(":/")[2]
    return f"this is a path of Windows, and on this system folders have a / between them: {here[-80:]}"


def kind_of(path: str) -> UnreadKind | None:
    """What lies at ``path``, if that is of a kind that is not read; None for text that may be a spec, or nothing."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            return None
        with file.open("rb") as stream:
            begin = stream.read(512)
    except (OSError, ValueError):
        return None
    return _of_bytes(path, begin) or _of_name(path)


def _of_name(path: str) -> UnreadKind | None:
    suffix = Path(path).suffix.lower()
    known = suffix in ENDS and not any(suffix in source.suffixes for source in SOURCES.values() if suffix != ".py")
    return ENDS[suffix] if known else None


def _of_bytes(path: str, begin: bytes) -> UnreadKind | None:
    for offset, wanted, kind in BEGINS:
        if begin[offset : offset + len(wanted)] == wanted:
            return kind
    if begin[:4] == b"PK\x03\x04":
        return _archive(path)
    if begin[:1] == b"\x80" and begin[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return CHECKPOINT if Path(path).suffix.lower() in (".pt", ".pth", ".bin", ".ckpt") else PICKLE
    if int.from_bytes(begin[:8], "little") <= 10**8 and begin[8:10] in (b'{"', b"{}"):
        return SAFETENSORS
    if begin.lstrip()[:1] == b"<" and b"<net " in begin:
        return OPENVINO
    if begin[:2] == b"\x1f\x8b":
        return ARCHIVE
    return None


def _archive(path: str) -> UnreadKind:
    names = archived_names(path)
    if any(name.endswith(("models/model.json", "archive_format")) for name in names):
        return UnreadKind("an exported PyTorch program", "give it a name that ends in .pt2")
    if any("/code/" in name for name in names) or any(name.endswith("constants.pkl") for name in names):
        return TORCHSCRIPT
    if any(name.endswith("data.pkl") for name in names):
        return CHECKPOINT
    if "model.weights.h5" in names:
        return KERAS
    if names and all(name.endswith(".npy") for name in names):
        return ARRAYS
    return _of_name(path) or ARCHIVE


def archived_names(path: str) -> list[str]:
    """The first names in the directory of the zip archive at ``path``, if it can be read. Nothing is unpacked."""
    try:
        with Path(path).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 65_557, 0))
            tail = stream.read()
            at = tail.rfind(b"PK\x05\x06")
            if at < 0:
                return []
            length, start = (int.from_bytes(tail[at + i : at + i + 4], "little") for i in (12, 16))
            if length > MOST_DIRECTORY or start + length > size:
                return []
            stream.seek(start)
            table = stream.read(length)
    except OSError:
        return []
    names: list[str] = []
    at = 0
    while table[at : at + 4] == b"PK\x01\x02" and len(names) < MOST_NAMES:
        sizes = [int.from_bytes(table[at + i : at + i + 2], "little") for i in (28, 30, 32)]
        names.append(table[at + 46 : at + 46 + sizes[0]].decode("utf-8", errors="replace"))
        at += 46 + sum(sizes)
    return names


FOLDERS: tuple[tuple[Callable[[set[str]], bool], UnreadKind], ...] = (
    (lambda names: bool({"saved_model.pb", "saved_model.pbtxt"} & names), SAVED),
    (lambda names: {"Manifest.json", "Data"} <= names, COREML),
    (lambda names: "model_index.json" in names, UnreadKind("the folder of a diffusers pipeline", HUGGING.helps)),
    (lambda names: {"config.json", "model.weights.h5"} <= names, KERAS),
    (lambda names: "config.json" in names, HUGGING),
    (lambda names: any(n.endswith((".safetensors", ".gguf", ".bin", ".pt", ".pth")) for n in names), TENSORS),
)
"""What is known of the names in a folder → kind; the first that fits."""


def _folder(path: str) -> UnreadKind | None:
    names: set[str] = set()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names.add(entry.name)
                if len(names) >= MOST_NAMES:
                    break
    except OSError:
        return None
    found = _of_name(path) or next((kind for fits, kind in FOLDERS if fits(names)), None)
    if found is TENSORS:
        found = UnreadKind("a folder of tensors", TENSORS.helps)
    known = (name for name in names if not name.startswith(".") and source_of(name).is_file)
    models = sorted(name for name in known if name.endswith(source_of(name).suffixes))
    if found is None and models:
        return UnreadKind(
            "a folder", f"name a model in it: {', '.join(str(Path(path, name))[:80] for name in models[:3])}"
        )
    return found
