"""Every number that papers and other tools publish of the shipped models, against ours by the source's own rule.

``configs/published.csv`` has the expected values and their sources, ``costcalc.literature.rules`` the ways of counting.
Where a number is not met the table says why, and a reason that has become wrong fails as loudly as a number that has.
"""

from __future__ import annotations

from itertools import groupby

import pytest

from costcalc import literature, zoo
from costcalc.analysis.report import report
from costcalc.literature.rules import RULES
from costcalc.models import load

TABLE = literature.table()
BY_MODEL = {model: list(rows) for model, rows in groupby(TABLE, lambda row: row.model)}


@pytest.mark.parametrize("model", BY_MODEL)
def test_published_numbers_are_met_or_explained(model: str) -> None:
    for verdict in literature.verdicts(BY_MODEL[model]):
        said = verdict.published
        if said.reason:
            assert not verdict.met, f"{said} is met, so its reason is stale"
        else:
            assert verdict.met, f"{said}: ours is {verdict.ours}"


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


def test_squeezenet_is_fifty_times_smaller_than_alexnet() -> None:
    # Iandola et al. 2016, arXiv 1602.07360, table 2: 240 MB, 4.8 MB, 50×.
    large, small = (report(load(model)).total.weight_bits for model in ("alexnet_2012", "squeezenet1_0"))
    assert round(large / small, -1) == 50  # type: ignore[operator, arg-type]


def test_compound_scaling_makes_macs_grow_about_twofold() -> None:
    # Tan & Le 2019, arXiv 1905.11946, equation 3: α·β²·γ² ≈ 2 with α = 1.2, β = 1.1, γ = 1.15 (it is 1.92). Rounding
    # repeats up makes the first step larger than it should be, so it is the whole way that is compared.
    macs = [report(load("efficientnet_b0", parameters={"phi": phi})).total.macs for phi in range(8)]
    growth = (macs[7] / macs[0]) ** (1 / 7)  # type: ignore[operator]
    assert round(growth, 2) == 1.94
    assert macs == sorted(macs)  # type: ignore[type-var]
