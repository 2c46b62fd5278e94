"""Explanations run the rules on numbers that remember how they were made: these stay out of what is kept of others."""

from __future__ import annotations

import gc
from functools import lru_cache
from typing import Any

import pytest
from uses import USES

from costcalc.analysis.explain import explain
from costcalc.analysis.report import report
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.memo import forget
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ir.traced_int import TracedInt

CACHES = [
    found
    for found in gc.get_objects()
    if type(found) is type(lru_cache(lambda: None)) and found.__module__.startswith(("costcalc.ops", "costcalc.ir"))
]


def forget_all() -> None:
    forget()
    for cache in CACHES:
        cache.cache_clear()


def layer_of(op: Op, types: list[TensorType]) -> Graph:
    builder = GraphBuilder("one", {f"x{i}": t for i, t in enumerate(types)})
    made = builder.add("layer", op, list(builder.inputs))
    return builder.build(made)


def is_traced(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(is_traced, value))
    return type(value) is TracedInt


def test_the_caches_are_found() -> None:
    assert {cache.__name__ for cache in CACHES} >= {"_touched", "terms", "read", "spans"}


@pytest.mark.parametrize(("op", "types"), USES)
def test_an_explanation_is_the_same_whatever_was_worked_out_before(op: Op, types: list[TensorType]) -> None:
    graph = layer_of(op, types)
    numbers = report(graph)
    forget_all()
    first = explain(graph, numbers, "layer")
    forget()
    (layer,) = report(layer_of(op, types)).layers
    assert not is_traced([*layer.amounts.values()]) and not is_traced(layer.output_shapes)
    forget_all()
    report(graph)
    again = explain(graph, numbers, "layer")
    assert (again.lines, again.letters) == (first.lines, first.letters)
