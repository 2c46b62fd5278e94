"""Which elements of a storage a tensor holds, and how those of another are found among them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from costcalc.classes import NamedTuple


class StorageRegion(NamedTuple):
    """Which elements of a storage a tensor holds: the first, and along each axis how many, so far apart."""

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def runs(self) -> StorageRegion:
        """The same elements in the same order with as few axes as can be."""
        found: list[tuple[int, int]] = []
        for n, step in zip(self.shape, self.stride, strict=True):
            if n == 1:
                continue
            if found and found[-1][1] == n * step:
                found[-1] = found[-1][0] * n, step
            else:
                found.append((n, step))
        return StorageRegion(self.offset, tuple(n for n, _ in found), tuple(step for _, step in found))


def in_a_row(shape: Sequence[int]) -> tuple[int, ...]:
    """How far the elements along each axis are apart in a storage that holds them in their order."""
    strides, apart = [], 1
    for n in reversed(shape):
        strides.append(apart)
        apart *= n
    return tuple(reversed(strides))


def is_one_axis(shape: Sequence[Any], steps: Sequence[int], apart: int) -> bool:
    """Whether all axes but the last ``apart`` can be seen as one.

    >>> is_one_axis((2, 3, 4), (4, 8, 1), 1)
    False
    """
    axes = [(d, s) for d, s in zip(shape, steps, strict=True)][: len(steps) - apart]
    axes = [(d, s) for d, s in axes if d != 1]
    return all(outer[1] == inner[0] * inner[1] for outer, inner in pairwise(axes))


Taken: TypeAlias = "tuple[list[int], list[tuple[int | None, int]]]"


def within(held: StorageRegion, wanted: StorageRegion) -> Taken | None:
    """Where the elements ``wanted`` stand among those ``held``: a start along each axis held, and for each axis
    wanted the axis held along which it goes and its step there, (None, 0) for one that goes nowhere.

    None where they are not all there, or no such steps lead to them.

    >>> within(StorageRegion(0, (4, 6), (6, 1)), StorageRegion(8, (2, 2), (2, 6)))
    ([1, 2], [(1, 2), (0, 1)])
    """
    rows = sorted((step, axis) for axis, (n, step) in enumerate(zip(held.shape, held.stride, strict=True)) if n > 1)
    rows = rows[::-1]
    rest = wanted.offset - held.offset
    if rest < 0 or any(step <= 0 for step, _ in rows):
        return None
    starts, ends = [0] * len(held.shape), [0] * len(held.shape)
    for step, axis in rows:
        starts[axis], rest = divmod(rest, step)
        ends[axis] = starts[axis]
    if rest:
        return None
    taken: list[tuple[int | None, int]] = []
    for n, apart in zip(wanted.shape, wanted.stride, strict=True):
        if n == 1 or apart == 0:
            taken.append((None, 0))
            continue
        found = next(((axis, apart // step) for step, axis in rows if apart % step == 0), None)
        if found is None:
            return None
        taken.append(found)
        ends[found[0]] += found[1] * (n - 1)
    if any(end >= n for end, n in zip(ends, held.shape, strict=True)):
        return None
    return starts, taken
