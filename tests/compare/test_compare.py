"""Models side by side: ratios, the best of each figure, and parts that add up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from costcalc import analyze
from costcalc.analysis.figures import FIGURES
from costcalc.cli.dispatch import outcome
from costcalc.comparison import compare, parts, stages
from costcalc.errors import CostcalcError

MODELS = ["resnet18", "resnet34", "mobilenet"]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert outcome(["compare", *args]) == 0
    return capsys.readouterr().out


def test_figures_are_those_of_analyze_and_ratios_are_to_the_first() -> None:
    reports = [analyze(m, machine="a100") for m in MODELS]
    found = {line.figure.name: line for line in compare(reports).lines}
    assert found["macs"].values == tuple(r.total.macs for r in reports)
    assert found["macs"].ratios[0] == 1.0
    assert found["macs"].ratios[1] == pytest.approx(3_663_761_408 / 1_814_073_344)  # both by torchvision
    assert found["time"].values == tuple(r.total.time.seconds for r in reports if r.total.time)


def test_norms_are_folded_where_analyze_folds_them(capsys: pytest.CaptureFixture[str]) -> None:
    # ResNet-18 has norms of 4800 channels in all. Of a scale and a shift for each, a bias in the convolution is left.
    plain, folded = (json.loads(run(capsys, *MODELS, "--format", "json", *more)) for more in ([], ["--fold-norm"]))
    for name, before, after in zip(MODELS, plain["models"], folded["models"], strict=True):
        assert after["figures"]["params"] == analyze(name, fold_norm=True).total.params
        assert after["figures"]["macs"] == before["figures"]["macs"]
        assert after["figures"]["layers"] < before["figures"]["layers"]
    assert plain["models"][0]["figures"]["params"] - folded["models"][0]["figures"]["params"] == 4800


def test_the_best_is_the_least_or_the_most_and_nobody_among_equals() -> None:
    found = {line.figure.name: line.best for line in compare([analyze(m) for m in MODELS]).lines}
    assert found["macs"] == {2} and found["intensity"] == {1} and found["receptive_field"] == frozenset()
    assert found["layers"] == frozenset()
    same = compare([analyze("lenet5"), analyze("lenet5")])
    assert all(line.best == frozenset() for line in same.lines)


@pytest.mark.parametrize("figure", ["macs", "traffic", "params"])
@pytest.mark.parametrize("by", ["kind", "stage"])
def test_parts_add_up_to_the_total(figure: str, by: str) -> None:
    for model in ("resnet50", "unet", "densenet121"):
        report = analyze(model)
        found = parts(report, FIGURES[figure], by, most=3)
        assert len(found) <= 4 and sum(p.amount for p in found) == FIGURES[figure].value(report)
        assert sum(p.share for p in found) == pytest.approx(1)


def test_a_block_around_nearly_everything_is_no_stage() -> None:
    report = analyze("squeezenet1_0")
    assert {stages(report)(layer) for layer in report.layers} != {"features", "classifier"}


def test_the_table_fits_the_width_and_wraps_into_more_tables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in ("60", "80", "120"):
        monkeypatch.setenv("COLUMNS", width)
        printed = run(capsys, *MODELS, "vgg16", "convnext_t")
        assert max(map(len, printed.splitlines())) <= int(width)
        assert sum(line.startswith("MACs  ") for line in printed.splitlines()) == {"60": 3, "80": 2, "120": 1}[width]


def test_every_format_has_the_same_exact_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, *MODELS, "--input", "3x64x64", "--format", "json"))
    rows = list(csv.DictReader(io.StringIO(run(capsys, *MODELS, "--input", "3x64x64", "--format", "csv"))))
    for model, row in zip(found["models"], rows, strict=True):
        assert model["inputs"] == {"image": [1, 3, 64, 64]} and row["input"] == "1x3x64x64"
        assert int(row["macs"]) == model["figures"]["macs"] == sum(model["spent"]["macs"]["kind"].values())
        for figure in ("storage", "traffic", "peak"):
            assert int(row[f"{figure}_bits"]) == model["figures"][figure]
    markdown = run(capsys, *MODELS, "--format", "markdown")
    header = "|  | resnet18 | resnet34 | mobilenet |"
    assert markdown.splitlines()[0] == header and "| MACs | 1.81 G | 3.66 G 2.02× |" in markdown


def test_a_lower_bound_is_said_in_every_format_and_never_best(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(
        "inputs: {image: [3, 8, 8]}\nlayers:\n  - conv(4, 3)\n  - uncounted('aten.odd', [[1, 4, 6, 6]], ['float32'])\n"
    )
    models = (str(file), "resnet18")
    found = json.loads(run(capsys, *models, "--input", "3x8x8", "--format", "json"))["models"]
    # 4·6·6 places × 27 taps, fewer than ResNet-18's by far; but what the odd layer does is not known.
    assert found[0]["figures"]["macs"] == 3888 < found[1]["figures"]["macs"]
    assert found[0]["best_in"] == [] and found[1]["best_in"] == ["uncounted"]
    rows = csv.DictReader(io.StringIO(run(capsys, *models, "--input", "3x8x8", "--format", "csv")))
    assert [row["uncounted"] for row in rows] == ["1", "0"]
    for shape in ("table", "markdown"):
        assert "≥ 3.89 k" in run(capsys, *models, "--input", "3x8x8", "--format", shape)
    assert "uncounted" not in run(capsys, "lenet5", "lenet5")


def test_a_ratio_of_thousands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    # Both MACs are published: 15,470,264,320 / 416,520 = 37,141.7.
    assert " 15.5 G 37,142×" in run(capsys, "lenet5", "vgg16")


def test_one_model_is_nothing_to_compare() -> None:
    with pytest.raises(CostcalcError, match="two or more models"):
        compare([analyze("lenet5")])


def test_nobody_is_best_in_intensity_beside_a_lower_bound_of_macs(tmp_path: Path) -> None:
    # More is better there, and the model whose layer is not counted may have more than all of the others.
    file = tmp_path / "odd.yaml"
    file.write_text(
        "inputs: {image: [3, 8, 8]}\nlayers:\n  - conv(4, 3)\n  - uncounted('aten.odd', [[1, 4, 6, 6]], ['float32'])\n"
    )
    found = {line.figure.name: line for line in compare([analyze(str(file)), analyze("resnet18")]).lines}
    assert found["intensity"].values[1] > found["intensity"].values[0]
    assert found["intensity"].best == frozenset()


def test_with_an_engine_models_are_compared_by_what_it_holds() -> None:
    from dataclasses import replace

    import costcalc

    names = ["mobilenet_0.25", "kws"]
    reports = [costcalc.analyze(name, bits=8) for name in names]
    assert "memory" not in {line.figure.name for line in compare(reports).lines}
    held = [costcalc.memory(name, engine="tflm", bits=8).needed_bytes for name in names]
    found = compare([replace(r, memory_bits=8 * n) for r, n in zip(reports, held, strict=True)])
    (line,) = [line for line in found.lines if line.figure.name == "memory"]
    assert line.values == (8 * held[0], 8 * held[1])
    assert line.best == {1}
