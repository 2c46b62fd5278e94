"""``costcalc.check``: verdicts as records, of a config or of budgets that Python gives; nothing printed, no exit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from throwaway import NET, Repository

import costcalc
from costcalc.errors import CostcalcError

RESNET50 = 4_089_184_256  # MACs, as published tables have them: 4.09 G
RESNET18 = 1_814_073_344


def test_budgets_given_in_python() -> None:
    found = costcalc.check(
        "resnet50", "resnet18", budgets={"macs": "4 G", "params": {"max": "26 M"}}, layers={"fc": {"params": 600_000}}
    )
    told = {(v.model, v.budget.description): (v.status, v.value, v.over) for v in found}
    # fc: 2048·1000 + 1000 and 512·1000 + 1000
    assert told == {
        ("resnet50", "macs"): ("fail", RESNET50, RESNET50 - 4 * 10**9),
        ("resnet50", "params"): ("ok", 25_557_032, 0),
        ("resnet50", "params of fc"): ("fail", 2_049_000, 1_449_000),
        ("resnet18", "macs"): ("ok", RESNET18, 0),
        ("resnet18", "params"): ("ok", 11_689_512, 0),
        ("resnet18", "params of fc"): ("ok", 513_000, 0),
    }
    assert not found and not found.passed and found.complete and len(found) == 6
    assert [v.budget.description for v in found.failed] == ["params of fc", "macs"]  # the worst first
    assert len(found.met) == 4 and not found.warned and not found.exempt and not found.unchecked
    assert [result.title for result in found.results] == ["resnet50", "resnet18"]
    assert found.exit_code() == 1


@pytest.mark.parametrize("limit", [RESNET18, float(RESNET18), Decimal(RESNET18), str(RESNET18), "1.814073344 G"])
def test_an_amount_is_exact_however_it_is_written(limit: Any) -> None:
    (verdict,) = costcalc.check("resnet18", budgets={"macs": limit})
    assert (verdict.status, verdict.limit) == ("ok", RESNET18)


def test_a_warning_passes_and_a_shape_is_without_batch() -> None:
    budgets = {"macs": {"max": "1 G", "level": "warn"}, "memory": {"max": "1 GiB", "engine": "tflm"}}
    found = costcalc.check("resnet18", budgets=budgets, input=(3, 112, 112), batch=4, bits=8)
    assert found and [v.model for v in found.warned] == ["resnet18"]
    assert found.warned[0].setup == "3x112x112, batch 4, 8 bit"


def test_a_graph_is_held_to_another() -> None:
    old, new = costcalc.load("resnet18"), costcalc.load("resnet34")
    budgets = {"macs": {"max_increase": "2%"}, "params": {"max_increase": "2x"}}
    found = costcalc.check(new, budgets=budgets, compare_to=old)
    (worst,) = found.failed
    assert worst.base == RESNET18 and worst.description.startswith("+1.85 G (+102.0 %)")
    assert [b.description.split(":")[0] for b in worst.because] == ["depth"] * 3
    assert costcalc.check(old, budgets=budgets, compare_to=old)
    assert costcalc.check(new, old, names=("a", "b"), budgets={"macs": "4 G"}).results[1].title == "b"


def test_unchecked_is_not_passed_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = costcalc.check("resnet18", budgets={"macs": {"max_increase": "2%"}})
    (verdict,) = found.unchecked
    assert not found and found.exit_code() == 0 and found.exit_code(strict=True) == 4
    assert verdict.description == "its change is not checked: there is no costcalc.lock; `costcalc lock` writes one"


def test_it_prints_when_it_is_printed_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    from costcalc.cli.dispatch import outcome

    found = costcalc.check("resnet18", budgets={"macs": "1 G"})
    assert capsys.readouterr() == ("", "")
    assert repr(found) == "<Outcome: 1 budget exceeded>"
    assert repr(found.failed[0]).startswith("<Verdict fail: resnet18: macs, 1.81 G is 814 M over the budget of 1.00 G")
    assert outcome(["check", "resnet18", "--max", "macs=1G"]) == 1
    printed = capsys.readouterr().out
    assert str(found) == printed
    assert found._repr_html_().startswith("<pre") and "resnet18: macs" in found._repr_html_()
    assert found.to_dict()["exit_code"] == 1 and found.to_markdown().startswith("<!-- costcalc check -->")


def test_names_are_escaped_in_a_notebook() -> None:
    graph = costcalc.load("resnet18")
    html = costcalc.check(graph, names=["<script>alert(1)</script>"], budgets={"macs": "1 G"})._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_the_config_of_a_repository_against_its_lock_and_its_base(repository: Repository) -> None:
    r = repository
    r.run("init")
    assert costcalc.check() and costcalc.check("backbone") and costcalc.check(config="costcalc.yaml")
    r.run("lock")
    assert costcalc.check(locked=True)
    r.commit("budgets")
    r.git("checkout", "--quiet", "-b", "deeper")
    r.edit("configs/backbone.yaml", "depths: [2, 2, 2]", "depths: [2, 5, 2]")
    for options in ({}, {"locked": True}, {"base": "main"}):
        code, printed = r.run("check", *(f"--{k}={v}" if v is not True else f"--{k}" for k, v in options.items()))
        found = costcalc.check(**options)  # type: ignore[arg-type]
        assert (found.exit_code(), str(found)) == (code, printed), options
    assert code == 1
    grown = costcalc.check("configs/backbone.yaml", budgets={"macs": {"max_increase": "1%"}}, base="main").failed[0]
    assert grown.location and grown.location.short == "configs/backbone.yaml:6"  # the line that was edited
    graph = costcalc.load("configs/backbone.yaml")
    limits: Any = {"budgets": {"macs": {"max_increase": "1%"}}, "base": "main"}
    assert costcalc.check(graph, **limits).failed  # the lock at main has a backbone
    (verdict,) = costcalc.check(graph, names=["other"], **limits).unchecked
    assert "costcalc.lock at main does not have it" in verdict.description


def test_code_that_a_config_names_runs_if_it_is_allowed(empty: Repository) -> None:
    pytest.importorskip("torch.nn")
    r = empty
    r.write("net.py", NET)
    r.commit()
    r.run("init", "net.py:Net", "--input", "3x8x8")
    with pytest.raises(CostcalcError, match="is Python code, which check does not run"):
        costcalc.check()
    assert costcalc.check(allow_code=True)
    r.run("lock", "--allow-code")
    r.commit("lock")
    r.edit("net.py", "width=8", "width=9")
    budgets = {"macs": {"max_increase": "2%"}}
    # Who names code in Python may run it. 3·9·36 more MACs for each channel.
    for how in ({"base": "main", "trace_base": True}, {"compare_to": costcalc.load("net.py:Net", input=(3, 8, 8))}):
        found = costcalc.check("net.py:Net", budgets=budgets, input=(3, 8, 8), **how)  # type: ignore[arg-type]
        if "base" in how:
            assert found.failed[0].value - found.failed[0].base == 3 * 9 * 36
        else:
            assert found


def test_a_floor_has_budgets() -> None:
    """Of the whole, on a machine; layers have none, as floors do not add up."""
    floor = costcalc.analyze("resnet18", machine="raspberry_pi_5").total.floor
    assert floor is not None
    most = {"max": f"{floor.seconds * 1e3:.6f} ms", "machine": "raspberry_pi_5"}
    assert costcalc.check("resnet18", budgets={"floor": {**most, "max": "1 s"}})
    (failed,) = costcalc.check("resnet18", budgets={"floor": {**most, "max": "1 ms"}}).failed
    assert failed.value == floor.seconds
    with pytest.raises(CostcalcError, match="a budget of floor needs a machine"):
        costcalc.check("resnet18", budgets={"floor": "1 ms"})
    with pytest.raises(CostcalcError, match="floor is not a sum over layers"):
        costcalc.check("resnet18", layers={"fc": {"floor": most}})


def graph() -> Any:
    return costcalc.load("resnet18")


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: costcalc.check(budgets={"macs": 1}), "budgets need a model"),
        (lambda: costcalc.check("resnet18", budgets={}), "budgets are empty"),
        (lambda: costcalc.check("resnet18", budgets={"mac": 1}), r"budgets\['mac'\]: no figure called 'mac' \(did you"),
        (lambda: costcalc.check("resnet18", budgets={"macs": None}), r"budgets\['macs'\]: a bound is an amount"),
        (lambda: costcalc.check("resnet18", budgets={"macs": True}), "not bool"),
        (lambda: costcalc.check("resnet18", budgets={"macs": float("nan")}), "'nan' is not an amount of macs"),
        (lambda: costcalc.check("resnet18", budgets={"macs": -1}), "is below zero"),
        (lambda: costcalc.check("resnet18", budgets={"storage": 100}), "write bytes with their unit"),
        (lambda: costcalc.check("resnet18", budgets={"macs": {"most": 3}}), r"\['most'\]: a budget of macs has no"),
        (lambda: costcalc.check("resnet18", budgets=["macs"]), "budgets must be a mapping"),  # type: ignore[arg-type]
        (lambda: costcalc.check("resnet18", layers={"fc": {"peak": 1}}), r"layers\['fc'\]\['peak'\]: peak is not a su"),
        (lambda: costcalc.check("resnet18", budgets={"time": "1 ms"}), "needs a machine"),
        (lambda: costcalc.check(["resnet18"], budgets={"macs": 1}), "one after another"),  # type: ignore[arg-type]
        (lambda: costcalc.check(3, budgets={"macs": 1}), "not int"),  # type: ignore[arg-type]
        (lambda: costcalc.check(graph(), budgets={"macs": 1}, batch=2), "a graph is already built"),
        (lambda: costcalc.check(graph(), graph(), budgets={"macs": 1}), "tell them apart by names="),
        (lambda: costcalc.check(graph(), budgets={"macs": 1}, base="x", trace_base=True), "no code to trace"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, names=["a", "b"]), "2 names for 1 models"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, config="x.yaml"), "choose one"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, base="x", locked=True), "choose one"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, trace_base=True), "add base='origin/main'"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, compare_to=3), "not int"),  # type: ignore[arg-type]
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, bits=0), "from 1 to 1024"),
        (lambda: costcalc.check("resnet18", budgets={"macs": 1}, input=(224, 224)), "has 3 axes"),
        (lambda: costcalc.check(base="main", trace_base=True), "add allow_code=True"),
        (lambda: costcalc.check(graph()), "a graph needs budgets"),
        (lambda: costcalc.check("resnet18", batch=2), "batch goes with budgets="),
        (lambda: costcalc.check("resnet18"), r"give budgets: check\('resnet18', budgets="),
        (lambda: costcalc.check(config="nope.yaml"), "nope.yaml: there is no such file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_sentence(
    call: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CostcalcError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_a_module_is_told_what_to_write() -> None:
    nn = pytest.importorskip("torch.nn")
    with pytest.raises(CostcalcError, match=r"check\(costcalc.trace\(module, \(1, 3, 224, 224\)\)"):
        costcalc.check(nn.Linear(2, 3), budgets={"macs": 1})
    assert costcalc.check(costcalc.trace(nn.Linear(2, 3), (1, 2)), budgets={"macs": 6})
