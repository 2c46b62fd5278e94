"""Verification confirms what is right: every op, and whole models with their sums taken apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.verification import receptive_fields, verify
from costcalc.verification.result import VerifyResult

IMAGE = {"image": TensorType((1, 3, 8, 8))}


def op(name: str, *args: object, **options: object) -> Op:
    return find_op(name)(*args, **options)


def alone(layer: Op, *types: TensorType) -> Graph:
    inputs = {f"x{i}": t for i, t in enumerate(types)}
    b = GraphBuilder("alone", inputs)
    return b.build(b.add("layer", layer, inputs))


def has_module(layer: Op, types: list[TensorType]) -> bool:
    try:
        return layer.to_torch(*types) is not None
    except NotImplementedError:
        return False


def in_pytorch(name: str) -> bool:
    return all_ops()[name].to_torch is not Op.to_torch


# Of max_unpool the indices decide what it sees: its own test gives it those of a pooling.
@pytest.mark.parametrize("name", [n for n in all_ops() if in_pytorch(n) and n != "max_unpool"])
def test_every_example_of_an_op_is_confirmed(name: str) -> None:
    for layer, *types in all_ops()[name].examples():
        if name in ("gather", "scatter", "elementwise", "lu", "part", "sparse_matmul") and not has_module(layer, types):
            continue  # its places come of data, it is told in part alone, or a CPU does not do it
        result = verify(alone(layer, *types))
        assert result.agrees, result.disagreements


def sums(result: VerifyResult) -> list[str]:
    return [str(tally) for tally in result.tallies]


def test_resnet50_is_fvcores_total_without_its_norms_and_pooling(monkeypatch: pytest.MonkeyPatch) -> None:
    # Known: fvcore 0.1.5 says 4,111,512,576 for torchvision's resnet50 at 224×224; torchvision itself 4,089,184,256.
    monkeypatch.setattr(receptive_fields, "MOST_LAYERS", 3)
    result = verify(costcalc.load("resnet50"))
    assert result.exit_code == 0
    assert sums(result) == [
        "fvcore 4,111,512,576 = 4,089,184,256 MACs + 2·11,113,984 batch norm + 100,352 adaptive pooling",
        "torch's FlopCounterMode 4,089,184,256 = 4,089,184,256 MACs",
    ]
    assert [check.compared for check in result.checks] == [175, 320, 54, 54, 3]


def test_a_small_model_is_confirmed_in_every_check() -> None:
    result = verify(costcalc.load("lenet5"))
    assert result.agrees
    assert all(check.compared == check.of > 0 for check in result.checks[:-1])
    assert result.checks[-1].compared >= 4


def test_max_unpooling_puts_back_what_pooling_took() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("conv", op("conv", 4, 3, padding=1), ["image"])
    pooled, indices = b.add("pool", op("max_pool", 2, indices=True), ["conv"])
    b.add("unpool", op("max_unpool", 2), [pooled, indices])
    b.add("last", op("conv", 4, 3, padding=1), ["unpool"])
    assert verify(b.build(["last"])).agrees


def test_an_encoder_and_decoder_see_what_is_claimed() -> None:
    b = GraphBuilder("net", {"image": TensorType((1, 3, 32, 32))})
    b.add("down1", op("conv", 4, 3, stride=2, padding=1), ["image"])
    b.add("down2", op("conv", 4, 3, stride=2, padding=1), ["down1"])
    b.add("up1", op("upsample", scale=2, mode="bilinear"), ["down2"])
    b.add("join", op("concat"), ["up1", "down1"])
    b.add("up2", op("conv_transpose", 4, 2, stride=2), ["join"])
    b.add("last", op("conv", 4, 3, padding=1), ["up2"])
    result = verify(b.build(["last"]))
    assert result.agrees, result.disagreements
    assert "bilinear upsampling" in sums(result)[0]


@pytest.mark.parametrize("crop", [("slice", 2, 3), ("split", (3, 5), 2)])
def test_a_part_of_an_image_sees_what_is_claimed_and_its_padding_is_no_image(crop: tuple[object, ...]) -> None:
    name, *options = crop
    b = GraphBuilder("crop", IMAGE)
    *_, part = b.add("crop", op(str(name), *options), ["image"])  # rows 3 to 7 of 8
    (conv,) = b.add("conv", op("conv", 4, 3), [part])
    (padded,) = b.add("padded", op("conv", 4, 3, padding=1), [part])
    result = verify(b.build([conv, padded]))
    assert result.agrees, result.disagreements
    assert result.checks[-1].name == "receptive fields" and result.checks[-1].compared == 3


def test_layers_that_share_weights_are_counted_by_the_tensor() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 4))})
    b.add("first", op("linear", 4), ["x"])
    b.add("second", op("linear", 4), ["first"], {"weight": "first.weight", "bias": "first.bias"})
    result = verify(b.build(["second"]))
    assert result.agrees
    assert result.checks[1].compared == 2  # distinct tensors


class Named(nn.Module):
    """A module of the user's own, with calls between its layers and with a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same")
        self.extra = nn.Linear(9, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.max_pool2d(torch.relu(self.conv(x)), 2)
        return y.flatten(2) @ y.flatten(2).transpose(1, 2)


def test_a_module_of_ones_own_is_compared_where_names_meet() -> None:
    b = GraphBuilder("net", IMAGE)
    b.add("conv", op("conv", 4, 3, padding=1), ["image"])
    b.add("relu", op("relu"), ["conv"])
    b.add("pool", op("max_pool", 2), ["relu"])
    b.add("flatten", op("flatten", 2), ["pool"])
    b.add("transpose", op("transpose"), ["flatten"])
    b.add("matmul", op("matmul"), ["flatten", "transpose"])
    result = verify(b.build(["matmul"]), Named())
    assert result.agrees, result.disagreements
    assert [(check.compared, check.of) for check in result.checks[:2]] == [(1, 6), (2, 2)]
    # The 8·8·4·27 = 6,912 of the conv are missing; the 4·4·16 = 256 of the product are not.
    assert sums(result)[0] == "fvcore 256 = 7,168 MACs − 6,912 convolution with padding given by name, counted 0"


def test_a_model_that_needs_too_much_memory_is_run_on_the_meta_device() -> None:
    b = GraphBuilder("net", {"x": TensorType((1, 10**6))})
    b.add("huge", op("linear", 10**6), ["x"])
    result = verify(b.build(["huge"]))
    assert result.agrees
    assert "on the meta device, since it needs too much memory" in result.ran
    assert {c.name: c.compared for c in result.checks} == {
        "output shapes": 1, "parameters and buffers": 2, "MACs by fvcore": 0, "MACs by torch's FlopCounterMode": 1,
        "receptive fields": 0,
    }  # fmt: skip


def test_symbols_cannot_be_run() -> None:
    b = GraphBuilder("net", {"x": TensorType((Expr.symbol("n"), 4))})
    b.add("linear", op("linear", 4), ["x"])
    with pytest.raises(CostcalcError, match="all of its sizes must be numbers"):
        verify(b.build(["linear"]))
