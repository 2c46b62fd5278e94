"""The shipped machines: at least six kinds, each with its source, and what their data sheets say."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc.analysis.roofline import WIDTHS, Machine, Time
from costcalc.api import analyze
from costcalc.errors import CostcalcError, SpecError
from costcalc.machines import load_machine, machines

GB = 10**9
# name: (MACs a second by type, bandwidth, memory), as the source in each file has them. A FLOP rate counts a
# multiply-accumulate twice; rates "with sparsity" are twice the dense ones.
SHEETS = {
    "a100": ({"float32": 19.5e12 / 2, "float16": 312e12 / 2, "int8": 624e12 / 2, "int4": 624e12}, 2039e9, 80 * GB),
    "a100_40gb": ({"float32": 19.5e12 / 2, "float16": 312e12 / 2, "int8": 624e12 / 2, "int4": 624e12}, 1555e9, 40 * GB),
    "h100": ({"float32": 67e12 / 2, "float16": 1979e12 / 4, "float8": 3958e12 / 4}, 3.35e12, 80 * GB),
    "h200": ({"float32": 67e12 / 2, "float16": 1979e12 / 4, "float8": 3958e12 / 4}, 4.8e12, 141 * GB),
    "jetson_orin_nano": ({"float32": 1024 * 625e6, "float16": 40e12 / 8, "int8": 40e12 / 4}, 68e9, 8 * GB),
    "jetson_nano": ({"float32": 128 * 921.6e6, "float16": 2 * 128 * 921.6e6}, 25.6e9, 4 * GB),
    "core_i7_8700": ({"float32": 6 * 3.2e9 * 2 * 8, "float64": 6 * 3.2e9 * 2 * 4}, 2 * 8 * 2.6667e9, 128 * GB),
    "core_i7_12700h": ({"float32": (6 * 4.7e9 + 8 * 3.5e9) * 2 * 8}, 5.2e9 * 16, 64 * GB),
    "l40s": ({"float32": 45.8e12, "tfloat32": 183e12 / 2, "bfloat16": 733e12 / 4}, 864e9, 48 * GB),
    "rtx3090": ({"float32": 17.8e12, "bfloat16": 71.2e12 / 2, "float16": 142e12 / 2, "int8": 142e12}, 936e9, 24 * GB),
    "rtx4090": ({"float32": 82.6e12 / 2, "bfloat16": 82.6e12, "float16": 165.2e12, "int8": 330.3e12}, 1008e9, 24 * GB),
    "t4": ({"float32": 4.07e12, "float16": 65.1e12 / 2, "int8": 130.3e12 / 2, "int4": 260.5e12 / 2}, 320e9, 16 * GB),
    "raspberry_pi_4": ({"float32": 4 * 1.8e9 * 2 * 4}, 3.2e9 * 4, 8 * GB),
    "raspberry_pi_5": ({"float32": 4 * 2.4e9 * 2 * 4, "int8": 4 * 2.4e9 * 2 * 16}, 4.267e9 * 4, 8 * GB),
    "ethos_u55": ({"int8": 256 * 500e6}, 4e9, None),
    "esp32_s3": ({"int8": 2 * 240e6 * 16, "int16": 2 * 240e6 * 8}, 2 * 240e6 * 16, 512 * 1024),
    "snapdragon_855_cpu": (
        {"float32": (2.84e9 + 3 * 2.42e9) * 2 * 4, "int8": (2.84e9 + 3 * 2.42e9) * 2 * 16}, 4 * 2 * 2 * 2133e6, 16 * GB,
    ),
    "stm32h743": ({"float32": 480e6, "int8": 2 * 480e6}, 240e6 * 8, 1060 * 1024),
    "coral_edge_tpu": ({"int8": 4e12 / 2}, 5e9 * 8 / 10 / 8, 8 * 10**6),
}  # fmt: skip


# name: (what the caches hold, what they and all registers and shared memories hold, highest clock to that of the rates)
MIB = 2**20
CHIPS = {
    "a100": (40 * MIB, 40 * MIB + 108 * (256 + 192) * 1024, 1),
    "h100": (50 * MIB, 50 * MIB + 132 * (256 + 256) * 1024, 1980 / 1830),
    "h200": (50 * MIB, 50 * MIB + 132 * (256 + 256) * 1024, 1980 / 1830),
    "l40s": (96 * MIB, 96 * MIB + 142 * (256 + 128) * 1024, 1),
    "rtx3090": (6 * MIB, 6 * MIB + 82 * (256 + 128) * 1024, 1),
    "rtx4090": (72 * MIB, 72 * MIB + 128 * (256 + 128) * 1024, 3105 / 2520),
    "t4": (4 * MIB, 4 * MIB + 40 * (256 + 96) * 1024, 1),
    "core_i7_8700": (12 * MIB, None, 4.6 / 3.2),
    "core_i7_12700h": ((6 * (48 + 1280) + 8 * 32 + 2 * 2048 + 24 * 1024) * 1024, None, 1),
    "snapdragon_855_cpu": ((4 * 64 + 512 + 3 * 256 + 2048 + 3072) * 1024, None, 1),
    "raspberry_pi_4": ((4 * 32 + 1024) * 1024, None, 1),
    "raspberry_pi_5": ((4 * (64 + 512) + 2048) * 1024, None, 1),
    "stm32h743": ((16 + 16 + 192) * 1024, None, 1),
    "coral_edge_tpu": (8 * MIB, None, 1),
}


@pytest.mark.parametrize("name", CHIPS)
def test_a_floor_knows_what_the_chip_holds_and_its_highest_clock(name: str) -> None:
    cached, on_chip, faster = CHIPS[name]
    machine = load_machine(name)
    assert (machine.cached, machine.on_chip) == (cached, on_chip)
    width = 8 if name == "coral_edge_tpu" else 32
    fastest = max(rate for dtype, rate in machine.macs.items() if WIDTHS[dtype] >= width)
    assert machine.peak(width) == pytest.approx(fastest * faster)


def test_a_cache_may_be_one_for_each_core_and_a_clock_has_a_highest(tmp_path: Path) -> None:
    text = (
        "title: t\nmacs: {{float32: 2e9, float16: 1e9}}\nbandwidth: 1e9\nsource: s\nclock: 1e9\n"
        "turbo: {turbo}\nduplex: true\ncaches: {{L1: {{size: 32 KiB, count: 4}}, L2: 1 MiB}}\n"
    )
    file = tmp_path / "own.yaml"
    file.write_text(text.format(turbo="1.5e9"))
    machine = load_machine(str(file))
    assert machine.caches == {"L1": 4 * 32 * 1024, "L2": 2**20}
    assert (machine.clock, machine.turbo, machine.duplex) == (1e9, 1.5e9, True)
    # Elements of 16 bits can be multiplied by the units for 32; of 8 bits nothing is known.
    assert (machine.peak(32), machine.peak(16), machine.peak(8)) == (3e9, 3e9, None)
    assert machine.rate(16) == 1e9
    assert machine.to_dict()["turbo"] == 1.5e9
    file.write_text(text.format(turbo="0.5e9"))
    with pytest.raises(SpecError, match="turbo is the highest clock, and cannot be below clock"):
        load_machine(str(file))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("turbo: 2e9", "turbo needs clock, the one at which the macs are"),
        ("duplex: both", "duplex must be true or false"),
        ("caches: {L1: {size: 32 KiB}}", "a cache has a size, or one for each core"),
        ("caches: {L1: {size: 32 KiB, count: 0}}", "count must be a whole number from 1"),
        ("caches: {L1: {size: [1], count: 2}}", "the size of L1 must be one value"),
    ],
)
def test_what_is_wrong_with_a_chip_is_told_where_it_stands(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"title: t\nmacs: {{float32: 2e9}}\nbandwidth: 1e9\nsource: s\n{line}\n")
    with pytest.raises(SpecError, match=message):
        load_machine(str(file))


def test_every_shipped_machine_is_checked() -> None:
    assert set(machines()) == set(SHEETS)
    assert len(SHEETS) >= 6


@pytest.mark.parametrize("name", SHEETS)
def test_a_machine_has_the_figures_of_its_data_sheet(name: str) -> None:
    rates, bandwidth, memory = SHEETS[name]
    machine = load_machine(name)
    for dtype, rate in rates.items():
        assert machine.macs[dtype] == pytest.approx(rate, rel=2e-3), dtype
    assert machine.bandwidth == pytest.approx(bandwidth, rel=2e-3)
    assert machine.memory == memory
    assert machine.title and len(machine.source) > 40


def test_a_file_may_give_rates_in_macs_or_in_flops(tmp_path: Path) -> None:
    text = "title: t\n{}: {{float32: 2e9}}\nbandwidth: 1e9\nsource: s\n"
    for unit, expected in (("macs", 2e9), ("flops", 1e9)):
        file = tmp_path / f"{unit}.yaml"
        file.write_text(text.format(unit))
        machine = load_machine(str(file))
        assert (machine.name, machine.macs, machine.memory) == (unit, {"float32": expected}, None)


def test_the_file_on_the_page_about_machines_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs/machines.md").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    own, shipped = load_machine(str(file)), load_machine("jetson_orin_nano")
    assert (own.macs, own.bandwidth, own.memory) == ({"float32": 640e9, "int8": 10e12}, 68e9, 8 * GB)
    assert all(shipped.macs[dtype] == rate for dtype, rate in own.macs.items()) and shipped.bandwidth == own.bandwidth


def test_time_is_the_slower_of_arithmetic_and_traffic() -> None:
    # The first convolution: 10,838,016 MACs and 17,689,600 bits, which the other tests hold.
    layer = analyze("mobilenet", machine="a100").layers[0]
    assert (layer.macs, layer.traffic_bits) == (10_838_016, 17_689_600)
    assert layer.time is not None
    assert layer.time.compute == pytest.approx(10_838_016 / 9.75e12)
    assert layer.time.traffic == pytest.approx(17_689_600 / 8 / 2039e9)
    assert layer.time.seconds == max(layer.time.compute, layer.time.traffic)
    assert layer.time.bound == "compute"


def test_layers_in_turn_are_bound_by_what_takes_most_of_their_time() -> None:
    memory = Time.of(compute=1.0, traffic=3.0)
    arithmetic = Time.of(compute=2.0, traffic=1.0)
    assert memory.then(arithmetic) == Time(compute=3.0, traffic=4.0, seconds=5.0, in_memory=3.0)
    assert memory.then(arithmetic).bound == "memory"  # 3 of 5 seconds
    assert memory.then(arithmetic).then(Time.of(compute=1.0, traffic=0.5)).bound == "compute"  # no more than 3 of 6
    assert memory.then(memory).in_memory == 6.0
    assert Time.of(compute=1.0, traffic=1.0).bound == "compute"
    assert Time.of(compute=0.0, traffic=0.0).bound == "nothing"


def test_narrower_elements_run_at_their_own_rate() -> None:
    wide, narrow = (analyze("mobilenet", machine="a100", bits=bits).layers[0].time for bits in (32, 8))
    assert wide is not None and narrow is not None
    assert wide.compute / narrow.compute == pytest.approx(32)
    assert wide.traffic / narrow.traffic == pytest.approx(4)


def test_of_two_types_of_a_width_the_faster_counts() -> None:
    own = Machine("own", "own", {"bfloat16": 2e12, "float16": 1e12}, 1e11, "made up")
    assert own.rate(16) == 2e12


def test_a_width_without_a_rate_names_those_that_there_are() -> None:
    with pytest.raises(CostcalcError, match=r"has no peak rate for 32-bit elements; it has 8 \(int8\)"):
        analyze("mobilenet", machine="coral_edge_tpu")
