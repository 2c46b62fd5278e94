"""What one change saves, why a peak changed, which transforms were applied; each against a plan of what was changed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import costcalc
from costcalc.cli.dispatch import outcome
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load
from costcalc.planning.engines import ENGINES, plan
from costcalc.planning.hints import hints

MAP = 4 * 16 * 16


def small(*layers: tuple[str, dict[str, object], list[str]], channels: int = 4) -> Graph:
    """A graph of ops by name, options and inputs, each called ``a``, ``b`` … in turn; the last is its output."""
    builder = GraphBuilder("small", {"image": TensorType((1, channels, 16, 16))})
    name = ""
    for name, (op, options, inputs) in zip("abcdefghij", layers, strict=False):
        builder.add(name, find_op(op)(**options), inputs)
    return builder.build([name])


POOL = {"kernel": 3, "stride": 1, "padding": 1}


def test_a_layer_in_place_saves_its_map() -> None:
    wide = small(
        ("conv", {"out_channels": 32, "kernel": 1}, ["image"]), ("gelu", {}, ["a"]), ("global_avg_pool", {}, ["b"])
    )
    (hint,) = (h for h in hints(wide, "tflm") if "in place" in h.description)
    # Without: a and b, 32 maps each; with: the image and a, 36 maps.
    assert (hint.description, hint.saves, hint.bytes) == ("b in place", (64 - 36) * MAP, 36 * MAP)


def test_another_order_saves_what_the_plan_in_that_order_takes() -> None:
    # Wide branches that a pool makes small: both wide maps first, or one after the other.
    conv: dict[str, object] = {"out_channels": 32, "kernel": 1}
    graph = small(
        ("conv", conv, ["image"]), ("conv", conv, ["image"]), ("global_avg_pool", {}, ["a"]),
        ("global_avg_pool", {}, ["b"]), ("add", {}, ["c", "d"]),
    )  # fmt: skip
    (hint,) = (h for h in hints(graph, "tflm") if "order" in h.description)
    again = small(
        ("conv", conv, ["image"]), ("global_avg_pool", {}, ["a"]), ("conv", conv, ["image"]),
        ("global_avg_pool", {}, ["c"]), ("add", {}, ["b", "d"]),
    )  # fmt: skip
    assert hint.bytes == plan(again, "tflm").needed_bytes
    assert hint.saves == plan(graph, "tflm").needed_bytes - hint.bytes > 0


def test_onnx_runtime_is_given_the_layers_in_another_order() -> None:
    """Of a ResNet with its shortcut written first; torchvision's, which has it last, holds 7,247,296 bytes.

    With the shortcut first real sessions of onnxruntime 1.32.0 held 6,440,064 in their later runs.
    """
    graph = load("resnet50")
    (hint,) = hints(graph, "ort")
    order = "the layers written in another order, layer1.0.downsample.conv before layer1.0.conv1.conv"
    assert (hint.description, hint.saves) == (order, 802_816)
    assert hint.bytes == plan(graph, "ort").needed_bytes - 802_816 == pytest.approx(6_440_064, rel=0.0025)


def test_onnx_runtime_could_write_in_place_what_it_does_not() -> None:
    graph = small(("max_pool", POOL, ["image"]), ("gelu", {}, ["a"]), ("max_pool", POOL, ["b"]))
    before = plan(graph, "ort").needed_bytes
    (hint,) = hints(graph, "ort")
    # Without: a and b, and c beside them as a result; with: b where a was.
    assert (hint.description, hint.saves) == ("b in place", 4 * MAP)
    assert hint.bytes == before - 4 * MAP == 8 * MAP


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v2", "swin_t", "unet", "kws", "inception_v3"])
@pytest.mark.parametrize("engine", ENGINES)
def test_no_hint_saves_nothing_or_goes_below_what_is_needed_anyway(model: str, engine: str) -> None:
    graph = load(model)
    takes = plan(graph, engine, patches=False).needed_bytes
    for hint in hints(graph, engine):
        assert hint.saves > 0
        assert hint.bytes == takes - hint.saves > 0


def test_hints_are_shown_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["memory", "swin_t", "--engine", "tflm", "--bits", "8", "--hints"]) == 0
    assert "one change would save" in capsys.readouterr().out
    assert outcome(["memory", "swin_t", "--engine", "tflm", "--bits", "8", "--hints", "--format", "json"]) == 0
    (hint,) = json.loads(capsys.readouterr().out)["hints"]
    assert hint["saves"] > 0
    assert outcome(["memory", "swin_t", "--train", "--hints"]) == 2


@pytest.mark.parametrize(
    ("old", "new"), [("resnet18", "resnet50"), ("mobilenet_v2", "mobilenet_v3_large"), ("kws", "vww_96"), ("unet",) * 2]
)
@pytest.mark.parametrize("engine", ENGINES)
def test_causes_of_a_peak_add_up_to_its_change(old: str, new: str, engine: str) -> None:
    found = costcalc.diff(old, new, engine=engine).memory
    assert found is not None
    assert sum(cause.effect for cause in found.causes) == found.new_bytes - found.old_bytes
    assert (found.old_bytes, found.new_bytes) == tuple(plan(load(m), engine).peak_bytes for m in (old, new))


def test_a_skip_that_lives_longer_is_told() -> None:
    conv: dict[str, object] = {"out_channels": 4, "kernel": 1}
    wide: dict[str, object] = {"out_channels": 32, "kernel": 1}
    layers = [("conv", conv, ["image"]), ("conv", wide, ["a"]), ("conv", wide, ["b"]), ("conv", conv, ["c"])]
    before, after = small(*layers), small(*layers, ("add", {}, ["d", "a"]))
    found = costcalc.diff(before, after, engine="tflm").memory
    assert found is not None
    (cause,) = found.causes
    assert cause == ("a", "lives 3 steps longer, and so at the peak", 4 * MAP)


def test_a_diff_tells_the_causes_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["diff", "kws", "vww_96", "--engine", "tflm"]) == 0
    assert "Memory in tflm" in capsys.readouterr().out
    assert outcome(["diff", "kws", "vww_96", "--engine", "tflm", "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    memory = one["memory"]
    assert sum(c["effect_bytes"] for c in memory["causes"]) == memory["new_bytes"] - memory["old_bytes"]
    assert outcome(["diff", "kws", "vww_96", "--engine", "tflm", "--format", "markdown"]) == 0
    assert "| tensor | why |" in capsys.readouterr().out


def test_a_diff_of_revisions_tells_the_causes_of_memory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as that of the two files; a spec that one revision lacks has none."""
    monkeypatch.chdir(tmp_path)
    text = "name: net\ninputs: {image: [3, 16, 16]}\nlayers:\n  - conv(8, 3)\n  - relu\n"
    net = tmp_path / "net.yaml"
    for k, layers in enumerate(("", "  - conv(16, 1)\n")):
        net.write_text(text + layers)
        (tmp_path.parent / f"{tmp_path.name}_{k}.yaml").write_text(text + layers)
        if k:
            (tmp_path / "new.yaml").write_text(text)
        commands: list[list[str]] = [
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "net"],
        ]
        for command in commands if k else [["init", "-q"], *commands]:
            subprocess.run(["git", *command], check=True)
    assert outcome(["diff", "HEAD~1..HEAD", "--engine", "tflm", "--format", "json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    old, new = (str(tmp_path.parent / f"{tmp_path.name}_{k}.yaml") for k in (0, 1))
    assert outcome(["diff", old, new, "--engine", "tflm", "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert found["net.yaml"]["memory"] == one["memory"]
    assert one["memory"]["new_bytes"] > one["memory"]["old_bytes"]
    assert not found["new.yaml"].get("memory")


def test_which_transforms_were_applied_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    found = costcalc.memory("resnet18", engine="ideal", apply=["fold_norm", "fuse:ort"])
    assert found.applied == ("fold_norm", "fuse:ort")
    assert found.to_dict()["apply"] == ["fold_norm", "fuse:ort"]
    assert outcome(["memory", "resnet18", "--apply", "fold_norm"]) == 0
    assert "after fold_norm" in capsys.readouterr().out
    assert outcome(["fits", "kws", "--ram", "64KiB", "--apply", "fold_norm"]) in (0, 1)
    assert "after fold_norm" in capsys.readouterr().out
    assert "apply" not in costcalc.memory("resnet18", engine="ideal").to_dict()


@pytest.mark.parametrize("model", ["mobilenet_v2", "resnet50", "densenet121", "inception_v3"])
@pytest.mark.parametrize("engine", ["ort", "openvino", "tflite"])
def test_the_ideal_order_knows_the_groups_that_a_transform_made(model: str, engine: str) -> None:
    fused = load(model, apply=f"fuse:{engine}")
    found = plan(fused, "ideal")
    assert len(found.steps) <= len(fused.kernels)
    # No order of the kernels holds less; that in which they are written holds what the report says.
    assert found.peak_bytes <= costcalc.analyze(fused).total.peak_bits // 8
    assert found.optimal


def test_the_column_of_what_is_alive_is_there_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    report = costcalc.analyze("resnet18")
    assert max(layer.peak_bits for layer in report.layers) == report.total.peak_bits
    blocks = {block.name: block.peak_bits for block in report.blocks}
    inside = [layer.peak_bits for layer in report.layers if layer.name.startswith("layer1.")]
    assert blocks["layer1"] == max(inside)
    assert outcome(["analyze", "resnet18", "--columns", "peak", "--format", "csv"]) == 0
    head, *_, total = capsys.readouterr().out.splitlines()
    assert head.split(",")[:3] == ["row", "name", "peak_bits"]
    assert total.split(",")[:3] == ["total", "total", str(report.total.peak_bits)]
    assert outcome(["analyze", "resnet18", "--format", "csv"]) == 0
    assert "peak" not in capsys.readouterr().out.splitlines()[0]
