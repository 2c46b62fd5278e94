"""Every shipped spec, verified whole: for a longer run."""

from __future__ import annotations

import pytest

import costcalc
from costcalc import zoo
from costcalc.verification import verify


@pytest.mark.long
@pytest.mark.parametrize("name", zoo.models())
def test_a_shipped_model_is_confirmed(name: str) -> None:
    result = verify(costcalc.load(name))
    assert result.agrees, result.disagreements[:5]
    assert all(tally.remainder == 0 for tally in result.tallies)
