"""``frozen``: which weights training leaves as they are, in specs as in what ``trace`` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli.dispatch import outcome
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write
from costcalc.ir.graph import Graph

SPEC = """
inputs: {{x: [3, 8, 8]}}
blocks:
  pair(m):
  - conv: conv(m, 3, padding=1)
  - batch_norm
  adapted(m):
  - pair(m)
  - adapter: conv(m, 1, frozen=false)
layers:
{layers}
"""


def _load(folder: Path, *layers: str) -> Graph:
    path = folder / "net.yaml"
    path.write_text(SPEC.format(layers="\n".join(f"- {layer}" for layer in layers)), encoding="utf-8")
    return load(str(path))


FIRST = 4 * 3 * 9 + 4 + 8  # conv(4, 3) of 3 channels with its bias, a norm's scale and shift
SECOND = 4 * 4 * 9 + 4 + 8
ADAPTER = 4 * 4 + 4


@pytest.mark.parametrize(
    ("layers", "params", "trainable"),
    [
        (["a: pair(4)"], FIRST, FIRST),
        (["a: pair(4, frozen=true)"], FIRST, 0),
        (["a: pair(4, frozen=true)", "b: pair(4)"], FIRST + SECOND, SECOND),
        (["a: pair(4)", "b: pair(4, frozen=true)", "c: pair(4)"], FIRST + 2 * SECOND, FIRST + SECOND),
        (["a: adapted(4, frozen=true)"], FIRST + ADAPTER, ADAPTER),
        (["a: adapted(4, frozen=true)", "b: adapted(4)"], FIRST + SECOND + 2 * ADAPTER, SECOND + 2 * ADAPTER),
        (["a: conv(4, 3, frozen=['weight'])"], 4 * 27 + 4, 4),
        (["a: conv(4, 1, frozen=true)", "b: conv(4, 1)", "c: conv(4, 1, weights='b')"], 16 + 20, 20),
        (["b: conv(3, 1, frozen=true)", "c: conv(3, 1, weights='b')"], 12, 0),
        (["b: conv(3, 1, frozen=['bias'])", "c: \"conv(3, 1, weights={'bias': 'b.bias'})\""], 12 + 9, 18),
        (["c: parameter([8], frozen=true)"], 8, 0),
    ],
)
def test_frozen_weights_are_parameters_that_are_not_trained(
    layers: list[str], params: int, trainable: int, tmp_path: Path
) -> None:
    graph = _load(tmp_path, *layers)
    total = report(graph).total
    assert (total.params, total.trainable_params) == (params, trainable)
    (tmp_path / "flat.yaml").write_text(write(graph), encoding="utf-8")
    assert report(load(str(tmp_path / "flat.yaml"))).total == total


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("a: conv(4, 3, frozen=['wieght'])", "a has no weight 'wieght' to freeze; it has weight, bias"),
        ("a: conv(4, 3, frozen=3)", "frozen takes True, False or names of weights, like ['weight'], not 3"),
        ("a: relu(frozen=true)", "a has no weights to freeze"),
        ("a: pair(4, frozen=['weight'])", "frozen of a block or a model is True or False, not "),
    ],
)
def test_what_is_wrong_is_a_sentence(layer: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CostcalcError, match=r"net\.yaml:11") as raised:
        _load(tmp_path, layer)
    assert says in str(raised.value)


def test_a_weight_is_frozen_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(CostcalcError, match=r"c shares its weight with b\.weight, which is trained; say frozen there"):
        _load(tmp_path, "b: conv(3, 1)", "c: conv(3, 1, weights='b', frozen=true)")


def test_a_frozen_model_is_frozen_whole(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "inputs: {x: [1, 32, 32]}\nlayers:\n- a: model('lenet5', frozen=true)\n- b: linear(2)\n", encoding="utf-8"
    )
    total = report(load(str(tmp_path / "net.yaml"))).total
    assert total.params == report(load("lenet5")).total.params + 22 == total.trainable_params + 61706


def test_an_expanded_spec_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _load(tmp_path, "a: pair(4, frozen=true)", "b: pair(4)")
    assert outcome(["show", str(tmp_path / "net.yaml"), "--expand"]) == 0
    assert capsys.readouterr().out.count("frozen=True") == 2
