"""One model inside another: its layers up to a named one, its parameters, its taps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from specs import names, wiring

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

Build = Callable[..., Graph]

BODY = """
name: body
inputs: {image: [3, 32, 32]}
parameters: {out: 4, act: relu, depth: 2}
variants:
  thin: {}
  wide: {out: 16}
blocks:
  unit(): [conv: "conv(out, 3, padding=1)", act]
layers:
  - stem: unit
  - for i in range(depth):
      - stage.$i:
          - max_pool(2)
          - unit: unit
      - side$i: identity
  - head:
      - pool: global_avg_pool
      - flatten
      - fc: linear(10)
"""


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body.yaml"
    path.write_text(BODY)
    return path


def test_a_whole_model_is_prefixed_and_takes_the_running_value(build: Build, body: Path) -> None:
    graph = build("""
        - first: conv(3, 1)
        - body: model('./body.yaml', depth=0)
        - last: linear(2)
    """)
    assert names(graph) == [
        "first", "body.stem.conv", "body.stem.relu", "body.head.pool", "body.head.flatten", "body.head.fc", "last",
    ]  # fmt: skip
    assert wiring(graph)["body.stem.conv"] == ("first",)
    assert wiring(graph)["last"] == ("body.head.fc",)


def test_a_backbone_ends_after_the_layer_or_scope_named(build: Build, body: Path) -> None:
    def last(until: str) -> tuple[list[str], str]:
        graph = build(f"- body: model('./body.yaml', until='{until}')\n- tail: relu")
        return names(graph)[:-1], wiring(graph)["tail"][0]

    stage0 = [
        "body.stem.conv",
        "body.stem.relu",
        "body.stage.0.max_pool",
        "body.stage.0.unit.conv",
        "body.stage.0.unit.relu",
    ]
    stage1 = ["body.side0", "body.stage.1.max_pool", "body.stage.1.unit.conv", "body.stage.1.unit.relu"]
    assert last("stem") == (stage0[:2], "body.stem.relu")
    assert last("stem.conv") == (stage0[:1], "body.stem.conv")
    assert last("stage.0") == (stage0, "body.stage.0.unit.relu")
    # A scope that other layers interrupt ends with the first of these.
    assert last("stage") == (stage0, "body.stage.0.unit.relu")
    assert last("side0") == ([*stage0, "body.side0"], "body.side0")
    assert last("stage.1") == (stage0 + stage1, "body.stage.1.unit.relu")
    assert last("stage.1.max_pool") == (stage0 + stage1[:2], "body.stage.1.max_pool")


def test_a_backbone_has_its_own_parameters_variant_and_words(build: Build, body: Path) -> None:
    text = """
        parameters: {out: 7, classes: 5}
        blocks:
          swish(): [sigmoid]
        layers:
          - body: model('./body.yaml:wide', until='stem', act=swish)
          - head: conv(out, 1)
          - again: model('./body.yaml', until='stem', out=classes)
    """
    graph = build(text)
    assert [graph.types[n].shape[1] for n in ("body.stem.conv", "head", "again.stem.conv")] == [16, 7, 5]
    assert names(graph)[:2] == ["body.stem.conv", "body.stem.swish.sigmoid"]


def test_a_backbones_layers_are_tapped_by_name(build: Build, body: Path) -> None:
    graph = build("""
        - backbone: model('./body.yaml', until='stage.1')
        - up: upsample(2)
        - add: [[], backbone.stage.0]
        - from: backbone.stem
        - side: conv(2, 1)
    """)
    assert wiring(graph)["add"] == ("up", "backbone.stage.0.unit.relu")
    assert wiring(graph)["side"] == ("backbone.stem.relu",)


def test_a_backbone_runs_twice_with_one_set_of_weights(build: Build, body: Path) -> None:
    graph = build("""
        inputs: {left: [3, 8, 8], right: [3, 8, 8]}
        layers:
          - a: model('./body.yaml', until='stage.0')
          - b: {model('./body.yaml', until='stage.0', weights='a'): right}
          - add: [a, b]
    """)
    assert wiring(graph)["b.stem.conv"] == ("right",)
    # Two convolutions, 3·4·9 + 4 and 4·4·9 + 4, once
    assert costcalc.analyze(graph).total.params == 112 + 148


def test_backbones_nest(build: Build, body: Path, tmp_path: Path) -> None:
    (tmp_path / "neck.yaml").write_text(
        "inputs: {image: [3, 8, 8]}\nlayers: [net: model('./body.yaml', until='stage.0'), tail: relu, end: tanh]\n"
    )
    graph = build("- neck: model('./neck.yaml', until='tail')\n- last: relu")
    assert names(graph)[-2:] == ["neck.tail", "last"]
    assert wiring(graph)["neck.tail"] == ("neck.net.stage.0.unit.relu",)
    inner = build("- neck: model('./neck.yaml', until='net.stem')\n- last: relu")
    assert names(inner) == ["neck.net.stem.conv", "neck.net.stem.relu", "last"]


def test_a_model_of_the_zoo_is_a_backbone(build: Build) -> None:
    graph = build("""
        inputs: {image: [3, 64, 64]}
        layers:
          - backbone: model('resnet18', until='layer3')
          - head: conv(21, 1)
    """)
    whole = costcalc.load("resnet18", input=(3, 64, 64))
    ours = [n for n in names(graph) if n.startswith("backbone.")]
    assert [n.removeprefix("backbone.") for n in ours] == names(whole)[: len(ours)]
    assert graph.types["head"].shape == (1, 21, 4, 4)


def test_a_mistake_in_a_backbone_is_blamed_on_the_call(build: Build, body: Path, tmp_path: Path) -> None:
    body.write_text(BODY.replace("max_pool(2)", "max_pol(2)"))
    with pytest.raises(CostcalcError) as caught:
        build("- body: model('./body.yaml')")
    assert str(caught.value) == (
        f"{tmp_path / 'net.yaml'}:2:9: no op or block called 'max_pol' (did you mean 'max_pool'?) ({body}:14)"
    )
