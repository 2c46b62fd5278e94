"""What predictions, targets and weights of a loss must be."""

from __future__ import annotations

import pytest

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.index_map import AxisMap
from costcalc.ir.tensor import TensorType
from costcalc.ops.loss import Loss


@pytest.mark.parametrize(
    ("function", "shapes", "sentence"),
    [
        ("nll_loss", [(2, 5, 4), (2, 5, 4)], "nll_loss takes a class for each place of 2×5×4, not 2×5×4"),
        ("nll_loss", [(2, 5, 4), (2, 3)], "nll_loss takes a class for each place of 2×5×4, not 2×3"),
        ("nll_loss", [(2, 5), (2,), (4,)], "nll_loss takes a weight for each of 5 classes, not 4"),
        ("nll_loss", [(2, 5), (2,), (2, 5)], "nll_loss takes a weight for each class, not 2×5"),
        ("mse_loss", [(2, 5), (2, 4)], "axis 1 of the inputs is 5 and 4"),
    ],
)
def test_what_does_not_fit_is_said(function: str, shapes: list[tuple[int, ...]], sentence: str) -> None:
    inputs = {f"x{i}": TensorType(shape) for i, shape in enumerate(shapes)}
    with pytest.raises(CostcalcError) as caught:
        GraphBuilder("g", inputs).add("loss", Loss(function), list(inputs))

    assert sentence in str(caught.value)


def test_a_weight_for_each_class_costs_a_product_for_each_target() -> None:
    # -w·log p of 2·4 targets, added up and divided: 8·(1 + 1) + 8
    inputs = {"x": TensorType((2, 5, 4)), "t": TensorType((2, 4), "int64"), "w": TensorType((5,))}
    loss, types = Loss("nll_loss"), list(inputs.values())

    assert loss.ops(*types, y=loss.infer(*types)) == 24


def test_each_loss_sees_its_own_place_and_of_classes_all() -> None:
    x, target, weight = TensorType((2, 5, 4, 3)), TensorType((2, 4, 3), "int64"), TensorType((5,))
    loss = Loss("nll_loss", "none")
    y = loss.infer(x, target, weight)

    assert y == TensorType((2, 4, 3))
    assert loss.index_maps(x, target, weight, y=y) == (
        (AxisMap(0), AxisMap(2), AxisMap(3)),  # the classes are the axis that no output follows
        (AxisMap(0), AxisMap(1), AxisMap(2)),
        (None, None, None),
    )


def test_each_squared_error_sees_its_own_place() -> None:
    x, target = TensorType((2, 3)), TensorType((3,))
    loss = Loss("mse_loss", "none")

    assert loss.index_maps(x, target, y=loss.infer(x, target)) == ((AxisMap(0), AxisMap(1)), (None, AxisMap(0)))


def test_a_mean_sees_everything() -> None:
    x, target = TensorType((2, 3)), TensorType((2, 3))
    loss = Loss("mse_loss")

    assert loss.index_maps(x, target, y=loss.infer(x, target)) == ((), ())
