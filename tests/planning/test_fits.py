"""Whether a model fits, in the user's units, and what would: every suggestion is tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import costcalc
from costcalc.cli.dispatch import outcome
from costcalc.errors import CostcalcError
from costcalc.machines import load_machine
from costcalc.planning.fits import Fits, Room
from costcalc.planning.records import Memory

KIB, MIB = 2**10, 2**20


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """The exit code and what was printed, its spaces and lines run together."""
    code = outcome(list(args))
    out, err = capsys.readouterr()
    return code, " ".join((out + err).split())


def test_a_model_that_does_not_fit_is_told_in_the_users_units(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "fits", "mobilenet_v2", "--ram", "320KiB", "--flash", "1MiB", "--bits", "8")
    assert code == 1
    # 2,451,840 bytes of arena and 3,541,984 of weights, as `memory --engine tflm` has them.
    assert "does not fit RAM 2,394.4 KiB of 320 KiB" in text
    assert "flash 3.378 MiB of 1 MiB" in text
    assert "features.2.depthwise.conv (padded)" in text


def test_what_fits_goes_to_its_own_memory(capsys: pytest.CaptureFixture[str]) -> None:
    machine = load_machine("stm32h743")
    assert (machine.ram, machine.flash) == (1060 * KIB, 2 * MIB)
    code, text = said(capsys, "fits", "mobilenet_0.25", "--machine", "stm32h743", "--bits", "8")
    assert code == 0
    assert text.partition("fits ")[2].startswith("RAM 399 KiB of 1.04 MiB")


ROOMS = [(256 * KIB, 2 * MIB), (512 * KIB, 4 * MIB), (4 * MIB, None), (8 * MIB, 8 * MIB)]


@pytest.mark.parametrize("engine", ["tflm", "mcu"])
@pytest.mark.parametrize(("ram", "flash"), ROOMS)
def test_the_largest_that_would_fit_does_and_one_more_does_not(engine: str, ram: int, flash: int | None) -> None:
    def fits(**given: object) -> Fits:
        return costcalc.fits("mobilenet_v2", ram=ram, flash=flash, engine=engine, bits=8, **given)  # type: ignore[arg-type]

    found = fits()
    assert found.would
    for one in found.would:
        given: dict[str, object] = {}
        more: dict[str, object] = {}
        for name, value in (part.split(" ") for part in one.change.split(", ")):
            if name == "batch":
                given["batch"], more["batch"] = int(value), int(value) + 1
            elif name == "image":
                side = int(value.split("×")[1])
                given["input"], more["input"] = (3, side, side), (3, side + 16, side + 16)
            else:
                given["parameters"] = {name: float(value)}
                more["parameters"] = {name: float(value) + 0.05 * ("image" not in one.change)}
        fitting = fits(**given)
        assert fitting.fits
        assert (fitting.ram_bytes, fitting.flash_bytes) == (one.ram_bytes, one.flash_bytes)
        assert not fits(**more).fits


def test_where_neither_is_enough_width_and_image_are_changed_together(capsys: pytest.CaptureFixture[str]) -> None:
    found = costcalc.fits("mobilenet_v2", ram=256 * KIB, flash=2 * MIB, bits=8)
    assert [one.change.split(",")[0] for one in found.would] == ["multiplier 0.5"]
    # The classifier alone has more than a MiB of weights at every width.
    assert not costcalc.fits("mobilenet_v2", ram=256 * KIB, flash=MIB, bits=8).would
    code, text = said(capsys, "fits", "mobilenet_v2", "--ram", "256KiB", "--flash", "1MiB", "--bits", "8")
    assert (code, "no smaller batch, image or width" in text) == (1, True)


def test_without_flash_weights_are_in_ram() -> None:
    apart = costcalc.fits("lenet5", ram=64 * KIB, flash=256 * KIB)
    alone = costcalc.fits("lenet5", ram=64 * KIB)
    assert apart.fits and not alone.fits
    assert alone.ram_bytes == apart.ram_bytes + apart.flash_bytes
    assert alone.to_dict()["flash"] is None


def test_where_there_is_no_flash_no_weights_fit_and_no_smaller_model_with_weights_either() -> None:
    found = costcalc.fits("lenet5", ram=1 << 30, flash=0, bits=8)
    assert not found.fits
    assert not found.would


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["fits", "lenet5", "--ram", "1MB", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits"] is True
    assert found["ram"] == {"needed": found["arena_bytes"] + found["weights_bytes"], "there": 10**6}
    assert {t["name"] for t in found["makes_the_peak"]} == {"c1", "tanh"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--ram", "8"], "--ram 8: write bytes with their unit"),
        (["--ram", "8KiB", "--flash", "lots"], "--flash lots: write bytes"),
        (["--flash", "8KiB"], "fits takes --ram"),
        (["--ram", "8KiB", "--machine", "a100"], "fits takes --ram, optionally with --flash, or a --machine"),
        (["--machine", "a1000"], "no machine called 'a1000'"),
    ],
)
def test_mistakes_are_one_sentence(capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    code, text = said(capsys, "fits", "lenet5", *args)
    assert (code, says in text) == (2, True), text


def test_a_machine_says_ram_or_memory_and_caches(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    head = "title: t\nsource: s\nmacs: {int8: 1e9}\nbandwidth: 1e9\n"
    file.write_text(f"{head}ram: 320 KiB\nflash: 1 MiB\ncaches: {{L1: 16 KiB}}\n")
    machine = load_machine(str(file))
    assert (machine.ram, machine.memory, machine.flash) == (320 * KIB, 320 * KIB, MIB)
    assert machine.to_dict()["caches"] == {"L1": 16 * KIB}
    file.write_text(f"{head}ram: 320 KiB\nmemory: 1 MiB\n")
    with pytest.raises(CostcalcError, match=r"own.yaml:1:1: a machine has memory or ram, which is the same, not both"):
        load_machine(str(file))
    file.write_text(f"{head}flash: 1 potato\n")
    with pytest.raises(CostcalcError, match=r"own.yaml:5:8: flash must be a whole number with a unit"):
        load_machine(str(file))


def test_weights_of_956_kib_and_a_peak_of_280_kib_fit_a_stm32h743() -> None:
    # 2 MiB of flash and about 1 MiB of RAM: weights go to flash, so that they are not added to the peak.
    machine = load_machine("stm32h743")
    assert machine.ram is not None
    memory = Memory("net", "tflm", 8, 280 * KIB, "conv", 280 * KIB, True, 280 * KIB, 956 * KIB, (), ())
    known = Fits(memory, Room(machine.ram, machine.flash))
    assert known.fits
    assert (known.ram_bytes, known.flash_bytes) == (280 * KIB, 956 * KIB)
    # In RAM alone of 1 MiB both together are too much.
    assert not Fits(memory, Room(MIB)).fits


def step(change: str) -> dict[str, object]:
    """What a change that is told asks for, of ``costcalc.fits``."""
    given: dict[str, object] = {}
    for name, value in (part.removesuffix(" or more").split(" ") for part in change.split(", ")):
        if name == "image":
            given["input"] = tuple(map(int, value.split("×")))
        else:
            given[name] = int(value) if name == "batch" else value
    return given


@pytest.mark.parametrize(
    ("model", "ram", "batch", "changes"),
    [
        ("resnet18", 300 * MIB, 2, ["batch", "image", "batch checkpoint"]),
        ("resnet18", 500 * MIB, 32, ["batch", "image", "checkpoint"]),
        ("resnet18", 190 * MIB, 2, ["optimizer"]),
        ("vgg11", 2 * 2**30, 2, ["optimizer"]),
        ("resnet18", 600 * MIB, 32, ["autocast", "checkpoint"]),
        ("lenet5", 16 * KIB, 1, []),
    ],
)
def test_what_else_would_fit_of_training_does_and_one_more_does_not(
    model: str, ram: int, batch: int, changes: list[str]
) -> None:
    def fits(**given: object) -> Fits:
        return costcalc.fits(model, ram=ram, train=True, **{"optimizer": "adamw", "batch": batch, **given})  # type: ignore[arg-type]

    found = fits()
    told = [" ".join(part.split(" ")[0] for part in one.change.split(", ")) for one in found.would]
    assert set(told) >= set(changes) and (not told or changes), told
    assert found.ram_bytes == costcalc.training(model, batch=batch, optimizer="adamw").total_bytes
    for one in found.would:
        given = step(one.change)
        fitting = fits(**given)
        assert fitting.fits
        assert (fitting.ram_bytes, fitting.flash_bytes) == (one.ram_bytes, 0)
        if "batch" in given:
            assert not fits(**given | {"batch": given["batch"] + 1}).fits  # type: ignore[operator]


def test_training_that_fits_by_a_lower_bound_alone_may_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("name: net\ninputs: {x: [16, 8]}\nlayers:\n  - lstm(8)\n")
    found = costcalc.fits(str(file), ram=MIB, train=True)
    assert found.fits is None
    assert (found.would, found.to_dict()["fits"]) == ((), None)
    assert costcalc.fits(str(file), ram=KIB, train=True).fits is False
    code, text = said(capsys, "fits", str(file), "--ram", "1MiB", "--train")
    assert code == 1
    assert "may fit: no more than a lower bound is known RAM ≥ " in text


def test_training_is_told_by_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "fits", "resnet18", "--ram", "100MiB", "--batch", "2", "--train", "--optimizer", "adamw")
    assert code == 1
    assert "a step of training, PyTorch does not fit RAM 214.9 MiB of 100 MiB 214.9% all of a step of training" in text
    assert "state 89.2 MiB of the optimizer, adamw" in text
    assert outcome(["fits", "resnet18", "--machine", "a100", "--train", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["flash"] is None
    assert found["ram"]["needed"] == found["training"]["total_bytes"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--train", "--flash", "1MiB"], "--train takes no --flash"),
        (["--train", "--engine", "tflm"], "a step of training is PyTorch's, so not of engine 'tflm'"),
        (["--train", "--bits", "8"], "a step of training takes no bits"),
        (["--train", "--fold-norm"], "--train takes no --apply"),
        (["--optimizer", "adam"], "--optimizer is for a step of training: add --train"),
        (["--checkpoint", "auto"], "--checkpoint is for a step of training: add --train"),
        (["--train", "--checkpoint", "much"], "--checkpoint much: write bytes with their unit"),
        (["--autocast", "bfloat16"], "--autocast is for a step of training: add --train"),
        (["--train", "--checkpoint", "1KiB"], "checkpoint: 1,024 bytes are too few"),
    ],
)
def test_mistakes_of_training_are_one_sentence(capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    code, text = said(capsys, "fits", "lenet5", "--ram", "1MiB", *args)
    assert (code, says in text) == (2, True), text


def test_autocast_and_layers_done_again_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    narrow = costcalc.training("resnet18", batch=32, optimizer="adamw", autocast="bfloat16")
    both = costcalc.training("resnet18", batch=32, optimizer="adamw", autocast="bfloat16", checkpoint="auto")
    wide = costcalc.training("resnet18", batch=32, optimizer="adamw", checkpoint="auto")
    assert both.total_bytes < min(narrow.total_bytes, wide.total_bytes)
    assert both.recomputed is not None
    assert both.recomputed.kept_bytes == narrow.peak_bytes
    room = (both.total_bytes + narrow.total_bytes) // 2
    found = costcalc.fits("resnet18", ram=room, train=True, batch=32, optimizer="adamw", autocast="bfloat16")
    assert "checkpoint auto" in [one.change for one in found.would]
    again = costcalc.fits("resnet18", ram=room, train=True, batch=32, optimizer="adamw", checkpoint="auto")
    assert again.fits or "autocast bfloat16" in [one.change for one in again.would]
    line = ["--train", "--optimizer", "adamw", "--batch", "32", "--autocast", "bfloat16", "--checkpoint", "auto"]
    code, text = said(capsys, "fits", "resnet18", "--ram", f"{both.total_bytes}B", *line)
    assert code == 0, text


def test_the_largest_that_was_looked_at_is_not_the_largest_that_there_is() -> None:
    found = costcalc.fits("lenet5", ram=2**40, engine="eager")
    assert [one.change for one in found.would] == ["batch 65536 or more", "image 1×128×128 or more"]


def test_room_is_told_in_bytes_or_with_a_unit() -> None:
    one, two = (costcalc.fits("lenet5", ram=ram, flash=flash) for ram, flash in ((65536, 2**20), ("64 KiB", "1MiB")))
    assert one == two
    for wrong in ("64 chickens", -1, 1.5, None, True):
        with pytest.raises(CostcalcError, match=r"^ram .*: write bytes with their unit, such as 320KiB"):
            costcalc.fits("lenet5", ram=wrong)  # type: ignore[arg-type]
