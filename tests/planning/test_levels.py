"""Traffic by what the chip can hold: counted by hand, between its bounds on every model, and the less the more room."""

from __future__ import annotations

from itertools import pairwise

import pytest

from costcalc import load, traffic
from costcalc.errors import OptionError
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.planning.levels import Kept, Level, _spared, levels
from costcalc.zoo import models


def residual() -> Graph:
    """x → conv a → conv b → sum with x → conv c, on 8×8 places of 16 channels: 4,096 bytes each, no biases."""
    builder = GraphBuilder("net", {"image": TensorType((1, 16, 8, 8))})
    conv = find_op("conv")(16, 1, bias=False)
    builder.add("a", conv, ["image"])
    builder.add("b", conv, ["a"])
    builder.add("sum", find_op("add")(), ["b", "image"])
    builder.add("c", conv, ["sum"])
    return builder.build(["c"])


def test_by_hand() -> None:
    """Maps of 4,096 bytes, kernels of 1,024; the sum is done by the kernel of b."""
    graph = residual()
    plenty = levels(graph, 2**20).at
    assert plenty is not None
    weights, map_ = 3 * 1024, 4096
    # a reads x and writes; b reads, writes; the sum reads two and writes; c reads and writes
    assert plenty.layers_bytes == weights + 9 * map_
    assert plenty.fused_bytes == weights + 2 * map_
    assert plenty.floor_bytes == 0
    # Room for one map: what a makes stays for b, written and read nowhere else; while b runs, what it makes has no room
    # beside that, and so is written, and read by c; x is read twice.
    one = levels(graph, map_).at
    assert one is not None
    assert one.floor_bytes == weights + map_ - map_  # what is read may lie there at first, what is made at last
    assert one.fused_bytes == weights + 5 * map_
    two = levels(graph, 2 * map_).at
    assert two is not None
    assert two.fused_bytes == weights + 4 * map_


def test_what_is_needed_longest_goes_first() -> None:
    kept = [Kept(8, 0, 1, ((0, 8), (1, 8))), Kept(8, 0, 3, ((3, 8),)), Kept(8, 1, 2, ((1, 8), (2, 8)))]
    assert _spared(kept, 24) == {0: 8, 1: 16, 2: 8, 3: 8}
    assert _spared(kept, 16) == {0: 8, 1: 16, 2: 8}
    assert _spared(kept, 8) == {0: 8, 1: 8}
    assert _spared(kept, 7) == {}


@pytest.mark.parametrize("name", sorted(models())[::9])
def test_each_level_is_between_its_neighbours_and_falls_with_room(name: str) -> None:
    graph = load(name)
    found = levels(graph, 100_000, 16)
    assert found.at is not None
    curve: list[Level] = sorted([*found.curve, found.at])
    for level in curve:
        assert 0 <= level.floor_bytes <= level.fused_bytes <= level.layers_bytes
    for less, more in pairwise(curve):
        assert less.floor_bytes >= more.floor_bytes
        assert less.fused_bytes >= more.fused_bytes
        assert less.layers_bytes >= more.layers_bytes
    assert found.curve[-1].floor_bytes == 0


def test_with_room_for_all_kernels_move_what_goes_in_and_out() -> None:
    found = traffic("vgg16", cache=2**36, bits=16)
    assert found.at is not None
    bare = traffic("vgg16", cache=2**10, bits=16).at
    assert bare is not None
    assert found.at.fused_bytes == bare.floor_bytes + 2**10 + min(2 * 1000, 2**10)


def test_a_cache_is_from_a_kibibyte_to_a_tebibyte() -> None:
    with pytest.raises(OptionError, match="a cache must have from 1,024 to 1,099,511,627,776 bytes, not 5"):
        traffic("alexnet", cache=5)
