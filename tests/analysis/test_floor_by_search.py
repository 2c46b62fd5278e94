"""The floor against a search of all schedules: each load, store, eviction and MAC of small networks on a small cache.

The cache begins with whatever inputs and weights are best, and may end with outputs that were never stored, as in the
middle of a run of inferences. A sum takes room from its first MAC on; what is not finished may be stored and loaded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import combinations, pairwise

import pytest

from costcalc import analyze, load
from costcalc.analysis.floor import least_moved
from costcalc.analysis.roofline import Machine
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.machines import load_machine
from costcalc.transforms import apply
from costcalc.zoo import models

Mac = tuple[int, int, int]
"""Two elements that are multiplied and the sum that they are added to."""


def least(macs: list[Mac], givens: int, elements: int, outputs: set[int], room: int) -> int:
    """The least loads and stores of any schedule. Elements from ``givens`` on are sums; one that is multiplied must be
    finished.
    """
    terms: dict[int, int] = {}
    for number, (_, _, s) in enumerate(macs):
        terms[s] = terms.get(s, 0) | 1 << number
    every = (1 << len(macs)) - 1
    best: dict[tuple[int, int, int], int] = {}
    queue: deque[tuple[int, tuple[int, int, int]]] = deque()
    for count in range(min(room, givens) + 1):
        for chosen in combinations(range(givens), count):
            state = 0, sum(1 << e for e in chosen), 0  # MACs done, elements in the cache, sums whose copy is good
            best[state] = 0
            queue.append((0, state))
    while queue:
        cost, state = queue.popleft()
        if best[state] < cost:
            continue
        done, cached, stored = state
        if done == every and all(cached >> e & 1 or stored >> e & 1 for e in outputs):
            return cost
        has_room = cached.bit_count() < room
        steps: list[tuple[int, tuple[int, int, int]]] = []
        for number, (a, b, s) in enumerate(macs):
            if done >> number & 1 or not (cached >> a & 1 and cached >> b & 1):
                continue
            if any(e >= givens and terms[e] & ~done for e in (a, b)):
                continue
            if cached >> s & 1:
                steps.append((0, (done | 1 << number, cached, stored & ~(1 << s))))
            elif not terms[s] & done and has_room:
                steps.append((0, (done | 1 << number, cached | 1 << s, stored)))
        for e in range(elements):
            bit = 1 << e
            if cached & bit:
                if e >= givens and not stored & bit:
                    steps.append((1, (done, cached, stored | bit)))
                    used = any(not done >> n & 1 and e in mac[:2] for n, mac in enumerate(macs))
                    if not used and e not in outputs and not terms[e] & ~done:
                        steps.append((0, (done, cached & ~bit, stored)))  # nobody needs it any more
                else:
                    steps.append((0, (done, cached & ~bit, stored)))
            elif has_room and (e < givens or stored & bit):
                steps.append((1, (done, cached | bit, stored)))
        for more, then in steps:
            if cost + more < best.get(then, 1 << 30):
                best[then] = cost + more
                (queue.append if more else queue.appendleft)((cost + more, then))
    raise AssertionError("there is no schedule")


def machine_with(room: int) -> Machine:
    """Of elements of 32 bits."""
    return Machine("small", "small", {"float32": 1e12}, 1.0, "made up", caches={"cache": 4 * room}, local=0)


def chain(rows: int, widths: list[int]) -> Graph:
    builder = GraphBuilder("net", {"x": TensorType((rows, widths[0]))})
    before = "x"
    for number, width in enumerate(widths[1:]):
        builder.add(f"layer{number}", find_op("linear")(width, bias=False), [before])
        before = f"layer{number}"
    return builder.build([before])


def macs_of(rows: int, widths: list[int]) -> tuple[list[Mac], int, int, set[int]]:
    """Of the chain: the MACs, how many elements are given, how many there are, and which are the outputs."""
    weights, at = [], rows * widths[0]
    for k, n in pairwise(widths):
        weights.append(at)
        at += k * n
    givens, before, macs = at, 0, []
    for start, k, n in zip(weights, widths, widths[1:], strict=False):
        for i in range(rows):
            for j in range(n):
                macs += [(before + i * k + m, start + m * n + j, at + i * n + j) for m in range(k)]
        before, at = at, at + rows * n
    return macs, givens, at, set(range(before, at))


@pytest.mark.parametrize("room", [3, 4, 5])
@pytest.mark.parametrize(
    ("rows", "widths"),
    [
        (2, [1, 2]),
        (1, [3, 2]),
        (2, [2, 1]),
        (3, [1, 2]),
        (1, [2, 1, 2]),
        (1, [1, 2, 1]),
        (2, [1, 1, 1]),
        (1, [2, 2, 1]),
    ],
)
def test_no_schedule_moves_less(rows: int, widths: list[int], room: int) -> None:
    found = least(*macs_of(rows, widths), room)
    total = analyze(chain(rows, widths), machine=machine_with(room)).total
    assert total.floor is not None
    assert total.floor.bits is not None
    assert total.floor.bits <= 32 * found


@pytest.mark.parametrize("room", [4, 5, 6])
@pytest.mark.parametrize(("rows", "widths"), [(1, [3, 2]), (2, [2, 1]), (1, [2, 1, 2]), (1, [2, 2, 1]), (1, [4, 1])])
def test_the_floor_is_near_what_the_best_schedule_moves(rows: int, widths: list[int], room: int) -> None:
    """One element is all that is between: the sum that is begun has no room in a cache that is full of what is read."""
    macs, givens, elements, outputs = macs_of(rows, widths)
    found = least(macs, givens, elements, outputs, room)
    assert found - 1 == max(givens - room, 0) + max(len(outputs) - room, 0)
    total = analyze(chain(rows, widths), machine=machine_with(room)).total
    assert total.floor is not None
    assert total.floor.bits == 32 * (found - 1)


def test_what_lies_on_the_chip_counts_at_both_ends() -> None:
    """9 elements are read, two written: with room for four, 6 of the 11 are moved, less than 11 - 4."""
    assert least(*macs_of(1, [3, 2]), 4) == 6


@pytest.mark.parametrize("room", [3, 4])
def test_no_schedule_of_a_product_moves_less_than_its_tiles(room: int) -> None:
    """What is in the cache at last is not stored: as many elements less."""
    for rows, k, n in ((2, 2, 2), (2, 1, 3), (3, 1, 2)):
        macs = rows * k * n
        assert least_moved(macs, 1, (1, 1, 1), room) - room <= least(*macs_of(rows, [k, n]), room)


@pytest.mark.parametrize("how", ["", "fold_norm", "fuse", "fold_norm,fuse:ort", "fuse:tflite"])
@pytest.mark.parametrize("name", sorted(models())[4::37])
def test_the_floor_is_never_above_the_roofline_at_the_same_rates(name: str, how: str) -> None:
    """Of every layer alone, block and whole, in any width; where kernels do several layers, of blocks and the whole."""
    graph = load(name)
    if how:
        graph = apply(graph, how)
    for machine in ("l40s", "coral_edge_tpu", "raspberry_pi_5"):
        given = replace(load_machine(machine), clock=None, turbo=None)
        for bits in (8,) if machine == "coral_edge_tpu" else (8, 16, 32):
            if given.peak(bits) is None:
                continue
            report = analyze(graph, machine=given, bits=bits)
            layers = [layer for layer in report.layers if layer.group is None]
            for row in (*layers, *([] if graph.groups else report.blocks), report.total):
                assert row.floor is not None
                assert row.time is not None
                assert row.floor.seconds <= row.time.seconds * (1 + 1e-9), (machine, bits, row)
