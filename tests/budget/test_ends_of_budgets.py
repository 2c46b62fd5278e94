"""Sentences and labels of budgets at their ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costcalc.budget import reuse
from costcalc.budget.arguments import check_no_config
from costcalc.budget.baseline import _otherwise
from costcalc.budget.config import Setup
from costcalc.budget.init import _beyond
from costcalc.budget.lock import LockEntry
from costcalc.errors import OptionError


@pytest.mark.parametrize(
    "applied, wanted, said",
    [
        (None, ("fuse",), "does not say whether it has it after fuse"),
        (None, (), "does not say whether it has it without transforms"),
        ((), ("fold_norm", "fuse"), "has it without transforms, not after fold_norm, fuse"),
        (("fuse",), (), "has it after fuse, not without transforms"),
    ],
)
def test_a_report_after_other_transforms_says_which(
    applied: tuple[str, ...] | None, wanted: tuple[str, ...], said: str
) -> None:
    assert _otherwise(applied, wanted) == said


@pytest.mark.parametrize(
    "names, few", [(["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")]
)
def test_of_models_beyond_the_first_three_are_named(names: list[str], few: str) -> None:
    assert _beyond(names, 20).startswith(f"left out {few}: 20 models")


def test_inputs_with_names_are_called_by_them() -> None:
    assert Setup(input=(3, 8, 8)).label == "3x8x8"
    assert Setup(input={"left": (3, 8, 8), "right": (1, 4)}, batch=2).label == "left=3x8x8, right=1x4, batch 2"
    assert Setup(layout="nhwc").label == "nhwc" and Setup(layout={"left": "nhw"}).label == "left=nhw"


def test_budgets_and_a_config_are_not_given_together() -> None:
    check_no_config(None)
    with pytest.raises(OptionError, match="choose one"):
        check_no_config("costcalc.yaml")


def test_only_the_oldest_marks_beyond_the_most_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "_marks", lambda: tmp_path)
    monkeypatch.setattr(reuse, "MOST_MARKS", 3)
    entries = [LockEntry(*[None] * len(LockEntry._fields))._replace(trace={"at": i}) for i in range(5)]
    for i, entry in enumerate(entries):
        reuse.mark(entry)
        for path in tmp_path.iterdir():  # apart in time, whatever the file system
            os.utime(path, (i + path.stat().st_mtime - 1000,) * 2)
        assert reuse.is_marked(entry)
    assert len([*tmp_path.iterdir()]) == 4  # the newest three, and the one that is made then
    assert not reuse.is_marked(entries[0]) and reuse.is_marked(entries[1])
    reuse.mark(entries[0]._replace(trace=None))
    assert len([*tmp_path.iterdir()]) == 4
