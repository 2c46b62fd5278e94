"""What is special about views, joins and reductions."""

from __future__ import annotations

from typing import Any

import pytest

from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops import ALIASES


def made(name: str, *options: Any, of: tuple[Any, ...], **named: Any) -> Any:
    """The shape, or shapes, that the op called ``name`` makes of shape ``of``; through a builder, which checks."""
    builder = GraphBuilder("g", {"x": TensorType(of)})
    outputs = builder.add("layer", find_op(name)(*options, **named), ["x"])
    shapes = tuple(builder.types[v].shape for v in outputs)
    return shapes[0] if len(shapes) == 1 else shapes


def test_a_map_is_cut_into_windows_and_put_back() -> None:
    # Swin-T's first stage: 56×56 places of 96 channels, windows of 7×7 (Liu et al. 2021, figure 3).
    cut = made("reshape", (8, 7, 8, 7, 96), of=(2, 56, 56, 96))
    windows = made("permute", (0, 1, 3, 2, 4, 5), of=cut)
    assert made("reshape", (-1, 49, 96), of=windows, keep_batch=False) == (2 * 64, 49, 96)

    back = made("permute", (0, 1, 3, 2, 4, 5), of=windows)
    assert made("reshape", (56, 56, 96), of=back) == (2, 56, 56, 96)


def test_a_size_left_open_stays_open_for_symbols() -> None:
    n, h = Expr.symbol("n"), Expr.symbol("h")

    assert made("reshape", (3, -1), of=(n, 6, h)) == (n, 3, 2 * h)
    assert made("flatten", of=(n, 6, h, h)) == (n, 6 * h * h)


def test_a_slice_counts_from_either_end() -> None:
    assert made("slice", 1, -3, of=(1, 10)) == (1, 3)
    assert made("slice", 1, 2, -1, of=(1, 10), step=2) == (1, 4)  # 2, 4, 6, 8
    assert made("slice", -1, step=2, of=(1, 7)) == (1, 4)


def test_a_split_makes_equal_parts_or_given_ones() -> None:
    assert made("split", 3, of=(2, 9, 4)) == ((2, 3, 4),) * 3
    assert made("split", (1, 8), of=(2, 9, 4)) == ((2, 1, 4), (2, 8, 4))
    assert made("split", 1, of=(2, 9, 4)) == (2, 9, 4)


def test_padding_of_channels_as_in_the_shortcuts_without_weights() -> None:
    # Option A of He et al. 2015, section 4.2: 16 channels become 32, half of the zeros before and half after.
    assert made("pad", ((8, 8),), axes=1, of=(1, 16, 16, 16)) == (1, 32, 16, 16)


def test_sum_and_mean_do_one_operation_for_each_addition_and_division() -> None:
    x = TensorType((2, 3, 4))
    for name, ops in (("sum", 24 - 6), ("mean", 24)):
        op = find_op(name)(-1)
        assert op.ops(x, y=op.infer(x)) == ops


def test_views_read_and_write_nothing_and_copies_do() -> None:
    names = all_ops()
    views = {name for name in names if names[name].is_view}

    assert views >= {"reshape", "permute", "transpose", "flatten", "squeeze", "unsqueeze", "expand", "slice", "split"}
    assert views >= {"identity", "dropout", "stochastic_depth"}
    assert not views & {"concat", "pad", "roll", "channel_shuffle", "shift"}


def test_aliases_are_names_of_ops_and_no_op_is_called_so() -> None:
    assert set(ALIASES.values()) <= all_ops().keys()
    assert not ALIASES.keys() & all_ops().keys()
    assert find_op("h_swish") is find_op("hardswish")


@pytest.mark.parametrize(
    ("name", "options", "of", "sentence"),
    [
        ("reshape", [(5, -1)], (2, 12), "12 elements do not divide into 5×-1"),
        ("reshape", [(5, 2)], (2, 12), "5×2 has 10 elements, the input 12"),
        ("permute", [(0, 1)], (2, 3, 4), "permute lists 2 axes, the input has 3"),
        ("permute", [(0, 1, 1)], (2, 3, 4), "an axis is named twice"),
        ("transpose", [1, 3], (2, 3, 4), "axis 3 does not exist; the input has axes 0 to 2"),
        ("flatten", [2, 1], (2, 3, 4), "axis start=2 comes after axis end=1"),
        ("squeeze", [1], (2, 3), "axis 1 has size 3, not 1"),
        ("unsqueeze", [4], (2, 3), "axis 4 does not exist in an output of 3 axes"),
        ("expand", [(4, 3)], (2, 3), "axis 0 has size 2 and cannot become 4; only 1 can"),
        ("expand", [(-1, 2, 3)], (2, 3), "-1 keeps a size, and a new axis has none"),
        ("expand", [(3,)], (2, 3), "expand lists 1 axes, the input has 2"),
        ("slice", [1, 4], (2, 3), r"slice\(1, 4, None\) takes nothing of axis 1 of size 3"),
        ("slice", [1, 0, 5], (2, 3), r"slice\(1, 0, 5\) ends after axis 1 of size 3"),
        ("slice", [1, -5], (2, 3), r"slice\(1, -5, None\) starts before axis 1 of size 3"),
        ("split", [2], (2, 3), "2 parts do not divide axis 1 of size 3"),
        ("split", [(1, 1)], (2, 3), "the parts are 2 together, axis 1 has size 3"),
        ("pad", [1], (2, 3), "or names its axes; the input has 2 axes"),
        ("pad", [(1, 2)], (1, 2, 3), "amount is given for 2 axes, but there are 1 to pad"),
        ("pad", [3, "reflect"], (1, 2, 3), "mode='reflect' adds at most 2 along axis 2, not 3"),
        ("roll", [(1, 2), 1], (2, 3), "2 shifts for 1 axes"),
        ("mean", [3], (2, 3), "axis 3 does not exist"),
        ("glu", [1], (2, 3), "halves axis 1, whose size 3 is odd"),
        ("softmax", [2], (2, 3), "softmax: axis 2 does not exist"),
        ("class_token", [], (2, 3), r"takes \(batch, length, width\), not 2 axes"),
        ("linear", [4], (), "at least one axis, not a scalar"),
    ],
)
def test_what_does_not_fit_is_said(name: str, options: list[Any], of: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(CostcalcError, match=sentence):
        made(name, *options, of=of)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("reshape", [(-1, -1)], "only one size can be -1"),
        ("reshape", [(0, 4)], "no size can be 0"),
        ("expand", [(0,)], "no size can be 0"),
        ("split", [10**9], "1000000000 parts are more than the 4096"),
        ("split", [0], "must be a number of equal parts, or a list of sizes"),
        ("pad", ["same"], r"amount='same' must be a whole number from 0, a list of one or a \[before, after\] pair"),
        ("conv", [4, 3, 1, "full"], r"a \[before, after\] pair for each axis, 'same' or 'valid'"),
        ("pad", [1, "mirror"], "must be one of zeros, reflect, replicate, circular"),
        ("pad", [1, "reflect", 1], "mode='reflect' is for the spatial axes"),
        ("gelu", ["erf"], "approximate='erf' must be one of none, tanh"),
        ("elementwise", ["sqrrt"], r"function='sqrrt' is not one of the \d+ that exist \(did you mean 'sqrt'\?\)"),
        ("elementwise", [3], r"function=3 is not one of"),
        ("reduction", ["sum", 1, False, "float31"], "dtype='float31' must be an element type: float64, float32"),
        ("embedding", [10, 4, "banana"], "dtype='banana' must be an element type"),
        ("uncounted", ["other::op", [(1,)], ["banana"]], "must be a list of element types"),
        ("slice", [1, 0, None, 0], "step=0 must be a whole number from 1"),
    ],
)
def test_options_that_no_input_would_fit_are_refused(name: str, options: list[Any], sentence: str) -> None:
    with pytest.raises(CostcalcError, match=sentence):
        find_op(name)(*options)


@pytest.mark.parametrize(
    ("name", "shapes", "sentence"),
    [
        ("add", [(1, 64, 56, 56), (1, 256, 56, 56)], "axis 1 of the inputs is 64 and 256; the sizes must be equal"),
        ("concat", [(1, 3, 8, 8), (1, 3, 7, 8)], "concat along axis 1: axis 2 is 8 and 7; it must agree"),
        ("concat", [(1, 3, 8), (1, 3)], "the inputs differ in their number of axes"),
        ("matmul", [(3, 4), (5, 4)], "the last axis of the left input is 4, the axis that it meets is 5"),
        ("matmul", [(2, 3, 4), (3, 4, 5)], "axis 0 of the stacks is 2 and 3"),
        ("matmul", [(), (3,)], "vectors, matrices or stacks of matrices, not scalars"),
    ],
)
def test_inputs_that_do_not_meet_are_refused(name: str, shapes: list[tuple[int, ...]], sentence: str) -> None:
    inputs = {f"x{i}": TensorType(shape) for i, shape in enumerate(shapes)}
    with pytest.raises(CostcalcError, match=sentence):
        GraphBuilder("g", inputs).add("join", find_op(name)(), inputs)
