"""What files of strangers name lies in their repository or folder, and nothing of what lies outside is quoted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.cli import dispatch

SPEC = "inputs: {image: [3, 8, 8]}\nlayers:\n- conv(4, 3)\n"
CONFIG = "version: 1\nmodels:\n- {model: net.yaml, budgets: {macs: 1 M}}\n"
SECRET = "password123: {hidden\n"
MACHINE = "title: mine\nmacs: {float32: 1e9}\nbandwidth: 1e9\nsource: made up\n"
BLOCKS = "blocks:\n  double(c):\n  - conv(c, 3)\n  - conv(c, 3)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, the working directory; beside it lie a spec, blocks, a machine and a secret."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / ".git").mkdir()
    monkeypatch.chdir(top)
    (tmp_path / "secret.yaml").write_text(SECRET, encoding="utf-8")
    (tmp_path / "net.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(MACHINE, encoding="utf-8")
    return top


def _refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert dispatch.outcome(list(args)) == 2
    said = capsys.readouterr().err
    assert "password" not in said and "hidden" not in said
    return said


@pytest.mark.parametrize("name", ["../../{}.yaml", "{top}/../{}.yaml", "link.yaml", "linked/{}.yaml"])
@pytest.mark.parametrize("file", ["secret", "net"])
def test_a_config_names_no_model_outside(folder: Path, capsys: Any, name: str, file: str) -> None:
    Path("sub/link.yaml").symlink_to(f"../../{file}.yaml")
    Path("sub/linked").symlink_to("../..")
    model = name.format(file, top=folder)
    Path("sub/costcalc.yaml").write_text(CONFIG.replace("net.yaml", model), encoding="utf-8")
    for command in ("check", "lock"):
        said = _refused(capsys, command, "--config", "sub/costcalc.yaml")
        assert "sub/costcalc.yaml:3:" in said and "leads out of the repository of this file" in said


@pytest.mark.parametrize("file", ["../../secret.yaml", "../../blocks.yaml", "link.yaml"])
def test_a_spec_uses_no_file_outside(folder: Path, capsys: Any, file: str) -> None:
    Path("sub/link.yaml").symlink_to("../../secret.yaml")
    Path("sub/net.yaml").write_text(f"use: [{file}]\n{SPEC}- double(4)\n", encoding="utf-8")
    assert "sub/net.yaml:1:" in (said := _refused(capsys, "analyze", "sub/net.yaml"))
    assert "because a spec names it" in said


def test_a_spec_has_no_model_outside(folder: Path, capsys: Any) -> None:
    Path("sub/net.yaml").write_text(SPEC + "- b: model('../../secret.yaml')\n", encoding="utf-8")
    assert "leads out of the repository" in _refused(capsys, "analyze", "sub/net.yaml")


def test_a_config_names_no_machine_outside(folder: Path, capsys: Any) -> None:
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    for file in ("../secret.yaml", "../mine.yaml"):
        budget = f"{{time: {{max: 1 s, machine: {file}}}}}"
        Path("costcalc.yaml").write_text(CONFIG.replace("{macs: 1 M}", budget), encoding="utf-8")
        assert "leads out of the repository" in _refused(capsys, "check")


def test_what_nobody_named_is_no_link_that_leads_out(folder: Path, capsys: Any) -> None:
    Path("costcalc.yaml").symlink_to("../secret.yaml")
    assert "is not read because nobody names it" in _refused(capsys, "check")
    Path("costcalc.yaml").unlink()
    Path("costcalc.yaml").write_text(CONFIG, encoding="utf-8")
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    Path("costcalc.lock").symlink_to("../secret.yaml")
    assert "the lock is a link that leads out" in _refused(capsys, "check")


def test_of_a_link_that_is_named_nothing_is_quoted(folder: Path, capsys: Any) -> None:
    Path("link.yaml").symlink_to("../secret.yaml")
    for args in (
        ["analyze", "link.yaml"],
        ["analyze", "lenet5", "--machine", "link.yaml"],
        ["check", "--config", "link.yaml"],
    ):
        assert "nothing of it is quoted" in _refused(capsys, *args)


@pytest.mark.parametrize("at", ["linked/secret.yaml", "linked/in/secret.yaml"])
def test_of_a_file_in_a_folder_that_is_a_link_nothing_is_quoted(folder: Path, capsys: Any, at: str) -> None:
    """As where somebody names all of ``linked/*.yaml``: the link is the pull request's, though the file is named."""
    outside = (folder.parent / "outside" / at).parent
    outside.mkdir(parents=True)
    (outside / "secret.yaml").write_text(Path("../secret.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    Path("linked").symlink_to("../outside/linked", target_is_directory=True)
    for name in (at, str(Path.cwd() / at)):
        for args in (["analyze", name], ["analyze", "lenet5", "--machine", name], ["check", "--config", name]):
            assert "nothing of it is quoted" in _refused(capsys, *args)


def test_links_above_the_repository_are_nobodys_but_the_users(
    folder: Path, capsys: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where home folders lie elsewhere: a mistake in a file of one's own is told with its words."""
    home = tmp_path_factory.mktemp("home") / "link"
    home.symlink_to(folder, target_is_directory=True)
    (folder / "mine.yaml").write_text("inputs: {x: [3]}\nlayers: [blurb]\n", encoding="utf-8")
    for name in (str(home / "mine.yaml"), "mine.yaml"):
        monkeypatch.chdir(home)
        assert dispatch.outcome(["analyze", name]) == 2
        assert "blurb" in capsys.readouterr().err


def test_who_types_a_command_names_any_file(folder: Path, capsys: Any) -> None:
    for args in (
        ["analyze", "../net.yaml", "--machine", "../mine.yaml"],
        ["check", "../net.yaml", "--max", "macs=1M"],
        ["diff", "../net.yaml", "lenet5"],
    ):
        assert dispatch.outcome(args) == 0, capsys.readouterr().err


WHOLE = b'{"embed":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


def _index(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.safetensors.index.json").write_text('{"weight_map": {"embed": "m.safetensors"}}', encoding="utf-8")


def _weights(file: Path, name: bytes = b"embed") -> None:
    header = WHOLE.replace(b"embed", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def test_an_index_of_weights_names_no_file_outside(folder: Path, capsys: Any) -> None:
    """Whole or not, what lies outside is not read; neither is a pipe, nor a link that leads nowhere or to itself."""
    _index(Path("sub"))
    link = Path("sub/m.safetensors")
    _weights(folder.parent / "whole.safetensors", b"hidden")
    for outside in ("../../whole.safetensors", "../../secret.yaml", "../../nothing", "/dev/zero"):
        link.symlink_to(outside)
        assert "leads out of the repository" in _refused(capsys, "weights", "sub/m.safetensors.index.json")
        link.unlink()
    link.symlink_to("m.safetensors")
    _refused(capsys, "weights", "sub/m.safetensors.index.json")
    for name in ("../whole.safetensors", "/etc/passwd", "..", "a/m.safetensors"):
        Path("sub/m.safetensors.index.json").write_text(f'{{"weight_map": {{"embed": "{name}"}}}}', encoding="utf-8")
        assert "does not lie beside it" in _refused(capsys, "weights", "sub/m.safetensors.index.json")


def test_links_within_the_repository_and_to_the_cache_of_a_hub_are_followed(folder: Path, capsys: Any) -> None:
    _index(Path("sub"))
    _weights(Path("real.safetensors"))
    Path("sub/m.safetensors").symlink_to("../real.safetensors")
    assert dispatch.outcome(["weights", "sub/m.safetensors.index.json"]) == 0
    revision = folder.parent / "models--a--b" / "snapshots" / "0123"
    _index(revision)
    _weights(folder.parent / "models--a--b" / "blobs" / "4567")
    (revision / "m.safetensors").symlink_to("../../blobs/4567")
    assert dispatch.outcome(["weights", str(revision / "m.safetensors.index.json")]) == 0
    assert "embed" in capsys.readouterr().out


def test_a_table_of_times_and_one_of_energies_name_nothing_outside(folder: Path, capsys: Any) -> None:
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    for name in ("../secret.yaml", "../net.yaml"):
        Path("times.csv").write_text(f"model,ms\n{name},1\n", encoding="utf-8")
        said = _refused(capsys, "calibrate", "--from", "times.csv", "--output", "made.yaml")
        assert "times.csv:2" in said and "leads out of the repository" in said and not Path("made.yaml").exists()
        budget = f"{{energy: {{max: 1 J, energy: {name}}}}}"
        Path("costcalc.yaml").write_text(CONFIG.replace("{macs: 1 M}", budget), encoding="utf-8")
        assert "leads out of the repository" in _refused(capsys, "check")


@pytest.mark.parametrize("name", ["net.py:Net", "net:Net", "timm:resnet18", "hf:here", "ultralytics:net", "net.pt2"])
def test_a_table_of_times_runs_no_code(folder: Path, capsys: Any, name: str) -> None:
    Path("net.py").write_text("open('marker', 'w').close()\n", encoding="utf-8")
    Path("times.csv").write_text(f"model,ms\n{name},1\n", encoding="utf-8")
    said = _refused(capsys, "calibrate", "--from", "times.csv", "--output", "made.yaml")
    assert "times.csv:2" in said and "--allow-code" in said and not Path("marker").exists()


def test_of_links_beside_a_command_nothing_is_quoted(folder: Path, capsys: Any) -> None:
    """Of every reader that a link can be given to."""
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    ends = ("yaml", "csv", "onnx", "tflite", "param", "safetensors", "gguf", "safetensors.index.json", "json")
    for end in ends:
        Path(f"link.{end}").symlink_to("../secret.yaml")
    for args in (
        ["analyze", "net.yaml", "--energy", "link.yaml"], ["analyze", "net.yaml", "--machine", "link.yaml"],
        ["report", "link.yaml", "--output", "x.html"], ["export", "loops", "link.yaml"], ["traffic", "link.yaml"],
        ["field", "link.yaml"], ["table", "link.yaml", "lenet5"],
        ["table", "net.yaml", "--with", "link.csv", "--columns", "acc"],
        ["calibrate", "--from", "link.csv", "--output", "x.yaml"], ["pack", "link.csv"],
        ["calibrate", "--from", "link.csv", "--machine", "link.yaml", "--output", "x.yaml"],
        *(["analyze", f"link.{end}"] for end in ("onnx", "tflite", "param")),
        *(["weights", f"link.{end}"] for end in ("safetensors", "gguf", "safetensors.index.json", "tflite")),
        ["check", "net.yaml", "--max", "macs=1M", "--compare-to", "link.json"],
    ):  # fmt: skip
        _refused(capsys, *args)
    assert not Path("x.html").exists() and not Path("x.yaml").exists()


def test_inside_the_repository_folders_above_are_reached(folder: Path) -> None:
    Path("blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    Path("sub/net.yaml").write_text(
        f"use: [../blocks.yaml]\n{SPEC}- double(4)\n- b: model('resnet18')\n", encoding="utf-8"
    )
    names = [node.name for node in costcalc.load("sub/net.yaml").nodes]
    assert len(names) > 60  # with the shipped model, whose file lies elsewhere


def test_without_a_repository_a_spec_reaches_its_folder(folder: Path, capsys: Any) -> None:
    Path(".git").rmdir()
    Path("blocks.yaml").write_text(BLOCKS, encoding="utf-8")
    Path("sub/net.yaml").write_text(f"use: [../blocks.yaml]\n{SPEC}- double(4)\n", encoding="utf-8")
    assert "leads out of the folder of this file" in _refused(capsys, "analyze", "sub/net.yaml")
    assert costcalc.load("sub/net.yaml", within=".").nodes


def test_what_lies_beside_a_configuration_is_read_as_other_files_are(folder: Path) -> None:
    """The size of an image is in a file that nobody names: a link that leads out, or a pipe, is none."""
    pytest.importorskip("torch")
    from costcalc.frontends.torch.hugging_face_inputs import _prepared

    file = Path("sub/preprocessor_config.json")
    for text, sides in (
        ('{"size": {"height": 96, "width": 128}}', [96, 128]), ('{"crop_size": [3, 4, 5]}', [4, 5]),
        ('{"size": 7}', [7, 7]),
        ('{"size": "ab"}', None), ('{"size": {"height": "x"}}', None), ("[" * 100_000, None), ("{", None), ("[]", None),
    ):  # fmt: skip
        file.write_text(text, encoding="utf-8")
        assert _prepared(Path("sub")) == sides
    file.unlink()
    (folder.parent / "secret.json").write_text('{"size": 1234}', encoding="utf-8")
    file.symlink_to("../../secret.json")
    assert _prepared(Path("sub")) is None
    file.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(file)
        assert _prepared(Path("sub")) is None


def test_an_index_of_a_pipeline_names_no_part_outside(folder: Path) -> None:
    pytest.importorskip("torch")
    from costcalc.errors import SpecError
    from costcalc.frontends.torch import diffusers_pipelines as pipelines

    names = ("unet", "unet/../../..", "text_encoder/../x", "../unet", "vae")
    Path("sub/model_index.json").write_text(
        json.dumps({"_class_name": "P", **{name: ["diffusers", "X"] for name in names}}), encoding="utf-8"
    )
    assert [*pipelines._read(Path("sub")).parts] == ["unet", "vae"]
    (folder.parent / "config.json").write_text('{"_class_name": "password"}', encoding="utf-8")
    Path("sub/unet").symlink_to("../..", target_is_directory=True)
    with pytest.raises(SpecError, match="leads out of the repository") as told:
        pipelines._config(Path("sub/unet"))
    assert "password" not in str(told.value)
    # In a cache of Hugging Face files are links to its blobs, which are followed.
    part = folder.parent / "cache" / "snapshots" / "1a2b" / "vae"
    part.mkdir(parents=True)
    (folder.parent / "cache" / "blobs").mkdir()
    (folder.parent / "cache" / "blobs" / "x").write_text('{"_class_name": "Y"}', encoding="utf-8")
    (part / "config.json").symlink_to("../../../blobs/x")
    assert pipelines._config(part) == {"_class_name": "Y"}
