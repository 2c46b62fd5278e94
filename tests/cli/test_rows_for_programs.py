"""CSV and Markdown as programs and pages want them: shapes with the batch, options as JSON, bytes, no empty column."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from costcalc import analyze
from costcalc.backends.report.csv import in_bytes

Printed = Callable[..., str]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("model", ["resnet18", "shufflenet_1x_g3", "vit_b_16", "retinanet_resnet50_fpn"])
def test_csv_has_what_the_json_has(printed: Printed, model: str) -> None:
    rows = rows_of(printed("analyze", model, "--batch", "2", "--format", "csv"))
    record = json.loads(printed("analyze", model, "--batch", "2", "--format", "json"))
    layers = [row for row in rows if row["row"] == "layer"]
    for row, layer in zip(layers, record["layers"], strict=True):
        assert json.loads(row["options"]) == layer["options"]
        for key, shapes in (("input", layer["input_shapes"]), ("output", layer["output_shapes"])):
            read = [[int(n) for n in shape.split("x") if n] for shape in row[key].split("; ")] if row[key] else []
            assert read == shapes or (not row[key] and shapes in ([], [[]]))
        for key in ("weight", "storage", "read", "write"):
            name = "weights" if key == "weight" else key
            assert int(row[f"{name}_bits"]) == layer[f"{key}_bits"] == 8 * Fraction(row[f"{name}_bytes"])


def test_bytes_are_exact_where_they_are_not_whole(printed: Printed) -> None:
    rows = rows_of(printed("analyze", "lenet5", "--bits", "3", "--format", "csv"))
    assert any("." in row["storage_bytes"] for row in rows)
    assert all(8 * Fraction(row["storage_bytes"]) == int(row["storage_bits"]) for row in rows)
    assert (in_bytes(8 * 10**30), in_bytes(3), in_bytes(0)) == (10**30, 0.375, 0)


def test_the_same_in_a_frame() -> None:
    pytest.importorskip("pandas")
    frame = analyze("resnet18").to_pandas()
    assert (frame["storage_bytes"] * 8 == frame["storage_bits"]).all() and frame["storage_bytes"].dtype == "int64"
    assert frame["input"][0] == "1x3x224x224" and json.loads(frame["options"][0])["kernel"] == 7


@pytest.mark.parametrize("view", [["--by-kind"], ["--depth", "1"], []])
@pytest.mark.parametrize("model", ["resnet18", "vit_b_16"])
def test_markdown_and_latex_have_no_empty_column(printed: Printed, model: str, view: list[str]) -> None:
    text = printed("analyze", model, "--format", "markdown", *view)
    table = [line.split(" | ") for line in text.split("\n\n")[1].splitlines()]
    body = [[cell.strip(" |") for cell in row] for row in table[2:]]
    assert len({len(row) for row in table}) == 1
    assert all(any(cells) for cells in zip(*body, strict=True))
    latex = printed("analyze", model, "--format", "latex", *view).split("\\midrule\n")
    cells = [line.removesuffix(" \\\\").split(" & ") for line in latex[1].splitlines()]
    assert all(any(column) for column in zip(*cells, strict=True))


def test_kinds_say_how_many_layers_they_are(printed: Printed) -> None:
    assert "| conv | 17 layers |" in printed("analyze", "resnet18", "--by-kind", "--format", "markdown")
    assert "conv & 17 layers &" in printed("analyze", "resnet18", "--by-kind", "--format", "latex")


def test_a_column_that_is_asked_for_stays_empty(printed: Printed) -> None:
    text = printed("analyze", "resnet18", "--by-kind", "--format", "markdown", "--columns", "output,macs")
    assert "| layer | output | MACs |" in text


def test_csv_of_a_diff_has_bytes_beside_bits(printed: Printed) -> None:
    rows = rows_of(printed("diff", "resnet18", "resnet34", "--bits", "3", "--format", "csv"))
    for row in rows:
        for side in ("old", "new"):
            for name in ("weights", "storage", "read", "write"):
                bits, size = row[f"{side}_{name}_bits"], row[f"{side}_{name}_bytes"]
                assert (bits == size == "") or int(bits) == 8 * Fraction(size)
    assert rows and any(row["new_storage_bytes"] for row in rows)
