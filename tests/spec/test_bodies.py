"""Blocks that are called again are copied: the graph is the one that writing them out makes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from costcalc import zoo
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.bodies import Bodies
from costcalc.ir.graph import Graph
from costcalc.models import load

COPIES = {
    "twice": "- a: b(8)\n- c: b(8)\n- b(8)\n- b(8)",
    "with other numbers": "- b(8)\n- b(9)\n- b(True + 7)\n- b(8)",
    "what stands in it is read later": "- a: b(8)\n- c: b(8)\n- add: [a.0, c.0, c]",
    "names out of it": "- stem: conv(8, 1)\n- o: far\n- p: far",
    "names that change meanwhile": "- stem: conv(8, 1)\n- far\n- x: [{stem: conv(8, 3, padding=1)}, {y: far}]",
    "a name of what it calls": "- say\n- relu: conv(8, 1)\n- say\n- say",
    "the same input twice": "- k: conv(8, 1)\n- two(): [k, k]\n- m: relu\n- two(): [k, m]\n- two(): [k, m]\n"
    "- two(): [m, k]",
    "in a named scope": "- for i in range(3):\n  - s$i: [b(8), {t: b(8)}]",
    "another written under its name": "- q.conv: conv(8, 1)\n- b(8)\n- q: b(8)\n- r: b(8)",
    "shared weights": "- a: b(8)\n- c: b(8, weights='a')\n- d: b(8)",
    "nested": "- nest\n- nest\n- b(8)",
    "what depends on no data": "- biased\n- a: biased\n- c: biased\n- d: {biased: a.sum}",
    "of what depends on no data": "- k: constant([1, 8, 8, 8])\n- b(8)\n- from: image\n- b(8)\n"
    "- from: k\n- b(8)\n- from: image\n- b(8)",
    "weights made in a copy": "- a: biased\n- c: biased\n- \"conv(8, 3, prepared={'weight': 'c.kernel'})\"",
    "numbers with fractions": "- leaky(0.1)\n- leaky(0.0)\n- leaky(-0.0)\n- leaky(0.1)\n- leaky(0)\n- leaky(0.0)",
    "ops with options": "- act(leaky_relu(0.1))\n- act(leaky_relu(0.2))\n- act(leaky_relu(slope=0.1))\n"
    "- act(leaky_relu(0.1))\n- act(relu)\n- act(leaky_relu(slope=0.1))",
}
BLOCKS = """blocks:
  b(c):
  - "0": conv(c, 1)
  - batch_norm
  - relu
  far:
  - add: [conv(8, 1), stem]
  say:
  - add: [relu, inputs]
  two:
  - add: [inputs.0, inputs.1]
  biased:
  - kernel: parameter([8, 8, 3, 3])
  - sum: {add: [inputs, "constant([8, 8, 8])"]}
  leaky(slope):
  - leaky_relu(slope)
  act(f):
  - f
  nest:
  - x: b(8)
  - b(8)
  - add: [x, inputs]
"""


def both(model: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    """What is made of a model with copies, and without: a graph, or the error."""

    def made() -> object:
        try:
            return load(model)
        except CostcalcError as error:
            return str(error)

    with_copies = made()
    with monkeypatch.context() as patch:
        patch.setattr(Bodies, "copy", lambda *_: None)
        return with_copies, made()


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_what_writing_out_makes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{image: [8, 8, 8]}}\n{BLOCKS}layers:\n{COPIES[name]}\n", encoding="utf-8")
    copied, written = both(str(path), monkeypatch)
    assert isinstance(copied, Graph)
    assert copied == written


def test_a_number_that_an_op_refuses_is_refused_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.yaml"
    text = f"inputs: {{image: [8, 8, 8]}}\n{BLOCKS}layers:\n- b(8)\n- b(8.0)\n"
    path.write_text(text, encoding="utf-8")
    copied, written = both(str(path), monkeypatch)
    assert copied == written
    assert str(copied).endswith(":4:10: conv: out_channels=8.0 must be a whole number from 1")


BACKBONE = """inputs: {image: [8, 8, 8]}
blocks:
  b(c):
  - "0": conv(c, 1)
  - relu
  pair:
  - b(8)
  - last: b(8)
layers:
- stem: b(8)
- for i in range(4):
  - s.$i: pair
"""


@pytest.mark.parametrize("until", ["stem", "s.0", "s.1.last", "s.2.b", "s.2.b.0", "s.3", "s"])
def test_copies_in_a_backbone_end_where_it_ends(until: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "body.yaml").write_text(BACKBONE, encoding="utf-8")
    path = tmp_path / "net.yaml"
    layers = f"- a: model('./body.yaml', until='{until}')\n- c: model('./body.yaml', until='{until}')\n- b(8)"
    path.write_text(f"inputs: {{image: [8, 8, 8]}}\n{BLOCKS}layers:\n{layers}\n", encoding="utf-8")
    copied, written = both(str(path), monkeypatch)
    assert isinstance(copied, Graph)
    assert copied == written


def test_so_are_the_shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in [*zoo.models()][::12]:
        copied, written = both(model, monkeypatch)
        assert isinstance(copied, Graph) and isinstance(written, Graph)
        for field in fields(Graph):
            assert getattr(copied, field.name) == getattr(written, field.name), (model, field.name)


def test_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    copy = Bodies.copy
    monkeypatch.setattr(Bodies, "copy", lambda *args: given.append(made := copy(*args)) or made)
    for model, least in {"resnet50": 5, "swin_s": 40, "darknet53": 10, "fcn_resnet50": 5}.items():
        given.clear()
        load(model)
        assert len([value for value in given if value is not None]) > least, model
