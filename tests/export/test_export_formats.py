"""Metrics, model cards and traces, and the command that writes all formats."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

import costcalc
from costcalc.backends.export import FORMATS
from costcalc.backends.export.perfetto import _span
from costcalc.cli.dispatch import outcome
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.ir.value_size import ValueSize


def _named(name: str) -> Graph:
    b = GraphBuilder(name, {"image": TensorType((1, 3, 8, 8))})
    b.add(name, find_op("conv")(4, 3), ["image"])
    return b.build([name])


def test_metrics_are_the_totals() -> None:
    report = costcalc.analyze("resnet50", machine="a100")
    found = json.loads(costcalc.export("metrics", "resnet50", machine="a100").text)
    assert all(type(value) in (int, float) for value in found.values())
    total = report.total
    assert (found["macs"], found["params"], found["layers"]) == (4089184256, 25557032, total.layers)
    assert total.time is not None and found["roofline_seconds"] == total.time.seconds
    for name, bits in (("weight", total.weight_bits), ("read", total.read_bits), ("write", total.write_bits)):
        assert found[f"{name}_bytes"] * 8 == bits
    assert found["uncounted_layers"] == found["unset_sizes"] == 0


@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_logs_the_metrics_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    found = json.loads(costcalc.export("metrics", "resnet50", machine="a100").text)
    with wandb.init(project="costs", dir=str(tmp_path), mode="offline") as run:
        run.log(found)
        kept = dict(run.summary)
    assert {name: kept[name] for name in found} == found
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"4089184256" in file.read_bytes()  # all digits are in what is sent


@pytest.mark.filterwarnings("ignore")
def test_mlflow_logs_the_metrics_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    found = json.loads(costcalc.export("metrics", "resnet50").text)
    with mlflow.start_run() as run:
        mlflow.log_metrics(found)
    assert mlflow.get_run(run.info.run_id).data.metrics == found


def test_metrics_that_are_bounds_say_so() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 3, 8, 8))})
    b.add("odd", find_op("uncounted")("mystery", ((1, 3, 8, 8),), ("float32",)), ["x"])
    b.add("conv", find_op("conv")(4, 3), ["odd"])
    written = costcalc.export("metrics", b.build(["conv"]))
    assert json.loads(written.text)["uncounted_layers"] == 1
    assert written.notes[0] == "macs is a lower bound: layers without a rule: 1"


@pytest.mark.parametrize("name", ["a: b", "---", "x\n---\n# y", '"', "<script>", "| a |", "::error::", "@team"])
def test_a_model_card_is_metadata_and_a_table_whatever_the_name(name: str) -> None:
    text = costcalc.export("model-card", _named(name)).text
    empty, head, body = text.split("---\n", 2) if "\n---\n" in text else ("", "", text)
    assert empty == ""
    data = yaml.safe_load(head)
    assert data["costcalc"]["model"] == name and data["costcalc"]["macs"] == 3888
    assert "<script>" not in body and body.startswith("\n## Cost of one inference\n")


def test_the_hub_reads_the_model_card() -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(costcalc.export("model-card", "resnet50").text)
    assert card.data.to_dict()["costcalc"]["macs"] == 4089184256
    assert card.text.lstrip().startswith("## Cost")


def _events(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return found


def apart(events: list[dict[str, Any]]) -> None:
    """What follows in a row begins after what is before it, as doubles add up and in whole nanoseconds: what begins
    within another is drawn as a part of it, or dropped. speedscope 1.25.0 complains of each.
    """
    rows: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        if event["ph"] == "X":
            rows.setdefault(event["tid"], []).append(event)
    assert len(rows) > 1
    for row in rows.values():
        row.sort(key=lambda event: event["ts"])
        for event, after in pairwise(row):
            assert event["ts"] + event["dur"] < after["ts"]
            assert int(1e3 * event["ts"]) + int(1e3 * event["dur"]) <= int(1e3 * after["ts"])


def test_what_is_too_short_for_a_double_ends_as_it_begins() -> None:
    for start, end in ((1e6, 1e6 + 1e-16), (1e6, 1e6 + 2e-10), (0.0, 1e-15), (0.0, 0.0), (5e-7, 1e3)):
        made = _span(1, "x", "conv", start, end, {})
        assert made["dur"] >= 0 and (made["ts"] + made["dur"] < 1e6 * end or not made["dur"])


def test_a_trace_has_every_layer_that_takes_time_one_after_the_other() -> None:
    report = costcalc.analyze("mobilenet_v2", machine="a100")
    events = _events(costcalc.export("perfetto", "mobilenet_v2", machine="a100").text)
    layers = [e for e in events if e["ph"] == "X" and e["tid"] == 1]
    timed = [layer for layer in report.layers if layer.time and layer.time.seconds]
    assert [e["name"] for e in layers] == [layer.name for layer in timed]
    assert sum(e["args"]["macs"] for e in layers) == report.total.macs
    assert report.total.time is not None
    assert sum(e["dur"] for e in layers) == pytest.approx(1e6 * report.total.time.seconds)
    for thread in {e["tid"] for e in events if e["ph"] == "X"}:
        end = 0.0
        for e in sorted((e for e in events if e["ph"] == "X" and e["tid"] == thread), key=lambda e: e["ts"]):
            assert e["ts"] >= end - 1e-9 and e["dur"] > 0
            end = e["ts"] + e["dur"]
    for model in ("mobilenet_v2", "convnext_t", "hrnet_w18"):
        apart(_events(costcalc.export("perfetto", model, machine="a100").text))
    # What the format's own description asks of each event.
    assert all(e["ph"] in "XCM" and isinstance(e["pid"], int) and isinstance(e["args"], dict) for e in events)
    assert all(isinstance(v, (int, float)) for e in events if e["ph"] == "C" for v in e["args"].values())
    live = [e["args"]["value"] for e in events if e["ph"] == "C" and e["name"].startswith("live")]
    assert max(live) * 8 == report.total.peak_bits and live[-1] == 0


def test_a_trace_has_the_blocks_from_their_first_layer_to_their_last() -> None:
    events = _events(costcalc.export("perfetto", "resnet18", machine="a100").text)
    spans = [e for e in events if e["ph"] == "X"]
    for name in ("layer1", "layer3.0"):
        (block,) = [e for e in spans if e["cat"] == "block" and e["name"] == name]
        inner = [e for e in spans if e["tid"] == 1 and e["name"].startswith(f"{name}.")]
        assert block["ts"] == min(e["ts"] for e in inner)
        assert block["ts"] + block["dur"] == pytest.approx(max(e["ts"] + e["dur"] for e in inner))


def test_bandwidth_is_at_most_what_the_machine_has() -> None:
    from costcalc.machines import load_machine

    most = load_machine("a100").bandwidth
    events = _events(costcalc.export("perfetto", "resnet18", machine="a100").text)
    seen = [e["args"]["value"] for e in events if e["ph"] == "C" and e["name"].startswith("bandwidth")]
    assert max(seen) == pytest.approx(most) and min(seen) >= 0


def test_a_trace_says_which_layers_it_knows_nothing_of() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 3, 8, 8))})
    b.add("odd", find_op("uncounted")("mystery", ((1, 3, 8, 8),), ("float32",)), ["x"])
    b.add("conv", find_op("conv")(4, 3), ["odd"])
    written = costcalc.export("perfetto", b.build(["conv"]), machine="a100")
    assert written.notes == ("layers without a rule, of which figures are unknown: 1",)


@pytest.mark.parametrize("kind", ["loops", "zigzag", "accelforge", "perfetto", "model-explorer", "node-data"])
def test_sizes_that_values_decide_are_said(kind: str) -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 3, 8, 8))})
    b.add("conv", find_op("conv")(4, 3), ["x"])
    size = ValueSize("selected", 5, 9, "elements that are selected by value", False, True, False, ("conv",))
    graph = dataclasses.replace(b.build(["conv"]), sizes=(size,))
    said = "sizes that values decide and that are not set: 1; the file has what is assumed"
    assert costcalc.export(kind, graph, machine="a100").notes == (said,)
    given = dataclasses.replace(graph, sizes=(size._replace(given=True),))
    assert costcalc.export(kind, given, machine="a100").notes == ()


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "netron"])
def test_each_format_is_written_to_a_file(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / FORMATS[kind].file
    assert outcome(["export", kind, "lenet5", "--machine", "a100", "--output", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    written = costcalc.export(kind, "lenet5", machine="a100")
    assert file.read_bytes() == (written.data or written.text.encode())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["lops", "lenet5"], "no format 'lops' (did you mean 'loops'?); export writes accelforge, loops, "),
        (["perfetto", "lenet5"], "export perfetto needs --machine"),
        (
            ["metrics", "lenet5", "--layer", "c1"],
            "export metrics is of a whole model; --layer is for accelforge, loops, ",
        ),
        (["loops", "lenet5", "--by", "macs"], "export loops has the figures that it has; --by is for model-explorer"),
        (["parquet", "lenet5"], "parquet is not text: add --output loops.parquet"),
        (["node-data", "lenet5", "--by", "peak"], "no layer has peak of its own"),
        (["node-data", "lenet5", "--by", "time"], "time needs --machine, a100 say"),
        (["node-data", "lenet5", "--by", "energy"], "energy needs --energy, horowitz_45nm say"),
        (["loops", "lenet5", "--layer", "c2"], "no layer 'c2' of lenet5 is a nest of loops"),
    ],
)
def test_what_cannot_be_is_one_sentence(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["export", *args]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"costcalc: error: {says}") and err.count("\n") == 1
