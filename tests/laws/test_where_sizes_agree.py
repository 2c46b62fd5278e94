"""Rules at the places where uses in which two sizes agree do not tell them apart: stacks, steps, vectors, widths."""

from __future__ import annotations

import inspect

import pytest

from costcalc.analysis.figures import FIGURES, known_of
from costcalc.analysis.layer_costs import OpUse
from costcalc.budget.lock import graph_hash
from costcalc.errors import OptionError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.index_map import IndexMap, Regroup, Steps
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import TensorType
from tests.laws.test_index_maps import gaps, reached


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(shape, dtype)


@pytest.mark.parametrize("name", sorted(all_ops()))
def test_an_op_takes_as_many_inputs_as_its_rule_for_types(name: str) -> None:
    op = find_op(name)
    taken = [p for p in inspect.signature(op.infer).parameters.values() if p.name != "self"]
    if any(p.kind is p.VAR_POSITIONAL for p in taken):
        return
    least = sum(p.default is p.empty for p in taken)
    if op.infer is not Op.infer:
        assert op.inputs == (least, len(taken))


@pytest.mark.parametrize(
    ("use", "macs"),
    [
        ([find_op("bilinear")(4), t(2, 5, 3), t(2, 5, 6)], 2 * 5 * 4 * (3 + 1) * 6),
        ([find_op("bilinear")(4), t(2, 3), t(2, 6)], 2 * 4 * (3 + 1) * 6),
    ],
)
def test_macs_of_stacks(use: list[object], macs: int) -> None:
    op, *types = use
    assert isinstance(op, Op)
    assert op.macs(*types, y=op.infer(*types)) == macs


@pytest.mark.parametrize(
    "kernel, kind", [(1, "pointwise conv"), (3, "conv"), ((1, 1), "pointwise conv"), ((1, 3), "conv")]
)
def test_a_convolution_of_single_places_is_pointwise(kernel: object, kind: str) -> None:
    assert find_op("conv")(4, kernel).kind(t(1, 3, 8, 8)) == kind
    assert find_op("conv")(4, 1).kind(t(1, 3, 8)) == "pointwise conv"


@pytest.mark.parametrize("repeats", [(0, 2), (2, 0), (-1,), (0,)])
def test_a_tile_repeats_at_least_once_along_each_axis(repeats: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="whole numbers from 1"):
        find_op("tile")(repeats)


def test_a_rounding_takes_one_number() -> None:
    assert find_op("elementwise")("round", numbers=2)
    with pytest.raises(OptionError, match="at most 1 numbers"):
        find_op("elementwise")("round", numbers=(2, 3))


def test_two_places_written_apart_are_seen_apart() -> None:
    op = next(op for op, *_ in find_op("overwrite").examples())
    apart = type(op)(**{**dict(op.options()), "axes": 2, "starts": 1, "steps": 3})
    types = [t(1, 2, 6), t(1, 2, 2)]
    y = apart.infer(*types)
    assert isinstance(y, TensorType)
    found = [gaps(apart.index_maps(*types, y=y), masks, y.shape) for masks in reached(apart, types)]  # type: ignore[arg-type]
    assert found and [] in found


def test_patches_that_meet_along_one_axis_alone_are_no_regrouping() -> None:
    for size in ((5, 4), (4, 5)):
        op = find_op("fold")(size, 2, stride=2)
        x = t(1, 8, 4)
        y = op.infer(x)
        assert isinstance(y, TensorType)
        assert not _ends_regrouped(op.index_maps(x, y=y)[0])
    even = find_op("fold")((4, 4), 2, stride=2)
    made = even.infer(t(1, 8, 4))
    assert isinstance(made, TensorType) and _ends_regrouped(even.index_maps(t(1, 8, 4), y=made)[0])


def _ends_regrouped(index_map: IndexMap) -> bool:
    return isinstance(index_map, Steps) and isinstance(index_map.steps[-1][0], Regroup)


def test_a_width_is_that_of_floating_point_elements_alone() -> None:
    x = t(2, 3)
    use = OpUse(find_op("relu")(), (x,), x, {}, 8)
    assert use.element_bits(x) == 8
    assert use.element_bits(t(2, dtype="int64")) == 64 and use.element_bits(t(2, dtype="bool")) == 8
    assert use._replace(width=None).element_bits(x) == 32


def test_a_sum_of_what_is_not_known_is_not_known() -> None:
    traffic = FIGURES["traffic"]
    assert known_of({"read": 2, "write": 3}, traffic) == 5
    assert known_of({"read": None, "write": 3}, traffic) is None
    assert known_of({"read": 2}, traffic) is None


def _net(*frozen: str) -> Graph:
    b = GraphBuilder("net", {"x": t(1, 4, 8, 8)})
    value = "x"
    for name in ("first", "second", "third"):
        value = b.add(name, find_op("conv")(4, 1, bias=False), [value], frozen=["weight"] if name in frozen else ())[0]
    return b.build([value])


def test_a_lock_tells_which_layer_is_frozen() -> None:
    hashes = {graph_hash(_net(*frozen)) for frozen in ((), ("first",), ("second",), ("third",), ("first", "third"))}
    assert len(hashes) == 5


@pytest.mark.parametrize(("size", "kernel", "x"), [((4, 6), 2, t(1, 12, 6)), ((6, 4), (3, 2), t(1, 18, 4))])
def test_patches_side_by_side_lie_where_they_were(size: tuple[int, ...], kernel: object, x: TensorType) -> None:
    op = find_op("fold")(size, kernel, stride=kernel)
    y = op.infer(x)
    assert isinstance(y, TensorType)
    assert not any(gaps(op.index_maps(x, y=y), masks, y.shape) for masks in reached(op, [x]))  # type: ignore[arg-type]


def test_a_norm_across_channels_keeps_its_squares_padded_along_them() -> None:
    x = t(2, 7, 3, 4)
    kept = find_op("local_response_norm")(5).saves(x, y=x, trained=False, wanted=(True,))
    assert kept is not None and kept.inputs == (0,)
    assert [m.shape for m in kept.maps] == [(2, 7 + 4, 3, 4), (2, 7, 3, 4), (2, 7, 3, 4)]


def test_no_better_order_is_looked_for_among_sizes_that_are_open() -> None:
    chain = find_op("einsum")("ij,jk,kl->il")
    numbers = t(2, 30), t(30, 2), t(2, 40)
    better = chain.skippable(*numbers, y=t(2, 40))
    assert better[0] == 0 or better[1]
    rows = Expr.symbol("n")
    of_rows = TensorType((rows, 30)), t(30, 2), t(2, 40)
    assert chain.skippable(*of_rows, y=TensorType((rows, 40))) == (0, "")
