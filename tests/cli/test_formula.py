"""``formula``: closed forms that are those of the design, and true at other sizes than they were checked at."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from terminal import run

from costcalc.analysis.find_symbols import find_symbols
from costcalc.analysis.formula import formulas
from costcalc.analysis.symbols import Symbols
from costcalc.api import analyze
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph
from costcalc.ir.values import value_at
from costcalc.models import load
from costcalc.zoo import models


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
    closed = formulas(load(name, symbols=["batch", "image.height", "image.width"]))
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


# Every rank: what an input looks like, layers that read it, and the names of its axes by number.
RANKS = {
    "audio": ("[1, 400]", ["conv(8, 8, stride=4, padding=2)", "conv_transpose(1, 8, stride=4)"], {2: "length"}),
    "a waveform": ("[400]", ["reshape([1, -1])", "conv(8, 8, stride=3)", "max_pool(2)"], {1: "length"}),
    "an image": ("[3, 40, 44]", ["conv(8, 3, stride=2)", "avg_pool(3, 2, ceil_mode=True)"], {2: "height", 3: "width"}),
    "a clip": (
        "[3, 12, 20, 22]", ["conv(4, [1, 3, 3], stride=[1, 2, 2])", "conv(4, [3, 1, 1])", "upsample(2)"],
        {2: "depth", 3: "height", 4: "width"},
    ),
    "channels last": ("[40, 44, 3]", ["permute([0, 3, 1, 2])", "conv(8, 3)"], {1: "height", 2: "width"}),
    "vectors on a grid": ("[20, 24, 3]", ["linear(8)", "layer_norm"], {1: "height", 2: "width"}),
    "sequences": ("[20, 8]", ["layer_norm", "multi_head_attention(2)", "linear(4)"], {1: "tokens"}),
    "attention first": ("[20, 8]", ["multi_head_attention(2)"], {1: "tokens"}),
    "a recurrent layer": ("[20, 8]", ["lstm(5)"], {1: "tokens"}),
    "channels first": ("[8, 20]", ["conv(4, 1)", "relu"], {2: "length"}),
    "words": ("{shape: [30], dtype: int64}", ["embedding(50, 8)", "position_embedding", "linear(4)"], {1: "tokens"}),
    "features": ("[20]", ["linear(8)"], {}),
}  # fmt: skip


def written(folder: Path, shape: str, layers: list[str], more: str = "") -> str:
    path = folder / "net.yaml"
    path.write_text(f"inputs: {{x: {shape}}}\n{more}layers: [{', '.join(repr(layer) for layer in layers)}]\n")
    return str(path)


def sized(graph: Graph, opened: Symbols, values: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The shapes of the inputs, without the batch, with ``values`` in place of symbols."""
    shapes = {name: list(graph.types[name].shape) for name in graph.inputs}
    for name, axes in opened.sizes.items():
        for axis, symbol in axes.items():
            shapes[name][axis] = value_at(symbol, values)
    return {name: tuple(shape[1:]) for name, shape in shapes.items()}  # type: ignore[misc]


def agreeing(model: str, seed: int, times: int) -> int:
    """How many of ``times`` random sizes ``model`` takes; the closed forms are what ``analyze`` counts at each."""
    dice, graph = random.Random(seed), load(model)
    opened = find_symbols(graph)
    closed = formulas(load(model, symbols=opened))
    met = 0
    for _ in range(times):
        values = {name: max(1, dice.randint(size * 2 // 3, size * 3 // 2 + 3)) for name, size in opened.values.items()}
        try:
            total = analyze(model, batch=values["n"], input=sized(graph, opened, values)).total
        except CostcalcError:
            continue  # too small for a kernel, or not a multiple of a window
        counted = [total.macs, total.ops, total.params, total.storage_bits, total.traffic_bits]
        assert [f.at(values) for f in closed] == counted, values
        met += 1
    return met


@pytest.mark.parametrize("name", RANKS)
def test_axes_are_named_by_what_reads_them_and_closed_forms_hold_for_every_rank(name: str, tmp_path: Path) -> None:
    shape, layers, axes = RANKS[name]
    model = written(tmp_path, shape, layers)
    opened = find_symbols(load(model))
    letters = {"length": "l", "height": "h", "width": "w", "depth": "d", "tokens": "s"}
    assert {axis: str(symbol) for axis, symbol in opened.sizes["x"].items()} == {
        axis: letters[called] for axis, called in axes.items()
    }
    assert agreeing(model, 1, 40) > 20


# One of each family; Swin's windows depend on the size of the image, which its closed form says.
FAMILIES = {entry["family"]: name for name, entry in reversed(models().items())}
SLOW = {
    "dla",
    "efficientnet",
    "hrnet",
    "mobilenet_v3",
    "r_fcn",
    "faster_rcnn",
    "shiftresnet",
    "resnet_cifar",
    "slowfast",
}


@pytest.mark.parametrize("name", [model for family, model in FAMILIES.items() if family not in {"swin", *SLOW}])
def test_closed_forms_of_the_zoo_hold_at_random_sizes(name: str) -> None:
    agreeing(name, 2, 2)


def test_one_second_of_audio_costs_as_much_as_is_known(tmp_path: Path) -> None:
    # 64·L/4 + 1024·L/16 + 1024·L/16 + 64·L/4 = 160 L for L divisible by 16.
    layers = ["conv(8, 8, stride=4, padding=2)", "conv(16, 8, stride=4, padding=2)"]
    layers += [layer.replace("conv", "conv_transpose") for layer in ("conv(8, 8, stride=4, padding=2)",)]
    layers += ["conv_transpose(1, 8, stride=4, padding=2)"]
    model = written(tmp_path, "[1, 16000]", layers)
    for word in ("width", "length"):
        macs = formulas(load(model, symbols=[word]))[0]
        assert all(macs.at({word[0]: 16 * k}) == 160 * 16 * k for k in range(1, 400))


@pytest.mark.parametrize("word", ["depth", "frames"])
def test_the_third_axis_has_a_symbol(word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = written(tmp_path, "[3, 16, 32, 32]", ["conv(4, 3, padding=1)"])
    said = json.loads(run(capsys, "formula", model, "--symbols", f"{word},height,width", "--format", "json").out)
    letter = {"depth": "d", "frames": "t"}[word]
    terms = sorted(said["totals"][0]["formula"].split("·"))
    assert terms == sorted(["324", letter, "h", "w"])  # 3·4·27 for each place
    assert said["at"] == {letter: 16, "h": 32, "w": 32}


IMAGE, CLIP, AUDIO, WORDS = "[3, 9, 9]", "[3, 9, 9, 9]", "[1, 400]", "{shape: [30], dtype: int64}"
SETTINGS = "parameters: {width: 16, act: relu, half: 0.5}\n"
REFUSED = {
    (AUDIO, "", "size"): "size is the side of a square image; the axes here are length",
    (WORDS, "", "size"): "size is the side of a square image; the axes here are tokens",
    (AUDIO, "", "height"): "no input of net has an axis that is its height; it has length",
    (AUDIO, "", "width,length"): "'width' and 'length' are the same axis of x; leave one of them out",
    (CLIP, "", "depth,frames"): "'depth' and 'frames' are the same axis of x; leave one of them out",
    (IMAGE, "", "size,height"): "'size' and 'height' are the same axis of x; leave one of them out",
    (IMAGE, "", "y.height"): "'y.height' cannot be a symbol (did you mean 'height'?); there are batch, height, width",
    (IMAGE, "", ","): "--symbols names nothing; leave it out for the batch and the axes of the input",
    (
        IMAGE,
        SETTINGS,
        "width",
    ): "'width' is a size of the input and a parameter of net; write x.width or parameter.width",
    (IMAGE, SETTINGS, "act"): "the parameter act is 'relu'; a symbol stands for a whole number from 1",
    (IMAGE, SETTINGS, "half"): "the parameter half is 0.5; a symbol stands for a whole number from 1",
}


@pytest.mark.parametrize(("shape", "more", "symbols"), REFUSED)
def test_what_has_no_answer_is_refused(
    shape: str, more: str, symbols: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    layer = "embedding(9, 4)" if shape == WORDS else "conv(4, 3)"
    said = run(capsys, "formula", written(tmp_path, shape, [layer], more), "--symbols", symbols)
    assert said.code == 2
    assert REFUSED[shape, more, symbols] in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ("- if depth > 8: [relu]", "whether depth ≥ 9 depends on the symbol depth, so the layers do"),
        ("- for i in range(depth): [relu]", "how often a loop runs cannot depend on a symbol, depth"),
    ],
)
def test_a_parameter_that_decides_which_layers_there_are_is_no_symbol(
    layers: str, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{x: [3, 9, 9]}}\nparameters: {{depth: 3}}\nlayers:\n  - relu\n  {layers}\n")
    said = run(capsys, "formula", str(path), "--symbols", "depth")
    assert said.code == 2
    assert sentence in said.err
    assert said.err.rstrip().endswith("; leave the parameter depth out of the symbols")


def test_a_name_of_two_things_is_asked_about_and_both_can_be_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = written(tmp_path, "[3, 9, 9]", ["conv(width, 3)"], "parameters: {width: 16}\n")
    by = {word: run(capsys, "formula", model, "--symbols", word) for word in ("x.width", "parameter.width")}
    assert "MACs(w) =\n    3,024·w" in by["x.width"].out  # 16·27 for each of 7·(w − 2)
    assert "MACs(width) =\n    1,323·width" in by["parameter.width"].out  # 27·49
    assert "image.width" in run(capsys, "formula", "mobilenet", "--symbols", "width").err
    assert "MACs(n, h, w) =" in run(capsys, "formula", "mobilenet").out  # by default the sizes are meant


def test_a_parameter_is_a_symbol_at_the_value_that_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "formula", "resnet18", "--set", "num_classes=10", "--symbols", "num_classes")
    assert "at num_classes=10" in said.out


def test_several_inputs_share_a_symbol_where_their_sizes_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    text = (
        "inputs: {left: [3, 8, 9], right: [3, 16, 9]}\nlayers:\n  - a: conv(4, 3)\n  - from: right\n  - b: conv(4, 3)\n"
    )
    path.write_text(text)
    opened = find_symbols(load(path))
    assert opened.values == {"n": 1, "h_left": 8, "h_right": 16, "w": 9}
    macs = formulas(load(path, symbols=opened))[0]
    assert macs.at({"n": 2, "h_left": 10, "h_right": 5, "w": 7}) == 2 * 4 * 27 * 5 * (8 + 3)
    assert find_symbols(load(path), ["right.height"]).values == {"h_right": 16}


def test_a_symbol_that_nothing_depends_on_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = written(tmp_path, "[3, 9, 9]", ["conv(4, 3)"], "parameters: {unused: 16}\n")
    said = run(capsys, "formula", model, "--symbols", "height,unused")
    assert "no total depends on unused" in said.out
    said = run(
        capsys, "formula", written(tmp_path, "[1, 99]", ["conv(4, 3)"]), "--symbols", "height,width", "--format", "json"
    )
    assert json.loads(said.out)["notes"] == ["no input of net has an axis that is its height; it has length"]


def test_a_parameter_that_others_are_worked_out_from_is_one_symbol(tmp_path: Path) -> None:
    more = "parameters: {d: 4, wide: 3 * d}\n"
    model = written(tmp_path, "[9 * d]", ["linear(wide)"], more)
    opened = find_symbols(load(model), ["d"])
    assert opened.values == {"d": 4}
    assert formulas(load(model, symbols=opened))[0].at({"d": 5}) == 9 * 5 * 3 * 5
