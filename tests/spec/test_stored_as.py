"""``stored_as``: in which element type a weight is stored, in specs as in what ``trace`` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write

SPEC = """
inputs: {{x: {{shape: [8, 8, 3], dtype: int8}}}}
blocks:
  pair(m):
  - conv: "conv(m, 3, padding=1, channels_last=true, stored_as={stored})"
  - relu
layers:
- pair(4)
- pair(4)
"""


def _load(tmp_path: Path, stored: str) -> object:
    (tmp_path / "net.yaml").write_text(SPEC.format(stored=stored), encoding="utf-8")
    return load(str(tmp_path / "net.yaml"))


def test_bits_are_those_of_the_type(tmp_path: Path) -> None:
    graph = load(str(tmp_path / "net.yaml")) if _load(tmp_path, "{'bias': 'int32', 'weight': 'int4'}") else None
    assert graph is not None
    by_hand = 4 * (4 * 27 + 4 * 36) + 32 * 8
    assert report(graph).total.weight_bits == by_hand
    (tmp_path / "flat.yaml").write_text(write(graph), encoding="utf-8")
    assert report(load(str(tmp_path / "flat.yaml"))).total.weight_bits == by_hand


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ("{'wieght': 'int4'}", "has no weight 'wieght' to store; it has weight, bias"),
        ("{'bias': 'int33'}", "'int33' is not an element type; there are float64"),
        ("'int4'", "stored_as takes weights and element types, like"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, stored: str, says: str) -> None:
    with pytest.raises(CostcalcError, match="net\\.yaml:5") as raised:
        _load(tmp_path, stored)
    assert says in str(raised.value)
