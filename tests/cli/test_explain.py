"""``explain``: the formulas are those of the rules, and what they say they come to they do come to."""

from __future__ import annotations

import re
from fractions import Fraction
from json import loads
from math import ceil, floor
from typing import Any

import pytest
from terminal import run

from costcalc.analysis.explain import ExplanationLine, explain
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.analysis.report import report
from costcalc.analysis.stored_tensors import stored_tensors
from costcalc.api import analyze
from costcalc.backends.explain import json
from costcalc.backends.explain.layer import explanation
from costcalc.backends.paint import plain
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load

EXAMPLES = [
    pytest.param(op, types, id=f"{name}-{i}")
    for name, kind in sorted(all_ops().items())
    for i, (op, *types) in enumerate(kind.examples())
]


def graph_of(op: Op, types: list[TensorType]) -> Graph:
    builder = GraphBuilder("one", {f"x{i}": t for i, t in enumerate(types)})
    return builder.build(builder.add("layer", op, [f"x{i}" for i in range(len(types))]))


def worth(text: str, letters: dict[str, int]) -> Fraction:
    """What a formula as printed comes to: an independent reading of it."""
    code = re.sub(r"[^\W\d][\w′]*|\d+(\.\d+)?", lambda m: m[0] if m[1] else f"F({letters.get(m[0], m[0])})", text)
    code = code.replace("⌊", "floor(").replace("⌈", "ceil(").replace("⌋", ")").replace("⌉", ")")
    code = code.replace("·", "*").replace("−", "-")
    value: Any = eval(code, {"F": Fraction, "floor": lambda v: Fraction(floor(v)), "ceil": lambda v: Fraction(ceil(v))})
    return Fraction(value)


def value(line: ExplanationLine) -> int:
    return line.value.size[0] if isinstance(line.value, ReceptiveField) else line.value


@pytest.mark.parametrize("op, types", EXAMPLES)
def test_every_formula_comes_to_the_figure_it_explains(op: Op, types: list[TensorType]) -> None:
    graph = graph_of(op, types)
    told = explain(graph, report(graph), "layer")
    own = {"prepared", "kept"} if told.layer.prepared else {"storage", "read", "write"}
    assert {"MACs", "ops", "params", "buffers"} | own <= {line.name for line in told.lines}
    for line in told.lines:
        if line.letters:
            assert worth(line.numbers, {}) == value(line), line
            named = dict(told.letters) if line.name != "receptive field" else told.letters | {"R": 1, "J": 1}
            assert worth(line.letters, named) == value(line), line


def test_the_formulas_of_a_convolution_are_those_of_the_facts() -> None:
    # MACs = B·M·K·K·C·E·F and storage = 32·(M·C·K·K + B·C·H·W + B·M·E·F); groups divide the channels.
    graph = load("mobilenet")
    lines = {line.name: line for line in explain(graph, report(graph), "features.0.conv").lines}
    assert lines["MACs"].letters == "n·m·e·f·(c/g)·k·k"
    assert lines["MACs"].numbers == "1·32·112·112·(3/1)·3·3"
    assert lines["storage"].letters == "32·(m·(c/g)·k·k + n·c·h·w + n·m·e·f)"
    assert lines["e, f"].letters == "⌊(h + p + p − d·(k − 1) − 1)/s⌋ + 1"
    assert lines["receptive field"].letters == "R + J·d·(k − 1)"


def test_of_a_layer_it_says_what_is_counted_where_it_was_written_and_what_is_shared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = run(capsys, "explain", "mobilenet", "features.1.depthwise.conv", "--machine", "a100")
    assert said.code == 0
    assert "every kernel tap at every output place, also taps that fall" in said.out
    assert re.search(r"^from blocks/conv\.yaml:\d+$", said.out, re.MULTILINE)
    assert "bound by memory" in said.out


def test_a_weight_that_the_model_calls_otherwise_is_not_thereby_shared() -> None:
    # As a trace has it: the layer does several things, so that it has a name below its module's.
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("a.linear", find_op("linear")(4), ["x"], {"weight": "a.weight", "bias": "a.bias"})
    b.add("b", find_op("linear")(4, bias=False), ["a.linear"], {"weight": "a.weight"})
    graph = b.build(["b"])
    whole = report(graph)
    first, second = explain(graph, whole, "a.linear"), explain(graph, whole, "b")

    assert [(w.name, w.called, w.shared) for w in first.weights] == [
        ("weight", "a.weight", ("b.weight",)),
        ("bias", "a.bias", ()),
    ]
    assert [(w.name, w.called, w.shared) for w in second.weights] == [("weight", "a.weight", ("a.linear.weight",))]
    said = explanation(first, 100, plain)
    assert "weight, called a.weight, shared with b.weight" in said and "bias, called a.bias\n" in said
    row = {t["name"]: t for t in loads(json.layer(first))["tensors"] if t["role"] == "weight"}
    assert row["bias"]["called"] == "a.bias" and "shared" not in row["bias"]
    assert row["weight"]["shared"] == ["b.weight"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_the_op_says_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    # Of conv the source is the longest: 92 characters with its heading.
    monkeypatch.setenv("COLUMNS", str(width))
    said = run(capsys, "explain", "lenet5", "c1").out.partition("from lenet5")[0].splitlines()

    assert max(map(len, said)) <= width
    assert " ".join(" ".join(said).split()).endswith('"A guide to convolution arithmetic for deep learning" (2016).')


@pytest.mark.parametrize("name", ["mobilenet", "resnet18", "squeezenet1_1", "densenet121", "unet", "vit_b_16"])
def test_the_tensors_of_every_block_add_up_to_its_storage(name: str) -> None:
    graph = load(name)
    whole = report(graph)
    for block in ["", *(block.name for block in whole.blocks)]:
        stored = stored_tensors(graph, whole, block)
        assert stored is not None
        assert sum(t.bits for t in stored.tensors) == stored.figures.storage_bits, block  # type: ignore[misc]
        assert len({t.name for t in stored.tensors}) == len(stored.tensors)


def test_of_each_tensor_of_a_block_it_is_told_who_has_it() -> None:
    # The flattened map is the activation's own storage, so that with it the activation leaves the block.
    b = GraphBuilder("roles", {"image": TensorType((1, 3, 4, 4))})
    b.add("block.conv", find_op("conv")(2, 1, bias=False), ["image"])
    b.add("block.act", find_op("relu")(), ["block.conv"])
    b.add("block.flat", find_op("flatten")(), ["block.act"])
    b.add("fc", find_op("linear")(5), ["block.flat"])
    graph = b.build(["fc"])
    stored = stored_tensors(graph, report(graph), "block")

    assert stored is not None
    assert {(t.role, t.name, t.bits) for t in stored.tensors} == {
        ("reads", "image", 32 * 48), ("keeps", "block.conv", 32 * 32), ("makes", "block.act", 32 * 32),
        ("weight", "block.conv.weight", 32 * 6),
    }  # fmt: skip
    # One by one: conv 48 + 6 + 32, the activation 32 + 32, and its flattened view 32.
    assert (stored.name, stored.views, stored.apart) == ("block", 1, 32 * (86 + 64 + 32))


def test_views_that_overlap_are_no_more_than_what_they_show() -> None:
    # Channels 0 to 5 and 2 to 7 of 8×4×4: together the map itself. The block makes 12×4×4.
    b = GraphBuilder("overlapping", {"image": TensorType((1, 8, 4, 4))})
    b.add("map", find_op("relu")(), ["image"])
    b.add("low", find_op("slice")(1, 0, 6), ["map"])
    b.add("high", find_op("slice")(1, 2, 8), ["map"])
    b.add("block.join", find_op("concat")(), ["low", "high"])
    graph = b.build(["block.join"])
    whole = report(graph)
    stored = stored_tensors(graph, whole, "block")

    assert stored is not None and stored.figures is whole.blocks[0]
    assert [(t.role, t.name, t.bits) for t in stored.tensors] == [
        ("makes", "block.join", 32 * 12 * 16), ("reads", "map", 32 * 8 * 16),
    ]  # fmt: skip
    assert stored.figures.storage_bits == 32 * (12 + 8) * 16
    assert stored.views == 2


def test_the_map_between_a_depthwise_and_a_pointwise_convolution_is_kept_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = run(capsys, "explain", "mobilenet", "features.1")
    assert "between its layers, counted once" in said.out
    assert "features.1.depthwise.conv\n" in said.out
    assert "lies between layers and counts again" in said.out


def test_without_a_layer_it_tells_what_the_whole_model_holds(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "explain", "lenet5")
    assert said.code == 0
    total = analyze("lenet5").total.storage_bits
    assert f"({total:,} bits)" in said.out
