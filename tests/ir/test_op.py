"""Ops as values: made from options, checked, immutable, equal by their fields."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc.errors import CostcalcError, OptionError, ShapeError, UnknownName
from costcalc.ir.expr import Expr
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Conv(), "conv needs out_channels (a whole number from 1)"),
        (lambda: Conv(8, kernel_size=3), "conv has no option 'kernel_size' (did you mean 'kernel'?); it has "),
        (lambda: Conv(8), "conv needs kernel (a whole number from 1, or a list of one for each axis)"),
        (lambda: Conv(8, 3, grups=2), "conv has no option 'grups' (did you mean 'groups'?); it has bias, "),
        (lambda: Conv(8, 3, kernel=3), "conv: kernel is given twice"),
        (lambda: Conv(8, 3, 1, 0, 1, 1, True, False, 9), "conv takes at most 8 options but was given 9"),
        (lambda: Conv(0, 3), "conv: out_channels=0 must be a whole number from 1"),
        (lambda: Conv(8, "x"), "conv: kernel='x' must be a whole number from 1, or a list of one for each axis"),
        (lambda: Conv(8, 3, bias=1), "conv: bias=1 must be True or False"),
        (lambda: Conv(True, 3), "conv: out_channels=True must be a whole number from 1"),
        (lambda: Conv(8, 3, padding="sam"), "conv: padding='sam' must be a whole number from 0, a list of one or a "),
    ],
)
def test_wrong_options_are_named(make: Any, sentence: str) -> None:
    with pytest.raises(OptionError) as error:
        make()
    assert str(error.value).startswith(sentence)


def test_an_op_is_an_immutable_value() -> None:
    conv = Conv(8, 3, stride=[2, 1])
    assert conv == Conv(8, 3, stride=(2, 1))
    assert hash(conv) == hash(Conv(8, 3, stride=(2, 1)))
    assert conv != Conv(8, 3)
    assert repr(conv) == "conv(8, 3, stride=(2, 1))"
    with pytest.raises(AttributeError, match="an op cannot be changed"):
        conv.stride = 2  # type: ignore[misc]


def test_symbols_are_accepted_as_sizes() -> None:
    assert Conv(Expr.symbol("m"), 3).out_channels == Expr.symbol("m")


def test_unknown_ops_have_near_names() -> None:
    with pytest.raises(UnknownName, match=r"no op called 'convv' \(did you mean 'conv'"):
        find_op("convv")


def test_an_op_is_defined_once() -> None:
    with pytest.raises(ValueError, match=r"already defined by costcalc\.ops\.conv"):
        op("conv")(type("Again", (), {}))


def image(*shape: int) -> TensorType:
    return TensorType(shape)


@pytest.mark.parametrize(
    ("conv", "x", "sentence"),
    [
        (Conv(8, 3, groups=2), image(1, 3, 8, 8), "c: groups=2 must divide the 3 input channels (input 1×3×8×8)"),
        (Conv(9, 3, groups=2), image(1, 4, 8, 8), "c: groups=2 must divide out_channels=9 (input 1×4×8×8)"),
        (Conv(8, 9), image(1, 3, 8, 8), "c: the kernel spans 9, the padded input only 8 (input 1×3×8×8)"),
        (Conv(8, 3), image(1, 3), "c: conv takes (batch, channels, 1 to 3 spatial axes), not 2 axes (input 1×3)"),
        (Conv(8, (3, 3, 3)), image(1, 3, 8, 8), "c: conv: an option is given for 3 axes, but the input has 2 spatial"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_numbers(conv: Conv, x: TensorType, sentence: str) -> None:
    builder = GraphBuilder("test", {"image": x})
    with pytest.raises(CostcalcError) as error:
        builder.add("c", conv, ["image"])
    assert str(error.value).startswith(sentence)


def test_the_builder_refuses_a_second_layer_of_the_same_name_and_too_many_inputs() -> None:
    builder = GraphBuilder("test", {"image": image(1, 3, 8, 8)})
    builder.add("c", Conv(8, 3), ["image"])
    with pytest.raises(CostcalcError, match="two layers are called 'c'"):
        builder.add("c", Conv(8, 3), ["image"])
    with pytest.raises(ShapeError, match="d: conv takes 1 inputs, not 2"):
        builder.add("d", Conv(8, 3), ["image", "c"])


def test_conditions_on_symbols_become_assumptions() -> None:
    h = Expr.symbol("h")
    builder = GraphBuilder("test", {"image": TensorType((1, 3, h, h))})
    builder.add("c", Conv(8, 7), ["image"])
    assert builder.build(["c"]).assumed == ("h ≥ 7",)
