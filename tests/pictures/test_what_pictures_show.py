"""What pictures show is what reports hold: sums are totals, peaks are peaks, steps of a waterfall meet."""

from __future__ import annotations

import pytest

import costcalc
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.backends.growth import words
from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.pictures.costliest import costliest
from costcalc.pictures.growth import Growth, Seen, growth
from costcalc.pictures.roofline import roofline
from costcalc.pictures.savings import savings
from costcalc.pictures.timeline import timeline
from costcalc.pictures.treemap import TREEMAPS, Area, treemap
from costcalc.pictures.waterfall import waterfall


@pytest.mark.parametrize("model", ["resnet18", "mobilenet", "convnext_t", "vit_b_16"])
def test_points_are_on_the_roof_and_their_seconds_are_the_total(model: str) -> None:
    report = costcalc.analyze(model, machine="a100", bits=16)
    found = roofline(report)
    assert found.peak == 156e12 and found.bandwidth == report.machine.bandwidth  # the data sheet's
    for point in found.points:
        assert point.rate == pytest.approx(found.roof(point.intensity), rel=1e-9)
        assert (point.bound == "compute") == (point.intensity >= found.ridge)
    assert sum(p.seconds for p in found.points) + found.without == pytest.approx(report.total.time.seconds)
    assert [p.name for p in found.points] == [layer.name for layer in report.layers if layer.macs]


def test_a_roofline_needs_a_machine() -> None:
    with pytest.raises(CostcalcError, match="--machine"):
        roofline(costcalc.analyze("resnet18"))


def leaves(area: Area) -> list[Area]:
    return [leaf for inner in area.areas for leaf in leaves(inner)] if area.areas else [area]


@pytest.mark.parametrize("figure", TREEMAPS)
def test_areas_add_up(figure: str) -> None:
    report = costcalc.analyze("resnet18", machine="a100", energy="horowitz_45nm")
    whole = treemap(report, figure)
    wanted = {layer.name: costcalc_figure(layer, figure) for layer in report.layers}
    assert {leaf.name: leaf.value for leaf in leaves(whole)} == {name: n for name, n in wanted.items() if n}
    assert whole.value == pytest.approx(sum(wanted.values()), rel=1e-12)
    queue = [whole]
    while queue:
        area = queue.pop()
        queue += area.areas
        if area.areas:
            assert area.value == pytest.approx(sum(inner.value for inner in area.areas), rel=1e-12)
            assert len(area.areas) > 1 or not area.areas[0].areas  # a block of one block is written with it


def costcalc_figure(layer: object, figure: str) -> float:
    from costcalc.analysis.figures import FIGURES

    return FIGURES[figure].of(layer)


def test_labels_are_relative_and_join_to_the_name() -> None:
    def walk(area: Area, above: str) -> None:
        for inner in area.areas:
            assert inner.name == (f"{above}.{inner.label}" if above else inner.label)
            walk(inner, inner.name)

    walk(treemap(costcalc.analyze("convnext_t"), "macs"), "")


def test_no_treemap_of_what_does_not_add_up() -> None:
    for figure in ("intensity", "peak", "nonsense"):
        with pytest.raises(CostcalcError, match="no treemap"):
            treemap(costcalc.analyze("resnet18"), figure)


@pytest.mark.parametrize("engine", ["eager", "tflm", "mcu"])
def test_those_alive_at_the_peak_are_the_peak(engine: str) -> None:
    memory = costcalc.memory("mobilenet_v2", engine=engine, bits=8)
    found = timeline(memory)
    assert found.held[found.peak] == max(found.held)
    assert found.layers[found.peak] == memory.at
    assert {t.name for t in found.alive} == {t.name for t in found.bars if t.first <= found.peak <= t.last}


def test_growth_is_what_layers_see() -> None:
    # resnet18's window at the end of its stages, from its strides: 1 + Σ (kernel - 1) · jump.
    report = costcalc.analyze("resnet18")
    found = growth(report)
    assert found.image == (224, 224)
    by_name = {seen.name: seen for seen in found.layers}
    assert by_name["conv1.conv"].size == (7, 7) and by_name["layer1.1.conv2.conv"].size == (43, 43)
    assert by_name["layer4.1.conv2.conv"].size == (435, 435) and by_name["layer4.1.conv2.conv"].seen == (224, 224)
    first = next(
        layer.name for layer in report.layers
        if isinstance(layer.receptive_field, ReceptiveField) and max(layer.receptive_field.size) > 224
    )  # fmt: skip
    assert found.exceeds == first
    assert by_name[found.whole].everything and found.whole == "avgpool"


def test_a_bound_is_not_said_to_exceed_and_what_is_unknown_is_told() -> None:
    seen = [
        Seen(i, name, (size, size), (min(size, 64),) * 2, (1.0, 1.0), False, bound)
        for i, (name, size, bound) in enumerate((("a", 3, False), ("b", 99, True), ("c", 70, False)))
    ]
    grown = Growth((64, 64), tuple(seen[:2]), "", "")
    assert grown.may_exceed is seen[1]
    assert words(grown) == ["no window is proved to be larger than the image; that of b is at most 99"]
    assert Growth((64, 64), tuple(seen), "c", "").may_exceed is None
    assert words(Growth((64,), (), "", "", ("x", "y"))) == [
        "no window that is known is larger than the input", "unknown of 2 layers, from x on"
    ]  # fmt: skip
    builder = GraphBuilder("u", {"x": TensorType((1, 4, 8, 8))})
    builder.add("u", find_op("uncounted")("airy", ((1, 4, 8, 8),), ("float32",)), ["x"])
    builder.add("v", find_op("relu")(), ["u"])
    graph = builder.build(["v"])
    report = costcalc.analyze(graph, machine="a100")
    assert growth(report).unknown == ("u", "v") and growth(report).exceeds == ""
    found = costliest(report)
    assert [savings(report, graph, one) == [] for one in found] == [not one.layers[0].counted for one in found]


def test_steps_of_a_waterfall_meet() -> None:
    diff = costcalc.diff("resnet18", "resnet34")
    for figure in ("macs", "params", "traffic"):
        for most in (12, 2, 1):
            found = waterfall(diff, figure, most)
            ends = [found.old, *(step.end for step in found.steps)]
            assert [step.start for step in found.steps] == ends[:-1]
            assert ends[-1] == found.new == diff.figure(figure)[1]
            assert sum(step.causes for step in found.steps) == sum(bool(c.of(figure)) for c in diff.causes)
    with pytest.raises(CostcalcError, match="no causes"):
        waterfall(diff, "peak")
