"""One table of sources: what is only in it is loaded, checked, locked, compared, traced, completed and refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli.options import model_names
from costcalc.errors import CostcalcError, Location, OptionError, SpecError
from costcalc.frontends.sources import SOURCES, Request, Source, is_path, source_of, split
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.zoo import models
from tests.budget.throwaway import Repository, open_repository

FRONT = "costcalc_test_front_end"
SMALL, LARGE = 8 * 3 * 9 * 64, 12 * 3 * 9 * 64
"""MACs of a 3×3 convolution of 3 channels on 8×8 to so many."""


def _load(name: str, request: Request) -> Graph:
    text = Path(name).read_text(encoding="utf-8")
    if not text.startswith("TOY "):
        raise SpecError("this is not a toy", Location(name, 1))
    graph = GraphBuilder(Path(name).stem, {"x": TensorType((request.batch or 1, 3, 8, 8))})
    return graph.build(graph.add("conv", Conv(int(text[4:]), 3, padding=1), ["x"], location=Location(name, 1)))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """A source that is only in the table, for as long as a test runs."""
    front = ModuleType(FRONT)
    front.load = _load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, FRONT, front)
    source = Source(
        "a toy", "FILE.toy", FRONT, (".toy",), has_revisions=True, has_lines=True, begins=(0, b"TOY "),
        refuses={"input": "is a toy of one size", "symbols": "is a toy in numbers"},
        unverified="is a toy, of which there is no module",
    )  # fmt: skip
    monkeypatch.setitem(SOURCES, "toy", source)
    yield source


@pytest.fixture
def repository(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = open_repository(tmp_path, capsys, monkeypatch)
    found.write("nets/net.toy", "TOY 8\n")
    found.write("costcalc.yaml", "version: 1\nmodels:\n  - model: nets/net.toy\n    budgets: {macs: 14 k}\n")
    found.commit()
    return found


def test_it_is_loaded_and_analyzed(repository: Repository) -> None:
    assert report(load("nets/net.toy")).total.macs == SMALL
    assert report(load("nets/net.toy", batch=2)).total.macs == 2 * SMALL
    code, printed = repository.run("analyze", "nets/net.toy", "--exact")
    assert code == 0 and f"{SMALL:,}" in printed
    assert repository.run("explain", "nets/net.toy", "conv")[0] == 0
    assert repository.run("compare", "nets/net.toy", "lenet5")[0] == 0


def test_a_config_names_it_without_allow_code_and_from_its_own_folder(repository: Repository) -> None:
    code, printed = repository.run("check")
    assert code == 0 and "met" in printed
    repository.write("nets/costcalc.yaml", "version: 1\nmodels:\n  - model: net.toy\n    budgets: {macs: 1}\n")
    assert repository.run("check", "--config", "nets/costcalc.yaml")[0] == 1
    repository.write("costcalc.yaml", "version: 1\nmodels:\n  - model: ../outside.toy\n")
    assert "leads out of the repository" in repository.fails("check")


def test_it_is_locked_and_held_to_the_lock_and_to_revisions(repository: Repository) -> None:
    assert repository.run("lock")[0] == 0
    assert repository.run("check", "--locked")[0] == 0
    repository.edit("nets/net.toy", "8", "12")
    assert repository.run("check", "--locked")[0] == 1
    repository.write(
        "costcalc.yaml", "version: 1\nmodels:\n  - {model: nets/net.toy, budgets: {macs: {max_increase: 1%}}}\n"
    )
    code, printed = repository.run("check", "--base", "HEAD")
    assert code == 1 and "nets/net.toy:1" in printed and "width" in printed


def test_it_is_compared_with_another_and_with_what_it_was(repository: Repository) -> None:
    repository.write("nets/large.toy", "TOY 12\n")
    assert "width" in repository.run("diff", "nets/net.toy", "nets/large.toy")[1]
    repository.edit("nets/net.toy", "8", "12")
    for line in (["diff", "--base", "HEAD", "nets/net.toy"], ["diff", "--base", "HEAD"]):
        code, printed = repository.run(*line)
        assert code == 0 and "nets/net.toy" in printed and "width" in printed
    repository.commit()
    assert "width" in repository.run("diff", "HEAD~1..HEAD", "nets/net.toy")[1]
    assert "width" in repository.run("diff", "HEAD~1..HEAD")[1]


def test_init_finds_it_and_no_file_that_begins_otherwise(repository: Repository) -> None:
    (repository.folder / "costcalc.yaml").unlink()
    repository.write("nets/other.toy", "no toy at all")
    assert repository.run("init")[0] == 0
    text = repository.read("costcalc.yaml")
    assert "model: nets/net.toy" in text and "other.toy" not in text


def test_trace_writes_it_as_a_spec(repository: Repository) -> None:
    assert repository.run("trace", "nets/net.toy", "--output", "net.yaml")[0] == 0
    assert report(load("net.yaml")).total.macs == SMALL
    assert "is a toy; `costcalc trace` writes a spec" in repository.fails("show", "nets/net.toy")


def test_what_it_refuses_is_a_sentence(repository: Repository) -> None:
    assert "net.toy is a toy of one size" in repository.fails("analyze", "nets/net.toy", "--input", "3x9x9")
    with pytest.raises(OptionError, match="is a toy in numbers"):
        load("nets/net.toy", symbols=["batch"])
    assert "is a toy, of which there is no module" in repository.fails("verify", "nets/net.toy")
    repository.write("bad.toy", "?")
    assert repository.fails("analyze", "bad.toy") == "bad.toy:1: this is not a toy"


def test_a_package_that_it_needs_is_named_with_the_extra(
    repository: Repository, toy: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "toy", toy._replace(needs=("json", "costcalc_no_such_package"), extra="toys"))
    with pytest.raises(CostcalcError, match=r"a toy needs costcalc_no_such_package; pip install 'costcalc\[toys\]'"):
        load("nets/net.toy")


def test_a_model_of_a_hub_needs_torch_too() -> None:
    assert {*SOURCES["hf"].needs} == {"torch", "transformers"}


def test_code_that_it_runs_is_refused_to_configs(
    repository: Repository, toy: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "toy", toy._replace(runs_code=True))
    for command in ("check", "lock"):
        assert "add --allow-code" in repository.fails(command)
    assert repository.run("check", "--allow-code")[0] == 0
    assert repository.run("analyze", "nets/net.toy")[0] == 0


def test_completion_knows_files_folders_and_prefixes(repository: Repository) -> None:
    repository.write("nets/notes.txt", "")
    assert model_names("ne") == ["nets/"]
    assert model_names("nets/") == ["nets/net.toy"]
    assert "torchvision:" in model_names("torch") and "mobilenet" in model_names("mob")
    assert model_names("nowhere/") == []


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_completion_offers_no_name_that_a_shell_would_evaluate(repository: Repository) -> None:
    """Some shells evaluate what they are offered; the files may be a stranger's."""
    for name in (
        "$x",
        "`x`",
        "a\\b",
        "a;b",
        "a'b",
        'a"b',
        "a\nb",
        "a|b",
        "a&b",
        "(a)",
        "{a}",
        "<a",
        "*",
        "\u202ea",
    ):
        repository.write(f"nets/{name}.yaml", "")
    repository.write("nets/größe 2.yaml", "")
    assert model_names("nets/") == ["nets/größe 2.yaml", "nets/net.toy"]


def test_what_any_part_calls_data_is_data() -> None:
    for name in ("evil.py:x.toy", "x.toy", "a/b.toy"):
        assert not source_of(name).runs_code
    assert split("a/b.toy") == ("a/b.toy", "") and is_path("b.toy")


def test_no_shipped_name_is_taken_for_a_path() -> None:
    assert not any(is_path(name) for name in models())
