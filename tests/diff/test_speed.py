"""Bounds of time, in processor time of this process, so that a busy machine does not fail them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from costcalc import load
from costcalc.budget.baseline import nothing
from costcalc.budget.check import check
from costcalc.budget.read import read_config
from costcalc.difference import diff
from costcalc.zoo import models


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("changes", [{"parameters": {"num_classes": 100}}, {"input": (3, 64, 64)}])
def test_resnet1202_against_a_changed_one_takes_less_than_three_seconds(changes: dict[str, object]) -> None:
    old, new = load("resnet1202"), load("resnet1202", **changes)  # type: ignore[arg-type]
    assert seconds(lambda: diff(old, new)) < 3


def test_resnet1202_against_an_unlike_one_takes_less_than_three_seconds() -> None:
    old, new = load("resnet1202"), load("densenet201")
    assert seconds(lambda: diff(old, new)) < 3


def test_twenty_specs_are_checked_in_less_than_a_second(tmp_path: Path) -> None:
    wanted = ("resnet50", "resnet101", "mobilenet", "mobilenet_v2", "convnext_t", "vgg16", "unet", "densenet121")
    names = [*wanted, *(m for m in models() if m.startswith(("alexnet", "lenet", "squeezenet", "shufflenet", "vgg")))]
    budgets = "budgets: {macs: 1 T, params: 1 G, uncounted: 0}"
    rows = "".join(f"  - {{model: {name}, {budgets}}}\n" for name in list(dict.fromkeys(names))[:20])
    path = tmp_path / "costcalc.yaml"
    path.write_text(f"version: 1\nmodels:\n{rows}")
    config = read_config(str(path))
    assert len(config.models) == 20
    load("lenet5")  # what is imported once is start-up
    assert seconds(lambda: check(config, nothing(""), today=date(2026, 1, 1))) < 1
