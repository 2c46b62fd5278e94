"""The JSON is the contract of ``docs/json.md``: exact integers, the documented keys and no others."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from terminal import ROOT, run

from costcalc.api import analyze
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CASES = {
    "a classifier": "resnet18",
    "on a machine": "mobilenet --machine a100 --bits 16",
    "at a pace": "mobilenet --machine jetson_nano --fps 30",
    "a pace alone": "lenet5 --fps 30",
    "branches and views": "shufflenet_1x_g3 --batch 2",
    "a detector": "retinanet_resnet50_fpn",
    "a transformer": "vit_b_16",
    "with FLOPs": "resnet18 --flops",
    "after transforms": "resnet18 --apply fold_norm,fuse:ort --machine a100",
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("line", CASES.values(), ids=CASES)
def test_reports_keep_the_contract(capsys: pytest.CaptureFixture[str], line: str) -> None:
    said = run(capsys, "analyze", *line.split(), "--format", "json")
    assert said.code == 0
    record = json.loads(said.out)
    assert [error.message for error in VALIDATOR.iter_errors(record)] == []
    assert floats(record["total"]) <= {"compute", "traffic", "seconds"}
    assert all(
        floats(row) <= {"compute", "traffic", "seconds", "stride"} for row in record["layers"] + record["blocks"]
    )


def test_a_layer_tells_what_a_machine_has_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    # He et al. 2015, table 1: conv1 is 7×7, 64, stride 2. Padding 3 makes 112×112 of 224×224; its norm has the bias.
    first = {"out_channels": 64, "kernel": 7, "stride": 2, "padding": 3, "dilation": 1, "groups": 1, "bias": False}
    assert analyze("resnet18").to_dict()["layers"][0]["options"] == first
    line = run(capsys, "analyze", "resnet18", "--format", "csv", "--columns", "options").out.splitlines()[1]
    (row,) = csv.reader([line])
    assert row[:2] == ["layer", "conv1.conv"] and json.loads(row[2]) == first


def test_an_option_that_is_infinite_is_a_text() -> None:
    graph = GraphBuilder("endless", {"image": TensorType((1, 3))})
    graph.add("scale", find_op("scale")(float("inf")), ["image"])
    record = analyze(graph.build(["scale"])).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False))["layers"][0]["options"] == {"factor": "inf"}


def floats(value: Any, key: str = "") -> set[str]:
    """The keys under which numbers stand that are not whole."""
    if isinstance(value, dict):
        return {k for name, item in value.items() for k in floats(item, name)}
    if isinstance(value, list):
        return {k for item in value for k in floats(item, key)}
    return {key} if isinstance(value, float) else set()


def test_symbols_are_text() -> None:
    record = analyze(load("resnet18", symbols=["batch"])).to_dict()
    assert [error.message for error in VALIDATOR.iter_errors(record)] == []
    assert record["total"]["macs"] == "1814073344·n"


def test_what_is_not_in_the_contract_would_be_noticed() -> None:
    record = analyze("lenet5").to_dict()
    for spoil in (
        lambda r: r.update(more=1),
        lambda r: r["total"].update(gflops=1),
        lambda r: r["layers"][0].pop("macs"),
        lambda r: r["layers"][0].update(macs=1.5),
        lambda r: r.update(schema=2),
    ):
        broken = json.loads(json.dumps(record))
        spoil(broken)
        assert list(VALIDATOR.iter_errors(broken))


def test_the_library_gives_the_same_record(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "analyze", "lenet5", "--format", "json")
    assert json.loads(said.out) == json.loads(json.dumps(analyze("lenet5").to_dict()))


def test_the_page_names_every_key() -> None:
    page = Path(ROOT / "docs/json.md").read_text(encoding="utf-8")
    keys = {key for part in properties(SCHEMA) for key in part}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def properties(schema: Any) -> list[dict[str, Any]]:
    """Every ``properties`` in the schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in properties(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["properties"]] if isinstance(schema.get("properties"), dict) else []
    return own + [found for item in schema.values() for found in properties(item)]


def told(capsys: pytest.CaptureFixture[str], line: str) -> dict[str, Any]:
    said = run(capsys, *line.split(), "--format", "json")
    assert said.code == 0
    record: dict[str, Any] = json.loads(said.out)
    assert record.pop("schema") == 1
    return record


def test_an_explained_layer_has_the_formula_of_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    # A depthwise 3×3 over 32 maps of 112×112: 9 · 32 · 112² MACs, 288 weights (Howard et al. 2017, table 1).
    record = told(capsys, "explain mobilenet features.1.depthwise.conv --machine a100")
    assert list(record) == ["apply", "layer", "letters", "tensors", "figures"]
    assert record["layer"]["kind"] == "depthwise conv" and record["layer"]["options"]["groups"] == 32
    assert record["tensors"][2] == {
        "role": "weight",
        "name": "weight",
        "shape": [32, 1, 3, 3],
        "formula": "m×(c/g)×k×k",
    }
    figures = {figure["name"]: figure for figure in record["figures"]}
    assert figures["macs"] == {
        "name": "macs", "value": 3_612_672, "formula": "n·m·e·f·(c/g)·k·k", "numbers": "1·32·112·112·(32/32)·3·3",
    }  # fmt: skip
    assert figures["params"]["value"] == 288 and figures["write_bits"]["value"] == 32 * 32 * 112**2
    assert figures["receptive_field"]["value"] == {
        "size": [7, 7], "stride": [2, 2], "offset": [-3, -3], "aligned": True,
        "seen": [7, 7], "image": [224, 224]
    }  # fmt: skip
    assert 0 < figures["compute_time_seconds"]["value"] < figures["time_seconds"]["value"]
    assert figures["by_fft"]["value"]["direct"] == 3_612_672
    row = next(
        layer for layer in analyze(load("mobilenet")).to_dict()["layers"] if layer["name"] == record["layer"]["name"]
    )
    for name in ("macs", "ops", "params", "buffers", "storage_bits", "read_bits", "write_bits", "receptive_field"):
        assert figures[name]["value"] == row[name]


def test_an_explained_block_has_each_tensor_once(capsys: pytest.CaptureFixture[str]) -> None:
    record = told(capsys, "explain mobilenet features.1")
    assert sum(tensor["bits"] for tensor in record["tensors"]) == record["block"]["storage_bits"]
    assert record["block"]["storage_bits"] < record["block"]["apart_bits"]
    assert {tensor["role"] for tensor in record["tensors"]} == {"reads", "weight", "keeps", "makes"}
    assert told(capsys, "explain lenet5")["block"]["name"] == "lenet5"


def test_closed_forms_have_terms_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    record = told(capsys, "formula resnet50 --symbols batch,size")
    assert (record["model"], record["at"]) == ("resnet50", {"n": 1, "h": 224})
    totals = {total["name"]: total for total in record["totals"]}
    assert list(totals) == ["macs", "ops", "params", "storage_bits", "traffic_bits"]
    assert totals["macs"]["value"] == 4_089_184_256  # torchvision 0.28
    for total in totals.values():
        assert sum(term["value"] for term in total["terms"]) == total["value"]
    assert {"formula": "2048000·n", "value": 2_048_000} in totals["macs"]["terms"]  # fc


def test_what_has_no_rule_is_unknown_and_makes_closed_forms_lower_bounds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "part.yaml"
    path.write_text(
        "name: part\ninputs: {image: [3, 8, 8]}\nlayers:\n  - conv: conv(2, 1)\n"
        "  - odd: uncounted('det', [[1, 2]], ['float32'])\n"
    )
    record = told(capsys, f"explain {path} odd")
    figures = {figure["name"]: figure["value"] for figure in record["figures"]}
    assert (record["layer"]["counted"], figures["macs"], figures["ops"]) == (False, "unknown", "unknown")
    assert figures["read_bits"] == 32 * 2 * 8 * 8
    assert "MACs             unknown" in run(capsys, "explain", str(path), "odd").out
    assert told(capsys, f"formula {path}")["uncounted"] == [{"name": "odd", "op": "det"}]
    said = " ".join(run(capsys, "formula", str(path)).out.split())
    assert "no rule is known: det ×1 (odd: 1×2×8×8 → 1×2); every total is a lower bound" in said
    assert told(capsys, "formula lenet5")["uncounted"] == []


def test_what_is_told_goes_to_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in (["explain", "lenet5", "c1"], ["formula", "lenet5"]):
        assert run(capsys, *command, "--output", str(tmp_path / "told")).out == ""
        text = (tmp_path / "told").read_text(encoding="utf-8")
        assert text == run(capsys, *command).out and "\x1b" not in text
