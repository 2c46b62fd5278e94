"""Layers that one kernel does: what that changes of the figures, and that nothing else changes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from costcalc import analyze, load
from costcalc.analysis.figures import FIGURES
from costcalc.budget.lock import Lock, entry, graph_hash, graph_of, lock_text, parse_lock
from costcalc.difference import diff
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, Group
from costcalc.ir.group import grouped
from costcalc.machines import load_machine
from costcalc.transforms.fuse import ENGINES, partition

BLOCK = """
inputs: {image: [16, 8, 8]}
layers:
- stem: conv(16, 3, padding=1, bias=false)
- norm: batch_norm
- act: relu
- body: conv(16, 3, padding=1, bias=false)
- body_norm: batch_norm
- sum: {add: [body_norm, act]}
- last: relu
"""
MAP = 16 * 8 * 8 * 32
WEIGHT = 16 * 16 * 9 * 32
NORM = 4 * 16 * 32


def of(text: str, tmp_path: Path, apply: str = "") -> Graph:
    (tmp_path / "net.yaml").write_text(text)
    return load(str(tmp_path / "net.yaml"), apply=apply)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.yaml").write_text(BLOCK)
    monkeypatch.chdir(tmp_path)


def test_a_block_by_hand(tmp_path: Path) -> None:
    """Two kernels: the first reads the image and writes a map, the second reads that map as its input and to add."""
    graph = of(BLOCK, tmp_path, "fuse:ort")
    assert [group.layers for group in graph.groups] == [("stem", "norm", "act"), ("body", "body_norm", "sum", "last")]
    report = analyze(graph)
    layers = {layer.name: layer for layer in report.layers}
    assert (layers["stem"].read_bits, layers["stem"].write_bits) == (MAP + WEIGHT, 0)
    assert (layers["norm"].read_bits, layers["norm"].write_bits) == (NORM, 0)
    assert (layers["act"].read_bits, layers["act"].write_bits) == (0, MAP)
    assert (layers["body"].read_bits, layers["sum"].read_bits) == (MAP + WEIGHT, MAP)
    assert layers["last"].write_bits == MAP and layers["last"].group == "body"
    assert report.total.traffic_bits == 5 * MAP + 2 * (WEIGHT + NORM)
    assert report.total.storage_bits == 3 * MAP + 2 * (WEIGHT + NORM + 64), "the image, one map between, the result"
    assert report.total.peak_bits == 2 * MAP and report.total.kernels == 2
    assert analyze(of(BLOCK, tmp_path)).total.peak_bits == 3 * MAP


def test_a_kernel_that_reads_a_value_twice_reads_it_once(tmp_path: Path) -> None:
    text = "inputs: {x: [8]}\nlayers:\n- a: {relu: x}\n- b: {add: [a, x]}\n- c: {multiply: [b, x]}\n"
    graph = grouped(of(text, tmp_path), [Group("a", ("a", "b", "c"))])
    assert [layer.read_bits for layer in analyze(graph).layers] == [256, 0, 0]
    assert [layer.write_bits for layer in analyze(graph).layers] == [0, 0, 256]


def test_views_inside_of_a_kernel_are_never_in_memory(tmp_path: Path) -> None:
    text = "inputs: {x: [4, 4]}\nlayers:\n- a: {relu: x}\n- v: {flatten: a}\n- b: {sigmoid: v}\n"
    report = analyze(grouped(of(text, tmp_path), [Group("a", ("a", "b"))]))
    assert report.total.traffic_bits == report.total.storage_bits == 2 * 512


def test_kernels_run_when_all_that_they_read_is_there(tmp_path: Path) -> None:
    """The second branch stands between the layers of the first one's kernel, and one of its layers waits for it."""
    text = """
inputs: {x: [8, 8, 8]}
layers:
- a: {conv(8, 1): x}
- b: {conv(8, 1): x}
- c: {add: [a, b]}
- d: {relu: c}
"""
    graph = of(text, tmp_path, "fuse:ort")
    assert [tuple(node.name for node in kernel) for kernel in graph.kernels] == [("b",), ("a", "c", "d")]
    assert partition(of(text, tmp_path)) == (("a",), ("b", "c", "d")), (
        "without a name the layer made last takes the sum in"
    )
    with pytest.raises(CostcalcError, match="waits for one that waits for it"):
        grouped(of(BLOCK, tmp_path), [Group("stem", ("stem", "body")), Group("norm", ("norm", "act"))])
    with pytest.raises(CostcalcError, match="stem is in two groups"):
        grouped(of(BLOCK, tmp_path), [Group("stem", ("stem", "norm")), Group("stem", ("stem", "act"))])
    with pytest.raises(CostcalcError, match="nothing is not a layer of net"):
        grouped(of(BLOCK, tmp_path), [Group("stem", ("stem", "nothing"))])


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121", "vit_b_16", "unet"])
def test_what_does_not_depend_on_kernels_stays(name: str, kind: str) -> None:
    how = f"fuse:{kind}" if kind else "fuse"
    machine = load_machine("a100")
    before, after = analyze(name, machine=machine), analyze(name, apply=how, machine=machine)
    for figure in FIGURES.values():
        a, b = figure.value(before), figure.value(after)
        if figure.name in ("traffic", "read", "write", "storage", "peak", "time"):
            assert a is not None and 0 < b <= a, figure.name
        elif figure.name not in ("intensity", "kernels"):
            assert a == b, figure.name
    assert after.total.kernels is not None and after.total.kernels < before.total.layers
    for a, b in zip(before.layers, after.layers, strict=True):
        assert (a.macs, a.ops, a.params, a.receptive_field) == (b.macs, b.ops, b.params, b.receptive_field)
    for figure in ("read", "write"):
        assert sum(layer.amounts[figure] for layer in after.layers) == after.total.amounts[figure]
    graph = load(name, apply=how)
    changes = diff(None, graph, machine=machine)
    assert changes.change("storage") == after.total.storage_bits
    for figure in ("read", "write", "storage"):
        assert (
            sum(change.after.get(figure, 0) for change in changes.layers if change.after) == after.total.amounts[figure]
        )


@pytest.mark.long
def test_every_shipped_model_can_be_joined_as_every_engine_does() -> None:
    from costcalc.transforms.fuse import fuse
    from costcalc.zoo import models

    for name in models():
        graph = load(name)
        before = analyze(graph).total
        for engine in ENGINES:
            after = analyze(fuse(graph, engine)).total
            assert (after.macs, after.params) == (before.macs, before.params), (name, engine)
            assert after.traffic_bits <= before.traffic_bits and after.storage_bits <= before.storage_bits, (
                name,
                engine,
            )


def test_a_kernel_takes_as_long_as_its_layers_at_once(tmp_path: Path) -> None:
    machine = load_machine("a100")
    report = analyze(of(BLOCK, tmp_path, "fuse:ort"), machine=machine)
    assert report.machine is not None and report.total.time is not None
    parts = []
    for name in ("stem", "body"):
        rows = [layer for layer in report.layers if layer.group == name]
        macs, bits = sum(r.macs for r in rows), sum(r.traffic_bits for r in rows)
        parts.append(max(macs / machine.rate(None), bits / 8 / machine.bandwidth))
        assert sum(r.time.seconds for r in rows if r.time) == pytest.approx(parts[-1])
    assert report.total.time.seconds == pytest.approx(sum(parts))


def test_outputs_show_the_kernels(printed: Callable[..., str]) -> None:
    line = ("analyze", "net.yaml", "--apply", "fuse:ort")
    record = json.loads(printed(*line, "--format", "json"))
    assert [layer.get("group") for layer in record["layers"]] == ["stem"] * 3 + ["body"] * 4
    assert record["total"]["kernels"] == 2 and record["settings"]["apply"] == ["fuse:ort"]
    plain = json.loads(printed("analyze", "net.yaml", "--format", "json"))
    assert not any("group" in layer for layer in plain["layers"]) and "kernels" not in plain["total"]
    rows = list(csv.DictReader(io.StringIO(printed(*line, "--format", "csv"))))
    assert [row["group"] for row in rows if row["row"] == "layer"] == ["stem"] * 3 + ["body"] * 4
    assert "| sum | add | body |" in printed(*line, "--format", "markdown")
    table = printed(*line)
    assert "kernels" in table and "kernel" in table.splitlines()[2]
    compared = json.loads(printed("compare", "net.yaml", "net.yaml", "--apply", "fuse:ort", "--format", "json"))
    assert compared["models"][0]["figures"]["kernels"] == 2
    shown = printed("show", "net.yaml", "--expand", "--apply", "fuse:ort")
    assert "# one kernel: stem, norm, act\n# one kernel: body, body_norm, sum, last\n" in shown


def test_explain_says_why_a_layer_joined_or_what_prevented_it(printed: Callable[..., str], tmp_path: Path) -> None:
    told = printed("explain", "net.yaml", "sum", "--apply", "fuse:ort")
    assert "kernel           body's, with body and body_norm and last" in told
    assert "joined           body: a convolution adds another map to what it makes" in told
    record = json.loads(printed("explain", "net.yaml", "stem", "--apply", "fuse:ort", "--format", "json"))
    figures = {figure["name"]: figure for figure in record["figures"]}
    assert figures["write_bits"]["value"] == 0 and figures["read_bits"]["value"] == MAP + WEIGHT
    assert figures["read_bits"]["formula"], "what is read has its formula, without what stays inside"
    for op, said in [
        ("silu", "ONNX Runtime joins silu to nothing before it"),
        ("gelu", "ONNX Runtime joins gelu to nothing before it"),
    ]:
        (tmp_path / "net.yaml").write_text(BLOCK.replace("relu", op))
        told = " ".join(printed("explain", "net.yaml", "act", "--apply", "fuse:ort").split())
        assert said in told, told
    (tmp_path / "net.yaml").write_text(BLOCK.replace("add: [body_norm, act]", "add: [body_norm, norm]"))
    told = " ".join(printed("explain", "net.yaml", "act", "--apply", "fuse:ort").split())
    assert "norm is read 2 times, so it is written" in told
    assert "a kernel begins with it" in printed("explain", "net.yaml", "body", "--apply", "fuse:ort")


def test_a_diff_attributes_what_kernels_do_otherwise(tmp_path: Path) -> None:
    relu = of(BLOCK, tmp_path, "fuse:ort")
    silu = of(BLOCK.replace("act: relu", "act: silu"), tmp_path, "fuse:ort")
    found = diff(relu, silu, machine=load_machine("a100"))
    (cause,) = found.causes
    assert (cause.kind, cause.of("traffic"), cause.of("macs")) == ("op", 2 * MAP, 0), "norm's map is written and read"
    assert cause.of("traffic") == found.change("traffic") and found.figure("kernels") == (2, 3)
    found = diff(of(BLOCK, tmp_path), relu, machine=load_machine("a100"))
    (cause,) = found.causes
    assert cause.kind == "fusion" and cause.of("traffic") == found.change("traffic") < 0
    assert float(cause.of("time")) == pytest.approx(float(found.change("time")))
    wide = of(BLOCK.replace("16", "32"), tmp_path, "fuse:ort")
    found = diff(relu, wide, machine=load_machine("a100"))
    for figure in ("macs", "read", "write", "storage"):
        assert sum(cause.of(figure) for cause in found.causes) == found.change(figure), figure
    assert float(sum(cause.of("time") for cause in found.causes)) == pytest.approx(float(found.change("time")))


def test_a_lock_keeps_the_kernels(tmp_path: Path) -> None:
    plain, fused = of(BLOCK, tmp_path), of(BLOCK, tmp_path, "fuse:ort")
    assert graph_hash(plain) != graph_hash(fused)
    kept = entry(fused, analyze(fused), "net.yaml", "fuse:ort")
    lock = parse_lock(lock_text(Lock({("net", "fuse:ort"): kept})).encode(), "costcalc.lock")
    again = graph_of(lock.entries["net", "fuse:ort"])
    assert again is not None and (again.groups, again.applied) == (fused.groups, ("fuse:ort",))
    assert kept.figures["kernels"] == 2 and analyze(again).total == analyze(fused).total


def test_closed_forms_are_those_of_the_kernels(printed: Callable[..., str]) -> None:
    totals = {
        t["name"]: t
        for t in json.loads(printed("formula", "net.yaml", "--apply", "fuse:ort", "--format", "json"))["totals"]
    }
    assert totals["traffic_bits"]["value"] == 5 * MAP + 2 * (WEIGHT + NORM)


def test_fuse_comes_last_and_takes_one_engine() -> None:
    assert load("resnet18", apply="fold_norm,fuse:ort").applied == ("fold_norm", "fuse:ort")
    for given, said in [
        ("fuse:ort,fold_norm", "fold_norm cannot be applied after fuse:ort, which comes last"),
        ("fuse,fuse:ort", "fuse and fuse:ort are one transform"),
        ("fuse:torch", "fuse has no kind 'torch'"),
    ]:
        with pytest.raises(CostcalcError, match=said):
            load("resnet18", apply=given)
