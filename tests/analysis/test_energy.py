"""Energy by a table, by hand with Horowitz's numbers; what the table does not give is unknown, with the reason."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import costcalc
from costcalc import analyze, compare, diff
from costcalc.analysis.energy import Energy
from costcalc.cli.dispatch import outcome
from costcalc.energy import TYPES, energy_tables, load_energy_table
from costcalc.errors import CostcalcError, OptionError, SpecError, UnknownName
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

PICO = 1e-12
H = "horowitz_45nm"
# 4×8 by 8×3, with the bias of 3; then its ReLU.
MACS, READ, WRITTEN = 4 * 8 * 3, 4 * 8 + 8 * 3 + 3, 4 * 3


def net(*, features: int = 3, dtype: str = "float32") -> Graph:
    builder = GraphBuilder("net", {"x": TensorType((4, 8), dtype)})
    builder.add("body.product", find_op("linear")(features), ["x"])
    builder.add("body.relu", find_op("relu")(), ["body.product"])
    return builder.build(["body.relu"])


def joules(report: costcalc.Report) -> float:
    energy = report.total.energy
    assert energy is not None and energy.joules is not None
    return energy.joules


@pytest.mark.parametrize(("bits", "mac"), [(32, 3.7 + 0.9), (16, 1.1 + 0.4), (8, 0.2 + 0.03)])
def test_by_hand(bits: int, mac: float) -> None:
    """A product and a sum of each MAC; of 64 bits 1.3 nJ from DRAM, 100 pJ from a memory of a mebibyte."""
    for table, of_64_bits in ((H, 1300.0), (f"{H}:sram_1mib", 100.0), (f"{H}:sram_32kib", 20.0)):
        report = analyze(net(), bits=bits, energy=table)
        product, relu = report.layers
        assert product.energy is not None and relu.energy is not None
        assert product.energy.macs == pytest.approx(PICO * MACS * mac)
        assert product.energy.traffic == pytest.approx(PICO * (READ + WRITTEN) * bits / 64 * of_64_bits)
        assert relu.energy == Energy(0.0, pytest.approx(PICO * 2 * WRITTEN * bits / 64 * of_64_bits))
        for record in (report.total, report.blocks[0]):
            assert record.energy is not None
            assert record.energy.joules == pytest.approx(product.energy.joules + relu.energy.joules)


@pytest.mark.parametrize(
    ("one", "other", "mac"),
    [
        ("int8", "int8", 0.23),
        ("uint8", "int8", 0.23),
        ("float16", "float32", 4.6),
        ("int8", "float16", 1.5),  # weights that are brought to the other's scale
        ("int32", "int8", 3.2),
    ],
)
def test_a_mac_has_the_width_of_what_is_multiplied(one: str, other: str, mac: float) -> None:
    builder = GraphBuilder("net", {"a": TensorType((4, 8), one), "b": TensorType((8, 3), other)})
    builder.add("y", find_op("matmul")(), ["a", "b"])
    total = analyze(builder.build(["y"]), energy=f"{H}:sram_8kib").total
    assert total.energy == Energy(pytest.approx(PICO * MACS * mac), pytest.approx(PICO * total.traffic_bits / 64 * 10))


def test_a_kernel_moves_nothing_that_stays_inside() -> None:
    """Joined with its norm and ReLU a convolution does not write what passes between: only traffic is less."""
    alone, joined = (analyze("resnet18", energy=H, apply=apply).total for apply in ("", "fuse"))
    assert alone.energy is not None and joined.energy is not None
    assert joined.energy.macs == alone.energy.macs
    assert joined.energy.traffic == pytest.approx(PICO * joined.traffic_bits / 8 * 162.5)
    assert joined.traffic_bits < alone.traffic_bits


def test_what_is_made_beforehand_takes_none() -> None:
    builder = GraphBuilder("net", {"x": TensorType((1, 4))})
    builder.add("k", find_op("parameter")((3, 4)), [])
    builder.add("twice", find_op("add")(), ["k", "k"])
    builder.add("y", find_op("add")(), ["x", "twice"])
    layers = {layer.name: layer for layer in analyze(builder.build(["y"]), energy=H).layers}
    assert layers["twice"].prepared is not None
    assert layers["twice"].energy == Energy(0.0, 0.0)
    assert layers["y"].energy is not None and layers["y"].energy.joules


def test_a_width_that_the_table_lacks_is_unknown_and_so_is_all_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = analyze(net(), bits=4, energy=H)
    product, relu = report.layers
    why = f"{H} has no MACs of 4-bit elements (it has float16, float32, int32, int8)"
    assert product.energy == Energy(None, pytest.approx(PICO * (READ + WRITTEN) / 16 * 1300), why)
    assert relu.energy is not None and relu.energy.joules  # it multiplies nothing
    for record in (report.total, report.blocks[0]):
        assert record.energy is not None
        assert (record.energy.joules, record.energy.unknown) == (None, why)
    assert "energy unknown" in " ".join(report.to_text().split())
    assert report.to_dict()["total"]["energy"]["unknown"] == why
    assert analyze(net(), bits=4, energy=H, grid=400).grams is None
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["energy_joules"] == "" for row in (*rows[:2], rows[-1])] == [True, False, True]
    assert f"the energy of net is unknown: {why}" in " ".join(compare(report, report).to_text().split())
    found = diff(net(), net(features=5), bits=4, energy=H)
    assert found.figure("energy") == (None, None)
    assert f"the energy of net is unknown: {why}" in found.notes
    (verdict,) = costcalc.check(net(), budgets={"energy": {"max": "1 J", "energy": H}}, bits=4).verdicts
    assert (verdict.status, verdict.description) == (
        "unchecked", f"energy is not known: {why}, which body.product needs"
    )  # fmt: skip
    (verdict,) = costcalc.check(
        net(), budgets={}, layers={"*relu": {"energy": {"max": "1 J", "energy": H}}}, bits=4
    ).verdicts
    assert verdict.status == "ok"


def test_tables_without_memory_or_macs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("title: t\nmacs: {float32: 2}\nsource: s\n")
    assert analyze(net(), energy=str(file)).total.energy == Energy(
        pytest.approx(PICO * MACS * 2), None, "mine has no memory"
    )
    file.write_text("title: t\nmemory: {sram: 1}\nsource: s\n")
    energy = analyze(net(), energy=file).total.energy
    assert energy is not None
    assert (energy.macs, energy.unknown) == (None, "mine has no MACs of 32-bit elements (it has none)")
    with pytest.raises(UnknownName, match=r"has no memory 'dram' .did you mean 'sram'.*; it has sram"):
        load_energy_table(f"{file}:dram")


def test_grams_need_what_a_kilowatt_hour_has() -> None:
    report = analyze("resnet50", energy=H, grid=400)
    assert report.grams == pytest.approx(joules(report) / 3.6e6 * 400)
    assert "of CO2, where a kilowatt hour has 400 g" in " ".join(report.to_text().split())
    assert analyze("resnet50", energy=H).grams is None
    with pytest.raises(OptionError, match="goes with energy"):
        analyze("resnet50", grid=400)
    for wrong in (0, -1, float("nan"), float("inf"), 1e7, True, "400"):
        with pytest.raises(OptionError, match=r"grid must be grams from 0\.001 to 1e6"):
            analyze("resnet50", energy=H, grid=wrong)  # type: ignore[arg-type]
    record = json.loads(json.dumps(report.to_dict()))
    assert record["total"]["energy"]["joules"] == joules(report)
    assert record["grid"] == {"grams_per_kwh": 400, "grams": report.grams}
    assert record["energies"]["level"] == "dram"
    assert "energy" not in analyze("resnet50").to_dict()["total"]


def test_layers_add_up_to_blocks_and_the_whole_and_in_every_view() -> None:
    report = analyze("resnet50", energy=H)
    each = [layer.energy.joules or 0 for layer in report.layers if layer.energy]
    assert sum(each) == pytest.approx(joules(report))
    inside = [layer.energy for layer in report.layers if layer.name.startswith("layer3.")]
    block = report["layer3"].energy
    assert block is not None and block.joules == pytest.approx(sum(e.joules or 0 for e in inside if e))
    for view in ({"depth": 1}, {"by_kind": True}, {"top": 5}, {"depth": 2, "sort": "energy"}):
        rows = list(csv.DictReader(io.StringIO(report.to_csv(**view))))
        numbers = [float(row["energy_joules"]) for row in rows if row["energy_joules"]]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1]) == pytest.approx(joules(report))
    assert "energy" in report.to_markdown().splitlines()[2]
    assert "energy (mJ)" in report.to_latex()


def test_a_diff_tells_of_each_cause_what_it_takes() -> None:
    found = diff("resnet18", "resnet34", energy=H)
    before, after = found.figure("energy")
    assert (before, after) == (joules(analyze("resnet18", energy=H)), joules(analyze("resnet34", energy=H)))
    assert float(sum(cause.of("energy") for cause in found.causes)) == pytest.approx(after - before)
    narrower = diff(net(), net(features=5), energy=H)
    (cause,) = narrower.causes
    assert float(cause.of("energy")) == pytest.approx(PICO * (4 * 8 * 2 * 4.6 + (8 * 2 + 2 + 4 * 2 * 3) * 4 * 162.5))
    assert diff("resnet18", "resnet34").figure("energy") == (None, None)


def test_the_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    def said(*line: str) -> str:
        assert outcome([*line]) == 0
        return capsys.readouterr().out

    report = analyze("resnet18", energy=H)
    layer = report["conv1.conv"]
    assert layer.energy is not None and layer.energy.macs is not None
    explained = said("explain", "resnet18", "conv1.conv", "--energy", H)
    assert "118,013,952·4.6 pJ" in explained and "(read + write)·energy of a byte with dram" in explained
    record = json.loads(said("explain", "resnet18", "conv1.conv", "--energy", H, "--format", "json"))
    assert layer.energy.joules in [line["value"] for line in record["figures"] if line["name"] == "energy_joules"]
    compared = json.loads(said("compare", "resnet18", "resnet34", "--energy", H, "--format", "json"))
    assert compared["models"][0]["figures"]["energy"] == joules(report)
    assert compared["models"][0]["best_in"].count("energy") == 1
    assert "Causes, largest change of energy first" in said(
        "diff", "resnet18", "resnet34", "--energy", H, "--by", "energy"
    )
    assert json.loads(said("export", "metrics", "resnet18", "--energy", H))["joules"] == joules(report)
    assert {entry["name"] for entry in json.loads(said("list", "--energy", "--format", "json"))["energy"]} == {
        *energy_tables()
    }
    assert "energy by horowitz_45nm" in said("table", "resnet18", "vgg16", "--columns", "energy", "--energy", H)
    for line in (
        ("analyze", "resnet18", "--columns", "energy"),
        ("diff", "resnet18", "resnet34", "--by", "energy"),
        ("table", "resnet18", "vgg16", "--columns", "energy"),
    ):
        assert outcome([*line]) == 2
        assert "--energy horowitz_45nm" in capsys.readouterr().err


def test_each_level_of_traffic_has_its_energy() -> None:
    found = costcalc.traffic("mobilenet_v2", cache=2**19, bits=8, energy=H)
    assert found.at is not None and found.charged is not None
    energy = analyze("mobilenet_v2", bits=8, energy=H).total.energy
    assert energy is not None
    assert found.charged.macs == pytest.approx(energy.macs)
    of = found.charged.of(found.at)
    assert list(of) == ["floor_joules", "fused_joules", "layers_joules"]
    assert of["floor_joules"] < of["fused_joules"] < of["layers_joules"]  # type: ignore[operator]
    assert of["floor_joules"] == pytest.approx((energy.macs or 0) + PICO * found.at.floor_bytes * 162.5)
    # Nothing there is a product too large for the chip.
    assert of["layers_joules"] == pytest.approx(energy.joules)
    assert found.to_dict()["at"] == {**found.at._asdict(), **of}
    unknown = costcalc.traffic("mobilenet_v2", cache=2**19, bits=4, energy=H)
    assert unknown.charged is not None and unknown.at is not None
    assert {*unknown.charged.of(unknown.at).values()} == {None}
    assert any("no MACs of 4-bit elements" in note for note in unknown.notes)


def test_budgets_name_a_table(tmp_path: Path) -> None:
    whole = joules(analyze("resnet18", energy=H))
    assert costcalc.check("resnet18", budgets={"energy": {"max": "1 J", "energy": H}})
    (failed,) = costcalc.check("resnet18", budgets={"energy": {"max": "1 mJ", "energy": H}}).failed
    assert failed.value == whole
    assert [one.description for one in failed.because]  # the largest layers
    (failed,) = costcalc.check("resnet18", layers={"layer4.*": {"energy": {"max": "1 mJ", "energy": H}}}).failed
    block = analyze("resnet18", energy=H)["layer4"].energy
    assert block is not None and float(failed.value) == pytest.approx(block.joules)  # type: ignore[arg-type]
    with pytest.raises(CostcalcError, match=r"of energy needs an energy: \{max: 3 mJ, energy: horowitz_45nm\}"):
        costcalc.check("resnet18", budgets={"energy": "1 mJ"})
    with pytest.raises(CostcalcError, match="no energy table called 'horowitz'"):
        costcalc.check("resnet18", budgets={"energy": {"max": "1 J", "energy": "horowitz"}})
    (tmp_path / "mine.yaml").write_text("title: t\nmacs: {float32: 2}\nmemory: {sram: 1, dram: 3}\nsource: s\n")
    config = tmp_path / "costcalc.yaml"
    for energy, status in (("mine.yaml", "ok"), ("mine.yaml:dram", "ok"), (H, "fail")):
        config.write_text(
            "version: 1\nmodels:\n  - {model: resnet18, budgets: "
            f"{{energy: {{max: 5 mJ, energy: '{energy}'}}, time: {{max: 1 s, machine: a100}}}}}}\n"
        )
        verdicts = costcalc.check(config=str(config)).verdicts
        assert [v.status for v in verdicts] == [status, "ok"]
    config.write_text(
        "version: 1\nmodels:\n  - {model: resnet18, budgets: {energy: {max: 5 mJ, energy: ../mine.yaml:dram}}}\n"
    )
    with pytest.raises(CostcalcError, match=r"mine\.yaml"):
        costcalc.check(config=str(config))


def test_a_file_of_ones_own_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "title: t\nmacs: {float32: 2}\nmemory: {sram: 1, dram: 3}\nsource: s\n"
    file.write_text(text)
    table = load_energy_table(str(file))
    assert (table.name, table.level, table.memory) == ("mine", "sram", {"sram": 1.0, "dram": 3.0})
    assert load_energy_table(f"{file}:dram").level == "dram"
    with pytest.raises(UnknownName, match="has no memory 'flash'; it has dram, sram"):
        load_energy_table(f"{file}:flash")
    for old, new, message in (
        ("float32: 2", "float32: none", "float32 must be picojoules"),
        ("float32: 2", "float32: 0", "float32 must be picojoules"),
        ("float32: 2", "float32: 1e300", "float32 must be picojoules"),
        ("float32: 2", "float32: [1]", "float32 must be picojoules"),
        ("float32: 2", "float31: 2", "no element type 'float31' .did you mean"),
        ("{float32: 2}", "2", "macs must give picojoules for each, such as {float32: 4.6}"),
        ("{sram: 1, dram: 3}", "{}", "memory must give picojoules for each, such as {dram: 4.6}"),
        ("source: s", "", "the energy table has no source"),
        ("title: t", "title: [t]", "title must be one value"),
        ("title: t", "titel: t", "an energy table has no 'titel' .did you mean 'title'"),
        ("macs: {float32: 2}\nmemory: {sram: 1, dram: 3}\n", "", "has macs or memory, in picojoules, or both"),
    ):
        file.write_text(text.replace(old, new))
        with pytest.raises(SpecError, match=message) as error:
            load_energy_table(str(file))
        assert error.value.location is not None and error.value.location.line
    with pytest.raises(UnknownName, match="did you mean 'horowitz_45nm'"):
        load_energy_table("horowitz_45")


def test_the_shipped_tables_say_where_they_are_from_and_which_is_scaled() -> None:
    tables = {name: load_energy_table(name) for name in energy_tables()}
    assert {*tables} == {H, "horowitz_scaled_7nm"}
    assert all(len(table.source) > 100 and {*table.macs} <= {*TYPES} for table in tables.values())
    scaled = tables["horowitz_scaled_7nm"]
    factor = (0.1776 * 0.7**2 - 0.09097 * 0.7 + 0.02447) / (1.018 * 0.9**2 - 0.3107 * 0.9 + 0.1539)
    assert scaled.macs == {name: pytest.approx(factor * pj, rel=5e-3) for name, pj in tables[H].macs.items()}
    assert scaled.memory == {"dram": tables[H].memory["dram"]}
    assert "scaled" in scaled.title
