"""Pooling: where the last window starts, what the border counts for, and what adaptive bins hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from costcalc.errors import CostcalcError
from costcalc.ir.expr import Expr
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool, GlobalMaxPool
from costcalc.ops.pool import AvgPool, MaxPool


@pytest.mark.parametrize(
    ("size", "options", "places"),
    [
        (4, {"kernel": 2}, 2),
        (112, {"kernel": 3, "stride": 2, "padding": 1}, 56),  # ResNet's
        (55, {"kernel": 3, "stride": 2}, 27),  # AlexNet's, overlapping
        (54, {"kernel": 3, "stride": 2}, 26),
        (54, {"kernel": 3, "stride": 2, "ceil_mode": True}, 27),
        (3, {"kernel": 1, "stride": 4, "ceil_mode": True}, 1),  # a second window would start past the input
        (4, {"kernel": 2, "stride": 3, "padding": 1, "ceil_mode": True}, 2),  # a third would start in the padding
        (5, {"kernel": 2, "stride": 3, "padding": 1, "ceil_mode": True}, 2),
        (2, {"kernel": 3, "stride": 2, "ceil_mode": True}, 1),  # the one window is larger than the input
        (7, {"kernel": 3, "dilation": 2}, 1),
        (5, {"kernel": 2, "stride": 2, "padding": "same"}, 3),
    ],
)
def test_the_number_of_places(size: int, options: dict[str, Any], places: int) -> None:
    x = TensorType((1, 1, size))
    op = MaxPool(**options)

    assert op.places(x).spatial == (places,)
    assert op.to_torch(x)(torch.zeros(1, 1, size)).shape == (1, 1, places)


def naive_mean(x: Any, kernel: int, stride: int, before: int, after: int, places: int, count_pad: bool) -> list[float]:
    """The mean of each window over what lies in the input or, if that counts, in the padding."""
    means = []
    for o in range(places):
        taps = range(o * stride - before, o * stride - before + kernel)
        inside = [float(x[i]) for i in taps if 0 <= i < len(x)]
        counted = sum(-before <= i < len(x) + after for i in taps) if count_pad else len(inside)
        means.append(sum(inside) / counted)
    return means


@pytest.mark.parametrize("count_pad", [True, False])
@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 1), (1, 0)])
@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_means_leave_out_what_does_not_count(
    size: int, padding: tuple[int, int], ceil_mode: bool, count_pad: bool
) -> None:
    x = torch.arange(1.0, size + 1).double()
    op = AvgPool(3, 2, padding=(padding,), ceil_mode=ceil_mode, count_include_pad=count_pad)
    kind = TensorType((1, 1, size))

    y = op.to_torch(kind).double()(x.view(1, 1, -1)).flatten().tolist()

    assert y == pytest.approx(naive_mean(x, 3, 2, *padding, op.infer(kind).spatial[0], count_pad))


@pytest.mark.parametrize("padding", [((0, 1), (1, 0)), "same"])
@pytest.mark.parametrize("ceil_mode", [True, False])
def test_padding_on_one_side_never_wins_a_maximum(padding: Any, ceil_mode: bool) -> None:
    kind = TensorType((1, 1, 5, 6))
    op = MaxPool(2, 2, padding=padding, ceil_mode=ceil_mode)

    y = op.to_torch(kind)(-torch.ones(kind.shape))

    assert tuple(y.shape) == op.places(kind).shape
    assert torch.equal(y, -torch.ones(y.shape))


def test_comparisons_and_sums_per_place() -> None:
    x = TensorType((2, 3, 8, 8))

    assert MaxPool(3, 2).ops(x, y=MaxPool(3, 2).places(x)) == 2 * 3 * 9 * 8
    assert AvgPool(2).ops(x, y=AvgPool(2).infer(x)) == 2 * 3 * 16 * 4
    assert GlobalAvgPool().ops(x, y=GlobalAvgPool().infer(x)) == 2 * 3 * 64
    assert GlobalMaxPool().ops(x, y=GlobalMaxPool().infer(x)) == 2 * 3 * 63


def test_adaptive_bins_hold_what_their_bounds_say() -> None:
    for n in range(1, 25):
        for m in range(1, 25):
            held = sum(-((-(o + 1) * n) // m) - o * n // m for o in range(m))
            x = TensorType((1, 2, n))
            assert AdaptiveAvgPool(m).ops(x, y=AdaptiveAvgPool(m).infer(x)) == 2 * held
            assert AdaptiveMaxPool(m).ops(x, y=AdaptiveMaxPool(m).infer(x)) == 2 * held - 2 * m


def test_adaptive_work_has_a_closed_form() -> None:
    x = TensorType((1, 1, Expr.symbol("h")))

    assert str(AdaptiveAvgPool(3).ops(x, y=AdaptiveAvgPool(3).infer(x))) == "h - 2·[3 | h] + 2"


def test_pooling_to_one_is_global() -> None:
    x = TensorType((1, 4, 7, 7))
    one, whole = AdaptiveAvgPool(1), GlobalAvgPool()

    assert one.infer(x) == whole.infer(x)
    assert one.ops(x, y=one.infer(x)) == whole.ops(x, y=whole.infer(x))
    assert one.index_maps(x, y=one.infer(x)) == whole.index_maps(x, y=whole.infer(x))
    assert GlobalAvgPool(keepdim=False).infer(x).shape == (1, 4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MaxPool(2, padding=2), "padding=2 must be at most half of the kernel of 2 "),
        (lambda: MaxPool(5), "the window spans 5, the padded input only 4 "),
        (lambda: MaxPool((2, 2, 2)), "max_pool: an option is given for 3 axes, but the input has 2 spatial axes "),
        (lambda: MaxPool(2, padding="same", indices=True), "max_pool: with indices, padding must be a number"),
        (lambda: AdaptiveAvgPool(Expr.symbol("s")), "adaptive_avg_pool: size=s must be known, not a symbol"),
    ],
)
def test_what_does_not_fit_is_said(make: Any, sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        op: Op = make()
        GraphBuilder("g", {"x": TensorType((1, 4, 4, 4))}).add(op.name, op, ["x"])

    assert str(caught.value).startswith(sentence)
