"""ncnn's text networks: those that ncnn publishes, each kind of layer by hand, files that are wrong, and commands."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.analysis.report import report
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

GOLDEN = next(
    (up / "shared/golden/ncnn" for up in Path(__file__).parents if (up / "shared/golden").is_dir()), Path("-")
)

# The shipped specs of the same networks (Tencent/ncnn a4d2ea1d4, benchmark/models).
TWINS = {
    "mobilenet": ("mobilenet", {}),
    "alexnet": ("alexnet_2012", {}),
    "googlenet": ("googlenet", {}),
    "efficientnet_b0": ("efficientnet_b0", {}),
    "regnety_400m": ("regnet_y_400mf", {}),
    "shufflenet_v2": ("shufflenet_v2_x1_0", {}),
}
COUNTED = [
    "alexnet", "efficientnet_b0", "googlenet", "mobilenet", "mobilenet_ssd", "mobilenet_v3", "regnety_400m",
    "resnet18_int8", "shufflenet", "shufflenet_v2", "squeezenet", "yolov4-tiny",
]  # fmt: skip


def _published(name: str) -> str:
    path = GOLDEN / f"{name}.param"
    if not path.is_file():
        pytest.skip("the networks of ncnn's benchmark are not here")
    return str(path)


@pytest.mark.parametrize("name", TWINS)
def test_macs_are_those_of_the_spec(name: str) -> None:
    twin, choices = TWINS[name]
    assert report(load(_published(name))).total.macs == report(load(twin, **choices)).total.macs


@pytest.mark.parametrize("name", COUNTED)
def test_macs_are_weights_times_the_places_that_the_file_says(name: str) -> None:
    """By the text alone: the number of weights of each convolution (option 6) times the size of its map."""
    path = _published(name)
    macs = 0
    for line in Path(path).read_text().splitlines()[2:]:
        words = line.split()
        options = dict(word.split("=") for word in words[4 + int(words[2]) + int(words[3]) :])
        if words[0].startswith("Convolution"):
            _, width, height, _ = options["-23330"].split(",")[1:5]
            macs += int(options["6"]) * int(width) * int(height)
        elif words[0] == "InnerProduct":
            macs += int(options["2"])
    found = report(load(path))
    assert found.total.macs == macs
    uncounted = {layer.kind for layer in found.layers if not layer.counted}
    assert uncounted <= {"PriorBox", "DetectionOutput", "Yolov3DetectionOutput"}


def test_a_size_that_the_file_leaves_open_is_asked_for() -> None:
    path = _published("vision_transformer")
    with pytest.raises(CostcalcError, match="leaves the size of input open; give it: --input 3x224x224"):
        load(path)
    # ViT-B/32 at 384: 145 tokens of 768; 12 layers of 12·d² a token and 2·n²·d, and the patches.
    n, d = 145, 768
    by_hand = 144 * 3 * 32 * 32 * d + 12 * (n * 12 * d * d + 2 * n * n * d) + d * 1000
    assert report(load(path, input=(3, 384, 384))).total.macs == by_hand


Written = Callable[..., Graph]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The graph of layers, of an input of 8×16×12."""

    def of(*lines: str, input: str = "0=12 1=16 2=8", **choices: Any) -> Graph:
        path = tmp_path / "net.param"
        path.write_text(f"7767517\n{len(lines) + 1} 9\nInput x 0 1 x {input}\n" + "\n".join(lines) + "\n")
        return load(str(path), **choices)

    return of


LAYERS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "Convolution": ("0=6 1=3 11=5 3=2 4=1 14=2 5=1 6=720", (6, 8, 6), 6 * 8 * 6 * 8 * 15),
    "ConvolutionDepthWise": ("0=8 1=3 4=1 7=8 6=72 9=2 -23310=1,0.1", (8, 16, 12), 8 * 16 * 12 * 9),
    "Deconvolution": ("0=4 1=2 3=2 5=1 6=128", (4, 32, 24), 8 * 16 * 12 * 4 * 4),
    "InnerProduct": ("0=10 1=1 2=15360 9=1", (10,), 15360),
    "Pooling": ("0=0 1=3 2=2", (8, 8, 6), 0),
    "Padding": ("0=1 1=2 2=3 3=0 4=0 5=0.0 7=1 8=1", (10, 19, 15), 0),
    "Interp": ("0=2 1=2.0 2=1.5", (8, 32, 18), 0),
    "Permute": ("0=3", (16, 12, 8), 0),
    "Reshape": ("0=-1 1=8", (8, 192), 0),
    "ShuffleChannel": ("0=4", (8, 16, 12), 0),
    "PixelShuffle": ("0=2", (2, 32, 24), 0),
    "Crop": ("0=1 1=2 2=0 3=5 4=6 5=8", (8, 6, 5), 0),
    "LRN": ("1=5", (8, 16, 12), 0),
    "BatchNorm": ("0=8", (8, 16, 12), 0),
    "Scale": ("0=8 1=1", (8, 16, 12), 0),
    "Softmax": ("0=0 1=1", (8, 16, 12), 0),
    "Reduction": ("0=3 1=0 -23303=2,1,2 4=0", (8,), 0),
    "Clip": ("0=0.0 1=6.0", (8, 16, 12), 0),
    "BinaryOp": ("0=2 1=1 2=0.5", (8, 16, 12), 0),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_each_kind_of_layer(written: Written, kind: str) -> None:
    options, shape, macs = LAYERS[kind]
    graph = written(f"{kind} layer/one 1 1 x y {options}")
    found = report(graph)
    assert graph.types[graph.outputs[0]].shape == (1, *shape)
    assert found.total.macs == macs and not found.uncounted
    assert {node.name.partition(".")[0] for node in graph.nodes} == {"layer"}


def test_a_last_window_outside_is_kept_as_ncnn_does(written: Written) -> None:
    """Length 5, kernel 2, stride 2, padding 1 + 1: PyTorch's ceil_mode makes 3, ncnn 4."""
    graph = written("Pooling p 1 1 x y 0=0 1=1 11=2 2=1 12=2 3=0 13=1 14=0 15=1 5=0", input="0=1 1=5 2=1")
    assert graph.types[graph.outputs[0]].shape == (1, 1, 4, 1)


def test_a_transposed_convolution_whose_padding_follows_no_size_crops_nothing(written: Written) -> None:
    """Padding -233 without an output's size: (16 - 1) · 2 + 3 rows (ncnn 1.0.20261020)."""
    graph = written("Deconvolution d 1 1 x y 0=4 1=3 3=2 4=-233 6=288")
    assert graph.types[graph.outputs[0]].shape == (1, 4, 33, 25)


def test_quantised_weights_and_slices(written: Written) -> None:
    graph = written(
        "Slice s 1 2 x a b -23300=2,3,-233 1=0", "Convolution c 1 1 b y 0=2 1=1 5=1 6=10 8=2", "ReLU r 1 1 a z"
    )
    found = report(graph)
    assert found.total.weight_bits == 10 * 8 + 2 * 32
    assert [graph.types[v].shape for v in graph.outputs] == [(1, 2, 16, 12), (1, 3, 16, 12)]


def test_where_the_file_says_otherwise_it_is_told(written: Written) -> None:
    graph = written("Convolution c 1 1 x y 0=2 1=3 6=144")
    assert report(graph).is_complete
    graph = written("Convolution c 1 1 x y -23330=4,3,9,9,2 0=2 1=3 6=144")
    assert not report(graph).is_complete and "it makes 2×9×9, by our rule 2×14×10" in " ".join(graph.assumed)
    graph = written("Convolution c 1 1 x y -23330=4,3,10,14,2 0=2 1=3 6=100")
    assert "it has 100 weights, by its input 144" in " ".join(graph.assumed)


WRONG = {
    "first line": ("7767518\n", "net.param:1: this is not a ncnn network"),
    "counts": ("7767517\nmany\n", "net.param:2: the second line has how many"),
    "millions": ("7767517\n9999999 1\n", "net.param:2: the file has 9999999 layers; at most 100,000"),
    "number": ("7767517\n3 3\nInput x 0 1 x 0=4\n", "net.param:2: there are 1 layers, and the second line says 3"),
    "a short line": ("7767517\n1 1\nInput x\n", "net.param:3: a line has a type, a name"),
    "names": ("7767517\n1 1\nConcat c 99 1 a b\n", "net.param:3: Concat c reads 99 and makes 1, but 2 are named"),
    "an option": ("7767517\n1 1\nInput x 0 1 x width=4\n", "net.param:3: 'width=4' is not an option"),
    "a list": ("7767517\n1 1\nInput x 0 1 x -23300=3,1\n", "net.param:3: '-23300=3,1' says another number of items"),
    "order": ("7767517\n2 2\nInput x 0 1 x 0=4\nReLU r 1 1 y z\n", "net.param:4: 'y' is read before it is made"),
    "no input": ("7767517\n1 1\nReLU r 0 1 z\n", "net.param: this network has no Input"),
    "size": ("7767517\n1 1\nInput x 0 1 x 0=-4 1=2\n", "net.param:3: the input x has a negative size"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.param").write_text(WRONG[name][0])
    with pytest.raises(CostcalcError) as raised:
        load("net.param")
    assert str(raised.value).startswith(WRONG[name][1])


def test_a_blob_that_no_layer_makes_is_said(tmp_path: Path) -> None:
    file = tmp_path / "net.param"
    file.write_text("7767517\n2 3\nInput data 0 2 data more 0=8 1=8 2=3\nReLU r 1 1 data out\n")
    with pytest.raises(CostcalcError, match="Input data does not make 'more'"):
        load(str(file))


def test_random_damage(tmp_path: Path) -> None:
    lines = [f"{kind} l{i} 1 1 x y{i} {options}" for i, (kind, (options, *_)) in enumerate(LAYERS.items())]
    text = f"7767517\n{len(lines) + 1} 30\nInput x 0 1 x 0=12 1=16 2=8\n" + "\n".join(lines) + "\n"
    path, chance = tmp_path / "net.param", random.Random(3)
    for _ in range(300):
        data = bytearray(text.encode())
        for _ in range(chance.choice([1, 2, 5])):
            data[chance.randrange(len(data))] = chance.choice(b"0123456789=-., \nxy\x00\xff")
        path.write_bytes(data)
        try:
            report(load(str(path)))
        except CostcalcError as error:
            assert "\n" not in str(error)


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name, width in (("old", 4), ("new", 6)):
        Path(f"{name}.param").write_text(
            f"7767517\n2 2\nInput x 0 1 x 0=8 1=8 2=3\nConvolution c 1 1 x y 0={width} 1=3 6={width * 27} 9=1\n"
        )
    assert dispatch.outcome(["analyze", "old.param", "--exact"]) == 0
    assert f"{36 * 4 * 27:,}" in capsys.readouterr().out
    assert dispatch.outcome(["diff", "old.param", "new.param"]) == 0
    printed = capsys.readouterr().out
    assert "width" in printed and "new.param:4" in printed
    assert dispatch.outcome(["trace", "old.param", "--output", "old.yaml"]) == 0
    assert report(load("old.yaml")).total.macs == 36 * 4 * 27
    assert dispatch.outcome(["formula", "old.param"]) == 0
    assert "2,765" not in capsys.readouterr().out


def test_inputs_of_one_name_are_two(tmp_path: Path) -> None:
    path = tmp_path / "net.param"
    path.write_text("7767517\n3 3\nInput a/b 0 1 a/b 0=4\nInput a.b 0 1 a.b 0=5\nConcat c 2 1 a/b a.b o 0=0\n")
    graph = load(str(path))
    assert [graph.types[name].shape for name in graph.inputs] == [(1, 4), (1, 5)]
    assert graph.types[graph.outputs[0]].shape == (1, 9)
