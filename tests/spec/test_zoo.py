"""The shipped models: found by name, without reading the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import costcalc
from costcalc import zoo
from costcalc.frontends.spec import files


def test_a_name_leads_to_its_file_and_variant() -> None:
    path, shown, variant = zoo.find("resnet50")
    assert Path(path) == zoo.directory() / "resnet.yaml"
    assert (shown, variant) == ("resnet.yaml", "resnet50")


def test_loading_by_name_reads_that_file_only_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = files.read_file

    def recording(path: str, shown: str = "") -> object:
        opened.append(shown)
        return real(path, shown)

    monkeypatch.setattr(files, "read_file", recording)
    files._shipped.cache_clear()
    graphs = [costcalc.load(name) for name in ("vgg11", "vgg16")]
    assert ([g.name for g in graphs], opened) == (["vgg11", "vgg16"], ["vgg.yaml"])


def test_a_name_and_its_path_give_the_same_graph() -> None:
    by_path = costcalc.load(f"{zoo.path('vgg.yaml')}:vgg11")
    by_name = costcalc.load("vgg11")
    assert [(n.name, n.op, n.inputs) for n in by_path.nodes] == [(n.name, n.op, n.inputs) for n in by_name.nodes]


def test_a_shipped_name_comes_before_a_file_or_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg11").mkdir()
    (tmp_path / "vgg13").write_text("inputs: {x: [3]}\nlayers: [relu]\n")
    (tmp_path / "mine").write_text("inputs: {x: [3]}\nlayers: [relu]\n")
    assert len(costcalc.load("vgg11").nodes) > 1
    assert len(costcalc.load("vgg13").nodes) > 1
    assert len(costcalc.load("mine").nodes) == 1
    assert len(costcalc.load("./vgg13").nodes) == 1


def test_specs_are_found_inside_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "costcalc"
    (package / "configs").mkdir(parents=True)
    monkeypatch.setattr(zoo, "__file__", str(package / "zoo" / "__init__.py"))
    zoo.directory.cache_clear()
    try:
        assert zoo.directory() == package / "configs"
    finally:
        monkeypatch.undo()
        zoo.directory.cache_clear()
    assert (zoo.directory() / "resnet.yaml").is_file()


def test_each_spec_fits_a_page() -> None:
    specs = {
        p.name: p.read_text(encoding="utf-8").splitlines()
        for folder in (zoo.directory(), zoo.directory() / "blocks")
        for p in folder.glob("*.yaml")
    }
    assert {name: len(lines) for name, lines in specs.items() if len(lines) > 120} == {}
    assert [(name, line) for name, lines in specs.items() for line in lines if len(line) > 120] == []
