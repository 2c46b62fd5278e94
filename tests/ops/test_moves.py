"""Shift, shuffles and the two names of special convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import costcalc
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.frontends.spec.write import write
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv
from costcalc.ops.move import Pad
from costcalc.ops.separable import Depthwise, Pointwise
from costcalc.ops.shift import Shift
from costcalc.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle


def test_channels_are_dealt_to_the_offsets_in_reading_order_and_the_rest_stays() -> None:
    # 20 channels: two to each of the nine offsets, the last two to the centre.
    x = TensorType((1, 20, 3, 3))
    image = torch.zeros(x.shape)
    image[:, :, 1, 1] = 1

    moved = Shift().to_torch(x)(image)

    # Looking up-left (the first offset) brings the centre to the lower right.
    went = [tuple(place) for place in moved[0].nonzero()[:, 1:].tolist()]
    assert went[:18] == [(2 - i // 3, 2 - i % 3) for i in range(9) for _ in range(2)]
    assert went[18:] == [(1, 1), (1, 1)]


def test_shift_is_a_depthwise_convolution_with_one_tap_of_one() -> None:
    x = TensorType((2, 9, 5, 4))
    conv = Depthwise(3, padding=1, bias=False).to_torch(x)
    with torch.no_grad():
        conv.weight.copy_(torch.eye(9).view(9, 1, 3, 3))
    image = torch.randn(x.shape)

    assert torch.equal(Shift().to_torch(x)(image), conv(image))


def test_one_channel_for_each_offset_is_enough_to_move() -> None:
    # By where the gradient of the middle place goes: to 3×3 pixels through nine channels; of eight none moves.
    for channels, reach in ((9, 3), (8, 1), (10, 3)):
        x = TensorType((1, channels, 5, 5))
        image = torch.zeros(x.shape, requires_grad=True)
        Shift().to_torch(x)(image)[0, :, 2, 2].sum().backward()
        seen = image.grad.abs().sum((0, 1)).nonzero()  # type: ignore[union-attr]
        assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [reach, reach]
        b = GraphBuilder("shift", {"image": x})
        b.add("shift", Shift(), ["image"])
        field = costcalc.analyze(b.build(["shift"])).layers[0].receptive_field
        assert isinstance(field, ReceptiveField) and field.size == (reach, reach)


def test_depthwise_is_a_group_for_each_input_channel_however_many_come_out() -> None:
    x = TensorType((1, 8, 5, 5))
    kinds = [Conv(out, 3, groups=groups).kind(x) for out, groups in ((16, 8), (8, 8), (4, 4), (8, 4), (16, 1))]
    assert kinds == ["depthwise conv", "depthwise conv", "group conv", "group conv", "conv"]


def test_a_shift_costs_nothing_but_traffic() -> None:
    x = TensorType((1, 64, 56, 56))
    op = Shift()

    assert (op.macs(x, y=x), op.ops(x, y=x), op.weights(x), op.is_view) == (0, 0, {}, False)


def test_shuffling_six_channels_in_two_groups() -> None:
    # Groups (0 1 2) (3 4 5) are read column by column: 0 3 1 4 2 5.
    x = torch.arange(6.0).view(1, 6, 1)

    assert ChannelShuffle(2).to_torch(TensorType((1, 6, 1)))(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_pixel_shuffle_and_unshuffle_undo_each_other() -> None:
    x = TensorType((1, 12, 4, 6))

    assert PixelShuffle(2).infer(x).shape == (1, 3, 8, 12)
    assert PixelUnshuffle(2).infer(PixelShuffle(2).infer(x)) == x


def test_depthwise_and_pointwise_are_convolutions() -> None:
    x = TensorType((1, 8, 9, 9))

    assert Depthwise(3, multiplier=2).conv(x) == Conv(16, 3, groups=8)
    assert Pointwise(16, stride=2).conv(x) == Conv(16, 1, stride=2)
    assert (Depthwise(3).kind(x), Pointwise(4).kind(x)) == ("depthwise conv", "pointwise conv")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Shift(4), "shift: kernel=4 must be odd, to have a centre"),
        (lambda: ChannelShuffle(3), "groups=3 must divide the 4 channels "),
        (lambda: PixelShuffle(3), "factor²=9 must divide the 4 channels "),
        (lambda: PixelUnshuffle(3), "factor=3 must divide the size 4 "),
        (lambda: Depthwise(5), "the kernel spans 5, the padded input only 4 "),
    ],
)
def test_what_does_not_fit_is_said(make: Any, sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        op: Op = make()
        GraphBuilder("g", {"x": TensorType((1, 4, 4, 4))}).add(op.name, op, ["x"])

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("op", [Depthwise(3), Pointwise(2), ChannelShuffle(2), PixelShuffle(2), PixelUnshuffle(2)])
def test_a_table_is_no_image(op: Op) -> None:
    with pytest.raises(CostcalcError, match=rf"^{op.name} takes \(batch, channels, .*\), not 2 axes"):
        GraphBuilder("g", {"x": TensorType((1, 4))}).add(op.name, op, ["x"])


def test_padding_by_negative_amounts_cuts_off() -> None:
    # Columns: one less before, two more after; rows: one more before, three less after.
    class Padded(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pad(x, (-1, 2, 1, -3))

    report = costcalc.analyze(Padded(), (1, 2, 8, 9))

    assert [layer.op for layer in report.layers] == ["slice", "slice", "pad"]
    assert report.layers[-1].input_shapes == ((1, 2, 8 - 3, 9 - 1),)
    assert report.layers[-1].output_shapes == ((1, 2, 1 + 8 - 3, 9 - 1 + 2),)
    assert report.layers[-1].receptive_field == ReceptiveField((1, 1), (1, 1), (-1, 1))


class Fills(torch.nn.Module):
    def __init__(self, amounts: tuple[int, ...], mode: str = "constant", value: float | None = None) -> None:
        super().__init__()
        self.given = amounts, mode, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, *self.given)


@pytest.mark.parametrize(
    "module",
    [
        Fills((3, 1), value=1.5),
        Fills((1, 0, 2, 1), value=-float("inf")),
        Fills((-1, 2, 1, -3), value=2.0),
        Fills((-1, 2, 0, 1), "reflect"),
        Fills((-1, 2, 0, 1), "replicate"),
        Fills((-1, 2, 0, 1), "circular"),
        Fills((-1, -2, -3, 0)),
        torch.nn.Hardtanh(0.25, float("inf")),
    ],
    ids=str,
)
def test_the_spec_of_a_trace_fills_in_the_same(module: torch.nn.Module, tmp_path: Path) -> None:
    x = torch.rand(1, 2, 8, 9)
    path = tmp_path / "padded.yaml"
    path.write_text(write(costcalc.trace(module, (1, 2, 8, 9))), encoding="utf-8")
    assert torch.equal(to_module(costcalc.load(path))(x), module(x))


def test_what_is_only_cut_off_by_padding_gets_memory_of_its_own() -> None:
    # PyTorch clones what it narrows: 2·5·6 elements of 4 bytes.
    total = costcalc.analyze(Fills((-1, -2, -3, 0)), (1, 2, 8, 9)).total
    assert (total.read_bits, total.write_bits) == (2 * 5 * 6 * 32, 2 * 5 * 6 * 32)


def test_elements_of_the_input_have_no_value() -> None:
    with pytest.raises(CostcalcError, match="pad: mode='reflect' adds elements of the input; leave out value"):
        Pad(1, "reflect", value=1.0)


class Gathers(torch.nn.Module):
    def __init__(self, axis: int, places: list[int], *shape: int) -> None:
        super().__init__()
        self.given = axis, places, shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        axis, places, shape = self.given
        index = torch.tensor(places).view([-1 if a == axis else 1 for a in range(x.ndim)])
        return x.gather(axis, index.expand(*shape))


@pytest.mark.parametrize(
    "module", [Gathers(1, [2, 0], 1, 2, 6, 5), Gathers(2, [2, 1, 5], 1, 3, 3, 4), Gathers(3, [4], 1, 4, 6, 1)], ids=str
)
def test_gathering_at_the_same_places_everywhere_is_taking_them(module: torch.nn.Module, tmp_path: Path) -> None:
    x = torch.rand(1, 4, 6, 5)
    path = tmp_path / "gathered.yaml"
    graph = costcalc.trace(module, (1, 4, 6, 5))
    path.write_text(write(graph), encoding="utf-8")
    assert torch.equal(to_module(costcalc.load(path))(x), module(x))
    assert graph.nodes[-1].op.name == "take"


def test_options_for_other_numbers_of_axes_are_refused() -> None:
    conv = Conv(4, (3, 3), stride=(1, 1, 1))
    with pytest.raises(CostcalcError, match=r"conv: an option is given for 3 axes, but the input has 2 spatial axes"):
        GraphBuilder("g", {"x": TensorType((1, 4, 8, 8))}).add("conv", conv, ["x"])
