"""Figures of whole reports and runs of axes, worked out by hand."""

from __future__ import annotations

import pytest

from costcalc.analysis.axis_factors import aligned
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.report import report
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def of(name: str, shape: tuple[int, ...], *args: object, **options: object) -> Graph:
    builder = GraphBuilder("net", {"x": TensorType(shape)})
    made = builder.add(name, find_op(name)(*args, **options), ["x"] * (3 if "attention" in name else 1))
    return builder.build([*made])


@pytest.mark.parametrize(("kernel", "least"), [((3, 5), 3), ((5, 3), 3), ((7, 7), 7)])
def test_the_receptive_field_of_a_model_is_that_of_its_shorter_axis(kernel: tuple[int, int], least: int) -> None:
    graph = of("conv", (1, 3, 32, 32), 8, kernel)
    assert FIGURES["receptive_field"].whole(report(graph)) == least


def test_macs_that_a_causal_mask_hides_are_told_with_all_digits() -> None:
    # 50 queries and keys: Σ 0 … 49 = 1,225 scores are hidden, times 4 + 4 for both products, in 2 heads.
    graph = of("scaled_dot_product_attention", (2, 50, 4), causal=True)
    assert report(graph).notes == ("19,600 of the MACs are of scores that a causal mask hides, and need not be done",)


@pytest.mark.parametrize(
    ("x", "y", "runs"),
    [
        ((2, 1), (2,), [(range(2), range(1))]),  # what is left over of size 1 belongs to the last run
        ((2,), (2, 1), [(range(1), range(2))]),
        ((2, 3), (2, 3), [(range(1), range(1)), (range(1, 2), range(1, 2))]),
        ((4, 3), (2, 2, 3), [(range(1), range(2)), (range(1, 2), range(2, 3))]),
    ],
)
def test_runs_of_axes_that_hold_as_many_elements(
    x: tuple[int, ...], y: tuple[int, ...], runs: list[tuple[range, range]]
) -> None:
    assert aligned(x, y) == runs
