"""One formula, three kinds of dimension, one answer: ints, symbols and arrays of designs agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from uses import USES, accepts, outputs_of

from costcalc.ir.expr import Expr
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ir.values import holds, value_at

KNOWN_SIZES = {"unbind": "it has as many outputs as an axis is long"}
"""Ops that need ints, with the reason."""


def needs_sizes(op: Op) -> bool:
    """Whether ``op`` needs ints; an antialiased resize looks at each place."""
    return op.name in KNOWN_SIZES or getattr(op, "antialias", False)


FREE = pytest.mark.parametrize(("op", "types"), [use for use in USES if not needs_sizes(use.values[0])])
Sizes = dict[int, Any]  # what stands for each size of the example


def figures(op: Op, types: list[TensorType]) -> list[Any]:
    """Every number that the rules of ``op`` give for ``types``."""
    made = outputs_of(op, types)
    weights = op.weights(*types).values()
    counts = [op.macs(*types, y=made[0]), op.ops(*types, y=made[0])]
    counts += op.reads(*types, y=made[0])
    return counts + [d for t in (*made, *(w.type for w in weights)) for d in (*t.shape, t.bits(16))]


def replaced(types: list[TensorType], sizes: Sizes) -> list[TensorType]:
    """``types`` with each size as ``sizes`` has it: equal sizes stay equal, so that operands still fit."""
    return [TensorType(tuple(sizes.get(d, d) for d in t.shape), t.dtype) for t in types]


def designs(op: Op, types: list[TensorType]) -> list[Sizes]:
    """The example itself and those near it that the op accepts. Ones stay, as they may broadcast."""
    base = {d: d for t in types for d in t.shape if d != 1}
    changes = [base, *(base | {d: new} for d in base for new in (d + 1, d + 3, 2 * d))]
    return [sizes for sizes in changes if accepts(op, replaced(types, sizes))]


@FREE
def test_a_closed_form_takes_the_values_that_ints_give(op: Op, types: list[TensorType]) -> None:
    chosen = designs(op, types)
    closed = figures(op, replaced(types, {d: Expr.symbol(f"d{d}") for d in chosen[0]}))

    for sizes in chosen:
        values = {f"d{d}": size for d, size in sizes.items()}
        assert figures(op, replaced(types, sizes)) == [value_at(e, values) for e in closed], sizes


@FREE
def test_an_array_of_designs_is_each_design_in_turn(op: Op, types: list[TensorType]) -> None:
    chosen = designs(op, types)
    sweep = replaced(types, {d: np.array([sizes[d] for sizes in chosen]) for d in chosen[0]})
    one_by_one = [figures(op, replaced(types, sizes)) for sizes in chosen]

    together = [np.broadcast_to(f, len(chosen)).tolist() for f in figures(op, sweep)]

    assert together == [list(column) for column in zip(*one_by_one, strict=True)]


@FREE
def test_what_is_required_holds_of_symbols_where_it_holds_of_ints(op: Op, types: list[TensorType]) -> None:
    chosen = designs(op, types)
    conditions = list(op.requires(*replaced(types, {d: Expr.symbol(f"d{d}") for d in chosen[0]})))

    for sizes in chosen:
        values = {f"d{d}": size for d, size in sizes.items()}
        assert all(holds(c, values) for c, _ in conditions), sizes
