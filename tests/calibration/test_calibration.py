"""Fitting: what made the times comes out again, errors are of what was left out, files are read and refused."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import jsonschema
import pytest

from costcalc import analyze, check, compare, load
from costcalc.analysis.estimate import whole
from costcalc.analysis.features import Features
from costcalc.calibration.fit import FitRow, calibrated, fitted, held_out
from costcalc.calibration.section import written
from costcalc.errors import CostcalcError, SpecError
from costcalc.machines import load_machine
from costcalc.transforms.fuse import fuse

pytest.importorskip("scipy")
ROOT = Path(__file__).parent.parent.parent
NAMES = (
    "alexnet", "squeezenet1_1", "resnet18", "resnet34", "resnet50", "mobilenet", "mobilenet_v2", "densenet121",
    "googlenet", "vgg11", "vit_b_16", "convnext_t", "efficientnet_b0", "unet",
)  # fmt: skip
TRUE = Features(2e-11, 5e-11, 1e-10, 4e-11, 2e-5)


def features(name: str) -> Features:
    return whole(fuse(load(name)), "cpu")


ROWS = [FitRow(name, features(name), features(name).seconds(TRUE)) for name in NAMES]


def test_what_made_the_times_is_found_again() -> None:
    assert fitted(ROWS) == pytest.approx(TRUE, rel=1e-6)
    assert held_out(ROWS).median < 1e-6


def test_outliers_move_it_little() -> None:
    rows = [row._replace(seconds=row.seconds * (3 if row.model == "vgg11" else 1)) for row in ROWS]
    each = fitted(rows)
    for row in ROWS:
        assert row.features.seconds(each) == pytest.approx(row.seconds, rel=0.02)


def test_none_is_below_zero() -> None:
    rows = [row._replace(seconds=row.features.macs * 1e-11 - row.features.kernels * 1e-9) for row in ROWS]
    assert min(fitted(rows)) == 0


def test_errors_are_of_models_that_the_fit_did_not_see() -> None:
    seen: list[set[str]] = []

    def fit(rows: list[FitRow]) -> Features:  # type: ignore[override]
        seen.append({row.model for row in rows})
        return Features(macs=float(len(rows)))

    twice = [*ROWS, *ROWS]
    held = held_out(twice, fit)  # type: ignore[arg-type]
    assert sorted(next(iter(set(NAMES) - some)) for some in seen) == sorted(NAMES)
    for row, ratio in zip(twice, held.ratios, strict=True):
        assert ratio == 26 * row.features.macs / row.seconds


def test_of_many_models_a_tenth_is_left_out_at_a_time() -> None:
    rows = [FitRow(str(i), Features(macs=i + 1.0), i + 1.0) for i in range(100)]
    sizes: list[int] = []

    def fit(some: list[FitRow]) -> Features:
        sizes.append(len(some))
        return Features(macs=1.0)

    assert held_out(rows, fit).median == 0  # type: ignore[arg-type]
    assert sizes == [90] * 10


def test_the_interval_holds_eight_of_ten() -> None:
    """Of times that vary by some percent the interval of a fit holds about so many of others."""
    draw = random.Random(0)
    base = [Features(*(draw.uniform(0.2, 1) * scale for scale in (1e9, 1e7, 1e8, 1e8, 100))) for _ in range(400)]
    rows = [FitRow(str(i), f, f.seconds(TRUE) * draw.lognormvariate(0, 0.1)) for i, f in enumerate(base)]
    found, _, _ = calibrated(rows[:200], "cpu", "", None)
    inside = [found.of(r.features).low <= r.seconds <= found.of(r.features).high for r in rows[200:]]
    assert 0.72 < sum(inside) / len(inside) < 0.88


def test_repeats_that_differ_widen_the_interval_and_are_told() -> None:
    plain, _, none = calibrated(ROWS, "cpu", "", None)
    rows = [*ROWS, ROWS[0]._replace(seconds=1.5 * ROWS[0].seconds)]
    wide, _, said = calibrated(rows, "cpu", "", None)
    assert none == []
    assert said == ["measurements of alexnet differ by 50 %, so the interval is wider by as much"]
    assert wide.high / wide.low > 2 * plain.high / plain.low


@pytest.mark.parametrize("rows", [ROWS[:9], [ROWS[0]] * 20])
def test_too_few_are_refused(rows: list[FitRow]) -> None:
    with pytest.raises(CostcalcError, match="fitting needs at least 10 measurements of at least 5 models or layers"):
        calibrated(rows, "cpu", "", None)


# -- machine files ------------------------------------------------------------------------------


def machine_file(tmp_path: Path, *, apply: str = "fuse", base: str = "") -> str:
    found, _, _ = calibrated(ROWS, "cpu", apply, None)
    file = tmp_path / "mine.yaml"
    file.write_text(written(found, "sha256:0", "mine", "a test", base))
    return str(file)


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    found, _, _ = calibrated(ROWS, "cpu", "fuse", 16)
    (tmp_path / "mine.yaml").write_text(written(found, "sha256:0", 'a "name": # x', "a test"))
    machine = load_machine(str(tmp_path / "mine.yaml"))
    assert machine.title == 'a "name": # x'
    read = machine.calibration
    assert read is not None
    assert (read.processor, read.apply, read.bits, read.rows) == ("cpu", "fuse", 16, len(ROWS))
    assert read.each == pytest.approx(found.each, rel=1e-5)
    assert read.seen[1] == pytest.approx(found.seen[1], rel=1e-5)


def test_the_estimate_of_a_model_is_that_of_its_kernels_and_adds_up(tmp_path: Path) -> None:
    report = analyze("resnet50", machine=machine_file(tmp_path))
    total = report.total
    assert total.estimate.seconds == pytest.approx(features("resnet50").seconds(TRUE), rel=1e-4)
    assert sum(layer.estimate.seconds for layer in report.layers) == pytest.approx(total.estimate.seconds)
    assert report["layer1"].estimate.seconds == pytest.approx(
        sum(layer.estimate.seconds for layer in report.layers if layer.name.startswith("layer1."))
    )
    assert total.estimate.low <= total.estimate.seconds <= total.estimate.high
    assert (total.time, total.floor) == (None, None)
    plain = analyze("resnet50").total
    assert (total.traffic_bits, total.peak_bits) == (plain.traffic_bits, plain.peak_bits)
    assert report.to_dict()["total"]["estimate"] == total.estimate.to_dict()


def test_beside_a_data_sheet_the_roofline_and_the_floor_stay(tmp_path: Path) -> None:
    from costcalc.machines import text_of

    total = analyze("resnet50", machine=machine_file(tmp_path, base=text_of("a100"))).total
    assert total.time == analyze("resnet50", machine="a100").total.time
    assert total.floor is not None and total.estimate is not None
    with pytest.raises(CostcalcError, match="is calibrated already; name the machine that it was made from"):
        text_of(str(tmp_path / "mine.yaml"))


def test_what_lies_beyond_the_measurements_is_said(tmp_path: Path) -> None:
    file = machine_file(tmp_path)
    assert analyze("resnet50", machine=file).beyond == ()
    assert "MACs are more than in any measurement" in analyze("resnet50", machine=file, batch=64).beyond


def test_a_comparison_has_estimates(tmp_path: Path) -> None:
    text = str(compare("resnet50", "mobilenet_v2", machine=machine_file(tmp_path)))
    assert "estimate" in text and "at most" in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("processor: cpu", "processor: tpu", "no processor 'tpu'"),
        ('apply: "fuse"', 'apply: "fuze"', "apply: no transform is called 'fuze'"),
        ("low: 1", "low: -1", "low must be a number from 0 to 1e"),
        ("low: 1", "low: nan", "low must be a number from 0 to 1e"),
        ("  rows: 14\n", "", "the calibration has no rows"),
        ("  rows: 14\n", "  rowz: 14\n", "a calibration has no 'rowz' (did you mean 'rows'?)"),
        ("each: {macs", "each: {max", "has no 'max'"),
        ("source:", "bandwidth: 1e9\nsource:", "has rates (macs or flops) and a bandwidth, or neither"),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = Path(machine_file(tmp_path))
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError) as error:
        load_machine(str(file))
    assert says in error.value.message
    assert error.value.location is not None and error.value.location.line


# -- the command --------------------------------------------------------------------------------


def table(tmp_path: Path, head: str = "model,milliseconds,batch", line: str = "") -> str:
    file = tmp_path / "times.csv"
    lines = [f"{row.model},{1e3 * row.seconds},1" for row in ROWS]
    file.write_text("\n".join([head, *lines, *([line] if line else [])]) + "\n")
    return str(file)


def test_a_table_of_times_becomes_a_machine(tmp_path: Path, printed: object) -> None:
    said = printed("calibrate", "--from", table(tmp_path), "--apply", "fuse", "-o", str(tmp_path / "mine.yaml"))  # type: ignore[operator]
    assert "14 times of 14 models or layers; of what was held out half was within 0.0 %, 100 % within 15 %" in said
    machine = load_machine(str(tmp_path / "mine.yaml"))
    assert machine.calibration is not None
    assert machine.calibration.each == pytest.approx(TRUE, rel=1e-4)


@pytest.mark.parametrize(
    ("head", "line", "says"),
    [
        ("net,milliseconds,batch", "", "no column is called model; the file has batch, milliseconds, net"),
        ("model,seconds,batch", "", "no column is called milliseconds"),
        ("model,ms,milliseconds", "", "two columns say milliseconds"),
        ("model,milliseconds,batch", "alexnet,-1,1", "times.csv:16: milliseconds must be a number above 0"),
        ("model,milliseconds,batch", "alexnet,inf,1", "times.csv:16: milliseconds must be a number above 0"),
        ("model,milliseconds,batch", "alexnet,1,0", "times.csv:16: batch must be a whole number from 1"),
        ("model,milliseconds,batch", "alexnett,1,1", "times.csv:16: no model called 'alexnett'"),
        ("model,milliseconds,batch", ",1,1", "times.csv:16: this row names no model"),
        ("model,milliseconds,batch", "../net.yaml,1,1", "times.csv:16: '../net.yaml' leads out of the folder"),
        (
            "model,milliseconds,batch",
            "net.py:Net,1,1",
            "net.py:Net is Python code, which would run: if you trust it, add --allow-code",
        ),
    ],
)
def test_mistakes_in_a_table_are_told_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], head: str, line: str, says: str
) -> None:
    from costcalc.cli.dispatch import outcome

    output = tmp_path / "mine.yaml"
    code = outcome(["calibrate", "--from", table(tmp_path, head, line), "-o", str(output)])
    assert says in " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert not output.exists()


def test_layers_are_measured_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many layers as are fitted, quickly: that what is measured can be fitted, not how well."""
    pytest.importorskip("torch")
    from costcalc.calibration import measure

    monkeypatch.setattr(measure, "QUICK", ("squeezenet1_1",))
    monkeypatch.setattr(measure, "LEAST_SECONDS", 0.0)
    rows, data, source = measure.measured(quick=True)
    assert len({row.model for row in rows}) >= 10
    assert all(row.seconds > 0 for row in rows)
    assert data.startswith("sha256:") and "layer by layer" in source
    found, _, _ = calibrated(rows, "cpu", "", None)
    assert sum(found.each) > 0


def test_the_json_is_that_of_the_contract(tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs/report.schema.json").read_text(encoding="utf-8"))
    record = json.loads(json.dumps(analyze("resnet18", machine=machine_file(tmp_path)).to_dict()))
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(record)] == []
    assert {"estimate"} <= {*record["total"], *record["layers"][0], *record["blocks"][0]}


def test_budgets_hold_the_estimate_and_the_upper_end_of_its_interval(tmp_path: Path) -> None:
    file = machine_file(tmp_path)
    text = Path(file).read_text(encoding="utf-8")
    Path(file).write_text(re.sub(r"  high: [\d.]+", "  high: 1.5", text), encoding="utf-8")
    estimate = analyze("resnet18", machine=file).total.estimate
    assert estimate is not None
    between = f"{500 * (estimate.seconds + estimate.high):.6f} ms"
    found = check(
        "resnet18",
        budgets={name: {"max": between, "machine": file} for name in ("estimate", "estimate_high")},
    )
    assert [(v.budget.figure.name, v.status) for v in found.verdicts] == [("estimate", "ok"), ("estimate_high", "fail")]
    assert [v.value for v in found.verdicts] == [estimate.seconds, estimate.high]
