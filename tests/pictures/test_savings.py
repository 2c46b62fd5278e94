"""What changes would save is what analyses of the changed models say, and nothing is told of others."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import pytest

import costcalc
from costcalc.analysis.records import Report
from costcalc.analysis.report import report as analysed
from costcalc.classes import replace
from costcalc.ir.graph import Graph, GraphBuilder, Group, Node
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine
from costcalc.pictures.costliest import costliest
from costcalc.pictures.savings import Saving, savings

CASES = [
    ("convnext_t", "snapdragon_855_cpu", 16), ("convnext_t", "jetson_orin_nano", 16), ("resnet50", "a100", 16),
    ("mobilenet_v2", "raspberry_pi_5", None), ("vit_b_16", "a100", 16), ("vgg16", "t4", None),
]  # fmt: skip


@lru_cache
def known(model: str, machine: str, bits: int | None) -> tuple[Graph, Report, list[tuple[list[str], Saving]]]:
    graph = costcalc.load(model)
    report = costcalc.analyze(graph, machine=machine, bits=bits)
    found = [(one, saving) for one in costliest(report, 6) for saving in savings(report, graph, one)]
    return graph, report, [([layer.name for layer in one.layers], saving) for one, saving in found]


def seconds(report: Report, names: list[str]) -> float:
    return sum(report[name].time.seconds for name in names)


def between(graph: Graph, name: str, *, behind: bool) -> list[Node]:
    """The layer called ``name``, the next that does anything behind or before it, and what does nothing between."""
    path = [next(node for node in graph.nodes if node.name == name)]
    while True:
        last = path[-1]
        near = [n for n in graph.nodes if (last.outputs[0] in n.inputs if behind else last.inputs[0] in n.outputs)]
        path.append(near[0])
        if graph.runs(near[0]):
            return path if behind else path[::-1]


@pytest.mark.parametrize("case", CASES)
def test_each_is_what_the_changed_model_says(case: tuple[str, str, int | None]) -> None:
    model, machine, bits = case
    graph, report, found = known(*case)
    assert found
    half = (bits or 32) // 2
    for names, saving in found:
        before = seconds(report, names)
        if saving.kind == "elements":
            after = seconds(costcalc.analyze(model, machine=machine, bits=half), names)
        elif saving.kind == "joined":
            # The whole model anew, with each of them in one kernel with the other layer.
            behind = between(graph, names[0], behind=True)[-1].name == saving.other
            groups = [Group(name, tuple(n.name for n in between(graph, name, behind=behind))) for name in names]
            together = replace(graph, groups=tuple(groups))
            before = report.total.time.seconds
            after = analysed(together, machine=load_machine(machine), bits=bits).total.time.seconds
        elif saving.kind == "weights":
            after = sum(_with_narrow_weights(report, name, bits or 32) for name in names)
        else:
            after = sum(_with_half_the_channels(graph, name, machine, bits) for name in names)
        assert saving.seconds == pytest.approx(before - after, rel=1e-6), (names[0], saving)
        assert saving.bits == (half if saving.kind in ("elements", "weights") else 0)


def _with_narrow_weights(report: Report, name: str, bits: int) -> float:
    """By shapes alone: inputs and outputs once, weights at half the width, MACs at the rate that there is."""
    layer = report[name]
    elements = sum(map(prod, (*layer.input_shapes, *layer.output_shapes)))
    moved = (bits * elements + bits // 2 * layer.params) / 8
    return max(layer.macs / report.machine.rate(bits), moved / report.machine.bandwidth)


def _with_half_the_channels(graph: Graph, name: str, machine: str, bits: int | None) -> float:
    """The layer by itself, of half as many channels."""
    node = next(node for node in graph.nodes if node.name == name)
    options = {field.name: getattr(node.op, field.name) for field in type(node.op).fields}
    width = "out_features" if node.op.name == "linear" else "out_channels"
    op = type(node.op)(**options | {width: options[width] // 2})
    builder = GraphBuilder("alone", {value: graph.types[value] for value in node.inputs})
    builder.add("half", op, list(node.inputs))
    return analysed(builder.build(["half"]), machine=load_machine(machine), bits=bits).total.time.seconds


def test_all_kinds_are_met() -> None:
    kinds = {saving.kind for case in CASES for _, saving in known(*case)[2]}
    assert kinds == {"joined", "elements", "weights", "channels"}


def test_three_layers_of_convnext_on_a_phone_and_why() -> None:
    """By hand: 384 → 1536 features at 196 places are 115,605,504 MACs, at 161.5 G a second 0.716 ms; 9 of them are
    21.8 % of the model's time. With int8, of which the cores do twice as many, half of that.
    """
    graph, report, _ = known("convnext_t", "snapdragon_855_cpu", 16)
    one, two, three = costliest(report)
    assert [(d.layers[0].name, len(d.layers)) for d in (one, two, three)] == [
        ("stages.2.0.pwconv1", 9), ("stages.2.0.pwconv2", 9), ("stages.0.0.pwconv1", 3)
    ]  # fmt: skip
    rate = load_machine("snapdragon_855_cpu").rate(16)
    assert one.value == pytest.approx(9 * 384 * 1536 * 196 / rate, rel=1e-9) and one.bound == "compute"
    (best, *_) = savings(report, graph, one)
    assert best.kind == "elements" and best.seconds == pytest.approx(one.value / 2, rel=1e-9)


def net(*layers: tuple[str, dict[str, object], list[str]], results: list[str]) -> Graph:
    builder = GraphBuilder("net", {"x": TensorType((1, 64, 56, 56))})
    for i, (name, options, inputs) in enumerate(layers):
        builder.add(f"l{i}", find_op(name)(**options), inputs)
    return builder.build(results)


def joined(graph: Graph) -> list[tuple[str, str]]:
    """Which layers are said to save time in a kernel with which."""
    report = costcalc.analyze(graph, machine="a100", bits=16)
    found = [(one.layers[0].name, s) for one in costliest(report, 9) for s in savings(report, graph, one)]
    return [(name, s.other) for name, s in found if s.kind == "joined"]


CONV = ("conv", {"out_channels": 64, "kernel": 1, "bias": False})


def test_nothing_is_joined_that_could_not_be() -> None:
    first = (*CONV, ["x"])
    assert ("l1", "l0") in joined(net(first, ("relu", {}, ["l0"]), results=["l1"]))
    # What lies between is a result of the model, or read twice.
    assert joined(net(first, ("relu", {}, ["l0"]), results=["l0", "l1"])) == []
    twice = net(first, ("relu", {}, ["l0"]), ("sigmoid", {}, ["l0"]), results=["l1", "l2"])
    assert joined(twice) == []
    # What follows needs all of a row, or a window.
    assert joined(net(first, ("softmax", {}, ["l0"]), results=["l1"])) == []
    assert joined(net(first, ("max_pool", {"kernel": 2}, ["l0"]), results=["l1"])) == []
    assert joined(net(first, (*CONV, ["l0"]), results=["l1"])) == []


@pytest.mark.parametrize(
    "name, options, halves",
    [
        ("conv", {"out_channels": 64, "kernel": 3}, True),
        ("conv", {"out_channels": 63, "kernel": 3}, False),
        ("conv", {"out_channels": 64, "kernel": 3, "groups": 2}, False),
        ("conv_transpose", {"out_channels": 64, "kernel": 3}, True),
        ("pointwise", {"out_channels": 64}, True),
        ("deform_conv", {"out_channels": 64, "kernel": 3}, True),
    ],
)
def test_half_the_channels_are_half_the_macs_or_not_told(name: str, options: dict[str, object], halves: bool) -> None:
    builder = GraphBuilder("net", {"x": TensorType((1, 64, 56, 56)), "offsets": TensorType((1, 18, 54, 54))})
    builder.add("y", find_op(name)(**options), ["x", "offsets"][: find_op(name).inputs[0]])
    graph = builder.build(["y"])
    report = costcalc.analyze(graph, machine="a100", bits=16)
    told = [s for one in costliest(report) for s in savings(report, graph, one) if s.kind == "channels"]
    assert bool(told) == halves
    for saving in told:
        after = _with_half_the_channels(graph, "y", "a100", 16)
        assert saving.seconds == pytest.approx(seconds(report, ["y"]) - after, rel=1e-6)


def test_of_layers_in_a_kernel_already_nothing_is_told() -> None:
    graph = costcalc.load("resnet18", apply=["fuse"])
    report = costcalc.analyze(graph, machine="a100", bits=16)
    for one in costliest(report, 20):
        assert savings(report, graph, one) == [] or all(layer.group is None for layer in one.layers)


def test_integers_do_not_become_narrower_by_a_word() -> None:
    builder = GraphBuilder("net", {"x": TensorType((1, 64, 56, 56), "int8")})
    builder.add("y", find_op("conv")(out_channels=64, kernel=1, bias=False), ["x"])
    graph = builder.build(["y"])
    report = costcalc.analyze(graph, machine="a100")
    assert not [s for one in costliest(report) for s in savings(report, graph, one) if s.bits]
