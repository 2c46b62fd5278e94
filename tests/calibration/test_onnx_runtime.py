"""Measuring in ONNX Runtime: its kernels are those of `fuse:ort`, and its rules of arithmetic are as its loops are."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc import analyze, load
from costcalc.analysis.estimate import features_of, whole
from costcalc.analysis.features import Features
from costcalc.analysis.ort_kernels import row
from costcalc.calibration.layouts import copies
from costcalc.cli.dispatch import outcome
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine
from costcalc.transforms.fuse import fuse


def conv(
    channels: int, size: int, outputs: int, kernel: int, *, groups: int = 1, act: str = "", stride: int = 1
) -> Graph:
    builder = GraphBuilder("net", {"x": TensorType((1, channels, size, size))})
    builder.add("c", find_op("conv")(outputs, kernel, stride, kernel // 2, groups=groups, bias=False), ["x"])
    last = "c"
    if act:
        builder.add("a", find_op(act)(), ["c"])
        last = "a"
    return builder.build([last])


@pytest.mark.parametrize(
    ("places", "inside", "blocks", "long"),
    [
        (12, [], 4, 12),  # two of six
        (9, [], 4, 9),  # six and three
        (8, [], 4, 6 + 2 * 6.5 / 4),  # six, and two alone: 4 sums of 6.5
        (7, [2 / 3, 2 / 3], 4, 3 + 2 * 6.5 / 4 + 2 * 2 / 3 * 6.5 / 4),
        (6, [], 1, 6.5),  # 6 sums of 6.5
        (3, [], 1, 6.5),  # 3 sums of 6.5
        (1, [], 1, 4),
        (1, [], 8, 1),
    ],
)
def test_a_row_of_places(places: int, inside: list[float], blocks: int, long: float) -> None:
    assert row(places, inside, blocks) == pytest.approx(long / places)


ALONE = 6.5 / 4
"""How much longer a place takes by itself, four blocks of outputs at a time."""


@pytest.mark.parametrize(
    ("graph", "factor"),
    [
        (conv(64, 12, 64, 1), 1.0),
        (conv(64, 12, 56, 1), 64 / 56),  # a block of outputs that is not full
        (conv(24, 12, 64, 1), 32 / 24),  # a block of inputs that is not full
        (conv(3, 12, 64, 1), 1.0),  # an image's colours are in no blocks
        (conv(64, 12, 16, 1), 6.5 / 6),  # one block of outputs
        (conv(64, 28, 64, 1, stride=2), (12 + 2 * ALONE) / 14),  # rows of 14 places, not all of them in one
        (conv(64, 14, 64, 3), (12 + 2 * 2 / 3 * ALONE) / 14),  # the first and the last place have two of three taps
        (conv(64, 14, 64, 3, stride=2), (6 + 2 / 3 * ALONE) / 7),  # the first alone
        (conv(64, 14, 64, 3, groups=64), 1.5 * (12 + 2 * 2 / 3 * ALONE) / 14),
        (conv(64, 14, 64, 3, groups=4), (12 * 6.5 / 6 + 2 * 2 / 3 * 4) / 14),  # groups of one block
        (conv(64, 14, 64, 3, groups=8), 4.5),  # of less than one: products of small matrices
        (conv(96, 14, 96, 3, groups=4), 1.0),  # of one and a half
        (conv(64, 1, 64, 1), 0.0),  # as long as reading its weights
    ],
)
def test_macs_as_its_loops_do_them(graph: Graph, factor: float) -> None:
    assert whole(graph, "ort").macs == pytest.approx(analyze(graph).total.macs * factor)


def test_what_is_read_beside_macs_counts_half_and_an_activation_passes_again() -> None:
    read, made = 4 * 64 * 12 * 12, 4 * 64 * 12 * 12
    assert whole(fuse(conv(64, 12, 64, 1), "ort"), "ort").activations == read / 2 + made
    assert whole(fuse(conv(64, 12, 64, 1, act="relu"), "ort"), "ort").activations == read / 2 + made
    assert whole(fuse(conv(64, 12, 64, 1, act="relu6"), "ort"), "ort").activations == read / 2 + made * (1 + 1.5 / 3)
    grouped = fuse(conv(64, 12, 64, 1, groups=64, act="relu6"), "ort")
    assert whole(grouped, "ort").activations == read / 2 + made * (1 + 1.5)


def test_a_map_larger_than_a_core_s_cache_is_read_from_farther() -> None:
    read, made = 4 * 64 * 100 * 100, 4 * 16 * 100 * 100
    assert read > 2 << 20
    assert whole(conv(64, 100, 16, 1), "ort").activations == read * 1.5 + made


def test_groups_of_less_than_a_block_are_unrolled() -> None:
    read = made = 4 * 64 * 14 * 14
    taps = 64 * 9 * 14 * 14
    found = whole(conv(64, 14, 64, 3, groups=8), "ort")
    assert found.activations == read / 2 + made + 10 * taps
    assert found.kernels == 2 + 8 / 2
    strided = whole(conv(64, 28, 64, 3, groups=8, stride=2), "ort")
    assert strided.activations == 4 * read / 2 + made + 2 * 10 * taps


def test_weights_of_a_network_that_no_cache_holds_are_read_anew() -> None:
    assert whole(load("resnet18"), "ort").weights == pytest.approx(analyze("resnet18").total.params * 4, rel=3e-3)
    assert whole(load("resnet50"), "ort").weights == pytest.approx(analyze("resnet50").total.params * 8, rel=3e-3)


def test_copies_into_blocks_and_out_of_them_are_of_the_layer_that_made_the_map() -> None:
    assert copies(conv(64, 12, 64, 1), "cpu") == {}
    # The result is copied out of blocks; the image of 64 channels is copied into them before.
    assert copies(conv(64, 12, 64, 1), "ort") == {"c": Features(activations=2 * 2 * 4 * 64 * 12 * 12, kernels=2)}
    # Colours are read as they are, and what leaves has 56 channels where the blocks have 64.
    assert copies(conv(3, 12, 56, 1), "ort") == {"c": Features(activations=2 * 4 * 56 * 12 * 12, kernels=1)}


def test_a_profile_has_the_kernels_of_the_partition() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("torch.nn")
    from costcalc.calibration.onnx_runtime import profile

    graph = load("mobilenet_0.25", input=(3, 96, 96))
    found = profile(graph, threads=1, runs=2)
    joined = fuse(graph, "ort")
    kernels = [k for k in joined.kernels if any(map(joined.runs, k))]
    assert len(found.kernels) == len(kernels)
    assert (
        all(kernel.seconds > 0 for kernel in found.kernels) and found.wall > sum(k.seconds for k in found.kernels) / 2
    )
    # The file is read as ONNX, with norms folded by the exporter; what is multiplied stays.
    macs = {name: one.macs for name, one in features_of(joined, "ort")}
    assert sum(kernel.features.macs for kernel in found.kernels) == pytest.approx(sum(macs.values()))


@pytest.mark.parametrize("op", ["layer_norm(channels_first=true)", "local_response_norm(5)"])
def test_what_the_exporter_writes_otherwise_is_run(op: str, tmp_path: Path) -> None:
    """Axes counted from the end and branches that read what is around them."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("torch.nn")
    from costcalc.calibration.onnx_runtime import profile

    spec = tmp_path / "net.yaml"
    spec.write_text(f"inputs: {{image: [3, 8, 8]}}\nlayers:\n- conv(16, 3)\n- {op}\n- relu\n")
    found = profile(load(str(spec)), threads=1, runs=2)
    assert any("conv" in kernel.ops for kernel in found.kernels)


def test_the_command_measures_and_the_file_estimates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("torch.nn")
    from costcalc.calibration import onnx_runtime

    monkeypatch.setattr(onnx_runtime, "QUICK", ("squeezenet1_1",))
    monkeypatch.setattr(onnx_runtime, "RUNS", 2)
    file = tmp_path / "mine.yaml"
    assert outcome(["calibrate", "--engine", "ort", "--quick", "--output", str(file)]) == 0
    assert "times of 38 models or layers" in capsys.readouterr().out
    machine = load_machine(str(file))
    assert machine.calibration is not None
    assert (machine.calibration.processor, machine.calibration.apply) == ("ort", "fuse:ort")
    assert "ONNX Runtime" in machine.source
    estimate = analyze("squeezenet1_1", machine=str(file)).total.estimate
    assert estimate is not None and 0 < estimate.low <= estimate.seconds <= estimate.high


def test_an_engine_is_for_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = tmp_path / "times.csv"
    times.write_text("model,ms\nresnet18,1\n")
    line = ["calibrate", "--engine", "ort", "--from", str(times), "--output", str(tmp_path / "mine.yaml")]
    assert outcome(line) == 2
    assert "--engine is for measuring this machine" in capsys.readouterr().err
