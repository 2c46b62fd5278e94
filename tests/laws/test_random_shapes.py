"""Views, copies and broadcasting on random shapes: PyTorch makes the same, and refuses the same."""

from __future__ import annotations

from math import prod

from against import agrees, both_accept_or_refuse, shapes, some, tensor
from hypothesis import given
from hypothesis import strategies as st

from costcalc.ops.arithmetic import Add, Divide, Multiply, Subtract
from costcalc.ops.join import Concat, Slice, Split
from costcalc.ops.move import Pad, Roll
from costcalc.ops.order import Expand, Permute, Transpose
from costcalc.ops.reduction import Mean, Sum
from costcalc.ops.shape import Flatten, Reshape, Squeeze, Unsqueeze

axes = st.integers(-5, 4)
few = shapes(1, 4, st.integers(1, 3))


@some
@given(shapes(), st.data())
def test_reshape_to_any_factors_with_one_left_open(shape: list[int], data: st.DataObject) -> None:
    wanted = data.draw(st.permutations(shape))
    cut = data.draw(st.integers(0, len(wanted)))
    wanted = [*wanted[:cut], prod(wanted[cut:])]
    if data.draw(st.booleans()):
        wanted[data.draw(st.integers(0, len(wanted) - 1))] = -1

    agrees(Reshape(wanted, keep_batch=False), tensor(*shape))
    agrees(Reshape(wanted), tensor(7, *shape))


@some
@given(shapes(), st.lists(st.sampled_from([-1, 1, 2, 3, 4, 6]), max_size=4))
def test_reshape_takes_what_pytorch_takes(shape: list[int], wanted: list[int]) -> None:
    if wanted.count(-1) < 2:
        both_accept_or_refuse(Reshape(wanted, keep_batch=False), tensor(*shape))


@some
@given(shapes(), st.data())
def test_permute(shape: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))

    agrees(Permute([a - len(shape) if data.draw(st.booleans()) else a for a in order]), tensor(*shape))


@some
@given(shapes(), axes, axes)
def test_transpose_flatten_and_unsqueeze(shape: list[int], a: int, b: int) -> None:
    both_accept_or_refuse(Transpose(a, b), tensor(*shape))
    both_accept_or_refuse(Flatten(a, b), tensor(*shape))
    both_accept_or_refuse(Unsqueeze(a), tensor(*shape))


@some
@given(shapes(1, 5, st.integers(1, 2)))
def test_squeeze_of_every_axis_of_size_one(shape: list[int]) -> None:
    agrees(Squeeze([axis for axis, size in enumerate(shape) if size == 1]), tensor(*shape))


@some
@given(few, st.lists(st.sampled_from([-1, 1, 2, 3]), max_size=5))
def test_expand(shape: list[int], wanted: list[int]) -> None:
    both_accept_or_refuse(Expand(wanted), tensor(*shape))


@some
@given(shapes(), axes, st.data())
def test_slice(shape: list[int], axis: int, data: st.DataObject) -> None:
    axis %= len(shape)
    start = data.draw(st.integers(0, shape[axis] - 1))
    stop = data.draw(st.integers(start + 1, shape[axis]))
    from_end = data.draw(st.booleans())

    agrees(Slice(axis, start - shape[axis] if from_end else start, stop, data.draw(st.integers(1, 3))), tensor(*shape))


@some
@given(shapes(1, 4), st.data())
def test_split_and_concat_undo_each_other(rest: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(rest)))
    parts = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    pieces = [tensor(*rest[:axis], part, *rest[axis:]) for part in parts]
    whole = Concat(axis).infer(*pieces)

    agrees(Concat(axis), *pieces)
    agrees(Split(parts, axis), whole)
    assert Split(parts, axis).infer(whole) == tuple(pieces)
    if len(set(parts)) == 1:
        assert Split(len(parts), axis).infer(whole) == tuple(pieces)


@some
@given(few, few, st.integers(-4, 3))
def test_concat_takes_what_pytorch_takes(a: list[int], b: list[int], axis: int) -> None:
    both_accept_or_refuse(Concat(axis), tensor(*a), tensor(*b))


@some
@given(shapes(3, 5), st.data(), st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
def test_pad(shape: list[int], data: st.DataObject, mode: str) -> None:
    amounts = data.draw(st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=len(shape) - 2, max_size=len(shape) - 2))

    both_accept_or_refuse(Pad(amounts, mode), tensor(*shape))


@some
@given(shapes(), st.integers(-9, 9), axes)
def test_roll(shape: list[int], shift: int, axis: int) -> None:
    both_accept_or_refuse(Roll(shift, axis), tensor(*shape))


@some
@given(shapes(), st.sets(st.integers(0, 4), min_size=1), st.booleans(), st.sampled_from([Sum, Mean]))
def test_reductions(shape: list[int], gone: set[int], keepdim: bool, reduction: type[Sum] | type[Mean]) -> None:
    both_accept_or_refuse(reduction(sorted(gone), keepdim), tensor(*shape))


@some
@given(st.lists(few, min_size=2, max_size=2), st.sampled_from([Add, Multiply, Subtract, Divide]))
def test_arithmetic_stretches_as_pytorch_does(shapes: list[list[int]], op: type[Add]) -> None:
    both_accept_or_refuse(op(), *(tensor(*shape) for shape in shapes))
