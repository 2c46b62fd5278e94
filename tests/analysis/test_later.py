"""Receptive fields are worked out when one is asked for, once for a report; else a report is as if they had been."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from dataclasses import FrozenInstanceError, replace

import pytest

import costcalc
from costcalc.analysis import receptive_fields as told
from costcalc.analysis.records import Report
from costcalc.ir.expr import Expr
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The graphs whose fields were worked out."""
    found: list[str] = []
    work = told.receptive_fields
    monkeypatch.setattr(told, "receptive_fields", lambda graph: found.append(graph.name) or work(graph))  # type: ignore[func-returns-value]
    return found


def same(report: Report, at: Report) -> None:
    assert report == at
    assert report.to_dict() == at.to_dict()
    assert [layer.receptive_field for layer in report.layers] == [layer.receptive_field for layer in at.layers]
    assert report.global_at == at.global_at


def test_totals_ask_for_no_fields(asked: list[str]) -> None:
    report = costcalc.analyze("resnet18")
    assert report.total.macs == 1_814_073_344
    assert report["layer1"].macs > 0
    assert report.layout["image"][2:] == ("height", "width")
    assert not asked


@pytest.mark.parametrize(
    "read",
    [
        lambda report: report.layers[-1].receptive_field,
        lambda report: report["layer1"].receptive_field,
        lambda report: report.global_at,
        lambda report: report.to_dict(),
        lambda report: report.to_csv(),
        lambda report: str(report),
        lambda report: report == costcalc.analyze("resnet18"),
        lambda report: pickle.dumps(report),
        lambda report: replace(report.layers[3], name="other"),
    ],
)
def test_whoever_asks_has_all_worked_out_once(read: object, asked: list[str]) -> None:
    report, other = costcalc.analyze("resnet18"), costcalc.analyze("resnet18")
    read(report)  # type: ignore[operator]
    assert asked.count("resnet18") >= 1
    before = len(asked)
    report.to_dict(), report.global_at, [layer.receptive_field for layer in report.layers]
    assert len(asked) == before
    same(report, other)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), replace])
def test_copies_are_whole(copied: object) -> None:
    whole = costcalc.analyze("unet")
    whole.to_dict()
    same(copied(costcalc.analyze("unet")), whole)  # type: ignore[operator]
    layer = copied(costcalc.analyze("unet").layers[5])  # type: ignore[operator]
    assert layer == whole.layers[5]
    assert vars(layer) == vars(whole.layers[5])


def test_the_graph_is_let_go_once_fields_are_told() -> None:
    graph = costcalc.load("resnet18")
    known = weakref.ref(graph)
    report = costcalc.analyze(graph)
    del graph
    assert report.layers[0].receptive_field.size == (7, 7)  # type: ignore[union-attr]
    gc.collect()
    assert known() is None


def test_records_are_frozen_and_have_no_other_fields() -> None:
    report = costcalc.analyze("resnet18")
    for record, key in ((report, "global_at"), (report.layers[0], "receptive_field"), (report.blocks[0], "name")):
        with pytest.raises(FrozenInstanceError):
            setattr(record, key, None)
        with pytest.raises(AttributeError, match="'nothing'"):
            record.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="global_at"):
        report.layers[0].global_at  # type: ignore[attr-defined]  # noqa: B018


def test_fields_of_symbols_are_none() -> None:
    builder = GraphBuilder("open", {"image": TensorType((1, 3, Expr.symbol("height"), 8))})
    graph = builder.build(builder.add("conv", Conv(4, 3), ["image"]))
    assert graph.is_symbolic
    assert not costcalc.load("resnet18").is_symbolic
    report = costcalc.analyze(graph)
    assert (report.layers[0].receptive_field, report.global_at, report.layout) == (None, "", {})
