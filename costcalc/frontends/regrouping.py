"""What a reshape that a file fixes becomes at other sizes than those of the file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim
from costcalc.ir.dims import prod as product

Batch = tuple[Dim, int]
"""The batch that is asked for, and that of the file."""
Group = tuple[list[int], list[int]]


class Followed(NamedTuple):
    """What a reshape is at other sizes: the axis ``first`` goes to the front, all becomes ``shape``, and the first axis
    goes to ``last``. Both are 0 of a reshape that stays one.

    A batch of 1 can be moved by a reshape, as converters write a transposition; a larger one cannot.
    """

    shape: tuple[Dim, ...]
    first: int = 0
    last: int = 0


def moved(rank: int, source: int, target: int) -> tuple[int, ...]:
    """The order of axes that brings ``source`` to ``target``.

    >>> moved(4, 2, 0), moved(4, 0, 1)
    ((2, 0, 1, 3), (1, 0, 2, 3))
    """
    order = [axis for axis in range(rank) if axis != source]
    order.insert(target, source)
    return tuple(order)


def followed(before: Sequence[Dim], after: Sequence[Dim], made: Sequence[Dim], batch: Batch) -> Followed | None:
    """What makes of ``after`` what a reshape makes ``made`` of ``before``; None if that cannot be told.

    Axes are taken together that hold the same elements on both sides. One axis takes all that its counterparts have; of
    several the first takes the batch, which is the outermost. Between tokens and features that become one axis each, it
    goes with the tokens, of which each has all features. An axis of 1 that is a batch now is found again as the 1
    that stands where it stood, or as one that stands elsewhere. Sizes of ``after`` may be symbols.

    >>> followed((1, 196, 768), (4, 196, 768), (1, 196, 12, 64), (4, 1)).shape
    (4, 196, 12, 64)
    >>> followed((197, 1, 768), (197, 4, 768), (197, 12, 64), (4, 1)).shape
    (197, 48, 64)
    >>> followed((197, 1, 12, 64), (197, 4, 12, 64), (197, 768), (4, 1)).shape
    (788, 768)
    >>> followed((64, 49, 96), (256, 49, 96), (1, 64, 7, 7, 96), (4, 1)).shape
    (4, 64, 7, 7, 96)
    >>> followed((1, 197, 2304), (4, 197, 2304), (197, 1, 3, 768), (4, 1))
    Followed(shape=(4, 197, 3, 768), first=0, last=1)
    >>> followed((1, 64, 56, 56), (1, 64, 64, 64), (1, 64, 3136), (1, 1)).shape
    (1, 64, 4096)
    >>> followed((1, 3136, 64), (1, 4096, 64), (1, 56, 56, 64), (1, 1))
    """
    if len(before) != len(after):
        return None
    old: list[int] = []
    target: list[int] = []
    for sizes, into in ((before, old), (made, target)):
        for size in sizes:
            if not isinstance(size, int) or size < 1:
                return None
            into.append(size)
    if prod(old) != prod(target):
        return None
    found: list[Dim] = list(made)
    given, own = batch
    changed = [i for i, (was, now) in enumerate(zip(old, after, strict=True)) if was != now]
    ones = [i for i, size in enumerate(target) if size == 1]
    if own == 1 and ones and len(changed) == 1 and old[changed[0]] == 1 and after[changed[0]] == given:
        (first,) = changed
        for i in ones:
            if prod(target[:i]) == prod(old[:first]):
                return Followed((*made[:i], given, *made[i + 1 :]))
        last = ones[0]
        return Followed((given, *made[:last], *made[last + 1 :]), first, last)
    groups = _groups(old, target)
    if own == 1 and len(changed) == 1 and old[changed[0]] == 1:
        for (ours, theirs), (ours_after, theirs_after) in pairwise(groups):
            if ours_after[0] == changed[0] and len(ours_after) > 1 and len(theirs) == len(theirs_after) == 1:
                ours.append(ours_after.pop(0))
    for ours, theirs in groups:
        was, now = [old[i] for i in ours], [after[i] for i in ours]
        if was == now:
            continue
        wide = [i for i in theirs if target[i] != 1] or theirs[:1]
        if was == [target[i] for i in theirs]:
            for i, size in zip(theirs, now, strict=True):
                found[i] = size
        elif len(theirs) > 1 and given != own and product(now) * own == prod(was) * given:
            first = target[theirs[0]]
            if first % own:
                return None
            found[theirs[0]] = first // own * given
        elif len(wide) == 1:
            found[wide[0]] = product(now)
        else:
            return None
    return Followed(tuple(found)) if product(found) == product(after) else None


def _groups(before: Sequence[int], made: Sequence[int]) -> list[Group]:
    """Axes of both sides, in their order, as few together as hold the same elements; 1s at an end go to the last."""
    groups: list[Group] = []
    i = j = 0
    while i < len(before) and j < len(made):
        ours, theirs = [i], [j]
        i, j = i + 1, j + 1
        while (mine := prod(before[k] for k in ours)) != (other := prod(made[k] for k in theirs)):
            if mine < other and i < len(before):
                ours.append(i)
                i += 1
            elif j < len(made):
                theirs.append(j)
                j += 1
            else:
                return [([*range(len(before))], [*range(len(made))])]
        groups.append((ours, theirs))
    if not groups:
        return [([*range(len(before))], [*range(len(made))])]
    groups[-1][0].extend(range(i, len(before)))
    groups[-1][1].extend(range(j, len(made)))
    return groups
