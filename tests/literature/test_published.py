"""Every model of the zoo, and every number that papers and other tools publish of it, against ours.

``configs/published.csv`` has the expected values and their sources, ``costcalc.literature.rules`` the ways of counting.
Where a number is not met the table says why, and a reason that has become wrong fails as loudly as a number that has.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from costcalc import literature, zoo
from costcalc.literature.page import COMMAND, line, model_row, number_row
from costcalc.literature.rules import RULES

TABLE = literature.table()
BY_MODEL = {model: list(rows) for model, rows in groupby(TABLE, lambda row: row.model)}
PAGE = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("model", zoo.models())
def test_published_numbers_are_met_or_explained_and_the_page_says_so(model: str) -> None:
    assert line(model_row(model)) in PAGE, f"docs/zoo.md is old; run {COMMAND}"
    for verdict in literature.verdicts(BY_MODEL.get(model, [])):
        said = verdict.published
        if said.reason:
            assert not verdict.met, f"{said} is met, so its reason is stale"
        else:
            assert verdict.met, f"{said}: ours is {verdict.ours}"
        assert line(number_row(verdict)) in PAGE, f"docs/zoo.md is old; run {COMMAND}"


def test_the_page_has_nothing_else() -> None:
    reasons = sum(bool(row.reason) for row in TABLE)
    rows = [row for row in PAGE if row.startswith("| `")]
    assert len(rows) == len(zoo.models()) + len(TABLE) + reasons + len(RULES)
    counts = f"{len(zoo.models())} models", f"Of {len(TABLE)} published numbers {len(TABLE) - reasons} are"
    assert all(any(count in row for row in PAGE) for count in counts)


def test_the_table_is_in_order_and_repeats_nothing() -> None:
    assert len(BY_MODEL) == len({row.model for row in TABLE}), "the rows of a model stand together"
    keys = [(row.model, row.settings, row.rule, row.value, row.unit) for row in TABLE]
    assert len(keys) == len(set(keys))


def test_the_table_uses_known_models_rules_and_units() -> None:
    assert {row.model for row in TABLE} <= set(zoo.models())
    assert {row.rule.split()[0] for row in TABLE} == set(RULES), "each rule is used and each use is a rule"
    assert {row.unit for row in TABLE} <= set(literature.UNITS)
    assert all(row.source for row in TABLE)


def test_a_wrong_number_would_be_noticed() -> None:
    right = literature.Published("resnet50", "", "macs", "4089184256", "", "", "")
    wrong = [right._replace(value="4089184257"), right._replace(value="4.0", unit="G"), right._replace(rule="params")]
    assert [v.met for v in literature.verdicts([right, *wrong])] == [True, False, False, False]
    # 4.089 rounds to 4.1, and to 4.09, not to 4.08
    printed = [right._replace(value=value, unit="G") for value in ("4.1", "4.09", "4.08")]
    assert [v.met for v in literature.verdicts(printed)] == [True, True, False]
