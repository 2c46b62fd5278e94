"""``formula``: closed forms that are those of the design, and true at other sizes than they were checked at."""

from __future__ import annotations

import pytest
from terminal import run

from costcalc.analysis.formula import formulas
from costcalc.api import analyze
from costcalc.models import load


def test_resnet50_on_square_images_is_the_sum_that_the_design_shows(capsys: pytest.CaptureFixture[str]) -> None:
    # docs/design.md, the section on dimensions.
    said = run(capsys, "formula", "resnet50", "--symbols", "batch,size")
    macs = [line.strip(" +").rpartition("  ")[0].strip() for line in said.out.split("\n\n")[0].splitlines()[1:-1]]
    assert said.code == 0
    assert macs == [
        "9,408·n·⌊(h + 1)/2⌋²",
        "245,760·n·⌊(h + 3)/4⌋²",
        "1,310,720·n·⌊(h + 7)/8⌋²",
        "7,471,104·n·⌊(h + 15)/16⌋²",
        "14,417,920·n·⌊(h + 31)/32⌋²",
        "2,048,000·n",
    ]
    assert "= 4,089,184,256 (4.09 G) at n=1, h=224" in said.out
    assert "params = 25,557,032 (25.6 M)" in said.out


@pytest.mark.parametrize("name", ["resnet18", "mobilenet", "squeezenet1_1", "densenet121", "unet", "shufflenet_1x_g3"])
@pytest.mark.parametrize("sizes", [(3, 256, 320), (1, 225, 223), (2, 301, 299)])
def test_a_closed_form_holds_at_sizes_it_was_not_made_at(name: str, sizes: tuple[int, int, int]) -> None:
    batch, height, width = sizes
    channels = analyze(name).inputs["image"][1]
    total = analyze(name, batch=batch, input=(channels, height, width)).total  # type: ignore[arg-type]
    closed = formulas(load(name, symbols=["batch", "height", "width"]))
    values = {"n": batch, "h": height, "w": width}
    counted = [total.macs, total.ops, total.params, total.storage_bits, total.traffic_bits]
    assert [f.at(values) for f in closed] == counted


def test_parameters_of_a_model_can_be_symbols(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "formula", "resnet18", "--symbols", "num_classes")
    # The last layer has 512 weights and a bias for each class.
    assert "  + 513·num_classes" in said.out or "    513·num_classes" in said.out
    assert "at num_classes=1000" in said.out


def test_it_says_from_which_size_on_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    # AlexNet's last pooling needs 3 of ⌊(⌊(⌊(h - 7)/4⌋ + 1 - 1)/2⌋ … : 63 pixels, as torchvision says.
    said = run(capsys, "formula", "alexnet")
    least = int(said.out.rpartition("h ≥ ")[2].split(",")[0])
    assert run(capsys, "analyze", "alexnet", "--input", f"3x{least}x{least}").code == 0
    assert run(capsys, "analyze", "alexnet", "--input", f"3x{least - 1}x{least}").code == 2


def test_sizes_that_are_not_square_have_no_single_size(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "formula", "resnet18", "--input", "3x224x256", "--symbols", "size")
    assert said.code == 2
    assert "--symbols size is for square images" in said.err
