"""Verification notices what is wrong: each kind of figure is falsified, and must be called ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import costcalc
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.index_map import spatial
from costcalc.ir.memo import forget
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType, parameter
from costcalc.ops.conv import Conv, _window
from costcalc.ops.linear import Linear
from costcalc.ops.norm import BatchNorm
from costcalc.verification import verify


def op(name: str, *args: object, **options: object) -> Op:
    return find_op(name)(*args, **options)


@pytest.fixture
def graph() -> Graph:
    return net()


def net() -> Graph:
    b = GraphBuilder("net", {"image": TensorType((1, 3, 16, 16))})
    b.add("stem.conv", op("conv", 4, 3, stride=2, padding=1), ["image"])
    b.add("stem.bn", op("batch_norm"), ["stem.conv"])
    b.add("stem.relu", op("relu"), ["stem.bn"])
    b.add("body.conv", op("conv", 8, 3, padding=1), ["stem.relu"])
    b.add("pool", op("global_avg_pool"), ["body.conv"])
    b.add("flatten", op("flatten"), ["pool"])
    b.add("fc", op("linear", 5), ["flatten"])
    return b.build(["fc"])


def contradicted(graph: Graph) -> set[tuple[str, str]]:
    """The check and the layer of each disagreement."""
    result = verify(graph)
    assert result.exit_code == (5 if result.disagreements else 0)
    return {(d.check, d.layer) for d in result.disagreements}


def test_nothing_is_contradicted_before_anything_is_falsified(graph: Graph) -> None:
    assert contradicted(graph) == set()


def test_macs_off_by_one_unit_are_contradicted_by_both_counters(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Linear.macs
    monkeypatch.setattr(Linear, "macs", lambda self, x, *, y: right(self, x, y=y) + 1)
    assert contradicted(graph) == {("MACs by fvcore", "fc"), ("MACs by torch's FlopCounterMode", "fc")}


def test_a_formula_that_forgets_the_kernel_is_contradicted_at_each_conv(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conv, "macs", lambda self, x, *, y: y.size * x.channels)
    result = verify(graph)
    assert [(d.layer, d.ours, d.theirs) for d in result.disagreements if d.witness == "fvcore"] == [
        ("stem.conv", "768", "6,912"),  # 4·8·8 outputs × 3 channels; × 9 taps
        ("body.conv", "2,048", "18,432"),
    ]
    assert result.tallies[0].remainder == 6_912 - 768 + 18_432 - 2_048


def test_a_wrong_shape_is_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    # A norm claims a shape that PyTorch does not give; all that follows takes any size.
    monkeypatch.setattr(BatchNorm, "infer", lambda self, x: x.with_shape(*x.shape[:-1], x.shape[-1] - 1))
    graph = net()
    assert {layer for check, layer in contradicted(graph) if check == "output shapes"} == {
        "stem.bn", "stem.relu", "body.conv",
    }  # fmt: skip


def test_a_model_that_pytorch_refuses_is_contradicted_at_the_layer_that_it_stops_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = Linear.infer
    monkeypatch.setattr(Linear, "infer", lambda self, x: x.with_shape(*right(self, x).shape[:-1], 6))
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("first", op("linear", 5), ["x"])
    b.add("second", op("linear", 7), ["first"])
    result = verify(b.build(["second"]))
    assert result.exit_code == 5
    refused = next(d for d in result.disagreements if d.layer == "second")
    assert (refused.check, refused.ours) == ("output shapes", "it takes 1×6")
    assert "mat1 and mat2 shapes cannot be multiplied" in refused.theirs


def test_a_wrong_window_is_contradicted_where_the_field_is_too_large(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conv, "index_maps", lambda self, x, *, y: (spatial((_window(self.stride, -2, 2),) * 2),))
    assert ("receptive fields", "stem.conv") in contradicted(graph)


def test_a_wrong_window_is_contradicted_where_the_field_is_too_small(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conv, "index_maps", lambda self, x, *, y: (spatial((_window(self.stride, 0, 1),) * 2),))
    assert ("receptive fields", "stem.conv") in contradicted(graph)


def test_a_wrong_stride_is_contradicted(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv, "index_maps", lambda self, x, *, y: (spatial((_window(1, -1, 1),) * 2),))
    assert ("receptive fields", "stem.conv") in contradicted(graph)


def test_a_missing_mixing_of_places_is_contradicted(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if a linear layer's every output saw the same feature of its input only.
    pool = type(op("global_avg_pool"))
    monkeypatch.setattr(pool, "index_maps", lambda self, x, *, y: (spatial((_window(8, 0, 0),) * 2),))
    assert ("receptive fields", "pool") in contradicted(graph)


def test_a_wrong_weight_is_contradicted_by_name_shape_and_total(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "weights", lambda self, x: {"weight": parameter(5, 7), "offset": parameter(5)})
    said = {(d.ours, d.theirs) for d in verify(graph).disagreements}
    assert said == {
        ("fc.weight: parameter 5×7 float32", "fc.weight: parameter 5×8 float32"),
        ("fc.offset: parameter 5 float32", "fc.offset: nothing"),
        ("no fc.bias", "fc.bias: parameter 5 float32"),
        ("456 elements of parameters", "461"),  # 4·27+4 + 8 + 8·36+8 = 416, and 40 in place of 45
    }


def test_a_forgotten_buffer_is_contradicted(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    right = BatchNorm.weights

    def without(self: BatchNorm, x: TensorType) -> object:
        return {name: w for name, w in right(self, x).items() if name != "num_batches_tracked"}

    monkeypatch.setattr(BatchNorm, "weights", without)
    assert ("parameters and buffers", "stem.bn") in contradicted(graph)


def test_a_forgotten_weight_of_a_part_that_is_never_called_is_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = type(op("multi_head_attention", 2))
    right = attention.weights

    def without(self: Op, *x: TensorType) -> object:
        return {name: w for name, w in right(self, *x).items() if name != "out_proj.weight"}

    monkeypatch.setattr(attention, "weights", without)
    b = GraphBuilder("net", {"x": TensorType((1, 3, 4))})
    b.add("attention", op("multi_head_attention", 2), ["x"])
    found = verify(b.build(["attention"])).disagreements
    assert ("no attention.out_proj.weight", "attention.out_proj.weight: parameter 4×4 float32") in {
        (d.ours, d.theirs) for d in found
    }


def test_a_forgotten_weight_of_the_model_itself_is_contradicted() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.scale = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.linear(x) * self.scale
            return y

    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("linear", op("linear", 4), ["x"])
    found = verify(b.build(["linear"]), Scaled()).disagreements
    assert {(d.ours, d.theirs) for d in found} == {
        ("no scale", "scale: parameter 4 float32"),
        ("20 elements of parameters", "24"),
    }


def test_sharing_that_the_module_does_not_do_is_contradicted() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: object) -> object:
            return self.second(self.first(x))

    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("first", op("linear", 4), ["x"])
    b.add("second", op("linear", 4), ["first"], {"weight": "first.weight"})
    result = verify(b.build(["second"]), Apart())
    assert ("second.weight is first.weight", "they are two tensors") in {
        (d.ours, d.theirs) for d in result.disagreements
    }


def test_a_known_fault_does_not_cover_for_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    # fvcore counts a broadcast left operand once; twice our MACs it does not explain.
    matmul = type(op("matmul"))
    b = GraphBuilder("net", {"a": TensorType((3, 4)), "b": TensorType((5, 4, 2))})
    graph = b.build(b.add("product", op("matmul"), ["a", "b"]))
    assert "counted for the operand once" in str(verify(graph).tallies[0])
    monkeypatch.setattr(matmul, "macs", lambda self, a, b, *, y: 2 * y.size * a.shape[-1])
    forget()  # what the right rule made of it
    assert ("MACs by torch's FlopCounterMode", "product") in contradicted(graph)


def test_a_known_extra_of_the_wrong_size_is_contradicted(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    from costcalc.verification import faults

    wrong = {**faults.FVCORE_EXTRAS, "batch_norm": faults.Extra("batch norm", (3,), ("batch_norm",))}
    monkeypatch.setattr("costcalc.verification.compare.FVCORE_EXTRAS", wrong)
    assert contradicted(graph) == {("MACs by fvcore", "stem.bn")}


def test_a_norm_over_one_value_which_pytorch_refuses_is_no_mistake_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("inputs: {image: [4, 1, 1]}\nlayers:\n  - instance_norm\n", encoding="utf-8")
    (refused,) = verify(costcalc.load(str(path))).disagreements
    assert (refused.check, refused.ours) == ("output shapes", "it takes 1×4×1×1")
    assert "more than 1 spatial element" in refused.theirs
