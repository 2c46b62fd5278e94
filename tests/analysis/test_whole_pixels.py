"""Patterns of places between pixels are told in the pixels that they see, which is the same."""

from __future__ import annotations

import random
from math import ceil, floor

import costcalc
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


def seen(sizes: list[int]) -> list[set[int]]:
    """The pixels that each output of adaptive pools to ``sizes[1:]``, one after another, sees, told one by one."""
    sets = [{place} for place in range(sizes[0])]
    for size in sizes[1:]:
        many = len(sets)
        sets = [set().union(*sets[floor(o * many / size) : ceil((o + 1) * many / size)]) for o in range(size)]
    return sets


def test_pools_in_a_row_see_what_their_pixels_do() -> None:
    chance = random.Random(3)
    exact = 0
    for _ in range(300):
        sizes = [chance.randrange(20, 90)]
        for _ in range(chance.randrange(1, 6)):
            sizes.append(chance.randrange(max(sizes[-1] - 9, 3), sizes[-1] + 1))
        builder = GraphBuilder("pools", {"image": TensorType((1, 1, sizes[0]))})
        value = "image"
        for i, size in enumerate(sizes[1:]):
            (value,) = builder.add(f"pool{i}", find_op("adaptive_avg_pool")(size), [value])
        field = costcalc.analyze(builder.build([value])).layers[-1].receptive_field
        most = max(map(len, seen(sizes)))
        if isinstance(field, ReceptiveField):
            assert field.seen == (most,) or (field.bound and field.seen[0] >= most), sizes
            exact += not field.bound
        else:
            assert field == "global" and most == sizes[0]
    assert exact > 150


def test_places_in_rows_see_what_those_in_one_line_do() -> None:
    """From 82 pixels to 78 the widest bin has 3, of places that lie in two rows as well."""
    builder = GraphBuilder("rows", {"image": TensorType((1, 1, 82))})
    (pooled,) = builder.add("pool", find_op("adaptive_avg_pool")(78), ["image"])
    (rows,) = builder.add("rows", find_op("reshape")((1, 1, 2, 39)), [pooled])
    fields = [layer.receptive_field for layer in costcalc.analyze(builder.build([rows])).layers]
    assert [field.seen for field in fields if isinstance(field, ReceptiveField)] == [(3,), (3,)]
    assert max(map(len, seen([82, 78]))) == 3
