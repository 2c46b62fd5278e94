"""``--by-kind`` and ``--fold-norm``: the same work, told by kind of layer, and as it is deployed."""

from __future__ import annotations

import csv
import io

import pytest
from terminal import run

from costcalc.api import analyze
from costcalc.models import load
from costcalc.transforms.fold_norm import fold_norm

Capture = pytest.CaptureFixture[str]


def rows(capsys: Capture, *arguments: str) -> dict[str, dict[str, str]]:
    text = run(capsys, "analyze", *arguments, "--format", "csv").out
    return {row["name"]: row for row in csv.DictReader(io.StringIO(text))}


def test_kinds_of_mobilenet_have_the_shares_of_its_paper(capsys: Capture) -> None:
    """Howard et al. 2017, table 2: 94.86 % of the MACs in 1×1 convs, 3.06 % in depthwise ones, 0.18 % in the last."""
    found = rows(capsys, "mobilenet", "--by-kind")
    whole = int(found["total"]["macs"])
    share = {kind: round(100 * int(row["macs"]) / whole, 2) for kind, row in found.items()}
    assert (share["pointwise conv"], share["depthwise conv"], share["linear"]) == (94.86, 3.06, 0.18)


def test_kinds_add_up_to_the_total_and_the_dearest_comes_first(capsys: Capture) -> None:
    found = rows(capsys, "resnet18", "--by-kind", "--machine", "a100")
    *kinds, total = found.values()
    for figure in ("macs", "ops", "params", "storage_bits", "traffic_bits"):
        assert sum(int(row[figure]) for row in kinds) == int(total[figure])
    times = [float(row["time_seconds"]) for row in kinds if row["row"] == "block"]
    assert times == sorted(times, reverse=True)
    assert sum(times) == pytest.approx(float(total["time_seconds"]))


def test_the_table_says_of_how_many_layers_a_kind_consists(capsys: Capture) -> None:
    lines = run(capsys, "analyze", "resnet18", "--by-kind").out.splitlines()
    assert any(line.startswith("batch_norm ") and " 20 layers " in line for line in lines)
    assert any(line.startswith("linear ") and " 1 layer " in line for line in lines)


def test_rows_are_kinds_or_blocks(capsys: Capture) -> None:
    said = run(capsys, "analyze", "resnet18", "--by-kind", "--depth", "1")
    assert (said.code, said.out) == (2, "")
    assert "give one of them" in said.err


def test_folded_norms_leave_no_row_and_their_layers_a_bias(capsys: Capture) -> None:
    found = rows(capsys, "resnet18", "--by-kind", "--fold-norm")
    plain = rows(capsys, "resnet18", "--by-kind")
    assert "batch_norm" in plain and "batch_norm" not in found
    assert found["total"]["macs"] == plain["total"]["macs"]
    # A norm has two parameters and two statistics for a channel; what is left of them is a bias.
    channels = int(plain["batch_norm"]["params"]) // 2
    assert int(found["total"]["params"]) == int(plain["total"]["params"]) - channels
    assert found["total"]["buffers"] == "0"


def test_all_ways_to_fold_give_the_same() -> None:
    by_hand = analyze(fold_norm(load("resnet18"))).total
    assert analyze("resnet18", fold_norm=True).total == by_hand
    assert analyze(load("resnet18", fold_norm=True)).total == by_hand
    assert analyze(load("resnet18"), fold_norm=True).total == by_hand
