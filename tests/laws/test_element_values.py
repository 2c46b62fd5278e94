"""What ops make of elements that are known: as PyTorch makes it, on random elements of each element type."""

from __future__ import annotations

import random

import pytest
import torch

from costcalc.analysis.masks import moved
from costcalc.ir.op import Op, all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops.element_values import OF_ONE, OF_TWO, held

MOVERS = [
    (name, n, example)
    for name, op in sorted(all_ops().items())
    if op.only_moves
    for n, example in enumerate(op.examples())
]
DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")
NO_BITS = {"bitwise_not", "bitwise_and", "bitwise_or"}


def drawn(chance: random.Random, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    n = torch.Size(shape).numel()
    values = [chance.choice((0, 1, 2, 3, 100, 0.1, -0.3, -1, -7, 255, 1 / 3)) for _ in range(n)]
    return torch.tensor([held(v, dtype) for v in values], dtype=getattr(torch, dtype)).reshape(shape)


def typed(tensor: torch.Tensor) -> TensorType:
    return TensorType(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def check(op: Op, *tensors: torch.Tensor) -> bool:
    """Whether ``op`` says what it makes of ``tensors``, which is then what PyTorch makes; refused by PyTorch, it may
    say anything.
    """
    types = [typed(t) for t in tensors]
    y = op.infer(*types)
    assert isinstance(y, TensorType)
    told = op.evaluate(tuple(t.flatten().tolist() for t in tensors), *types, y=y)
    try:
        wanted = op.to_torch(*types)(*tensors)
    except (RuntimeError, NotImplementedError, ZeroDivisionError):
        return False
    if told is None:
        return False
    assert [*told] == wanted.flatten().tolist(), (op, types)
    return True


@pytest.mark.parametrize("name, n, example", MOVERS, ids=[f"{name}-{n}" for name, n, _ in MOVERS])
def test_what_only_moves_elements_makes_what_its_index_maps_say(name: str, n: int, example: tuple[object, ...]) -> None:
    op, x = example
    assert isinstance(op, Op) and isinstance(x, TensorType) and isinstance(x.size, int)
    values = torch.arange(x.size).reshape(x.shape)  # type: ignore[arg-type]
    made = op.to_torch(x).eval()(values)
    outputs = op.infer(x)
    single = isinstance(outputs, TensorType)
    for index, y in enumerate((outputs,) if isinstance(outputs, TensorType) else outputs):
        told = moved(op, index, range(x.size), x, y)
        wanted = made if single else made[index]
        assert told is not None
        assert [*told] == wanted.flatten().tolist()


def test_which_ops_only_move_elements() -> None:
    names = {name for name, _, _ in MOVERS}
    assert {"reshape", "flatten", "permute", "transpose", "expand", "slice", "select", "flip", "take", "roll"} <= names
    assert {"split", "unbind", "diagonal", "windows", "identity", "dropout", "squeeze", "unsqueeze"} <= names


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", sorted(OF_ONE.keys() | OF_TWO.keys()))
def test_functions_of_elements(function: str, dtype: str) -> None:
    chance = random.Random(f"{function} {dtype}")
    known = 0
    for _ in range(6):
        a, b = drawn(chance, (2, 3), dtype), drawn(chance, (3,), dtype)
        if function in ("remainder", "floor_divide"):
            b[b == 0] = 1
        if function in ("add", "subtract", "multiply"):
            known += check(find_op(function)(), a, b)
        elif function in OF_ONE:
            known += check(find_op("elementwise")(function), a)
        elif function != "rsub":
            known += check(find_op("elementwise")(function), a, b)
        if function in OF_TWO and "logical" not in function and function not in ("maximum", "minimum"):
            number = chance.choice((1, 2, 3)) if dtype != "bool" or function in NO_BITS else True
            for first in (False, True):
                try:
                    op = find_op("elementwise")(function, numbers=number, numbers_first=first)
                    op.to_torch(typed(a))(a)
                except Exception:
                    continue
                known += check(op, a)
    floating = dtype.startswith("float")
    refused = (floating and function in NO_BITS) or (dtype == "bool" and function in ("neg", "subtract", "rsub", "abs"))
    refused = refused or (dtype == "bool" and function in ("remainder", "floor_divide"))
    assert known >= 4 or refused


def test_numbers_of_a_kind_of_their_own_widen_whole_ones() -> None:
    x = torch.arange(6)
    half = find_op("elementwise")("lt", numbers=2.5)
    assert half.evaluate((x.tolist(),), typed(x), y=typed(x < 2.5)) == (x < 2.5).tolist()
    truths = torch.tensor([True, False])
    plus = find_op("elementwise")("eq", numbers=2)
    assert plus.evaluate((truths.tolist(),), typed(truths), y=typed(truths)) == [False, False]


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("diagonal", [-2, 0, 1])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3)])
def test_triangles_of_elements(shape: tuple[int, ...], diagonal: int, upper: bool) -> None:
    assert check(find_op("triangle")(upper, diagonal), torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape))


def test_constants_have_their_elements() -> None:
    assert check(find_op("constant")((2, 2), "int64", value=(1, 0, -3, 7)))
    assert check(find_op("constant")((2, 3), "float32", value=2))
    assert find_op("constant")((2,), random=True).evaluate((), y=TensorType((2,))) is None


def test_which_of_the_inputs_is_the_mask() -> None:
    function = find_op("elementwise")
    fill, where = function("masked_fill", numbers=0), function("where", numbers=0)
    other = function("where", numbers=0, numbers_first=True)
    leaves = {
        op: [(keeps := op.leaves(at)) and [keeps(True), keeps(False)] for at in (0, 1)] for op in (fill, where, other)
    }
    assert leaves == {fill: [None, [False, True]], where: [[True, False], None], other: [[False, True], None]}
    assert find_op("multiply")().leaves(1)(0.5)  # type: ignore[misc]
    assert find_op("add")().leaves(0) is None
