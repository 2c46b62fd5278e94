"""Packings hold what they say: by an independent checker, by exhaustive search, and on sets cut from a full block."""

from __future__ import annotations

import csv
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

import costcalc
from costcalc.errors import CostcalcError
from costcalc.packing.check import faults
from costcalc.packing.greedy import greedy_by_size, neighbours, place
from costcalc.packing.problem import sections
from costcalc.packing.read import from_csv
from costcalc.packing.records import Buffer, Packed, Packing

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "packing"


def some(random: Random, count: int, steps: int, most: int) -> list[Buffer]:
    """Tensors at random."""
    found = []
    for i in range(count):
        first = random.randrange(steps)
        last = random.randint(first, min(steps, first + random.choice((0, 1, 3, steps))))
        found.append(Buffer(f"t{i}", first, last, random.randint(0, most)))
    return found


def cut(random: Random, count: int, steps: int, height: int) -> list[Buffer]:
    """A full block of ``height`` over ``steps``, cut into tensors: they can be packed without a gap."""
    blocks = [(0, steps, height)]
    while len(blocks) < count:
        i = max(range(len(blocks)), key=lambda i: (blocks[i][1] - blocks[i][0]) * blocks[i][2] * random.random())
        first, end, size = blocks.pop(i)
        if end - first > 1 and (random.random() < 0.5 or size < 2):
            at = random.randint(first + 1, end - 1)
            blocks += [(first, at, size), (at, end, size)]
        elif size > 1:
            at = random.randint(1, size - 1)
            blocks += [(first, end, at), (first, end, size - at)]
        else:
            blocks.append((first, end, size))
    random.shuffle(blocks)
    return [Buffer(f"t{i}", first, end - 1, size) for i, (first, end, size) in enumerate(blocks)]


def full(random: Random, steps: int, height: int) -> list[Buffer]:
    """Tensors that take all of ``height`` at every step, and that perhaps cannot be packed within it."""
    alive: list[tuple[int, int]] = []
    found = []
    for step in range(steps):
        for tensor in [tensor for tensor in alive if random.random() < 0.4]:
            alive.remove(tensor)
            found.append((tensor[0], step - 1, tensor[1]))
        while free := height - sum(size for _, size in alive):
            alive.append((step, random.randint(1, min(free, height // 2))))
    found += [(first, steps - 1, size) for first, size in alive]
    return [Buffer(f"t{i}", *row) for i, row in enumerate(found)]


def smallest(buffers: list[Buffer]) -> int:
    """The smallest arena, by every order: one of them is that of the offsets of a best packing."""
    near, sizes = neighbours(buffers), [b.bytes for b in buffers]
    return min(place(sizes, near, order)[1] for order in permutations(range(len(buffers))))


def can_be(buffers: list[Buffer], height: int) -> bool:
    """Whether they can be packed within ``height``, by trying every offset of every tensor."""
    buffers = sorted(buffers, key=lambda b: (b.first, -b.bytes))
    at: list[int] = []

    def go_on() -> bool:
        if len(at) == len(buffers):
            return True
        one = buffers[len(at)]
        near = [(o, o + b.bytes) for o, b in zip(at, buffers, strict=False) if b.last >= one.first]
        for offset in range(height - one.bytes + 1):
            if all(offset >= end or offset + one.bytes <= start for start, end in near):
                at.append(offset)
                if go_on():
                    return True
                at.pop()
        return False

    return go_on()


def test_thousands_of_random_sets_are_packed_without_overlap() -> None:
    random = Random(14)
    for case in range(3000):
        alignment = random.choice((1, 1, 4, 16))
        buffers = some(random, random.randint(0, 30), random.randint(1, 20), random.choice((3, 50, 10_000)))
        found = costcalc.pack(buffers, alignment=alignment, time_limit=0.02 if case % 10 == 0 else 0)
        assert faults(found) == []
        assert [t[:4] for t in found.tensors] == [tuple(b) for b in buffers]


def test_small_sets_are_packed_as_well_as_every_order_does() -> None:
    random = Random(7)
    for _ in range(250):
        buffers = some(random, random.randint(3, 6), random.randint(3, 8), random.choice((3, 9, 100)))
        found = costcalc.pack(buffers, time_limit=5)
        best = smallest([b for b in buffers if b.bytes])
        assert (found.arena_bytes, found.lower_bound_bytes, found.optimal) == (best, best, True)


def test_what_is_proved_to_be_impossible_is() -> None:
    """Sets that are as full as they can be, against a search over every offset; some need more than their load."""
    random = Random(14)
    impossible = better = 0
    for _ in range(700):
        buffers = full(random, 14, 6)
        found = costcalc.pack(buffers, time_limit=20)
        assert found.optimal and faults(found) == []
        better += found.arena_bytes < greedy_by_size(buffers)[1]
        possible = can_be(buffers, 6)
        assert found.arena_bytes == 6 if possible else found.arena_bytes > 6
        impossible += not possible
    assert impossible > 1 and better > 50


@pytest.mark.parametrize("seed", range(4))
def test_blocks_that_were_cut_from_a_full_one_are_put_back(seed: int) -> None:
    buffers = cut(Random(seed), 80, 60, 1024)
    found = costcalc.pack(buffers, time_limit=60)
    assert found.optimal and found.arena_bytes == 1024 and faults(found) == []


def test_a_capacity_ends_the_search() -> None:
    buffers = cut(Random(1), 80, 60, 1024)
    loose = costcalc.pack(buffers, capacity=4096, time_limit=60)
    assert loose.method == "greedy" and loose.fits and not loose.optimal
    full = costcalc.pack(buffers, capacity=1023, time_limit=0)
    assert full.fits is False and full.lower_bound_bytes == 1024
    open_ = costcalc.pack(buffers, capacity=1024, time_limit=0)
    assert open_.fits is None


@pytest.mark.parametrize("name", ["A", "B", "C", "D", "E"])
def test_published_instances_fit_their_capacity(name: str) -> None:
    path = GOLDEN / f"{name}.1048576.csv"
    if not path.is_file():
        pytest.skip("the published instances are not here")
    found = costcalc.pack(from_csv(path.read_text(), path.name), capacity=1 << 20, time_limit=60)
    assert found.fits and faults(found) == []
    with path.open() as file:  # read by other means: first step, end, size, in the order of the file
        rows = [(r["id"], int(r["lower"]), int(r["upper"]) - 1, int(r["size"])) for r in csv.DictReader(file)]
    assert [t[:4] for t in found.tensors] == rows


def test_greedy_is_what_tflite_micro_gives() -> None:
    """Offsets that the planner's own source gave (tflite-micro 90b983c, compiled; 5,000 random sets were equal)."""
    equal = [Buffer(str(i), 0, 1, 16) for i in range(3)]
    assert greedy_by_size(equal) == ([32, 16, 0], 48)  # of equal sizes the one that was added last comes first
    # Of two gaps that hold it a tensor takes the lowest, though the other fits it better.
    gaps = [
        Buffer("a", 0, 9, 64),
        Buffer("b", 0, 0, 48),
        Buffer("c", 0, 9, 40),
        Buffer("d", 0, 0, 32),
        Buffer("e", 0, 9, 24),
        Buffer("f", 1, 1, 32),
    ]
    assert greedy_by_size(gaps) == GAPS


GAPS = ([0, 64, 112, 152, 184, 64], 208)


def test_sections_are_the_greatest_sets_that_live_together() -> None:
    random = Random(5)
    for _ in range(300):
        buffers = some(random, random.randint(1, 12), 10, 5)
        sets = {frozenset(i for i, b in enumerate(buffers) if b.first <= s <= b.last) for s in range(11)}
        greatest = {s for s in sets if s and not any(s < other for other in sets)}
        assert {frozenset(s) for s in sections(buffers)} == greatest


def test_the_checker_sees_an_overlap() -> None:
    tensors = (Packed("a", 0, 1, 8, 0), Packed("b", 1, 2, 8, 4))
    assert faults(Packing(tensors, 12, 16, False)) == ["a and b share bytes at step 1"]
    assert faults(Packing(tensors, 10, 16, False))[0] == "a tensor ends above the arena"
    apart = (Packed("a", 0, 1, 8, 0), Packed("b", 2, 2, 8, 0))
    assert faults(Packing(apart, 8, 8, True)) == []
    assert faults(Packing(apart, 9, 8, True)) != []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"name": "a", "first": 0, "last": 1}, "tensors[1] has no bytes; it must have name, first, last, bytes"),
        ({"name": "a", "first": 3, "last": 1, "bytes": 2}, "tensors[1] ('a'): last is 1, before first, which is 3"),
        (
            {"name": "a", "first": 0, "last": 1, "bytes": -2},
            "tensors[1] ('a'): bytes must be a whole number from 0 to 1e+15, not -2",
        ),
        (
            {"name": "a", "first": 0.5, "last": 1, "bytes": 2},
            "tensors[1] ('a'): first must be a whole number from 0 to 1e+12, not 0.5",
        ),
        (
            {"name": "a", "first": 0, "last": True, "bytes": 2},
            "tensors[1] ('a'): last must be a whole number from 0 to 1e+12, not True",
        ),
        (
            {"name": "a", "first": 0, "last": 1, "byte": 2},
            "tensors[1]: unknown key 'byte' (did you mean 'bytes'?); it has bytes, first, last, name",
        ),
        ({"name": "x", "first": 0, "last": 1, "bytes": 2}, "tensors[1]: the name 'x' is that of tensors[0] already"),
        ({"name": 7, "first": 0, "last": 1, "bytes": 2}, "tensors[1]: name must be text, not 7"),
        (["a", 0, 1, 2], "tensors[1] is ['a', 0, 1, 2]; it must have name, first, last, bytes"),
    ],
)
def test_rows_that_are_none_are_named(row: object, says: str) -> None:
    with pytest.raises(CostcalcError) as error:
        costcalc.pack([{"name": "x", "first": 0, "last": 1, "bytes": 8}, row])  # type: ignore[list-item]
    assert str(error.value) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "",
            "f.csv:1: the first line must name the columns name, first, last, bytes (or id, lower, upper, size), "
            "but has nothing",
        ),
        ("name,first,last,bytes\na,0,1,8\nb,0,x,8\n", "f.csv:3: last must be a whole number, not 'x'"),
        ("name,first,last,bytes\na,0,1\n", "f.csv:2: this line has 3 columns, the first one 4"),
        ("id,lower,upper,size\na,4,4,1\n", "f.csv:2: 'a': upper is 4, not after lower, which is 4"),
        ("name,first,last,bytes\na,0,1,8\n\na,0,1,8\n", "f.csv:4: the name 'a' is that of line 2 already"),
    ],
)
def test_lines_that_are_none_are_named(text: str, says: str) -> None:
    with pytest.raises(CostcalcError) as error:
        from_csv(text, "f.csv")
    assert str(error.value) == says


def test_both_kinds_of_columns_are_read() -> None:
    ours = from_csv("bytes,name,first,last,note\n8,a,0,1,x\n")
    theirs = from_csv("id,lower,upper,size\na,0,2,8\n")
    assert ours == theirs == [Buffer("a", 0, 1, 8)]
