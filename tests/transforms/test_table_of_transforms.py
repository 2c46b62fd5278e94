"""One table of transforms: what is only in it is applied by ``--apply`` everywhere, and every report says so."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from costcalc import analyze, load
from costcalc.cli.commands import COMMANDS, find_command
from costcalc.cli.options import transform_names
from costcalc.cli.plain import values
from costcalc.comparison import compare
from costcalc.difference import diff
from costcalc.errors import CostcalcError, OptionError, UnknownName
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.transforms import TRANSFORMS, Transform, apply, named

SMALL = """
inputs: {image: [3, 8, 8]}
layers:
- stem: conv(4, 3, bias=false)
- batch_norm
- relu
- tail: conv(5, 1, bias=false)
"""
MACS = 4 * 3 * 9 * 36 + 5 * 4 * 36
RELU = 4 * 36
"""Ops of the activation; those of the norm are twice as many."""


def drop_relu(graph: Graph, kind: str = "") -> Graph:
    """``graph`` without its activations."""
    builder = GraphBuilder(graph.name, {v: graph.types[v] for v in graph.inputs})
    instead: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(instead.get(v, v) for v in node.inputs)
        if node.op.name == "relu":
            instead[node.outputs[0]] = inputs[0]
        else:
            builder.add(node.name, node.op, inputs, node.called, node.location)
    return replace(builder.build(graph.outputs, graph.parameters, graph.source), assumed=graph.assumed)


@pytest.fixture(autouse=True)
def in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transform that is only in the table, for as long as a test runs."""
    module = ModuleType("made_by_a_test")
    module.drop_relu = drop_relu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_by_a_test", module)
    monkeypatch.setitem(TRANSFORMS, "drop_relu", Transform("made_by_a_test", "No activations.", kinds=("all", "some")))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "large.yaml").write_text(SMALL.replace("conv(4, 3", "conv(6, 3"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


HOW = ("--apply", "drop_relu")


def test_analyze_applies_it_and_says_so_in_every_format(printed: Callable[..., str]) -> None:
    was = json.loads(printed("analyze", "small.yaml", "--format", "json"))
    record = json.loads(printed("analyze", "small.yaml", *HOW, "--format", "json"))
    assert was["settings"]["apply"] == [] and record["settings"]["apply"] == ["drop_relu"]
    assert was["total"]["ops"] - record["total"]["ops"] == RELU
    assert "after drop_relu" in printed("analyze", "small.yaml", *HOW).splitlines()[0]
    assert "after drop" in printed("analyze", "small.yaml", *HOW, "--format", "markdown").splitlines()[0]
    (*_, total) = csv.DictReader(io.StringIO(printed("analyze", "small.yaml", *HOW, "--format", "csv")))
    assert total["kind"] == "after drop_relu"


def test_the_library(folder: Path) -> None:
    ops = analyze("small.yaml").total.ops
    both = analyze("small.yaml", apply=["drop_relu", "fold_norm"])
    assert both.settings.apply == ("drop_relu", "fold_norm") and ops - both.total.ops == 3 * RELU - RELU  # a bias more
    assert analyze(load("small.yaml"), apply="drop_relu,fold_norm") == both
    assert analyze(load("small.yaml", apply="drop_relu"), apply="fold_norm") == both
    assert analyze("small.yaml", apply="drop_relu", fold_norm=True).settings.apply == ("fold_norm", "drop_relu")


def test_explain_formula_and_show(printed: Callable[..., str]) -> None:
    assert "after drop_relu" in printed("explain", "small.yaml", *HOW)
    assert "after drop_relu" in printed("explain", "small.yaml", "stem", *HOW)
    for line in (("explain", "small.yaml"), ("explain", "small.yaml", "stem"), ("formula", "small.yaml")):
        assert json.loads(printed(*line, *HOW, "--format", "json"))["apply"] == ["drop_relu"]
        assert json.loads(printed(*line, "--format", "json"))["apply"] == []
    assert printed("formula", "small.yaml", *HOW).startswith("small, after drop_relu\n")
    shown = printed("show", "small.yaml", "--expand", *HOW)
    assert shown.startswith("# after drop_relu\n") and "relu" not in shown.partition("\n")[2]


def test_verify(printed: Callable[..., str]) -> None:
    pytest.importorskip("fvcore")
    record = json.loads(printed("verify", "small.yaml", *HOW, "--format", "json"))
    assert "after drop_relu" in record["ran"] and not record["disagreements"]


def test_compare(printed: Callable[..., str], folder: Path) -> None:
    line = ("compare", "small.yaml", "large.yaml")
    record = json.loads(printed(*line, *HOW, "--format", "json"))
    assert [model["apply"] for model in record["models"]] == [["drop_relu"]] * 2
    assert record["models"][0]["figures"]["ops"] == analyze("small.yaml", apply="drop_relu").total.ops
    assert any(row.split() == ["after", "drop_relu", "drop_relu"] for row in printed(*line, *HOW).splitlines())
    assert {row["apply"] for row in csv.DictReader(io.StringIO(printed(*line, *HOW, "--format", "csv")))} == {HOW[1]}
    assert "| after |" in printed(*line, *HOW, "--format", "markdown")
    assert "after" not in printed(*line) and "apply" not in printed(*line, "--format", "csv")


def test_reports_made_differently_are_not_compared_in_silence(folder: Path) -> None:
    from costcalc.backends.compare.formats import table
    from costcalc.backends.diff.formats import csv as rows
    from costcalc.backends.diff.formats import markdown, text

    plain, changed = load("small.yaml"), load("small.yaml", apply="drop_relu")
    assert ["after", "–", "drop_relu"] in [
        line.split() for line in table(compare([*map(analyze, (plain, changed))])).splitlines()
    ]
    found = diff(plain, changed)
    assert found.to_dict()["apply"] == {"old": [], "new": ["drop_relu"]}
    assert "transforms: none → drop_relu" in text([found], "macs")
    assert "transforms: none → drop" in markdown([found], "macs")
    (row,) = csv.DictReader(io.StringIO(rows([found])))
    assert (row["old_apply"], row["new_apply"]) == ("", "drop_relu")


def test_diff(printed: Callable[..., str]) -> None:
    line = ("diff", "small.yaml", "large.yaml", *HOW)
    (record,) = json.loads(printed(*line, "--format", "json"))
    assert record["apply"] == {"old": ["drop_relu"], "new": ["drop_relu"]}
    assert record["figures"]["ops"]["old"] == analyze("small.yaml", apply="drop_relu").total.ops
    assert printed(*line).splitlines()[1] == "after drop_relu"
    assert "after drop" in printed(*line, "--format", "markdown")


CONFIG = """version: 1
models:
- name: net
  model: {}
  at: [{{apply: {}}}]
  budgets: {{ops: {{max: 1G, max_increase: 0%}}}}
"""


@pytest.mark.parametrize("given", ["drop_relu", "[drop_relu]", "'drop_relu, fold_norm'", "[drop_relu, fold_norm]"])
def test_configs_and_locks(folder: Path, printed: Callable[..., str], given: str) -> None:
    (folder / "costcalc.yaml").write_text(CONFIG.format("small.yaml", given))
    printed("lock")
    ((setup, entry),) = json.loads((folder / "costcalc.lock").read_text())["models"]["net"].items()
    words = [word.strip() for word in given.strip("'[]").split(",")]
    assert setup == ", ".join(words).replace("fold_norm", "norms folded") and entry["apply"] == words
    assert entry["figures"]["ops"] == analyze("small.yaml", apply=words).total.ops
    printed("check", "--locked")
    (folder / "costcalc.yaml").write_text(CONFIG.format("large.yaml", given))
    record = json.loads(printed("check", "--format", "json", code=1))
    assert record["verdicts"][1]["setup"] == setup
    assert record["models"][0]["diff"]["apply"] == {"old": words, "new": words}
    (folder / "costcalc.yaml").write_text(CONFIG.format("small.yaml", "fold_norm"))
    assert json.loads(printed("check", "--format", "json"))["verdicts"][1]["status"] == "unchecked", (
        "the lock has it otherwise"
    )


def test_a_lock_from_before_says_it_by_its_setup(folder: Path, printed: Callable[..., str]) -> None:
    from costcalc.budget.lock import lock_text, read_lock

    (folder / "costcalc.yaml").write_text(CONFIG.format("small.yaml", "fold_norm"))
    printed("lock")
    lock = read_lock("costcalc.lock")
    assert lock is not None
    older = {key: entry._replace(apply=()) for key, entry in lock.entries.items()}
    (folder / "costcalc.lock").write_text(lock_text(lock._replace(entries=older)))
    again = read_lock("costcalc.lock")
    assert again is not None and again.entries == lock.entries


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("drop_rellu", "costcalc.yaml:5:16: no transform is called 'drop_rellu' (did you mean 'drop_relu'?)"),
        ("drop_relu:none", "drop_relu has no kind 'none'; it has all, some"),
        ("fold_norm:all", "fold_norm is one transform, without kinds: not 'fold_norm:all'"),
        ("'drop_relu:all,drop_relu'", "drop_relu:all and drop_relu are one transform; choose one of them"),
        ("'drop_relu,'", "a transform has no name"),
        ("{}", "apply must be one value"),
        ("[]", "apply must be a list with at least one entry"),
    ],
)
def test_what_is_wrong_in_a_config_is_said_with_its_place(
    folder: Path, printed: Callable[..., str], given: str, said: str
) -> None:
    (folder / "costcalc.yaml").write_text(CONFIG.format("small.yaml", given))
    assert said in printed("check", code=2) and "costcalc.yaml:5:" in printed("check", code=2)


def test_check_without_a_config(printed: Callable[..., str]) -> None:
    limit = analyze("small.yaml", apply="drop_relu").total.ops
    printed("check", "small.yaml", *HOW, "--max", f"ops={limit}")
    printed("check", "small.yaml", "--max", f"ops={limit}", code=1)


def test_an_earlier_report_that_was_made_otherwise_is_not_compared_with(
    folder: Path, printed: Callable[..., str]
) -> None:
    def reason(report: str, given: str) -> tuple[str, str]:
        (folder / "before.json").write_text(report)
        config = CONFIG.format("small.yaml", given).replace("name: net", "name: small")
        (folder / "costcalc.yaml").write_text(config.replace("{apply: none}", "{batch: 1}"))
        verdict = json.loads(printed("check", "--compare-to", "before.json", "--format", "json"))["verdicts"][1]
        return verdict["status"], verdict["says"]

    plain, changed = (printed("analyze", "small.yaml", *how, "--format", "json") for how in ((), HOW))
    assert reason(plain, "none")[0] == reason(changed, "drop_relu")[0] == "ok"
    assert "before.json has it without transforms, not after drop_relu" in reason(plain, "drop_relu")[1]
    assert "before.json has it after drop_relu, not without transforms" in reason(changed, "none")[1]
    assert "before.json has it after drop_relu, not after fold_norm" in reason(changed, "fold_norm")[1]
    record = json.loads(plain)
    del record["settings"]["apply"]
    assert "does not say whether it has it after drop_relu" in reason(json.dumps(record), "drop_relu")[1]
    assert reason(json.dumps(record), "none")[0] == "ok"


def test_order_and_repetition(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert named("drop_relu,fold_norm,drop_relu") == ("drop_relu", "fold_norm")
    assert named(["drop_relu"], fold_norm=True) == ("fold_norm", "drop_relu") and named("fold_norm", True) == (
        "fold_norm",
    )
    assert named(()) == () and named("") == ()
    once = apply(load("small.yaml"), "fold_norm")
    assert apply(once, "fold_norm") == once and apply(once, "drop_relu").applied == ("fold_norm", "drop_relu")
    with pytest.raises(OptionError, match="drop_relu:all and drop_relu:some are one transform"):
        apply(apply(once, "drop_relu:all"), "drop_relu:some")
    monkeypatch.setitem(TRANSFORMS, "drop_relu", Transform("made_by_a_test", "", last=True))
    with pytest.raises(OptionError, match="fold_norm cannot be applied after drop_relu, which comes last"):
        named("drop_relu,fold_norm")
    with pytest.raises(OptionError, match="fold_norm cannot be applied after drop_relu"):
        apply(apply(load("small.yaml"), "drop_relu"), "fold_norm")


def test_a_mistake_is_told_before_anything_is_loaded(printed: Callable[..., str]) -> None:
    with pytest.raises(UnknownName, match="no transform is called 'fuss'"):
        load("no such file.yaml", apply="fuss")
    assert "no transform is called 'fuss'" in printed("analyze", "nothing.yaml", "--apply", "fuss", code=2)


def test_torch_models_are_verified_as_they_are(tmp_path: Path, printed: Callable[..., str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("fvcore")
    (tmp_path / "net.py").write_text("from torch import nn\nclass Net(nn.ReLU): ...\n")
    said = printed("verify", "net.py:Net", "--input", "3", *HOW, code=2)
    assert "net.py:Net is verified as it is, without --apply drop_relu" in said
    spec = printed("trace", "net.py:Net", "--input", "3", "--apply", "fold_norm")
    assert spec.startswith("# after fold_norm\n")


def test_the_command_line_knows_it(printed: Callable[..., str]) -> None:
    assert transform_names("drop") == ["drop_relu", "drop_relu:all", "drop_relu:some"]
    assert transform_names("fold_norm,drop_relu:s") == ["fold_norm,drop_relu:some"]
    record = json.loads(printed("list", "--transforms", "drop", "--format", "json"))
    assert record["transforms"] == [{"name": "drop_relu", "kinds": ["all", "some"], "says": "No activations."}]
    assert "drop_relu" in printed("list", "--transforms") and "--task is for" in printed(
        "list", "--transforms", "--task", "x", code=2
    )
    for name in COMMANDS:
        command, _ = find_command(name)
        if "apply" in command.parameters:
            given = values(command, ["--apply", "drop_relu,fold_norm", "--apply=drop_relu"])
            positional = any(not p.declared.names and p.required for p in command.parameters.values())
            assert positional or (given is not None and given["apply"] == ["drop_relu,fold_norm", "drop_relu"])
    takes = {name for name in COMMANDS if "apply" in find_command(name)[0].parameters}
    assert takes >= {"analyze", "explain", "formula", "compare", "diff", "check", "verify", "show", "trace"}
    assert takes == {name for name in COMMANDS if "batch" in find_command(name)[0].parameters}, "who builds a model"


def test_the_shipped_ones_are_there() -> None:
    for name, entry in list(TRANSFORMS.items()):
        assert apply(load("resnet18"), name).applied == (name,) and entry.description.endswith(".")
    with pytest.raises(CostcalcError, match="there are drop_relu, fold_norm"):
        named("fold")
