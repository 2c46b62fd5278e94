"""Rules of ops at their ends: values by hand, or by walking over all places."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from costcalc.errors import CostcalcError, OptionError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.index_map import AxisMap
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv_transpose import _Taps
from costcalc.ops.move import _nearest
from costcalc.ops.resample import _hits


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(shape, dtype)


@pytest.mark.parametrize("name", ["inverse", "determinant", "cholesky", "eigh"])
@pytest.mark.parametrize("shape, said", [((2, 3), "takes square matrices"), ((3,), "takes matrices"), ((3, 3), "")])
def test_ops_of_square_matrices_take_no_others(name: str, shape: tuple[int, ...], said: str) -> None:
    builder = GraphBuilder("net", {"x": t(*shape)})
    if not said:
        builder.add("y", find_op(name)(), ["x"])
        return
    with pytest.raises(CostcalcError, match=said):
        builder.add("y", find_op(name)(), ["x"])


@pytest.mark.parametrize("options", [{"over": True}, {"combines": "prod"}, {"combines": "prod", "over": True}])
def test_how_elements_are_added_needs_elements_that_are_added(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="say adds too"):
        find_op("scatter")(**options)
    assert find_op("scatter")(adds=True, **options)


@pytest.mark.parametrize("starts, n, within", [(1, 2, (1, 4)), (0, 1, (0, 0)), (2, 3, (2, 8))])
def test_a_part_is_written_from_its_first_place_to_its_last(starts: int, n: int, within: tuple[int, int]) -> None:
    op = find_op("overwrite")(axes=2, starts=starts, steps=3)
    types = t(1, 2, 9), t(1, 2, n)
    _, part = op.index_maps(*types, y=op.infer(*types))
    assert isinstance(part, tuple)
    entry = part[2]
    assert isinstance(entry, AxisMap) and entry.within == within


def test_taps_of_a_transposed_convolution_are_those_that_fall_on_a_place() -> None:
    """By walking: output o gets a tap k of input i where i·stride + k·dilation − padding is o."""
    met = set()
    for stride in range(1, 5):
        for dilation in range(1, 4):
            for kernel in range(1, 4):
                for padding in range(3):
                    taps = _Taps(stride, dilation, padding, dilation * (kernel - 1))
                    for output in range(12):
                        inputs = [
                            i
                            for i in range(-12, 20)
                            for k in range(kernel)
                            if i * stride + k * dilation - padding == output
                        ]
                        assert taps.of(output) == ((min(inputs), max(inputs)) if inputs else None)
                        met.add(bool(inputs))
    assert met == {True, False}


def test_centres_that_are_whole_places() -> None:
    """By walking: output o looks at (2o + 1)·down/2up − ½."""
    for up in range(1, 7):
        for down in range(1, 7):
            for made in range(9):
                centres = [Fraction((2 * o + 1) * down, 2 * up) - Fraction(1, 2) for o in range(made)]
                assert _hits(made, up, down) == sum(c.denominator == 1 for c in centres), (made, up, down)


def test_replicated_padding_is_the_nearest_place() -> None:
    assert [_nearest(2, 3)(o) for o in range(7)] == [(i, i) for i in (0, 0, 0, 1, 2, 2, 2)]


@pytest.mark.parametrize("function, kept", [("nll_loss", 1), ("mse_loss", 0)])
def test_a_loss_of_classes_keeps_the_sum_of_their_weights(function: str, kept: int) -> None:
    op = find_op("loss")(function)
    types = (t(4, 3), t(4, dtype="int64")) if kept else (t(4, 3), t(4, 3))
    saves = op.saves(*types, y=op.infer(*types), trained=True, wanted=(True, False))
    assert saves is not None and saves.maps == (t(),) * kept


def test_peepholes_look_from_the_cell_to_the_gates() -> None:
    op = find_op("split_lstm")(5, peephole=True)
    names = {name for name in op.weights(t(1, 4, 3)) if name.startswith("cell_to_")}
    assert names == {"cell_to_input_weights", "cell_to_forget_weights", "cell_to_output_weights"}


@pytest.mark.parametrize(
    "equation, types, parts",
    [
        ("ij,jk->ik", (t(2, 3), t(3, 4)), [""]),
        ("ij,jk,kl->il", (t(2, 3), t(3, 4), t(4, 5)), ["product_0", "product_1"]),
    ],
)
def test_products_of_one_sum_are_told_apart_where_there_are_several(
    equation: str, types: tuple[TensorType, ...], parts: list[str]
) -> None:
    op: Op = find_op("einsum")(equation)
    assert [nest.part for nest in op.nests(*types, y=op.infer(*types))] == parts
