"""Upsampling and unpooling: what they count, where they look, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import torch

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.index_map import AxisMap, Window
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.adaptive_pool import AdaptiveAvgPool
from costcalc.ops.pool import MaxPool
from costcalc.ops.resample import Upsample
from costcalc.ops.unpool import MaxUnpool


@pytest.mark.parametrize(
    ("mode", "axes", "each"),
    [
        ("nearest", 2, 0),
        ("linear", 1, 3),
        ("bilinear", 2, 7),
        ("trilinear", 3, 15),
        ("bicubic", 2, 31),
        ("zeros", 2, 0),
    ],
)
def test_a_weighted_sum_of_t_elements_counts_2t_less_1(mode: str, axes: int, each: int) -> None:
    x = TensorType((1, 3, *[4] * axes))
    op = Upsample(2, mode=mode)

    assert op.ops(x, y=op.infer(x)) == each * 3 * 8**axes


@pytest.mark.parametrize(
    ("op", "window"),
    [
        (Upsample(2), Window(Fraction(1, 2), Fraction(-1, 2), 0)),
        (Upsample(2, mode="zeros"), Window(Fraction(1, 2), 0, 0)),
        # Output 2i lies at i - 1/4, between i - 1 and i; output 2i + 1 at i + 1/4, between i and i + 1.
        (Upsample(2, mode="linear"), Window(Fraction(1, 2), -1, Fraction(1, 2))),
        # 4 places to 7: each second output hits an input, the others lie half-way between two.
        (Upsample(size=7, mode="linear", align_corners=True), Window(Fraction(1, 2), Fraction(-1, 2), Fraction(1, 2))),
        # Halving without anti-aliasing averages the middle two of each pair's neighbourhood.
        (Upsample(0.5, mode="linear"), Window(2, 0, 1)),
        (Upsample(size=1), Window(4, 0, 0)),
    ],
)
def test_where_an_output_looks(op: Op, window: Window) -> None:
    x = TensorType((1, 1, 4))
    (index_map,) = op.index_maps(x, y=op.infer(x))

    found = index_map[2]  # type: ignore[index]
    assert found._replace(sees=None) == AxisMap(2, window)
    for output in range(op.infer(x).spatial[0]) if found.sees else ():
        first, last = found.sees(output)
        assert output * window.stride + window.lo <= first <= last <= output * window.stride + window.hi


def test_a_decimal_scale_rounds_as_doubles_do() -> None:
    # 0.3 as a double lies below 3/10, but 10 times it rounds to 3.
    assert Upsample(0.3).infer(TensorType((1, 1, 10))).spatial == (3,)


def test_unpooling_puts_each_maximum_back() -> None:
    x = TensorType((1, 2, 5, 6))
    pool, unpool = MaxPool(2, indices=True), MaxUnpool(2, size=(5, 6))
    pooled = pool.infer(x)
    image = torch.randperm(60).view(x.shape).double() + 1

    values, places = pool.to_torch(x)(image)
    back = unpool.to_torch(*pooled)(values, places)

    assert tuple(back.shape) == unpool.infer(*pooled).shape == x.shape
    assert torch.equal(back, image * (back > 0))
    assert int((back > 0).sum()) == pooled[0].size


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Upsample(), "upsample needs either scale or size"),
        (lambda: Upsample(2, size=4), "upsample needs either scale or size"),
        (
            lambda: Upsample(2, mode="biliner"),
            "upsample: mode='biliner' must be one of nearest, nearest-exact, linear, ",
        ),
        (
            lambda: Upsample(2, mode="linear"),
            "mode='linear' is for 1 spatial axes; for 2 there are bicubic, bilinear, ",
        ),
        (lambda: Upsample(2, align_corners=True), "upsample: align_corners has no meaning with mode='nearest'"),
        (lambda: Upsample(1.5, mode="zeros"), "upsample: mode='zeros' needs a whole scale, not 1.5"),
        (lambda: Upsample(size=8, mode="zeros"), "upsample: mode='zeros' needs a scale, not a size"),
        (lambda: Upsample(0.1), "nothing is left of the size 4 at scale=0.1 "),
        (lambda: Upsample(0.0), "upsample: scale=0.0 must be a number above 0, or a list of one for each axis"),
    ],
)
def test_what_does_not_fit_is_said(make: Any, sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        op: Op = make()
        GraphBuilder("g", {"x": TensorType((1, 4, 4, 4))}).add(op.name, op, ["x"])

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("make", "indices", "sentence"),
    [
        (lambda: MaxUnpool(2), TensorType((1, 4, 4, 3), "int64"), "the indices must be 1×4×4×4, not 1×4×4×3 "),
        (
            lambda: MaxUnpool(2),
            TensorType((1, 4, 4, 4)),
            "the indices must be whole numbers, as max_pool(indices=True)",
        ),
        (
            lambda: MaxUnpool(2, size=10),
            TensorType((1, 4, 4, 4), "int64"),
            "size=10 must be above 6 and below 10 ",
        ),
    ],
)
def test_what_cannot_be_put_back_is_said(make: Any, indices: TensorType, sentence: str) -> None:
    values = {"x": TensorType((1, 4, 4, 4)), "indices": indices}
    with pytest.raises(CostcalcError) as caught:
        GraphBuilder("g", values).add("max_unpool", make(), list(values))

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("size", range(3, 10))
def test_unpooling_makes_the_sizes_that_pytorch_makes(size: int) -> None:
    # Of 3 windows of 2: 6, or a rest less than a stride away; torch.nn.MaxUnpool1d.
    x, indices = TensorType((1, 1, 3)), TensorType((1, 1, 3), "int64")
    taken = all(holds for holds, _ in MaxUnpool(2, size=size).requires(x, indices))
    try:
        torch.nn.MaxUnpool1d(2)(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3, dtype=torch.int64), output_size=[size])
    except ValueError:
        assert not taken
    else:
        assert taken


MAKERS: dict[str, Callable[[int], Op]] = {
    **{
        mode: lambda made, mode=mode: Upsample(size=(made, made), mode=mode)
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
    },
    "aligned corners": lambda made: Upsample(size=made, mode="bilinear", align_corners=True),
    "adaptive pooling": AdaptiveAvgPool,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_of_long_patterns_a_few_places_tell_the_window_of_all(
    make: Callable[[int], Op], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Resizing by a ratio such as 10,007/9,973 repeats its pattern after so many places that not all are looked at.
    def seen() -> list[Any]:
        found = []
        for size, made in product(range(1, 24), range(1, 24)):
            x = TensorType((1, 1, size, size))
            op = make(made)
            maps = op.index_maps(x, y=op.infer(x))
            found.append(
                [a and a._replace(sees=a.sees and tuple(map(a.sees, range(made)))) for (axes,) in [maps] for a in axes]
            )
        return found

    of_all = seen()
    monkeypatch.setattr("costcalc.ir.index_map.MOST_SAMPLED", 0)

    assert seen() == of_all
