"""Measuring in ONNX Runtime: its kernels are those of `fuse:ort`, and its rules of arithmetic are as its loops are."""

from __future__ import annotations

from pathlib import Path

import pytest

from costcalc import analyze, load
from costcalc.analysis.estimate import _row, features_of, whole
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
        (8, [], 4, 6 + 2 * 2),  # six, and two alone: 4 sums of 8
        (7, [2 / 3, 2 / 3], 4, 3 + 2 * 2 + 2 * 2 / 3 * 2),
        (6, [], 1, 6 * 8 / 6),  # 6 sums of 8
        (3, [], 2, 3 * 8 / 6),
        (1, [], 1, 4),
    ],
)
def test_a_row_of_places(places: int, inside: list[float], blocks: int, long: float) -> None:
    assert _row(places, inside, blocks) == pytest.approx(long / places)


@pytest.mark.parametrize(
    ("graph", "factor"),
    [
        (conv(64, 12, 64, 1), 1.0),
        (conv(64, 12, 56, 1), 64 / 56),  # a block that is not full
        (conv(64, 12, 16, 1), 8 / 6),  # one block of outputs
        (conv(64, 14, 64, 3), (12 + 2 * 2 / 3 * 2) / 14),  # the first and the last place have two taps of three inside
        (conv(64, 14, 64, 3, stride=2), (6 + 2 / 3 * 2) / 7),  # the first alone
        (conv(64, 14, 64, 3, groups=64), 1.5 * (12 + 2 * 2 / 3 * 2) / 14),
    ],
)
def test_macs_as_its_loops_do_them(graph: Graph, factor: float) -> None:
    assert whole(graph, "ort").macs == pytest.approx(analyze(graph).total.macs * factor)


def test_what_is_read_beside_macs_counts_half_and_an_activation_passes_again() -> None:
    read, made = 4 * 64 * 12 * 12, 4 * 64 * 12 * 12
    assert whole(fuse(conv(64, 12, 64, 1), "ort"), "ort").activations == read / 2 + made
    assert whole(fuse(conv(64, 12, 64, 1, act="relu"), "ort"), "ort").activations == read / 2 + made
    assert whole(fuse(conv(64, 12, 64, 1, act="relu6"), "ort"), "ort").activations == read / 2 + 2 * made


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
