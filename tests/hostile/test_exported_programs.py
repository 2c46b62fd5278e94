"""Exported programs of strangers: what is in the archive is known before PyTorch reads it, and nothing of it runs."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import costcalc
from costcalc.cli import dispatch
from costcalc.frontends.torch import archive as archives
from costcalc.frontends.torch.archive import ArchiveError, copy_of_the_known

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
EXAMPLES = "data/sample_inputs/model.pt"
Parts = dict[str, bytes]


class Marks:
    """A pickle that says where it was opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The members of a program with a batch that may vary, by name."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Any, y: Any = None) -> Any:
            return torch.cat([self.conv(x), y]).flatten(1) + torch.tensor(1.0)

    batch = torch.export.Dim("batch", min=2, max=64)
    made = torch.export.export(
        Net().eval(), (torch.zeros(4, 3, 8, 8),), {"y": torch.zeros(4, 4, 6, 6)},
        dynamic_shapes={"x": {0: batch}, "y": {0: batch}},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("honest") / "net.pt2"
    torch.export.save(made, path, extra_files={"note.txt": "hello"})
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def _write(path: Path, parts: Parts, compression: int = zipfile.ZIP_STORED) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(f"net/{name}", data)
    return str(path)


def _changed(parts: Parts, name: str, change: Callable[[Any], object]) -> Parts:
    tree = json.loads(parts[name])
    change(tree)
    return {**parts, name: json.dumps(tree).encode()}


def _refused(capsys: pytest.CaptureFixture[str], path: str) -> str:
    assert dispatch.outcome(["analyze", path]) == 2
    said = capsys.readouterr().err
    assert "AssertionError" not in said and said.count("\n") == 1
    return said


def test_an_honest_program_is_as_it_was(tmp_path: Path, honest: Parts) -> None:
    # Of 4 images, as it was exported: 4 maps of 6×6, 27 MACs a value.
    found = costcalc.analyze(_write(tmp_path / "net.pt2", honest))
    assert (found.total.macs, found.total.params) == (4 * 4 * 36 * 27, 4 * 27 + 4)
    assert [*found.inputs.values()] == [(4, 3, 8, 8), (4, 4, 6, 6)]


def test_the_example_inputs_are_not_opened(tmp_path: Path, honest: Parts) -> None:
    pickled = io.BytesIO()
    torch.save(((Marks(tmp_path / "ran"),), {}), pickled)
    path = _write(tmp_path / "net.pt2", {**honest, EXAMPLES: pickled.getvalue()})
    assert costcalc.analyze(path).total.macs == 4 * 4 * 36 * 27
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_refused_unread(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    pickled = io.BytesIO()
    torch.save(Marks(tmp_path / "ran"), pickled)

    def change(tree: Any) -> None:
        tree["config"]["conv.bias"]["use_pickle"] = True

    name = "data/weights/" + json.loads(honest[WEIGHTS])["config"]["conv.bias"]["path_name"]
    path = _write(tmp_path / "net.pt2", {**_changed(honest, WEIGHTS, change), name: pickled.getvalue()})
    assert "weight 'conv.bias' is pickled, and a pickle can run anything" in _refused(capsys, path)
    for old in ("serialized_exported_program.json", "data/weights/model.pt"):
        path = _write(tmp_path / "net.pt2", {**honest, old: pickled.getvalue()})
        assert "export it again with a newer PyTorch" in _refused(capsys, path)
    assert not (tmp_path / "ran").exists()


def test_guards_are_not_run(tmp_path: Path, honest: Parts) -> None:
    def change(tree: Any) -> None:
        tree["guards_code"] = [f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch() or True"]

    costcalc.analyze(_write(tmp_path / "net.pt2", _changed(honest, PROGRAM, change)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target",
    ["torch.load", "torch.nn.Linear", "torch.ops.aten.from_file.default", "torch.ops.other.op.default",
     "math.factorial", "torch.ops.aten", "torch.ops.aten.relu", "torch.ops.aten.no_such.default", "_operator.call",
     "#x", ""],
)  # fmt: skip
def test_a_program_calls_operators_only(tmp_path: Path, honest: Parts, capsys: Any, target: str) -> None:
    def change(tree: Any) -> None:
        tree["graph_module"]["graph"]["nodes"][0]["target"] = target

    said = _refused(capsys, _write(tmp_path / "net.pt2", _changed(honest, PROGRAM, change)))
    assert "which is not among the operators that are known" in said or target == "torch.ops.aten.relu"


@pytest.mark.parametrize(
    "size", ["open('x')", "x.y", "[1]", "Pow(Integer(9), Integer(999))", "9**9", "lambda: 1", "1" * 30, "("]
)
def test_a_size_is_arithmetic(tmp_path: Path, honest: Parts, capsys: Any, size: str) -> None:
    def change(tree: Any) -> None:
        tree["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = size

    said = _refused(capsys, _write(tmp_path / "net.pt2", _changed(honest, PROGRAM, change)))
    assert "a size that is not arithmetic" in said


def test_names_are_words_and_types_are_known(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    def name(tree: Any) -> None:
        tree["graph_module"]["graph"]["nodes"][0]["name"] = "a b"

    def weight(tree: Any) -> None:
        tree["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = 'a"b'

    def kind(tree: Any) -> None:
        call = tree["graph_module"]["module_call_graph"][0]["signature"]
        call["in_spec"] = call["in_spec"].replace("builtins.dict", "collections.defaultdict")

    for change, says in (
        (name, "is not a word"),
        (weight, "is not a name of a weight"),
        (kind, "'collections.defaultdict'"),
    ):
        assert says in _refused(capsys, _write(tmp_path / "net.pt2", _changed(honest, PROGRAM, change)))


def test_versions_and_layouts_that_are_not_known(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    def change(tree: Any) -> None:
        tree["schema_version"]["major"] = 99

    for parts, says in (
        ({**honest, "archive_version": b"7"}, "in its version 0: '7'"),
        (_changed(honest, PROGRAM, change), "has version 99"),
        ({**honest, "data/aotinductor/model/x.so": b"x"}, "is not of an exported program, and perhaps code"),
        ({**honest, "data/constants/opaque_obj_0": b"x"}, "is not of an exported program, and perhaps code"),
        ({name: data for name, data in honest.items() if name != WEIGHTS}, f"it has no {WEIGHTS}"),
    ):
        assert says in _refused(capsys, _write(tmp_path / "net.pt2", parts))


def test_no_member_is_larger_than_the_file(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    # Some megabytes of zeros that take some kilobytes; nothing is expanded to say so.
    path = _write(tmp_path / "net.pt2", {**honest, "data/weights/weight_0": bytes(4 * 2**20)}, zipfile.ZIP_DEFLATED)
    assert "is compressed" in _refused(capsys, path)

    def change(tree: Any) -> None:
        tree["config"]["conv.bias"]["tensor_meta"]["sizes"] = [{"as_int": 10**12}]

    name = "data/weights/" + json.loads(honest[WEIGHTS])["config"]["conv.bias"]["path_name"]
    path = _write(tmp_path / "net.pt2", {**_changed(honest, WEIGHTS, change), name: b""})
    assert "weight 'conv.bias' is not there" in _refused(capsys, path)


def test_declared_sizes_are_bounded(tmp_path: Path, honest: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "net.pt2", honest)
    for bound, says in (
        ("MOST_PROGRAM", "bytes; at most 100"),
        ("MOST_WEIGHTS", "at most 100"),
        ("MOST_MEMBERS", "members"),
    ):
        with monkeypatch.context() as patch, pytest.raises(ArchiveError, match=says):
            patch.setattr(archives, bound, 5 if bound == "MOST_MEMBERS" else 100)
            copy_of_the_known(path, tmp_path / "copy.pt2")


def test_what_is_no_archive_is_told_in_a_sentence(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    path = tmp_path / "net.pt2"
    _write(path, honest)
    whole = path.read_bytes()
    for data in (b"", b"PK", whole[:400], whole[:-10], b"\0" * 100):
        path.write_bytes(data)
        assert "is not an exported program" in _refused(capsys, str(path))


def test_a_damaged_one_is_told_in_a_sentence(tmp_path: Path, honest: Parts, capsys: Any) -> None:
    chance = random.Random(11)
    path = tmp_path / "net.pt2"
    for _ in range(40):
        name = chance.choice([PROGRAM, WEIGHTS, "data/constants/model_constants_config.json"])
        data = bytearray(honest[name])
        at = chance.randrange(len(data))
        data[at : at + chance.randint(0, 3)] = bytes(chance.choices(b'{}[]",:0aZ', k=chance.randint(0, 3)))
        code = dispatch.outcome(["analyze", _write(path, {**honest, name: bytes(data)})])
        said = capsys.readouterr().err
        assert code in (0, 2) and "AssertionError" not in said, said
